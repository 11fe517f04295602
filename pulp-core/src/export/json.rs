//! JSON as Pulp’s archives have it: lists of objects whose values are texts, with a space after each comma and colon.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Map, Value as Json};

use crate::db::{DbError, Row};
use crate::plugin::{ExportedColumn, ExportedKind};
use crate::storage::{SpoolFile, Spooled};
use crate::{Error, Pulp, Result};

/// As Python’s `json.dumps` puts it.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// Appends a value.
pub(super) fn append(out: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Spaced);
    value.serialize(&mut serializer).map_err(|error| Error::Internal(format!("a row gave no JSON: {error}")))
}

/// A value as JSON text.
pub(super) fn text(value: &impl Serialize) -> Result<String> {
    let mut out = Vec::new();
    append(&mut out, value)?;
    String::from_utf8(out).map_err(|error| Error::Internal(error.to_string()))
}

/// A list that is written row by row, to a file of the spool.
#[derive(Debug)]
pub(super) struct ListFile {
    file: SpoolFile,
    buffer: Vec<u8>,
    rows: u64,
}

impl ListFile {
    /// An empty list.
    pub(super) fn new(pulp: &Pulp) -> Self {
        Self { file: pulp.spool().create(), buffer: b"[".to_vec(), rows: 0 }
    }

    /// Appends a row.
    pub(super) async fn row(&mut self, row: &Map<String, Json>) -> Result<()> {
        if self.rows > 0 {
            self.buffer.extend_from_slice(b", ");
        }
        self.rows += 1;
        append(&mut self.buffer, row)?;
        if self.buffer.len() >= 256 * 1024 {
            self.file.write(Bytes::from(std::mem::take(&mut self.buffer))).await?;
        }
        Ok(())
    }

    /// The file; nothing if there were no rows.
    pub(super) async fn finish(mut self) -> Result<Option<Spooled>> {
        if self.rows == 0 {
            return Ok(None);
        }
        self.buffer.push(b']');
        self.file.write(Bytes::from(self.buffer)).await?;
        Ok(Some(self.file.finish().await?))
    }
}

/// A text, or an empty one for null.
pub(super) fn or_empty(value: Option<String>) -> Json {
    Json::String(value.unwrap_or_default())
}

/// Reads a column as an archive has it.
pub(super) fn column(row: &Row, place: usize, column: &ExportedColumn) -> Result<Json, DbError> {
    let value = match column.kind {
        ExportedKind::Text => row.at::<Option<String>>(place)?,
        ExportedKind::Boolean => row.at::<Option<bool>>(place)?.map(|value| if value { "1" } else { "0" }.to_owned()),
        ExportedKind::Integer => row.at::<Option<i64>>(place)?.map(|value| value.to_string()),
        ExportedKind::Json => {
            let value = row.at::<Option<sqlx::types::Json<Json>>>(place)?;
            value.map(|value| text(&value.0)).transpose().map_err(|_| DbError::NoRow)?
        }
    };
    Ok(or_empty(value))
}
