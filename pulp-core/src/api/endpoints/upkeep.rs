//! Getting space back, and mending what the database says.

use serde_json::Value as Json;
use uuid::Uuid;

use super::tasks::dispatched;
use crate::api::request::Request;
use crate::api::router::Answer;
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Model, RepositoryVersion};
use crate::plugin::Registry;
use crate::resource::{Context, Field, Kind, Target, action_body};
use crate::tasks::ReclaimSpace;
use crate::version::Recount;
use crate::{Error, Result};

/// In the place of a list of repositories: all of them.
const ALL: &str = "*";

fn reclaim_fields() -> [Field; 2] {
    [
        Field::list("repo_hrefs", Kind::Json).required().help("The repositories, by href or PRN; `*` for all of them."),
        Field::list("repo_versions_keeplist", Kind::Text)
            .keyword("items", serde_json::json!({"type": "string", "format": "uri"}))
            .help("Versions whose units keep their files."),
    ]
}

fn recount_fields() -> [Field; 1] {
    [Field::boolean("dry_run").default(false).help("Only tell what would be mended.")]
}

pub(super) fn register(registry: &mut Registry) {
    registry.component("ReclaimSpace", reclaim_fields());
    registry.component("DataRepair7272", recount_fields());
}

/// Takes files that can be fetched again from the storage, by a task.
pub(crate) async fn reclaim(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let cx = &request.cx;
    let fields = reclaim_fields();
    let mut input = action_body(cx, &fields, &body.only(&fields)).await?;
    let list = |value: Option<Json>| match value {
        Some(Json::Array(items)) => items,
        _ => Vec::new(),
    };
    let (hrefs, keep) = (list(input.remove("repo_hrefs")), list(input.remove("repo_versions_keeplist")));
    let mut errors = serde_json::Map::new();
    let mut refuse = |field: &str, message: String| {
        errors.insert(field.to_owned(), serde_json::json!([message]));
    };
    let repositories = repositories(cx, &hrefs).await?.unwrap_or_else(|message| {
        refuse("repo_hrefs", message);
        Vec::new()
    });
    let mut kept: Vec<Uuid> = Vec::with_capacity(keep.len());
    for href in &keep {
        match cx.resolve(Target::REPOSITORY_VERSION, href.as_str().unwrap_or_default()).await {
            Ok(version) => kept.push(version.id),
            Err(message) => refuse("repo_versions_keeplist", message),
        }
    }
    if !errors.is_empty() {
        return Err(Error::Refused(Json::Object(errors)).into());
    }
    let versions = RepositoryVersion::find_many(cx.pulp().db(), &kept).await?;
    let holders: Vec<Uuid> = versions.iter().map(|version| version.repository_id).collect();
    let keepers = prns(cx, Some(&holders)).await?;
    dispatched(&request, ReclaimSpace { repositories, keep: kept, keepers }).await
}

/// The PRNs of the repositories, or what is wrong with the list.
async fn repositories(cx: &Context, hrefs: &[Json]) -> Result<Result<Vec<String>, String>> {
    if hrefs.is_empty() {
        return Ok(Err("Must not be [].".to_owned()));
    }
    if hrefs.iter().any(|href| href.as_str() == Some(ALL)) {
        if hrefs.len() > 1 {
            return Ok(Err("Can not specify other HREFs when using '*'".to_owned()));
        }
        return Ok(Ok(prns(cx, None).await?));
    }
    let mut all = Vec::with_capacity(hrefs.len());
    for href in hrefs {
        let Some(text) = href.as_str() else { return Ok(Err(format!("URI not valid: {href}"))) };
        match cx.resolve_any(Target::REPOSITORY, text).await {
            Ok(prn) => all.push(prn.to_string()),
            Err(message) => return Ok(Err(message)),
        }
    }
    Ok(Ok(all))
}

/// The PRNs of these repositories, or of all of the domain.
async fn prns(cx: &Context, only: Option<&[Uuid]>) -> Result<Vec<String>> {
    let mut sql = Sql::new("select pulp_id, pulp_type from core_repository where pulp_domain_id = ");
    sql.push_bind(cx.domain().pulp_id);
    match only {
        Some([]) => return Ok(Vec::new()),
        Some(only) => {
            sql.push(" and pulp_id in ").push_list(only);
        }
        None => {}
    }
    let rows: Vec<(Uuid, String)> = cx.pulp().db().all(sql).await?;
    let prn = |(id, pulp_type): (Uuid, String)| cx.prn_of(Target::REPOSITORY, id, Some(&pulp_type));
    // Of a type that no plugin of this process knows, the tasks are not known either.
    Ok(rows.into_iter().filter_map(prn).map(|prn: Prn| prn.to_string()).collect())
}

/// Recounts the units of all versions, by a task.
pub(crate) async fn recount(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let cx = &request.cx;
    let fields = recount_fields();
    let input = action_body(cx, &fields, &body.only(&fields)).await?;
    let task = Recount { domain: cx.domain().pulp_id, dry_run: input.boolean("dry_run").unwrap_or(false) };
    dispatched(&request, task).await
}
