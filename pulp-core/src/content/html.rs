//! A listing as a page for people, and as JSON for programs.

use std::fmt::Write as _;

use serde_json::json;

use super::Entry;
use super::path::encode_name;
use crate::clock::to_wire;

/// Columns of the name, before the date. Scripts that read listings cut lines here.
const NAME_WIDTH: usize = 100;

/// How a page begins.
pub(super) fn head(title: &str, parent: bool) -> String {
    let title = escape(title);
    let up = if parent { "<a href=\"../\">../</a>\n" } else { "" };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Index of {title}</title></head>\n\
         <body>\n<h1>Index of {title}</h1>\n<hr><pre>{up}"
    )
}

/// The lines of some entries.
pub(super) fn lines(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let slash = if entry.directory { "/" } else { "" };
        // With the dot in front, a colon in the name is not taken for the end of a scheme.
        let href = encode_name(&entry.name);
        let pad = NAME_WIDTH.saturating_sub(entry.name.chars().count() + slash.len()).max(1);
        let date = entry.modified.map(|at| at.format("%d-%b-%Y %H:%M").to_string()).unwrap_or_default();
        let size = entry.size.map(human_size).unwrap_or_default();
        let line = format!("<a href=\"./{href}{slash}\">{}{slash}</a>{:pad$}{date:17}  {size}", escape(&entry.name), "");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// How a page ends.
pub(super) const TAIL: &str = "</pre><hr></body>\n</html>\n";

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
        assert!(!head("</title><script>", true).contains("<script"));
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
