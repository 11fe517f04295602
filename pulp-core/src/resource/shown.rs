//! Pages as they were shown last.
//!
//! Of a [lasting](Resource::lasting) resource little can change: a page that is asked for again is read only so far as to see whether it did.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::render::Mask;
use super::select::Rows;
use super::{Context, Record, Resource};
use crate::Result;
use crate::db::{Executor as _, Sql};

/// Bytes of the pages that are kept.
const KEPT: u64 = 8 << 20;
/// So many are expected; there may be more.
const FEW: usize = 128;
/// A larger page is not kept.
const LARGEST: usize = 1 << 20;

/// The pages that were shown last, by what was asked for.
#[derive(Debug)]
pub(crate) struct Pages(Cache<Asked, Arc<Shown>, Weight>);

/// The digest of all that a page depends on but for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Asked([u8; 32]);

/// A page that was shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// Of each object what may change.
    changes: Vec<Record>,
    json: Bytes,
}

#[derive(Debug, Clone, Copy)]
struct Weight;

impl Weighter<Asked, Arc<Shown>> for Weight {
    fn weight(&self, _: &Asked, shown: &Arc<Shown>) -> u64 {
        let values: usize = shown.changes.iter().map(|record| size_of::<Record>() + size_of_val(record.values.as_slice())).sum();
        // Of texts, labels above all, there is a second copy.
        (2 * shown.json.len() + values) as u64 + 128
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self(Cache::with_weighter(FEW, KEPT, Weight))
    }
}

impl Shown {
    /// The objects, separated by commas.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }
}

/// What a page is made of: objects, and how they are shown.
#[derive(Debug)]
pub(super) enum Found {
    /// As before. Of each object there is what may change.
    Again(Vec<Record>, Arc<Shown>),
    /// What was read; what it is to be kept as, if it is.
    Anew(Vec<Record>, Option<Asked>),
}

impl Found {
    /// All that were read, which may be one more than are shown.
    pub(super) fn records(&self) -> &[Record] {
        let (Self::Again(records, _) | Self::Anew(records, _)) = self;
        records
    }
}

impl Resource {
    /// The objects of a page that shows `limit` of them.
    pub(super) async fn page_objects(&self, cx: &Context, rows: &Rows, mask: &Mask, limit: i64) -> Result<Found> {
        let db = cx.pulp().db();
        let Some(changes) = self.changing() else { return Ok(Found::Anew(self.select(db, rows).await?, None)) };
        let question = self.statement(db.dialect(), rows, changes);
        let asked = Asked::of(self, cx, mask, limit, &question);
        if let Some(shown) = cx.pulp().pages().0.get(&asked) {
            let now = db.rows(question).await?;
            let now: Vec<Record> = now.iter().map(|row| changes.read(row)).collect::<Result<_, _>>()?;
            if now.iter().map(|record| &record.values).eq(shown.changes.iter().map(|record| &record.values)) {
                return Ok(Found::Again(now, shown));
            }
        }
        Ok(Found::Anew(self.select(db, rows).await?, Some(asked)))
    }

    /// Keeps a page of these objects, all that were read, as it is shown.
    pub(super) fn keep(&self, cx: &Context, asked: Asked, read: &[Record], json: &[u8]) {
        let Some(changes) = self.changing().filter(|_| json.len() <= LARGEST) else { return };
        let changes = read.iter().map(|record| changes.out_of(record)).collect();
        cx.pulp().pages().0.insert(asked, Arc::new(Shown { changes, json: Bytes::copy_from_slice(json) }));
    }
}

impl Asked {
    /// A page shows `limit` objects, which may be one less than the statement reads.
    fn of(resource: &Resource, cx: &Context, mask: &Mask, limit: i64, statement: &Sql) -> Self {
        let mut text = String::with_capacity(2_048);
        let all = (resource.path, &cx.domain().name, mask, limit, statement.text(), statement.values());
        // A String takes all that is written.
        let _ = write!(text, "{all:?}");
        Self(Sha256::digest(text).into())
    }
}
