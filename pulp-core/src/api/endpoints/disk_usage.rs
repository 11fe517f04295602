//! `GET disk_usage/`: which repositories hold which bytes, and what would become free. Pulp has none.

use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::Error;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::model::{DiskUsage, RepositoryDiskUsage};
use crate::plugin::Registry;
use crate::resource::{Context, Field, Kind, Target};

/// Repositories that an answer tells of, if the request does not say.
const PAGE: i64 = 100;
/// Repositories that one can ask for at once.
const MOST: i64 = 10_000;

/// What the API document calls the answer.
pub(crate) const SCHEMA: &str = "DiskUsage";

pub(super) fn register(registry: &mut Registry) {
    let bytes = |name, help| Field::integer(name).required().help(help);
    let repository = Kind::Object(
        "RepositoryDiskUsage",
        vec![
            Field::text("repository").nullable().help("The repository."),
            Field::text("name").required().help("Its name."),
            bytes("files", "How many stored files it holds, in all of its versions; each counts once."),
            bytes("bytes", "Their bytes."),
            bytes("latest_bytes", "Of those, bytes of files of the latest version."),
            bytes("freed_by_deletion", "Of those, bytes that no other repository holds."),
            bytes("freed_by_retention", "Of those, bytes that the latest version has not."),
        ],
    );
    registry.component(
        SCHEMA,
        [
            bytes("files", "How many stored files there are."),
            bytes("bytes", "Their bytes."),
            bytes("orphaned_bytes", "Of those, bytes that an orphan cleanup frees, but for what it protects because it is young."),
            bytes("count", "How many repositories hold files."),
            Field::list("repositories", repository).required().help("The repositories, those that hold most first."),
        ],
    );
}

/// What the domain of the request holds.
pub(crate) async fn read(request: Request) -> Answer {
    let cx = &request.cx;
    let (db, domain) = (cx.pulp().db(), cx.domain().pulp_id);
    let limit = number(&request, "limit", 1, MOST)?.unwrap_or(PAGE);
    let offset = number(&request, "offset", 0, i64::MAX)?.unwrap_or(0);
    let all = DiskUsage::of_domain(db, domain).await?;
    let repositories = RepositoryDiskUsage::page(db, domain, limit, offset).await?;
    let body = json!({
        "files": all.files,
        "bytes": all.bytes,
        "orphaned_bytes": all.orphaned_bytes,
        "count": RepositoryDiskUsage::count(db, domain).await?,
        "repositories": repositories.iter().map(|one| shown(cx, one)).collect::<Vec<_>>(),
    });
    Ok(response::json(StatusCode::OK, &body))
}

fn shown(cx: &Context, usage: &RepositoryDiskUsage) -> Json {
    json!({
        "repository": cx.href_of(Target::REPOSITORY, usage.pulp_id, Some(&usage.pulp_type)),
        "name": usage.name,
        "files": usage.files,
        "bytes": usage.bytes,
        "latest_bytes": usage.latest_bytes,
        "freed_by_deletion": usage.freed_by_deletion,
        "freed_by_retention": usage.freed_by_retention,
    })
}

fn number(request: &Request, name: &str, least: i64, most: i64) -> Result<Option<i64>, Error> {
    let Some((_, text)) = request.query.iter().find(|(known, _)| known == name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.map(Some).ok_or_else(|| Error::field(name, format!("Enter a number from {least} to {most}.")))
}
