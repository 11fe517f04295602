//! `GET …/versions/{number}/diff/`: what a version has that another has not, and the other way round. Pulp has none.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::Error;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::model::{Model, RepositoryVersion};
use crate::plugin::Registry;
use crate::resource::{Context, Field, Kind, Resource, Target};
use crate::version::{ChangedUnit, ContentCount, Difference, UnitChange};

/// Units that an answer tells of, if the request does not say.
const PAGE: usize = 1_000;
/// Units that one can ask for at once.
const MOST: usize = 10_000;

/// What the API document calls the answer.
pub(crate) const SCHEMA: &str = "RepositoryVersionDifference";

pub(super) fn register(registry: &mut Registry) {
    let counts = |name| Field::new(name, Kind::Dictionary).required().help("How many units, by type.");
    let file = Kind::Object(
        "ChangedFile",
        vec![
            Field::text("relative_path").required().help("Its path below the root of a repository."),
            Field::text("sha256").nullable().help("Its digest, where it is known."),
        ],
    );
    let unit = Kind::Object(
        "ChangedUnit",
        vec![
            Field::text("change").required().help("`added` or `removed`."),
            Field::text("pulp_href").nullable().help("The unit."),
            Field::text("prn").nullable().help("The Pulp Resource Name (PRN)."),
            Field::text("pulp_type").required().help("Its type."),
            Field::list("files", file).required().help("Its files."),
        ],
    );
    registry.component(
        SCHEMA,
        [
            Field::text("base_version").nullable().help("The version that it is compared with; null: with nothing."),
            Field::text("repository_version").required().help("The version."),
            counts("added"),
            counts("removed"),
            Field::list("changes", unit).required().help("The units: those that were removed first."),
            Field::text("next").nullable().help("Where more of them are told."),
        ],
    );
}

/// Compares a version with the one that the query names as `base`, or with the one before it.
pub(crate) async fn read(request: Request, repository: Arc<Resource>) -> Answer {
    let (_, row) = super::find(&request, &repository).await?;
    let cx = &request.cx;
    let db = cx.pulp().db();
    let version = RepositoryVersion::find(db, row.id()).await?;
    let asked = Asked::read(&request)?;
    let base = match &asked.base {
        Some(named) => Some(visible(cx, named).await?),
        None => version.before(db).await?,
    };
    let difference = match &base {
        Some(base) => Difference::between(base, &version),
        None => Difference::from_nothing(&version),
    };
    let units = difference.page(db, asked.after, asked.limit).await?;
    let next = units.last().filter(|_| units.len() == asked.limit).map(|last| asked.link(&request, last));
    let base = match &base {
        Some(base) => href(cx, base).await?,
        None => None,
    };
    let body = json!({
        "base_version": base,
        "repository_version": href(cx, &version).await?,
        "added": counts(&difference.count(db, UnitChange::Added).await?),
        "removed": counts(&difference.count(db, UnitChange::Removed).await?),
        "changes": units.iter().map(|unit| shown(cx, unit)).collect::<Vec<_>>(),
        "next": next,
    });
    Ok(response::json(StatusCode::OK, &body))
}

/// What the query asks.
struct Asked {
    base: Option<String>,
    after: Option<(UnitChange, Uuid)>,
    limit: usize,
}

impl Asked {
    fn read(request: &Request) -> Result<Self, Error> {
        let mut asked = Self { base: None, after: None, limit: PAGE };
        for (name, value) in &request.query {
            match name.as_str() {
                "base" => asked.base = Some(value.clone()),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    asked.limit = limit.ok_or_else(|| Error::field("limit", format!("Enter a number from 1 to {MOST}.")))?;
                }
                "after" => {
                    let after = value.split_once(':').and_then(|(change, unit)| Some((named(change)?, unit.parse().ok()?)));
                    asked.after = Some(after.ok_or_else(|| Error::field("after", "Take it from `next` of the answer before."))?);
                }
                _ => {}
            }
        }
        Ok(asked)
    }

    fn link(&self, request: &Request, last: &ChangedUnit) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(base) = &self.base {
            query.append_pair("base", base);
        }
        query.append_pair("limit", &self.limit.to_string());
        query.append_pair("after", &format!("{}:{}", word(last.change), last.content));
        format!("{}?{}", request.url(), query.finish())
    }
}

fn word(change: UnitChange) -> &'static str {
    match change {
        UnitChange::Added => "added",
        UnitChange::Removed => "removed",
    }
}

fn named(word_of: &str) -> Option<UnitChange> {
    [UnitChange::Added, UnitChange::Removed].into_iter().find(|change| word(*change) == word_of)
}

/// The version that a text names, if the asker may see its repository.
pub(crate) async fn visible(cx: &Context, named: &str) -> Result<RepositoryVersion, ApiError> {
    let wrong = |message: String| Error::field("base", message);
    let version = cx.resolve(Target::REPOSITORY_VERSION, named).await.map_err(wrong)?;
    let version = RepositoryVersion::find(cx.pulp().db(), version.id).await?;
    match cx.sees_repository(version.repository_id).await? {
        true if version.complete => Ok(version),
        _ => Err(wrong("Invalid hyperlink - Object does not exist.".to_owned()).into()),
    }
}

async fn href(cx: &Context, version: &RepositoryVersion) -> Result<Option<String>, Error> {
    let owner = RepositoryVersion::owner(cx.pulp().db(), version.pulp_id).await?;
    let collection = owner.and_then(|(_, kind)| cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, &kind));
    Ok(collection.map(|of| cx.pulp().hrefs().version(&cx.domain().name, of.path, version.repository_id, version.number)))
}

fn counts(counts: &[ContentCount]) -> Json {
    let all: Map<String, Json> = counts.iter().map(|of| (of.content_type.clone(), json!({"count": of.count}))).collect();
    Json::Object(all)
}

fn shown(cx: &Context, unit: &ChangedUnit) -> Json {
    let files: Vec<Json> = unit.files.iter().map(|file| json!({"relative_path": file.relative_path, "sha256": file.sha256})).collect();
    json!({
        "change": word(unit.change),
        "pulp_href": cx.href_of(Target::CONTENT, unit.content, Some(&unit.pulp_type)),
        "prn": cx.prn_of(Target::CONTENT, unit.content, Some(&unit.pulp_type)),
        "pulp_type": unit.pulp_type,
        "files": files,
    })
}
