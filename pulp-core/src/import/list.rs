//! The lists of an archive, read row by row.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Map, Value as Json};
use tokio::sync::mpsc;

use super::source::{Parts, Slice};
use super::tape::{Member, bad};
use crate::{Error, Result};

/// Rows in one go.
const BATCH: usize = 1_000;

/// Bytes of one row at most.
const MOST_ROW: u64 = 1 << 20;

/// A row of a list.
pub(super) type Row = Map<String, Json>;

/// The text of a field; a number or a truth value counts as its text, and null as an empty one.
pub(super) fn text<'r>(row: &'r Row, name: &str) -> Result<std::borrow::Cow<'r, str>> {
    match row.get(name) {
        Some(Json::String(text)) if !text.contains('\0') => Ok(text.as_str().into()),
        Some(Json::Number(number)) => Ok(number.to_string().into()),
        Some(Json::Bool(truth)) => Ok(if *truth { "1" } else { "0" }.into()),
        Some(Json::Null) => Ok("".into()),
        _ => Err(bad(&format!("a row has no text `{name}`"))),
    }
}

/// The rows of a list, some at a time.
#[derive(Debug)]
pub(super) struct Rows {
    rows: mpsc::Receiver<Vec<Row>>,
    reading: Option<tokio::task::JoinHandle<Result<()>>>,
}

impl Rows {
    /// Begins to read a list. A thread reads, and waits for whoever takes the rows.
    pub(super) fn of(parts: &Arc<Parts>, member: &Member) -> Self {
        let (parts, member) = (Arc::clone(parts), member.clone());
        let (sender, rows) = mpsc::channel(2);
        let reading = tokio::task::spawn_blocking(move || read(&parts, &member, &sender));
        Self { rows, reading: Some(reading) }
    }

    /// Some more; nothing at the end.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        if let Some(rows) = self.rows.recv().await {
            return Ok(Some(rows));
        }
        match self.reading.take() {
            Some(reading) => reading.await.map_err(|error| Error::Internal(error.to_string()))?.map(|()| None),
            None => Ok(None),
        }
    }
}

/// Counts what is read of one row.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        if self.read.get() > MOST_ROW {
            return Err(io::Error::other(format!("a row has more than {MOST_ROW} bytes")));
        }
        Ok(read)
    }
}

struct Each<'a> {
    read: Rc<Cell<u64>>,
    to: &'a mpsc::Sender<Vec<Row>>,
}

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut batch = Vec::new();
        loop {
            let row: Option<Row> = list.next_element()?;
            self.read.set(0);
            let last = row.is_none();
            batch.extend(row);
            if batch.len() == BATCH || (last && !batch.is_empty()) {
                // Nobody listens any more: the import has ended.
                if self.to.blocking_send(std::mem::take(&mut batch)).is_err() {
                    return Err(serde::de::Error::custom("the import has ended"));
                }
            }
            if last {
                return Ok(());
            }
        }
    }
}

fn read(parts: &Parts, member: &Member, to: &mpsc::Sender<Vec<Row>>) -> Result<()> {
    let read = Rc::new(Cell::new(0));
    let slice = Slice { parts, at: member.at, left: member.size };
    let counted = Counted { inner: BufReader::with_capacity(256 * 1024, slice), read: Rc::clone(&read) };
    let mut json = serde_json::Deserializer::from_reader(counted);
    let wrong = |error: serde_json::Error| bad(&format!("{}: {error}", member.name.escape_debug()));
    json.deserialize_seq(Each { read, to }).map_err(wrong)?;
    json.end().map_err(wrong)
}
