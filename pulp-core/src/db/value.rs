//! Values that a statement carries, and statements as text plus values.

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use uuid::Uuid;

use super::array::{self, Array};
use super::{DbError, Dialect};

/// One bound value. A null keeps its type, which PostgreSQL wants to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `boolean`.
    Bool(Option<bool>),
    /// `bigint`: every whole number in the schema.
    Int(Option<i64>),
    /// `double precision`.
    Float(Option<f64>),
    /// `text`.
    Text(Option<String>),
    /// `uuid`; sixteen bytes in SQLite.
    Uuid(Option<Uuid>),
    /// `timestamptz`; RFC 3339 text in SQLite.
    Time(Option<DateTime<Utc>>),
    /// `jsonb`; text in SQLite.
    Json(Option<Json>),
    /// Many at once, of one kind, for PostgreSQL alone: see [`Sql::push_table`].
    Array(Array),
}

macro_rules! value_from {
    ($($variant:ident: $($type:ty),+;)*) => {$($(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(Some(value.into()))
            }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map(Into::into))
            }
        }
    )+)*};
}

value_from! {
    Bool: bool;
    Int: i64, i32, u32;
    Float: f64;
    Text: String, &str, &String;
    Uuid: Uuid;
    Time: DateTime<Utc>;
    Json: Json;
}

impl From<Array> for Value {
    fn from(values: Array) -> Self {
        Self::Array(values)
    }
}

impl From<&Uuid> for Value {
    fn from(value: &Uuid) -> Self {
        Self::Uuid(Some(*value))
    }
}

/// A statement: text with `$1`, `$2` … and the values in that order. One text serves both databases.
///
/// ```
/// use pulp_core::db::Sql;
/// let fixed = Sql::new("select name from core_repository where pulp_id = $1").bind(uuid::Uuid::nil());
/// let mut grown = Sql::new("select name from core_repository where name in ");
/// grown.push_list(["a", "b"]);
/// assert_eq!(grown.text(), "select name from core_repository where name in ($1, $2)");
/// # drop(fixed);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// A statement with this text and no values yet.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Adds the value of the next `$n` that the text already names.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Appends text. Never text from outside: values go through [`Sql::push_bind`].
    pub fn push(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.text.push_str(text.as_ref());
        self
    }

    /// Appends a placeholder and its value.
    pub fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Appends `($1, $2, …)`; for no values a list that nothing is in.
    pub fn push_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        self.push("(");
        let mut first = true;
        for value in values {
            if !std::mem::take(&mut first) {
                self.push(", ");
            }
            self.push_bind(value);
        }
        if first {
            self.push("null");
        }
        self.push(")")
    }

    /// Appends rows as a `values` list of one insert: `($1, $2), ($3, $4)`.
    pub fn push_rows<const N: usize>(&mut self, rows: impl IntoIterator<Item = [Value; N]>) -> &mut Self {
        let mut first = true;
        for row in rows {
            if !std::mem::take(&mut first) {
                self.push(", ");
            }
            self.push_list(row);
        }
        self
    }

    /// Appends a table of these rows, `NAME (COLUMN, …, n) as (…)`, as it stands after `with`; `n` counts the rows from 1. PostgreSQL gets each column as
    /// one array, so that the text is the same for any number of rows.
    ///
    /// ```
    /// use pulp_core::db::{Dialect, Sql};
    /// let table = |dialect| {
    ///     let mut sql = Sql::new("with ");
    ///     sql.push_table(dialect, "wanted", &["name"], [["a".into()], ["b".into()]]).unwrap();
    ///     sql.text().to_owned()
    /// };
    /// assert_eq!(table(Dialect::Postgres), "with wanted (name, n) as (select * from unnest($1::text[]) with ordinality)");
    /// assert_eq!(table(Dialect::Sqlite), "with wanted (name, n) as (values ($1, 1), ($2, 2))");
    /// ```
    ///
    /// # Errors
    /// If there is no row, or the values of a column are not of one kind.
    pub fn push_table<R: IntoIterator<Item = Value>>(
        &mut self,
        dialect: Dialect,
        name: &str,
        columns: &[&str],
        rows: impl IntoIterator<Item = R>,
    ) -> Result<&mut Self, DbError> {
        self.push(format!("{name} ({}, n) as (", columns.join(", ")));
        match dialect {
            Dialect::Postgres => {
                let columns = array::columns(rows.into_iter().flatten(), columns.len())?;
                if columns.is_empty() {
                    return Err(array::refused("is needed: a table has rows"));
                }
                self.push("select * from ").push_unnested(columns);
                self.push(" with ordinality)");
            }
            Dialect::Sqlite => {
                self.push("values ");
                let mut rows = rows.into_iter().enumerate().peekable();
                if rows.peek().is_none() {
                    return Err(array::refused("is needed: a table has rows"));
                }
                for (at, row) in rows {
                    self.push(if at > 0 { ", (" } else { "(" });
                    for value in row {
                        self.push_bind(value).push(", ");
                    }
                    self.push(format!("{})", at + 1));
                }
                self.push(")");
            }
        }
        Ok(self)
    }

    /// Appends rows as PostgreSQL takes many of them fastest: neither it nor the driver looks at a placeholder for each value.
    pub(super) fn push_unnested(&mut self, columns: Vec<Array>) -> &mut Self {
        self.push("unnest(");
        for (at, column) in columns.into_iter().enumerate() {
            let kind = column.kind();
            self.push(if at > 0 { ", " } else { "" }).push_bind(column).push(format!("::{kind}[]"));
        }
        self.push(")")
    }

    /// Appends another statement, whose placeholders go on from ours.
    pub fn append(&mut self, other: Self) -> &mut Self {
        let mut rest = other.text.as_str();
        // Our own text carries `$` only before the number of a placeholder.
        while let Some(at) = rest.find('$') {
            let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let number: Option<usize> = rest[at + 1..at + 1 + digits].parse().ok();
            self.text.push_str(&rest[..=at]);
            if let Some(number) = number {
                self.text.push_str(&(self.values.len() + number).to_string());
            }
            rest = &rest[at + 1 + digits..];
        }
        self.text.push_str(rest);
        self.values.extend(other.values);
        self
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The values so far.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Text and values, for whoever runs the statement.
    pub fn into_parts(self) -> (String, Vec<Value>) {
        (self.text, self.values)
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Sql {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// How many rows of `columns` values one statement may insert: both databases limit the values of a statement
/// (SQLite 32,766; PostgreSQL 65,535), and gains end at some thousand rows.
pub const fn rows_per_statement(columns: usize) -> usize {
    let most = 32_000 / if columns == 0 { 1 } else { columns };
    if most > 2_000 { 2_000 } else { most }
}
