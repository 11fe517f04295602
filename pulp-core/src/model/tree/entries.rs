//! Pages of the files of trees.

use std::cmp::Ordering;

use uuid::Uuid;

use super::{Cursor, ENTRY, MANY, Tree, TreeEntry, after_all_below, push_joined};
use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// Paths that are looked at for each file that is wanted, at first, and how much further the next look goes.
const WINDOW: i64 = 4;
const WIDER: i64 = 8;

/// A part of the paths, in the order of bytes: from `start` on, itself included or not, to before `end`.
struct Range {
    start: String,
    inclusive: bool,
    end: Option<String>,
    backwards: bool,
}

impl Range {
    fn of(directory: &str, cursor: &Cursor) -> Self {
        let end = after_all_below(directory);
        let (start, inclusive, end) = match cursor {
            Cursor::After(path) => (path.clone(), false, end),
            Cursor::From(text) => (text.clone(), true, end),
            Cursor::Before(text) => (directory.to_owned(), true, text.clone().or(end)),
        };
        Self { start, inclusive, end, backwards: cursor.is_backwards() }
    }

    /// Appends the conditions that a path is in it, of which at least one must have gone before.
    fn push(&self, sql: &mut Sql, path: &str) {
        sql.push(format!("{path} {} ", if self.inclusive { ">=" } else { ">" })).push_bind(self.start.as_str());
        if let Some(end) = &self.end {
            sql.push(format!(" and {path} < ")).push_bind(end.as_str());
        }
    }

    fn order(&self) -> &'static str {
        if self.backwards { "desc" } else { "asc" }
    }
}

impl Tree {
    /// A page of the files below `directory` of several trees taken together, in the order of the bytes of their paths; back from the
    /// cursor, where that leads back.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn entries<E: Executor + ?Sized>(
        trees: &[Self],
        executor: &E,
        directory: &str,
        cursor: &Cursor,
        limit: u32,
    ) -> Result<Vec<TreeEntry>, DbError> {
        let range = Range::of(directory, cursor);
        let (mut page, mut others) = (Vec::new(), Vec::with_capacity(trees.len()));
        for tree in trees {
            match tree.entries_by_path(executor, &range, limit).await? {
                Some(entries) => page.extend(entries),
                None => others.push(*tree),
            }
        }
        page.extend(Self::entries_by_unit(&others, executor, &range, limit).await?);
        if others.len() < trees.len() {
            let order = |a: &TreeEntry, b: &TreeEntry| a.relative_path.cmp(&b.relative_path);
            page.sort_by(|a, b| if range.backwards { order(b, a) } else { order(a, b) });
            page.truncate(limit as usize);
        }
        Ok(page)
    }

    /// The page of one tree, read off the index of paths; `None` where that is not the shorter way.
    async fn entries_by_path<E: Executor + ?Sized>(
        self,
        executor: &E,
        range: &Range,
        limit: u32,
    ) -> Result<Option<Vec<TreeEntry>>, DbError> {
        let Self::Version { repository, number } = self else { return Ok(None) };
        let units = self.units(executor).await?;
        if units < MANY { Ok(None) } else { by_path(executor, (repository, number), range, limit, units / 16).await }
    }

    async fn entries_by_unit<E: Executor + ?Sized>(
        trees: &[Self],
        executor: &E,
        range: &Range,
        limit: u32,
    ) -> Result<Vec<TreeEntry>, DbError> {
        let mut sql = Sql::new("select * from (");
        let mut first = true;
        let order = range.order();
        for tree in trees {
            for part in tree.parts() {
                if !std::mem::take(&mut first) {
                    sql.push(" union all ");
                }
                // Each part brings no more than the page needs, so that all of them can be read off their indexes.
                sql.push(format!("select * from (select {} as relative_path, {} as added, {ENTRY} ", part.path, part.added));
                tree.push_part(&mut sql, part);
                sql.push(" and ");
                range.push(&mut sql, part.path);
                sql.push(format!(" order by {} {order} limit {limit}) page", part.path));
            }
        }
        if first {
            return Ok(Vec::new());
        }
        sql.push(format!(") entries order by relative_path {order} limit {limit}"));
        executor.all(sql).await
    }
}

/// A page of a version, of so many paths at most: `None` if the version has too few of them here to make the page.
async fn by_path<E: Executor + ?Sized>(
    executor: &E,
    version: (Uuid, i64),
    range: &Range,
    limit: u32,
    most: i64,
) -> Result<Option<Vec<TreeEntry>>, DbError> {
    let mut window = WINDOW * i64::from(limit);
    loop {
        let cut = cut(executor, range, window).await?;
        let entries = within(executor, version, range, cut.as_deref(), limit).await?;
        if cut.is_none() || entries.len() == limit as usize {
            return Ok(Some(entries));
        }
        // Once as far as it may go, if it has not been.
        match window.cmp(&most) {
            Ordering::Less => window = (window * WIDER).min(most),
            _ => return Ok(None),
        }
    }
}

/// The path of a range that so many others come before; none if there are not so many.
async fn cut<E: Executor + ?Sized>(executor: &E, range: &Range, window: i64) -> Result<Option<String>, DbError> {
    let mut sql = Sql::new("select ca.relative_path from core_contentartifact ca where ");
    range.push(&mut sql, "ca.relative_path");
    sql.push(format!(" order by ca.relative_path {} limit 1 offset ", range.order())).push_bind(window);
    Ok(executor.optional::<(String,)>(sql).await?.map(|(path,)| path))
}

/// The files of a version in a range, up to where it is cut.
async fn within<E: Executor + ?Sized>(
    executor: &E,
    (repository, number): (Uuid, i64),
    range: &Range,
    cut: Option<&str>,
    limit: u32,
) -> Result<Vec<TreeEntry>, DbError> {
    let order = range.order();
    let mut sql = Sql::new(format!("select * from (select ca.relative_path, {ENTRY}, "));
    push_joined(&mut sql, repository, number);
    sql.push(" as added from core_contentartifact ca left join core_artifact a on a.pulp_id = ca.artifact_id where ");
    range.push(&mut sql, "ca.relative_path");
    if let Some(cut) = cut {
        sql.push(if range.backwards { " and ca.relative_path > " } else { " and ca.relative_path < " }).push_bind(cut);
    }
    sql.push(format!(") entries where added is not null order by relative_path {order} limit {limit}"));
    executor.all(sql).await
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
