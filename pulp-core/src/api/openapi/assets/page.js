"use strict";
// Shows api.json: operations by tag, with parameters, bodies and answers. All text goes into the page as text, never as
// markup.

const at = (id) => document.getElementById(id);

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let schemas = {};

const nameOf = (reference) => reference.replace("#/components/schemas/", "");

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) {
    const words = schemas[nameOf(schema.$ref)]?.enum;
    return words ? words.join(" | ") : nameOf(schema.$ref);
  }
  if (schema.allOf) return schema.allOf.map(typeOf).join(" & ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items) || "anything"}`;
  if (schema.additionalProperties) return `${typeOf(schema.additionalProperties)} by key`;
  return [schema.type || "anything", schema.format].filter(Boolean).join(", ");
}

function facts(schema) {
  const all = [typeOf(schema)];
  if (schema.nullable) all.push("or null");
  if (schema.default !== undefined) all.push(`default ${JSON.stringify(schema.default)}`);
  if (schema.minimum !== undefined) all.push(`at least ${schema.minimum}`);
  if (schema.maximum !== undefined) all.push(`at most ${schema.maximum}`);
  if (schema.maxLength !== undefined) all.push(`at most ${schema.maxLength} characters`);
  if (schema.readOnly) all.push("set by Pulp");
  if (schema.writeOnly) all.push("never shown");
  return all.join("; ");
}

// The objects that a schema speaks of, each to be opened.
function inner(schema, open) {
  const reference = schema?.$ref || schema?.allOf?.[0]?.$ref || schema?.items?.$ref;
  if (!reference || !schemas[nameOf(reference)]?.properties) return null;
  return lazily("schema", open, [make("code", {}, nameOf(reference))], () => fields(schemas[nameOf(reference)]));
}

function fields(schema) {
  const rows = Object.entries(schema.properties || {}).map(([name, field]) =>
    row(name, (schema.required || []).includes(name), facts(field), field.description, inner(field, false)));
  return make("div", {}, make("table", {}, make("tbody", {}, ...rows)));
}

function row(name, required, type, help, more) {
  const first = make("td", {}, make("code", {}, name));
  if (required) first.append(" ", make("span", { class: "must" }, "required"));
  const second = make("td", {}, make("span", { class: "type" }, type));
  if (help) second.append(make("br"), help);
  if (more) second.append(more);
  return make("tr", {}, first, second);
}

// A details element whose inside is made when it is opened: a whole document has ten thousands of fields.
function lazily(kind, open, summary, inside) {
  const element = make("details", { class: kind }, make("summary", {}, ...summary));
  const fill = () => {
    if (element.open && element.children.length === 1) element.append(inside());
  };
  element.addEventListener("toggle", fill);
  element.open = open;
  fill();
  return element;
}

function inside(operation) {
  const box = make("div", { class: "inside" });
  if (operation.description) box.append(make("p", {}, operation.description));
  box.append(make("p", { class: "quiet" }, "Operation ", make("span", { class: "id" }, operation.operationId), operation.security ? "" : "; nobody has to log in"));
  const parameters = (operation.parameters || []).filter((parameter) => parameter.in !== "header");
  if (parameters.length) {
    const rows = parameters.map((parameter) =>
      row(parameter.name, parameter.required, `${facts(parameter.schema)}; in the ${parameter.in}`, parameter.description, null));
    box.append(make("h3", {}, "Parameters"), make("table", {}, make("tbody", {}, ...rows)));
  }
  const bodies = Object.entries(operation.requestBody?.content || {});
  if (bodies.length) {
    box.append(make("h3", {}, "Body"), make("p", { class: "quiet" }, bodies.map(([kind]) => kind).join(", ")));
    const body = inner(bodies[0][1].schema, true);
    if (body) box.append(body);
  }
  box.append(make("h3", {}, "Answers"));
  for (const [status, answer] of Object.entries(operation.responses)) {
    box.append(make("p", { class: "quiet" }, make("code", {}, status), ` ${answer.description || ""}`));
    const shown = inner(Object.values(answer.content || {})[0]?.schema, false);
    if (shown) box.append(shown);
  }
  return box;
}

function shown(operation) {
  const element = lazily("operation", false, [
    make("span", { class: `method ${operation.method}` }, operation.method.toUpperCase()),
    make("span", { class: "path" }, operation.path),
    make("span", { class: "says" }, operation.summary || ""),
  ], () => inside(operation));
  element.id = operation.operationId;
  return element;
}

let all = [];

function show() {
  const words = at("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const byTag = new Map();
  for (const operation of all) {
    if (!words.every((word) => operation.text.includes(word))) continue;
    const tag = (operation.tags || ["Other"])[0];
    if (!byTag.has(tag)) byTag.set(tag, []);
    byTag.get(tag).push(operation);
  }
  const links = [];
  const sections = [];
  for (const tag of [...byTag.keys()].sort()) {
    const id = `tag-${tag.replace(/[^A-Za-z0-9]+/g, "-")}`;
    links.push(make("a", { href: `#${id}` }, tag));
    sections.push(make("h2", { id }, tag), ...byTag.get(tag).map(shown));
  }
  at("tags").replaceChildren(...links);
  at("operations").replaceChildren(...(sections.length ? sections : [make("p", { class: "quiet" }, "No operation has all of these words.")]));
}

let asked = 0;

async function load() {
  const turn = ++asked;
  const query = new URLSearchParams();
  if (at("component").value) query.set("component", at("component").value);
  if (at("keys").checked) query.set("pk_path", "1");
  const address = query.size ? `api.json?${query}` : "api.json";
  at("raw").setAttribute("href", address);
  try {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address} answered ${response.status}`);
    const api = await response.json();
    if (turn !== asked) return; // Another one has been asked for since.
    schemas = api.components.schemas;
    all = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({
      ...operation, path, method,
      text: `${method} ${path} ${operation.operationId} ${operation.summary || ""} ${(operation.tags || []).join(" ")}`.toLowerCase(),
    })));
    const versions = api.info["x-pulp-app-versions"];
    if (!at("component").value && at("component").length === 1) {
      at("component").append(...Object.keys(versions).map((name) => make("option", { value: name }, name)));
    }
    at("about").textContent = `${all.length} operations; ${Object.entries(versions).map((pair) => pair.join(" ")).join(", ")}`;
    show();
    const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (wanted) {
      if (wanted.tagName === "DETAILS") wanted.open = true;
      wanted.scrollIntoView();
    }
  } catch (error) {
    at("about").replaceChildren(make("span", { class: "wrong" }, `The document cannot be read: ${error.message}`));
  }
}

at("search").addEventListener("input", show);
at("component").addEventListener("change", load);
at("keys").addEventListener("change", load);
load();
