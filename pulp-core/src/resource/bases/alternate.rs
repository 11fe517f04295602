//! What every alternate content source has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::{
    Action, ActionHandler, Change, Compute, Context, Create, Field, Filter, Hooks, Input, Kind, Noun, Record, Reply, Resource, Returns,
    Target,
};
use crate::db::{ExecutorExt, Sql, Tx};
use crate::ids::{Prn, new_id};
use crate::model::{Model, Policy, Remote};
use crate::tasks::DispatchOptions;
use crate::version::create_repository;
use crate::{Error, Result};

/// How a content type finds out what an alternate content source has.
#[async_trait]
pub trait Refresh: Send + Sync {
    /// The type of the repositories that it is written down in.
    fn repository_type(&self) -> &'static str;

    /// Dispatches the task that looks at one path of the source.
    ///
    /// # Errors
    /// As dispatching a task.
    async fn dispatch(&self, cx: &Context, path: AlternatePath, options: DispatchOptions) -> Result<()>;
}

/// One path of an alternate content source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlternatePath {
    /// The repository that notes what is there; only the source knows of it.
    pub repository: Prn,
    /// The remote.
    pub remote: Prn,
    /// The remote’s address with the path at its end.
    pub url: String,
}

impl Resource {
    /// A type of alternate content sources: `pulp_type` is its type’s name (`file.file`), `schema` the name of its schema.
    pub fn alternate_content_source(
        path: &'static str,
        pulp_type: &'static str,
        schema: &'static str,
        refresh: impl Refresh + 'static,
    ) -> Self {
        let mut resource = Self::new(path, "core_alternatecontentsource", schema);
        resource.noun = Noun::AlternateContentSource;
        resource.pulp_type = Some(pulp_type);
        resource.create = Create::Now;
        resource.update = Change::Task;
        resource.delete = Change::Task;
        resource.roles = true;
        let mut paths = Field::list("paths", Kind::Text).nowhere().check(relative);
        paths.compute = Some(Arc::new(Paths));
        resource
            .hooks(Rules)
            .fields([
                super::name("A unique name for this source."),
                Field::time("last_refreshed").nullable().in_base().help("When it was last looked at; set by the server."),
                paths.help("Where the source is looked at: appended to the remote's address; the address itself if there are none."),
                Field::href("remote", Target::REMOTE).required().in_base().help("How the source is reached; its policy is on_demand."),
            ])
            .ordered_by(["last_refreshed", "name", "pulp_type"])
            .filter(Filter::name("name"))
            .action(
                Action::post("refresh", RefreshAction(Arc::new(refresh)))
                    .returns(Returns::TaskGroup)
                    .help("Looks at the source anew: one task per path."),
            )
    }
}

/// Paths are appended to the remote’s address.
fn relative(value: &Json) -> Result<(), String> {
    let mut paths = value.as_array().into_iter().flatten().filter_map(Json::as_str);
    if paths.any(|path| path.starts_with('/')) { Err("Path cannot start with a slash.".to_owned()) } else { Ok(()) }
}

/// The remote, and the paths with what is known of them.
struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        // Accepted, as Pulp does, and of no effect.
        input.remove("last_refreshed");
        if let Some(id) = input.id("remote") {
            let remote = Remote::find(cx.pulp().db(), id).await?;
            if remote.policy() != Policy::OnDemand {
                return Err(Error::field("remote", "Remote used with alternate content source must have the 'on_demand' policy."));
            }
        }
        let empty = input.get("paths").is_some_and(|paths| paths.as_array().is_some_and(Vec::is_empty));
        if empty || (current.is_none() && !input.has("paths")) {
            input.set("paths", json!([""]));
        }
        Ok(())
    }

    async fn created(&self, cx: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        set_paths(cx, tx, id, input).await
    }

    async fn updated(&self, cx: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        set_paths(cx, tx, before.id(), input).await
    }

    async fn deleting(&self, _: &Context, tx: &Tx, id: Uuid) -> Result<()> {
        let known: Vec<PathRow> = tx.all(Sql::new(PATHS).bind(id)).await?;
        forget(tx, known).await
    }
}

/// Key, path, repository.
type PathRow = (Uuid, String, Option<Uuid>);

const PATHS: &str = "select pulp_id, path, repository_id from core_alternatecontentsourcepath where alternate_content_source_id = $1 \
                     order by pulp_id";

/// Paths that stay keep what is known of them.
async fn set_paths(cx: &Context, tx: &Tx, source: Uuid, input: &Input) -> Result<()> {
    let Some(paths) = input.get("paths").and_then(Json::as_array) else { return Ok(()) };
    let mut wanted: HashSet<&str> = paths.iter().filter_map(Json::as_str).collect();
    let known: Vec<PathRow> = tx.all(Sql::new(PATHS).bind(source)).await?;
    let gone = known.into_iter().filter(|(_, path, _)| !wanted.remove(path.as_str())).collect();
    forget(tx, gone).await?;
    for path in paths.iter().filter_map(Json::as_str) {
        if wanted.remove(path) {
            let sql = Sql::new(
                "insert into core_alternatecontentsourcepath (pulp_id, pulp_created, pulp_last_updated, path, alternate_content_source_id) \
                 values ($1, $2, $2, $3, $4)",
            );
            tx.execute(sql.bind(new_id()).bind(cx.pulp().now()).bind(path).bind(source)).await?;
        }
    }
    Ok(())
}

/// Removes paths, with the repositories that only they know.
async fn forget(tx: &Tx, paths: Vec<PathRow>) -> Result<()> {
    let repositories: Vec<Uuid> = paths.iter().filter_map(|(_, _, repository)| *repository).collect();
    for (statement, keys) in [
        ("delete from core_alternatecontentsourcepath where pulp_id in ", paths.iter().map(|(id, ..)| *id).collect()),
        ("delete from core_repositorycontent where repository_id in ", repositories.clone()),
        ("delete from core_repository where user_hidden and pulp_id in ", repositories),
    ] {
        let keys: Vec<Uuid> = keys;
        if !keys.is_empty() {
            let mut sql = Sql::new(statement);
            sql.push_list(keys);
            tx.execute(sql).await?;
        }
    }
    Ok(())
}

struct Paths;

#[async_trait]
impl Compute for Paths {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql =
            Sql::new("select alternate_content_source_id, path from core_alternatecontentsourcepath where alternate_content_source_id in ");
        sql.push_list(rows.iter().map(Record::id)).push(" order by pulp_id");
        let mut of: HashMap<Uuid, Vec<Json>> = HashMap::new();
        for (source, path) in cx.pulp().db().all::<(Uuid, String)>(sql).await? {
            of.entry(source).or_default().push(json!(path));
        }
        Ok(rows.iter().map(|row| vec![Json::Array(of.remove(&row.id()).unwrap_or_default())]).collect())
    }
}

/// `POST …/refresh/`.
struct RefreshAction(Arc<dyn Refresh>);

#[async_trait]
impl ActionHandler for RefreshAction {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, _: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("a refresh is done to a source".to_owned()))?;
        let db = cx.pulp().db();
        let of = Sql::new("select name, pulp_type, remote_id from core_alternatecontentsource where pulp_id = $1");
        let (name, pulp_type, remote): (String, String, Uuid) =
            db.optional(of.bind(id)).await?.ok_or_else(|| Error::not_found(format!("alternate content source {id}")))?;
        let remote = Remote::find(db, remote).await?;
        let prn = |target, id, kind: &str| {
            cx.prn_of(target, id, Some(kind)).ok_or_else(|| Error::Internal(format!("the type {kind} is not registered")))
        };
        let remote_prn = prn(Target::REMOTE, remote.pulp_id, &remote.pulp_type)?;
        let own = prn(Target::ALTERNATE_CONTENT_SOURCE, id, &pulp_type)?;
        let paths: Vec<PathRow> = db.all(Sql::new(PATHS).bind(id)).await?;
        let description = format!("Refreshing {} alternate content source paths.", paths.len());
        let group = cx.pulp().tasks().create_group(cx.domain(), &description, &[]).await?;
        for (path_id, path, repository) in paths {
            let repository = match repository {
                Some(repository) => repository,
                None => self.note_in(cx, &name, path_id).await?,
            };
            let url = if path.is_empty() { remote.url.clone() } else { format!("{}/{path}", remote.url.trim_end_matches('/')) };
            let repository = prn(Target::REPOSITORY, repository, self.0.repository_type())?;
            let options = DispatchOptions { group: Some(group.pulp_id), ..cx.dispatch_options() }.shared(&own);
            self.0.dispatch(cx, AlternatePath { repository, remote: remote_prn.clone(), url }, options).await?;
        }
        cx.pulp().tasks().complete_group(group.pulp_id).await?;
        let done = Sql::new("update core_alternatecontentsource set last_refreshed = $2 where pulp_id = $1");
        db.execute(done.bind(id).bind(cx.pulp().now())).await?;
        Ok(Reply::TaskGroup(group.pulp_id))
    }
}

impl RefreshAction {
    /// Makes the repository of a path.
    async fn note_in(&self, cx: &Context, source: &str, path: Uuid) -> Result<Uuid> {
        let kind = self.0.repository_type();
        let resource = cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, kind);
        let detail = resource.and_then(|resource| resource.detail);
        let (table, pointer) = detail.ok_or_else(|| Error::Internal(format!("the repository type {kind} is not registered")))?;
        let tx = cx.pulp().db().begin().await?;
        let name = format!("{source}--{path}--repository");
        let made = create_repository(&tx, kind, &name, cx.domain().pulp_id, cx.pulp().now()).await?.pulp_id;
        tx.execute(Sql::new(format!("insert into {table} ({pointer}) values ($1)")).bind(made)).await?;
        tx.execute(Sql::new("update core_repository set user_hidden = true, retain_repo_versions = 1 where pulp_id = $1").bind(made))
            .await?;
        tx.execute(Sql::new("update core_alternatecontentsourcepath set repository_id = $2 where pulp_id = $1").bind(path).bind(made))
            .await?;
        tx.commit().await?;
        Ok(made)
    }
}
