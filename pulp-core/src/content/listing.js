// Shows the entries whose name holds what is typed. Without it, the page is the same but for the field.
const list = document.getElementById("entries");
const lines = [];
for (const link of list.querySelectorAll('a[href^="./"]')) {
  const line = document.createElement("span");
  link.before(line);
  line.append(link, line.nextSibling);
  lines.push([link.textContent.toLowerCase(), line]);
}
if (lines.length > 1) {
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "Filter";
  field.setAttribute("aria-label", "Filter the names on this page");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const [name, line] of lines) line.hidden = !name.includes(wanted);
  });
  list.before(field);
}
