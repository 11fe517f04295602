//! Which part of a directory a page shows, and in which order.

use std::cmp::Ordering;

use futures::TryStreamExt as _;
use url::form_urlencoded;

use super::listing::Begin;
use super::{Entries, Entry, ServeError};

/// Entries of a page, unless the query asks for fewer. Whoever reads the links of one page only finds all of an ordinary directory.
const PAGE: usize = 10_000;

/// What entries are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Date,
    Size,
}

impl Sort {
    pub(super) const ALL: [Self; 3] = [Self::Name, Self::Date, Self::Size];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Date => "date",
            Self::Size => "size",
        }
    }
}

/// What the query of a listing asks for: `?sort=size&order=desc&limit=100`. What it does not understand means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) descending: bool,
    limit: usize,
    edge: Option<Edge>,
}

/// Where a page begins or ends: at an entry of the page before or after it, which need not be there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edge {
    After(Key),
    Before(Key),
}

impl Edge {
    fn key(&self) -> &Key {
        match self {
            Self::After(key) | Self::Before(key) => key,
        }
    }
}

/// What an entry is compared by: its size or date, and then its name, of a directory with the slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rank: i64,
    name: String,
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        let (rank, name) = text.split_once(':')?;
        Some(Self { rank: rank.parse().ok()?, name: name.to_owned() })
    }

    fn write(&self) -> String {
        format!("{}:{}", self.rank, self.name)
    }
}

/// Some entries of a directory, and the queries that lead to those before and after them.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

impl View {
    pub(super) fn of_query(query: &str) -> Self {
        let mut view = Self { sort: Sort::Name, descending: false, limit: PAGE, edge: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "sort" => view.sort = Sort::ALL.into_iter().find(|sort| sort.word() == value).unwrap_or(view.sort),
                "order" => view.descending = value == "desc",
                "limit" => view.limit = value.parse().unwrap_or(PAGE).clamp(1, PAGE),
                "after" => view.edge = Key::read(&value).map(Edge::After),
                "before" => view.edge = Key::read(&value).map(Edge::Before),
                _ => {}
            }
        }
        view
    }

    /// The query of the first page in this order; turned round if that is the present one.
    pub(super) fn sorted_by(&self, sort: Sort) -> String {
        let descending = sort == self.sort && !self.descending;
        Self { sort, descending, limit: self.limit, edge: None }.query()
    }

    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        query.append_pair("sort", self.sort.word()).append_pair("order", if self.descending { "desc" } else { "asc" });
        if self.limit != PAGE {
            query.append_pair("limit", &self.limit.to_string());
        }
        match &self.edge {
            Some(Edge::After(key)) => query.append_pair("after", &key.write()),
            Some(Edge::Before(key)) => query.append_pair("before", &key.write()),
            None => &mut query,
        };
        query.finish()
    }

    fn beyond(&self, edge: Edge) -> String {
        Self { edge: Some(edge), ..self.clone() }.query()
    }

    /// From where on the page is read. In the order of names it begins at its edge; in another, every entry has to be looked at.
    pub(super) fn from(&self) -> Begin<'_> {
        if self.sort != Sort::Name {
            return Begin::First { all: true };
        }
        let edge = self.edge.as_ref().map(|edge| edge.key().name.as_str());
        match (self.goes_on(), edge) {
            (true, None) => Begin::First { all: false },
            (true, Some(name)) => Begin::After(name),
            (false, name) => Begin::Before(name),
        }
    }

    /// Picks the page out of entries; `in_turn` if they come as [`from`](Self::from) asks. No more than about two pages of them are held
    /// at a time.
    pub(super) async fn page(&self, mut entries: Entries, in_turn: bool) -> Result<Page, ServeError> {
        let mut kept: Vec<(Key, Entry)> = Vec::new();
        while let Some(more) = entries.try_next().await? {
            kept.extend(more.into_iter().map(|entry| (self.key(&entry), entry)).filter(|(key, _)| self.may_show(key)));
            // Those that follow a full page need not be read.
            if kept.len() > self.limit && self.sort == Sort::Name && in_turn {
                break;
            }
            if kept.len() > 2 * self.limit {
                self.trim(&mut kept);
            }
        }
        self.trim(&mut kept);
        Ok(self.paged(kept))
    }

    fn key(&self, entry: &Entry) -> Key {
        let rank = match self.sort {
            Sort::Name => 0,
            Sort::Date => entry.modified.map_or(i64::MIN, |at| at.timestamp_micros()),
            Sort::Size => entry.size.map_or(-1, |size| i64::try_from(size).unwrap_or(i64::MAX)),
        };
        Key { rank, name: entry.path() }
    }

    fn is_backwards(&self) -> bool {
        matches!(self.edge, Some(Edge::Before(_)))
    }

    /// Whether entries are picked from the least to the greatest.
    fn goes_on(&self) -> bool {
        self.descending == self.is_backwards()
    }

    /// The order in which entries are picked: away from the edge.
    fn compare(&self, a: &Key, b: &Key) -> Ordering {
        if self.goes_on() { a.cmp(b) } else { b.cmp(a) }
    }

    fn may_show(&self, key: &Key) -> bool {
        self.edge.as_ref().is_none_or(|edge| self.compare(key, edge.key()).is_gt())
    }

    /// Keeps a page, and one entry that tells that there are more.
    fn trim(&self, kept: &mut Vec<(Key, Entry)>) {
        kept.sort_unstable_by(|(a, _), (b, _)| self.compare(a, b));
        kept.truncate(self.limit + 1);
    }

    fn paged(&self, mut kept: Vec<(Key, Entry)>) -> Page {
        let more = kept.len() > self.limit;
        kept.truncate(self.limit);
        if self.is_backwards() {
            kept.reverse();
        }
        let (before, after) = if self.is_backwards() { (more, true) } else { (self.edge.is_some(), more) };
        let edge = |key: Option<&(Key, Entry)>| key.map(|(key, _)| key.clone());
        let previous = edge(kept.first()).filter(|_| before).map(|key| self.beyond(Edge::Before(key)));
        let next = edge(kept.last()).filter(|_| after).map(|key| self.beyond(Edge::After(key)));
        Page { entries: kept.into_iter().map(|(_, entry)| entry).collect(), previous, next }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use futures::StreamExt as _;
    use futures::stream;

    use super::*;

    /// Seven entries, in pages of two as a directory is read.
    fn entries() -> Entries {
        let file = |name: &str, day: i64, size| Entry::file(name, DateTime::from_timestamp(day * 86_400, 0), Some(size));
        let all = [
            file("a", 3, 10),
            file("b&c", 1, 10),
            Entry::directory("d"),
            file("e", 2, 7),
            file("f", 2, 900),
            file("g:h", 5, 0),
            file("\u{e9}", 4, 8),
        ];
        stream::iter(all.chunks(2).map(|chunk| Ok(chunk.to_vec())).collect::<Vec<_>>()).boxed()
    }

    async fn page(query: &str) -> Page {
        let view = View::of_query(query.trim_start_matches('?'));
        view.page(entries(), matches!(view.from(), Begin::First { .. })).await.unwrap()
    }

    fn names(page: &Page) -> Vec<String> {
        page.entries.iter().map(Entry::path).collect()
    }

    #[tokio::test]
    async fn each_column_sorts_both_ways() {
        for (query, expected) in [
            ("", ["a", "b&c", "d/", "e", "f", "g:h", "\u{e9}"]),
            ("sort=date", ["d/", "b&c", "e", "f", "a", "\u{e9}", "g:h"]),
            ("sort=size", ["d/", "g:h", "e", "\u{e9}", "a", "b&c", "f"]),
            ("sort=nonsense&order=odd&limit=x&after=y", ["a", "b&c", "d/", "e", "f", "g:h", "\u{e9}"]),
        ] {
            assert_eq!(names(&page(query).await), expected, "{query}");
            let mut descending = names(&page(&format!("{query}&order=desc")).await);
            descending.reverse();
            assert_eq!(descending, expected, "{query}, descending");
        }
    }

    #[tokio::test]
    async fn pages_lead_to_each_other_in_every_order() {
        for sort in Sort::ALL {
            for order in ["asc", "desc"] {
                let query = format!("sort={}&order={order}", sort.word());
                let expected = names(&page(&query).await);
                let mut shown = Vec::new();
                let mut at = Some(format!("{query}&limit=3"));
                let mut previous: Option<Vec<String>> = None;
                while let Some(query) = at {
                    let this = page(&query).await;
                    assert_eq!(this.previous.is_some(), previous.is_some(), "{query}");
                    if let (Some(back), Some(expected)) = (&this.previous, &previous) {
                        assert_eq!(names(&page(back).await), *expected, "back from {query}");
                    }
                    shown.extend(names(&this));
                    previous = Some(names(&this));
                    at = this.next;
                }
                assert_eq!(shown, expected, "{query}");
            }
        }
    }

    #[tokio::test]
    async fn a_page_stays_where_it_is_when_its_edge_is_gone() {
        assert_eq!(names(&page("after=0:c&limit=2").await), ["d/", "e"]);
        assert_eq!(names(&page("before=0:c&limit=2").await), ["a", "b&c"]);
        let beyond = page("after=0:\u{ffff}").await;
        assert!(beyond.entries.is_empty() && beyond.next.is_none() && beyond.previous.is_none());
    }

    #[test]
    fn a_heading_turns_the_order_round() {
        let view = View::of_query("sort=size&limit=5&after=1:x");
        assert_eq!(view.sorted_by(Sort::Size), "?sort=size&order=desc&limit=5");
        assert_eq!(view.sorted_by(Sort::Date), "?sort=date&order=asc&limit=5");
        assert_eq!(View::of_query("sort=size&order=desc").sorted_by(Sort::Size), "?sort=size&order=asc");
    }
}
