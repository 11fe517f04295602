//! Time travel: what a distribution’s repository was at an earlier version, or at a time.
//!
//! Nothing is copied. The distribution is asked as one would be that serves that version, and what was published of it, alone.

use chrono::TimeDelta;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use uuid::Uuid;

use super::freshness::{IMMUTABLE, MOVING};
use super::moment::Moment;
use super::{ContentPath, DistributionHandler, Redirect, Representation, ServeContext, ServeError, Served};
use crate::clock::Timestamp;
use crate::db::{Db, DbError, ExecutorExt as _, Sql};
use crate::model::{Distribution, Tree};

/// Whoever noted the time of a version has written its row by then.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(1);

/// What was found at a moment.
pub(super) struct Travelled {
    pub(super) served: Served,
    /// The distribution as it was asked.
    pub(super) distribution: Distribution,
    /// Whether the same would be found until the repository changes.
    pub(super) lasts: bool,
}

/// Where a moment leads.
enum Point {
    /// To a version, and of it, or of an earlier one, to what was published.
    To { version: Uuid, number: i64, publication: Option<Uuid>, settled: bool },
    /// Nowhere, for this reason.
    Nowhere { reason: String, lasts: bool },
}

/// What a handler finds at the path below a moment, in the repository that the distribution follows.
pub(super) async fn travel(
    cx: &ServeContext<'_>,
    handler: &dyn DistributionHandler,
    repository: Uuid,
    moment: Moment,
    below: Option<&ContentPath>,
) -> Result<Travelled, ServeError> {
    let db = cx.pulp.db();
    let point = match moment {
        Moment::Version(number) => version(db, repository, number).await?,
        Moment::Time(time) => time_point(db, repository, time, cx.pulp.now()).await?,
    };
    // Nothing of now: no remote is asked, and no publication that was served until lately.
    let mut distribution = Distribution { remote_id: None, repository_id: None, publication_id: None, ..cx.distribution.clone() };
    let (id, number, publication, settled) = match point {
        Point::To { version, number, publication, settled } => (version, number, publication, settled),
        Point::Nowhere { reason, lasts } => return Ok(Travelled { served: Served::NotFound(reason), distribution, lasts }),
    };
    distribution.repository_version_id = Some(id);
    distribution.publication_id = publication;
    let Some(below) = below else {
        return Ok(Travelled { served: Served::Redirect(Redirect::Directory), distribution, lasts: true });
    };
    let then = ServeContext { distribution: &distribution, moment: Some(moment), target: None, ..*cx };
    let mut served = handler.handle(&then, below).await?;
    if let Some(representation) = representation(&mut served) {
        let immutable = match moment {
            Moment::Time(_) => settled,
            // The version may be published once more, with other metadata; a unit’s file stays.
            Moment::Version(_) => is_of_unit(db, Tree::Version { repository, number }, below, representation).await?,
        };
        cache(&mut representation.headers, immutable);
    }
    Ok(Travelled { served, distribution, lasts: settled })
}

async fn version(db: &Db, repository: Uuid, number: i64) -> Result<Point, DbError> {
    let sql = Sql::new("select pulp_id from core_repositoryversion where repository_id = $1 and number = $2 and complete");
    let found: Option<(Uuid,)> = db.optional(sql.bind(repository).bind(number)).await?;
    Ok(match found {
        Some((version,)) => Point::To { version, number, publication: None, settled: true },
        None => Point::Nowhere { reason: format!("the repository has no version {number}, or not any more"), lasts: true },
    })
}

/// The newest version that was made by then, and the newest publication.
async fn time_point(db: &Db, repository: Uuid, time: Timestamp, now: Timestamp) -> Result<Point, DbError> {
    let nowhere = |reason: String, lasts| Ok(Point::Nowhere { reason, lasts });
    let moment = Moment::Time(time);
    if time > now {
        return nowhere(format!("{moment} is still to come"), false);
    }
    let Some(then) = version_at(db, repository, time).await? else {
        return nowhere(format!("the repository has no version of {moment} or before, or not any more"), true);
    };
    if then.is_followed_by_deleted() {
        return nowhere(format!("the version that the repository had at {moment} may be one that was deleted since"), true);
    }
    let published = Sql::new(
        "select p.pulp_id, v.number, (select count(*) from core_repositoryversion between_them \
            where between_them.repository_id = $1 and between_them.complete and between_them.number > v.number \
            and between_them.number <= $3) as since \
         from core_publication p join core_repositoryversion v on v.pulp_id = p.repository_version_id \
         where v.repository_id = $1 and p.complete and p.pulp_created <= $2 \
         order by v.number desc, p.pulp_created desc, p.pulp_id desc limit 1",
    );
    let published: Option<(Uuid, i64, i64)> = db.optional(published.bind(repository).bind(time).bind(then.number)).await?;
    // A version that was published in between, and deleted since, would be passed over without a word.
    let known = published.filter(|(_, number, since)| then.number - number <= *since);
    // Not the newest one of the version: that may have been made later. This key leads nowhere.
    let publication = Some(known.map_or(Uuid::nil(), |(id, ..)| id));
    let settled = time <= now - SETTLED_AFTER && !is_in_the_making(db, repository, time).await?;
    Ok(Point::To { version: then.pulp_id, number: then.number, publication, settled })
}

#[derive(sqlx::FromRow)]
struct VersionThen {
    pulp_id: Uuid,
    number: i64,
    /// The number of the version after it that is still there, or that the next one will have.
    following: Option<i64>,
    next_version: i64,
}

impl VersionThen {
    fn is_followed_by_deleted(&self) -> bool {
        self.following.unwrap_or(self.next_version) > self.number + 1
    }
}

async fn version_at(db: &Db, repository: Uuid, time: Timestamp) -> Result<Option<VersionThen>, DbError> {
    let sql = Sql::new(
        "select v.pulp_id, v.number, r.next_version, \
            (select min(later.number) from core_repositoryversion later \
             where later.repository_id = v.repository_id and later.complete and later.number > v.number) as following \
         from core_repositoryversion v join core_repository r on r.pulp_id = v.repository_id \
         where v.repository_id = $1 and v.complete and v.pulp_created <= $2 order by v.number desc limit 1",
    );
    db.optional(sql.bind(repository).bind(time)).await
}

/// Whether something that was begun by then is not complete yet: once it is, it counts as made then.
async fn is_in_the_making(db: &Db, repository: Uuid, time: Timestamp) -> Result<bool, DbError> {
    let sql = Sql::new(
        "select 1 as one from core_repositoryversion v left join core_publication p on p.repository_version_id = v.pulp_id \
            and not p.complete and p.pulp_created <= $2 \
         where v.repository_id = $1 and ((not v.complete and v.pulp_created <= $2) or p.pulp_id is not null) limit 1",
    );
    Ok(db.optional::<(i32,)>(sql.bind(repository).bind(time)).await?.is_some())
}

fn representation(served: &mut Served) -> Option<&mut Representation> {
    match served {
        Served::File(file) => Some(&mut file.representation),
        Served::Stream(stream) => Some(&mut stream.representation),
        Served::Bytes(bytes) => Some(&mut bytes.representation),
        _ => None,
    }
}

/// Whether what was found is the file of the version’s unit at this path.
async fn is_of_unit(db: &Db, version: Tree, path: &ContentPath, found: &Representation) -> Result<bool, DbError> {
    let Some(unit) = version.find(db, path.as_str()).await? else {
        return Ok(false);
    };
    Ok(unit.sha256.is_none_or(|sha256| found.sha256.is_some_and(|found| found.to_string() == sha256)))
}

/// Says for how long it may be kept, unless the content type does.
fn cache(headers: &mut HeaderMap, immutable: bool) {
    let word = if immutable { IMMUTABLE } else { MOVING };
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(word));
}
