//! What goes to standard output, and notes to standard error.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// How answers are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// One JSON document: indented on a terminal, on one line otherwise.
    #[default]
    Json,
    /// A table for the eye.
    Table,
    /// Nothing.
    None,
}

/// Prints an answer on standard output.
///
/// # Errors
/// When standard output cannot be written. A reader that went away (`| head`) is no error.
pub(crate) fn print(format: Format, value: &Value) -> Result<()> {
    let stdout = io::stdout();
    let text = match format {
        Format::None => return Ok(()),
        Format::Json => json(value, stdout.is_terminal()).map_err(Error::Output)?,
        Format::Table => table(value),
    };
    line(&text)
}

/// Prints one line of plain text on standard output.
///
/// # Errors
/// As [`print`].
pub(crate) fn line(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Writes a note for the user to standard error. That nobody can read it is no reason to fail.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn json(value: &Value, indented: bool) -> io::Result<String> {
    let mut text = Vec::new();
    if indented {
        serde_json::to_writer_pretty(&mut text, value)?;
    } else {
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, Spaced);
        value.serialize(&mut serializer)?;
    }
    String::from_utf8(text).map_err(io::Error::other)
}

/// One line with a space after `:` and `,`, as the Python client writes it: scripts grep for `"state": "completed"`.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The columns of a list, in this order, of those that its entries have; the href only if nothing else names them.
const COLUMNS: [&str; 15] = [
    "name",
    "number",
    "relative_path",
    "state",
    "base_path",
    "base_url",
    "url",
    "policy",
    "repository",
    "sha256",
    "size",
    "completed",
    "last_heartbeat",
    "finished_at",
    "pulp_created",
];

fn table(value: &Value) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    match value {
        Value::Array(entries) => {
            let has = |column: &str| entries.iter().any(|entry| entry.get(column).is_some());
            let mut columns: Vec<&str> = COLUMNS.into_iter().filter(|column| has(column)).collect();
            if !columns.iter().any(|c| matches!(*c, "name" | "number" | "relative_path")) && has("pulp_href") {
                columns.insert(0, "pulp_href");
            }
            // Entries of no known kind, or cut down with --field: all that the first one has.
            if columns.is_empty() {
                let first = entries.iter().find_map(Value::as_object);
                columns = first.into_iter().flat_map(|o| o.keys().map(String::as_str)).collect();
            }
            if columns.is_empty() {
                for entry in entries {
                    table.add_row([cell(entry)]);
                }
            } else {
                table.set_header(columns.iter().map(|column| column.to_uppercase()));
                for entry in entries {
                    table.add_row(columns.iter().map(|c| entry.get(*c).map(cell).unwrap_or_default()));
                }
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                table.add_row([name.clone(), cell(value)]);
            }
        }
        scalar => return cell(scalar),
    }
    table.trim_fmt()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().all(Value::is_string) => list.iter().map(cell).collect::<Vec<_>>().join("\n"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_has_the_spaces_of_the_python_client() {
        let value = json!({"state": "completed", "list": [1, {"a": null}], "empty": [], "none": {}});
        assert_eq!(json(&value, false).unwrap(), r#"{"state": "completed", "list": [1, {"a": null}], "empty": [], "none": {}}"#);
    }

    #[test]
    fn fields_keep_the_order_of_the_server() {
        let value: Value = serde_json::from_str(r#"{"z": 1, "a": 2}"#).unwrap();
        assert_eq!(json(&value, false).unwrap(), r#"{"z": 1, "a": 2}"#);
    }

    #[test]
    fn a_list_becomes_a_table_of_known_columns() {
        let value = json!([
            {"pulp_href": "/x/", "name": "one", "secret": "no", "policy": "immediate"},
            {"pulp_href": "/y/", "name": "two", "policy": null},
        ]);
        let text = table(&value);
        assert!(text.contains("NAME") && text.contains("POLICY"), "{text}");
        assert!(text.contains("one") && text.contains("two"), "{text}");
        assert!(!text.contains("/x/") && !text.contains("no\n"), "{text}");
    }

    #[test]
    fn entries_without_a_name_show_their_href() {
        assert!(table(&json!([{"pulp_href": "/x/", "size": 3}])).contains("/x/"));
    }

    #[test]
    fn one_resource_becomes_a_list_of_fields() {
        let text = table(&json!({"name": "one", "labels": {"a": "b"}}));
        assert!(text.contains("name") && text.contains(r#"{"a":"b"}"#), "{text}");
    }
}
