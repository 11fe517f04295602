//! Serving checkpoints: below a distribution’s root lie the points in time at which its repository was published as a checkpoint,
//! `20260102T030405Z/`, each with what was published then.
//!
//! A moment at which nothing was published leads, by a permanent redirect, to the newest checkpoint before it. So a client can
//! name any moment of the past, and gets the same files whenever it does.

use chrono::{NaiveDateTime, TimeDelta};
use uuid::Uuid;

use super::path::encode;
use super::published::serve_publication;
use super::{ContentPath, Entry, Listing, Redirect, ServeContext, ServeError, Served};
use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt as _, Sql};
use crate::model::PublishedVersion;

/// How a moment is written in a path: to the second, in UTC.
const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A publication that is a checkpoint, and when it was made.
const CHECKPOINT: &str = "from core_publication p join core_repositoryversion v on v.pulp_id = p.repository_version_id \
     where v.repository_id = $1 and p.checkpoint and p.complete";

/// What lies at a path of a distribution of checkpoints.
pub(super) async fn handle(cx: &ServeContext<'_>, path: &ContentPath) -> Result<Served, ServeError> {
    let db = cx.pulp.db();
    let Some(repository) = cx.distribution.repository_id else {
        return Ok(Served::NotFound("the distribution serves checkpoints, but has no repository".to_owned()));
    };
    if path.as_str().is_empty() {
        return Ok(Served::Listing(listing(db, repository).await?));
    }
    let (moment, rest) = path.as_str().split_once('/').map_or((path.as_str(), None), |(moment, rest)| (moment, Some(rest)));
    let Some(asked) = parse(moment) else {
        return Ok(Served::NotFound(format!("\"{moment}\" is no moment: it must read like 20260102T030405Z")));
    };
    let Some(rest) = rest else {
        return Ok(Served::Redirect(Redirect::Directory));
    };
    if asked > cx.pulp.now() {
        return Ok(Served::NotFound(format!("\"{moment}\" is still to come")));
    }
    let Some((publication, made)) = newest(db, repository, asked).await? else {
        return Ok(Served::NotFound(format!("there is no checkpoint at or before {moment}")));
    };
    let found = made.format(FORMAT).to_string();
    if found != moment {
        let settings = cx.pulp.settings();
        let prefix = &settings.content_path_prefix;
        // The domain as the client wrote it: the first part of the path.
        let below = cx.uri.path().strip_prefix(prefix.as_str()).unwrap_or_default();
        let domain = below.split_inclusive('/').next().filter(|_| settings.domain_enabled).unwrap_or_default();
        let base = encode(&cx.distribution.base_path);
        return Ok(Served::Redirect(Redirect::Moved(format!("{prefix}{domain}{base}/{found}/{}", encode(rest)))));
    }
    match PublishedVersion::of_publication(db, publication).await? {
        Some(_) if rest.starts_with('/') => Ok(Served::NotFound("a part of the path is empty".to_owned())),
        Some(publication) => serve_publication(cx, &publication, &ContentPath::new(rest)).await,
        None => Ok(Served::NotFound("the checkpoint was just removed".to_owned())),
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let moment = NaiveDateTime::parse_from_str(text, FORMAT).ok()?.and_utc();
    // Only as it is written by us: no sign, no missing zeros.
    (moment.format(FORMAT).to_string() == text).then_some(moment)
}

/// The newest checkpoint that was made at this second or before.
async fn newest(db: &Db, repository: Uuid, at: Timestamp) -> Result<Option<(Uuid, Timestamp)>, DbError> {
    let text = format!(
        "select p.pulp_id, p.pulp_created {CHECKPOINT} and p.pulp_created < $2 order by p.pulp_created desc, p.pulp_id desc limit 1"
    );
    db.optional(Sql::new(text).bind(repository).bind(at + TimeDelta::seconds(1))).await
}

async fn listing(db: &Db, repository: Uuid) -> Result<Listing, DbError> {
    let text = format!("select p.pulp_created {CHECKPOINT} order by p.pulp_created");
    let made: Vec<Timestamp> = db.column(Sql::new(text).bind(repository)).await?;
    let mut entries: Vec<Entry> = Vec::with_capacity(made.len());
    for made in made {
        let name = made.format(FORMAT).to_string();
        // Several within a second: the path leads to the last.
        entries.pop_if(|last| last.name == name);
        entries.push(Entry { modified: Some(made), ..Entry::directory(name) });
    }
    Ok(Listing::of_entries(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        let moment = parse("20260102T030405Z").unwrap();
        assert_eq!(moment.to_rfc3339(), "2026-01-02T03:04:05+00:00");
        for text in [
            "",
            "invalid",
            "20259928T092752Z",
            "20260102T030405",
            "2026102T030405Z",
            "20260102T030405Zx",
            "+20260102T030405Z",
            "20260102t030405z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
