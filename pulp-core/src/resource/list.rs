//! A page of a list.

use super::query::Listing;
use super::{Context, Fragment, Resource};
use crate::Result;

/// A page, rendered.
#[derive(Debug)]
pub(crate) struct Page {
    /// How many objects there are on all pages.
    pub(crate) count: i64,
    /// How many a page has at most.
    pub(crate) limit: i64,
    /// How many are on the pages before.
    pub(crate) offset: i64,
    /// The objects as JSON, separated by commas.
    pub(crate) results: Vec<u8>,
}

impl Resource {
    /// The page that the parameters ask for, of the rows that meet `scope`.
    ///
    /// # Errors
    /// As the parameters; a failure of the database.
    pub(crate) async fn page(&self, cx: &Context, parameters: &[(String, String)], scope: Fragment) -> Result<Page> {
        let Listing { rows, limit, offset, mask } = self.listing(cx, parameters, scope).await?;
        let db = cx.pulp().db();
        let records = self.select(db, &rows).await?;
        let seen = i64::try_from(records.len()).unwrap_or(i64::MAX);
        // The last page tells the count by itself.
        let complete = seen < limit && (seen > 0 || offset == 0);
        let count = if complete { offset + seen } else { self.count(db, &rows).await? };
        let mut results = Vec::with_capacity(records.len() * 768);
        self.render(cx, &mask, &records, &mut results).await?;
        Ok(Page { count, limit, offset, results })
    }
}
