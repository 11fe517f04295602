//! A page of a list.

use uuid::Uuid;

use super::query::Listing;
use super::render::Mask;
use super::{Context, Fragment, Record, Resource};
use crate::Result;

/// A page.
#[derive(Debug)]
pub(crate) struct Page {
    /// How many objects there are on all pages.
    pub(crate) count: i64,
    /// How many a page has at most.
    pub(crate) limit: i64,
    /// How many are on the pages before.
    pub(crate) offset: i64,
    /// Whether it is one by key.
    pub(crate) by_key: bool,
    /// The key behind which the next page begins, of one by key.
    pub(crate) next: Option<Uuid>,
    /// The objects.
    pub(crate) records: Vec<Record>,
    /// What of them is shown.
    pub(crate) mask: Mask,
}

impl Resource {
    /// The page that the parameters ask for, of the rows that meet `scope`.
    ///
    /// # Errors
    /// As the parameters; a failure of the database.
    pub(crate) async fn page(&self, cx: &Context, parameters: &[(String, String)], scope: Fragment) -> Result<Page> {
        let Listing { rows, limit, offset, mask, by_key } = self.listing(cx, parameters, scope).await?;
        let db = cx.pulp().db();
        let mut records = self.select(db, &rows).await?;
        let more = records.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        records.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let next = records.last().filter(|_| more).map(Record::id);
        let seen = i64::try_from(records.len()).unwrap_or(i64::MAX);
        // The last page tells the count by itself, if it is known how many come before it.
        let complete = rows.after.is_none() && !more && (seen < limit && (seen > 0 || offset == 0) || by_key.is_some());
        let count = match by_key.flatten() {
            Some(count) => count,
            None if complete => offset + seen,
            None => self.count(db, &rows).await?,
        };
        Ok(Page { count, limit, offset, by_key: by_key.is_some(), next, records, mask })
    }
}
