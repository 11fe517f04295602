//! Rows as they are kept once the statement has ended: one buffer for all that a statement gave.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::types::ValueRef as Given;
use sqlx::{ColumnIndex, Error, Row, TypeInfo, Value, ValueRef};
use sqlx_core::impl_column_index_for_row;

use super::driver::InThread;

/// What SQLite has stored, whatever its column was declared to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Real,
    /// Text.
    Text,
    /// Bytes.
    Blob,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TypeInfo for Kind {
    fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    fn name(&self) -> &str {
        match self {
            Self::Null => "NULL",
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
        }
    }
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'r> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(&'r str),
    /// Bytes.
    Blob(&'r [u8]),
}

impl Cell<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Integer(_) => Kind::Integer,
            Self::Real(_) => Kind::Real,
            Self::Text(_) => Kind::Text,
            Self::Blob(_) => Kind::Blob,
        }
    }
}

impl<'r> ValueRef<'r> for Cell<'r> {
    type Database = InThread;

    fn to_owned(&self) -> Owned {
        match *self {
            Self::Null => Owned::Null,
            Self::Integer(number) => Owned::Integer(number),
            Self::Real(number) => Owned::Real(number),
            Self::Text(text) => Owned::Text(text.to_owned()),
            Self::Blob(bytes) => Owned::Blob(bytes.to_owned()),
        }
    }

    fn type_info(&self) -> Cow<'_, Kind> {
        Cow::Owned(self.kind())
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// A value that is no row's any more.
#[derive(Debug, Clone, PartialEq)]
pub enum Owned {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value for Owned {
    type Database = InThread;

    fn as_ref(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(number) => Cell::Integer(*number),
            Self::Real(number) => Cell::Real(*number),
            Self::Text(text) => Cell::Text(text),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }

    fn type_info(&self) -> Cow<'_, Kind> {
        Cow::Owned(self.as_ref().kind())
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// A column of a row.
#[derive(Debug)]
pub struct Column {
    place: usize,
    name: String,
}

impl sqlx::Column for Column {
    type Database = InThread;

    fn ordinal(&self) -> usize {
        self.place
    }

    fn name(&self) -> &str {
        &self.name
    }

    /// Values have kinds here, columns have none.
    fn type_info(&self) -> &Kind {
        &Kind::Null
    }
}

/// A value as it lies in the buffer.
#[derive(Debug)]
enum Kept {
    Null,
    Integer(i64),
    Real(f64),
    Text(Range<usize>),
    Blob(Range<usize>),
}

/// All rows of one statement.
#[derive(Debug, Default)]
pub(super) struct Answer {
    columns: Vec<Column>,
    /// Row by row.
    cells: Vec<Kept>,
    text: String,
    bytes: Vec<u8>,
    /// The column that follows the one that was asked for last: records are read in the order of their columns, mostly.
    next: AtomicUsize,
}

impl Answer {
    /// Takes one more row.
    pub(super) fn push(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        if self.columns.is_empty() {
            let names = row.as_ref().column_names().into_iter().map(str::to_owned).enumerate();
            self.columns = names.map(|(place, name)| Column { place, name }).collect();
        }
        for place in 0..self.columns.len() {
            let kept = match row.get_ref(place)? {
                Given::Null => Kept::Null,
                Given::Integer(number) => Kept::Integer(number),
                Given::Real(number) => Kept::Real(number),
                Given::Text(bytes) => {
                    let text = std::str::from_utf8(bytes).map_err(|error| rusqlite::Error::Utf8Error(place, error))?;
                    let start = self.text.len();
                    self.text.push_str(text);
                    Kept::Text(start..self.text.len())
                }
                Given::Blob(bytes) => {
                    let start = self.bytes.len();
                    self.bytes.extend_from_slice(bytes);
                    Kept::Blob(start..self.bytes.len())
                }
            };
            self.cells.push(kept);
        }
        Ok(())
    }

    /// The rows, in the order in which they came.
    pub(super) fn into_rows(self) -> impl Iterator<Item = InThreadRow> {
        let rows = self.cells.len().checked_div(self.columns.len()).unwrap_or(0);
        let answer = Arc::new(self);
        (0..rows).map(move |row| InThreadRow { answer: answer.clone(), row })
    }
}

/// A row that SQLite gave in the thread that asked.
#[derive(Debug)]
pub struct InThreadRow {
    answer: Arc<Answer>,
    row: usize,
}

impl Row for InThreadRow {
    type Database = InThread;

    fn columns(&self) -> &[Column] {
        &self.answer.columns
    }

    fn try_get_raw<I: ColumnIndex<Self>>(&self, index: I) -> Result<Cell<'_>, Error> {
        let answer = &*self.answer;
        let place = index.index(self)?;
        Ok(match &answer.cells[self.row * answer.columns.len() + place] {
            Kept::Null => Cell::Null,
            Kept::Integer(number) => Cell::Integer(*number),
            Kept::Real(number) => Cell::Real(*number),
            Kept::Text(range) => Cell::Text(&answer.text[range.clone()]),
            Kept::Blob(range) => Cell::Blob(&answer.bytes[range.clone()]),
        })
    }
}

impl_column_index_for_row!(InThreadRow);

impl ColumnIndex<InThreadRow> for str {
    fn index(&self, row: &InThreadRow) -> Result<usize, Error> {
        let Answer { columns, next, .. } = &*row.answer;
        let expected = next.load(Ordering::Relaxed);
        let place = match columns.get(expected) {
            Some(column) if column.name == self => Some(expected),
            _ => columns.iter().position(|column| column.name == self),
        };
        let place = place.ok_or_else(|| Error::ColumnNotFound(self.to_owned()))?;
        next.store(if place + 1 == columns.len() { 0 } else { place + 1 }, Ordering::Relaxed);
        Ok(place)
    }
}
