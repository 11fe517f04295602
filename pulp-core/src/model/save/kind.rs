//! How a type of content unit is stored, as data.

use crate::db::Value;

/// A type of content unit: its table, and which of its columns tell one unit from another.
///
/// The table has, beside `columns`, the key `content_ptr_id` and `_pulp_domain_id`; key columns and `_pulp_domain_id` together
/// are unique. All names are the program’s own, never input.
///
/// ```
/// use pulp_core::model::save::{ContentKind, Unit};
///
/// static PACKAGE: ContentKind =
///     ContentKind { pulp_type: "npm.package", table: "npm_package", columns: &["name", "version", "license"], key: &["name", "version"] };
/// let unit = Unit::new(&PACKAGE, vec!["left-pad".into(), "1.3.0".into(), "WTFPL".into()]);
/// assert_eq!(unit.value("version"), Some(&"1.3.0".into()));
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct ContentKind {
    /// As in `core_content.pulp_type`: `file.file`.
    pub pulp_type: &'static str,
    /// The type’s own table.
    pub table: &'static str,
    /// Its columns.
    pub columns: &'static [&'static str],
    /// Those of them that, with the domain, are unique.
    pub key: &'static [&'static str],
}

impl ContentKind {
    /// The places of the key columns among the columns.
    pub(super) fn key_places(&self) -> impl Iterator<Item = usize> + '_ {
        self.key.iter().filter_map(|name| self.columns.iter().position(|column| column == name))
    }
}

/// A content unit that is to be stored, or may be already.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Its type.
    pub kind: &'static ContentKind,
    /// The values of [`ContentKind::columns`], in that order.
    pub values: Vec<Value>,
}

/// What tells one unit of a type from another, as a text to compare and to sort by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitKey(String);

impl Unit {
    /// A unit with these values; columns at the end that are not given are null.
    pub fn new(kind: &'static ContentKind, mut values: Vec<Value>) -> Self {
        values.resize(kind.columns.len(), Value::Text(None));
        Self { kind, values }
    }

    /// The value of a column.
    pub fn value(&self, column: &str) -> Option<&Value> {
        self.values.get(self.kind.columns.iter().position(|name| *name == column)?)
    }

    /// The natural key.
    pub fn key(&self) -> UnitKey {
        UnitKey::of(self.key_values())
    }

    pub(crate) fn key_values(&self) -> impl Iterator<Item = &Value> {
        self.kind.key_places().filter_map(|place| self.values.get(place))
    }
}

impl UnitKey {
    pub(super) fn of<'v>(values: impl Iterator<Item = &'v Value>) -> Self {
        use std::fmt::Write;
        let mut text = String::new();
        for value in values {
            // A NUL is in no text that PostgreSQL stores: it parts the values beyond doubt.
            let written = match value {
                Value::Text(Some(value)) => write!(text, "{value}\0"),
                Value::Int(Some(value)) => write!(text, "{value}\0"),
                other => write!(text, "{other:?}\0"),
            };
            debug_assert!(written.is_ok(), "a String takes all that is written");
        }
        Self(text)
    }
}
