//! A listing as a page for people, and as JSON for programs.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Entry;
use super::path::encode_name;
use super::view::{Page, Sort, View};
use crate::clock::to_wire;

/// Columns of the name, before the date. Scripts that read listings cut lines here.
const NAME_WIDTH: usize = 100;
/// Columns of the date.
const DATE_WIDTH: usize = 17;

const STYLE: &str = include_str!("listing.css");
const SCRIPT: &str = include_str!("listing.js");

/// What a listing may load and run: its own style and script, and nothing else, whatever a name could smuggle in.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| BASE64.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// What a page says before its entries.
pub(super) struct Head {
    pub(super) title: String,
    /// Names and paths of the directories on the way, the last one being that of the page.
    pub(super) crumbs: Vec<(String, String)>,
    /// Commands that use the repository.
    pub(super) usage: Vec<String>,
}

/// How a page begins.
///
/// Scripts look for the head as it is here, with the title alone in it, so what else belongs there follows; browsers put it in its place.
pub(super) fn head(head: &Head) -> String {
    let title = escape(&head.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Index of {title}</title></head>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>{STYLE}</style>\n<body>\n"
    );
    page.push_str(&crumbs(&head.crumbs));
    let _ = writeln!(page, "<h1>Index of {title}</h1>");
    if !head.usage.is_empty() {
        page.push_str("<div class=\"usage\">To use it:\n");
        for command in &head.usage {
            let _ = writeln!(page, "<code>{}</code>", escape(command));
        }
        page.push_str("</div>\n");
    }
    page
}

fn crumbs(crumbs: &[(String, String)]) -> String {
    let Some(((here, _), above)) = crumbs.split_last() else {
        return String::new();
    };
    let mut nav = String::from("<nav aria-label=\"Directories above\">");
    for (name, path) in above {
        let _ = write!(nav, "<a href=\"{path}\">{}</a> / ", escape(name));
    }
    let _ = writeln!(nav, "<span aria-current=\"page\">{}</span></nav>", escape(here));
    nav
}

/// The entries of a page, with headings that sort them and links to the pages before and after, and the page's end.
pub(super) fn body(view: &View, page: &Page, parent: bool) -> String {
    let up = if parent { "<a href=\"../\">../</a>\n" } else { "" };
    let mut text = format!("<pre class=\"order\">{}</pre>\n<hr><pre id=\"entries\">\n{up}", headings(view));
    text.push_str(&lines(&page.entries));
    text.push_str("</pre><hr>\n");
    let links = [("prev", "Previous page", &page.previous), ("next", "Next page", &page.next)];
    if links.iter().any(|(.., query)| query.is_some()) {
        text.push_str("<nav class=\"pages\" aria-label=\"Pages\">");
        for (rel, label, query) in links {
            if let Some(query) = query {
                let _ = write!(text, "<a rel=\"{rel}\" href=\"{}\">{label}</a> ", escape(query));
            }
        }
        text.push_str("</nav>\n");
    }
    let _ = write!(text, "<script type=\"module\">{SCRIPT}</script>\n</body>\n</html>\n");
    text
}

/// The names of the columns, above each of them.
fn headings(view: &View) -> String {
    let mut line = String::new();
    for (sort, label, width) in [(Sort::Name, "Name", NAME_WIDTH), (Sort::Date, "Date", DATE_WIDTH + 2), (Sort::Size, "Size", 0)] {
        let mark = match (sort == view.sort, view.descending) {
            (false, _) => "",
            (true, false) => " \u{2191}",
            (true, true) => " \u{2193}",
        };
        let pad = width.saturating_sub(label.len() + mark.chars().count());
        let _ = write!(line, "<a rel=\"nofollow\" href=\"{}\">{label}</a>{mark}{:pad$}", escape(&view.sorted_by(sort)), "");
    }
    line
}

/// The lines of some entries.
fn lines(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let slash = if entry.directory { "/" } else { "" };
        // With the dot in front, a colon in the name is not taken for the end of a scheme.
        let href = encode_name(&entry.name);
        let pad = NAME_WIDTH.saturating_sub(entry.name.chars().count() + slash.len()).max(1);
        let date = entry.modified.map(|at| at.format("%d-%b-%Y %H:%M").to_string()).unwrap_or_default();
        let size = entry.size.map(human_size).unwrap_or_default();
        let line = format!("<a href=\"./{href}{slash}\">{}{slash}</a>{:pad$}{date:DATE_WIDTH$}  {size}", escape(&entry.name), "");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// One entry as JSON.
pub(super) fn json(entry: &Entry) -> serde_json::Value {
    json!({
        "name": entry.name,
        "type": if entry.directory { "directory" } else { "file" },
        "size": entry.size,
        "modified": entry.modified.map(to_wire),
    })
}

/// A size in decimal units, with one digit behind the point: `2.5 kB`.
pub(super) fn human_size(bytes: u64) -> String {
    if bytes == 1 {
        return "1 Byte".to_owned();
    }
    if bytes < 1_000 {
        return format!("{bytes} Bytes");
    }
    let mut value = bytes as f64;
    let mut unit = "";
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        value /= 1_000.0;
        unit = next;
        if value < 999.95 {
            break;
        }
    }
    format!("{value:.1} {unit}")
}

/// Text as it may stand in an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_people_read_them() {
        for (bytes, text) in
            [(0, "0 Bytes"), (1, "1 Byte"), (120, "120 Bytes"), (2_460, "2.5 kB"), (2_000_000, "2.0 MB"), (999_999, "1.0 MB")]
        {
            assert_eq!(human_size(bytes), text);
        }
        assert_eq!(human_size(u64::MAX), "18.4 EB");
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let names = ["a:b.txt", "q\"u<o>t'e", "a%2fb", "sp ace", "\u{e9}\u{4e2d}", "<script>alert(1)</script>"];
        let entries: Vec<_> = names.iter().map(|name| Entry::file(*name, None, Some(1))).collect();
        let text = lines(&entries);
        assert_eq!(
            text.lines().map(|line| line.split('"').nth(1).unwrap()).collect::<Vec<_>>(),
            [
                "./a%3Ab.txt",
                "./q%22u%3Co%3Et%27e",
                "./a%252fb",
                "./sp%20ace",
                "./%C3%A9%E4%B8%AD",
                "./%3Cscript%3Ealert%281%29%3C%2Fscript%3E"
            ]
        );
        assert!(!text.contains("<script") && text.contains(">q&quot;u&lt;o&gt;t&#39;e<"));
        let evil = "</title><script>".to_owned();
        let head = head(&Head { title: evil.clone(), crumbs: vec![(evil.clone(), String::new())], usage: vec![evil] });
        assert!(!head.contains("<script") && head.contains("<code>&lt;/title&gt;&lt;script&gt;</code>"), "{head}");
    }

    #[test]
    fn headings_stand_above_their_columns() {
        let plain = |line: &str| {
            let mut text = String::new();
            for part in line.split('<') {
                text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
            }
            text
        };
        let at = chrono::DateTime::from_timestamp(1_795_343_460, 0);
        let line = plain(&lines(&[Entry::file("a", at, Some(5))]));
        for query in ["", "sort=date", "sort=size&order=desc"] {
            let headings = plain(&headings(&View::of_query(query)));
            let column = |text: &str, label: &str| text.split_once(label).map(|(before, _)| before.chars().count());
            assert_eq!(column(&headings, "Date"), column(&line, "22-Nov"), "{headings}");
            assert_eq!(column(&headings, "Size"), column(&line, "5 Bytes"), "{headings}");
        }
    }

    #[test]
    fn a_line_tells_name_date_and_size() {
        let at = chrono::DateTime::from_timestamp(1_795_343_460, 0);
        let file = Entry::file("a.txt", at, Some(120));
        let text = lines(&[file, Entry::directory("dir")]);
        let mut lines = text.lines();
        let line = lines.next().unwrap();
        assert!(line.starts_with("<a href=\"./a.txt\">a.txt</a> ") && line.ends_with(" 22-Nov-2026 10:31  120 Bytes"), "{line}");
        assert_eq!(line.find("22-Nov"), Some("<a href=\"./a.txt\"></a>".len() + 100));
        assert_eq!(lines.next(), Some("<a href=\"./dir/\">dir/</a>"));
    }
}
