//! A page of a list.

use uuid::Uuid;

use super::query::Listing;
use super::render::Mask;
use super::shown::Found;
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
    objects: Found,
    mask: Mask,
}

impl Page {
    /// How many objects it has.
    pub(crate) fn len(&self) -> usize {
        self.objects.records().len().min(most(self.limit))
    }

    /// Appends its objects as JSON, separated by commas.
    ///
    /// # Errors
    /// If something is computed of them, and the database cannot be reached.
    pub(crate) async fn render(&self, resource: &Resource, cx: &Context, out: &mut Vec<u8>) -> Result<()> {
        match &self.objects {
            Found::Again(_, shown) => out.extend_from_slice(shown.json()),
            Found::Anew(records, asked) => {
                let begin = out.len();
                resource.render(cx, &self.mask, &records[..self.len()], out).await?;
                if let Some(asked) = asked {
                    resource.keep(cx, *asked, records, &out[begin..]);
                }
            }
        }
        Ok(())
    }
}

fn most(limit: i64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Resource {
    /// The page that the parameters ask for, of the rows that meet `scope`.
    ///
    /// # Errors
    /// As the parameters; a failure of the database.
    pub(crate) async fn page(&self, cx: &Context, parameters: &[(String, String)], scope: Fragment) -> Result<Page> {
        let Listing { rows, limit, offset, mask, by_key } = self.listing(cx, parameters, scope).await?;
        let objects = self.page_objects(cx, &rows, &mask, limit).await?;
        let read = objects.records();
        let shown = &read[..read.len().min(most(limit))];
        let more = read.len() > shown.len();
        let next = shown.last().filter(|_| more).map(Record::id);
        let seen = i64::try_from(shown.len()).unwrap_or(i64::MAX);
        // The last page tells the count by itself, if it is known how many come before it.
        let complete = rows.after.is_none() && !more && (seen < limit && (seen > 0 || offset == 0) || by_key.is_some());
        let count = match by_key.flatten() {
            Some(count) => count,
            None if complete => offset + seen,
            None => self.count(cx.pulp().db(), &rows).await?,
        };
        Ok(Page { count, limit, offset, by_key: by_key.is_some(), next, objects, mask })
    }
}
