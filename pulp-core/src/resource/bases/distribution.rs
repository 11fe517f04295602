//! What every distribution has.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::{
    Change as Changed, Compute, Condition, Context, Create, Field, Filter, FilterKind, FilterValue, Fragment, Hooks, Input, Lookup, Naming,
    Noun, Record, Resource, Shape, Target,
};
use super::content::DistributedContent;
use crate::clock::to_wire;
use crate::content::{Change, check_cache_control, grace};
use crate::db::{ExecutorExt, Sql, Tx};
use crate::{Error, Result};

impl Resource {
    /// A distribution type: `pulp_type` is its type’s name (`file.file`), `schema` the name of its schema. The type adds what
    /// it can serve: [`repository`], [`repository_version`], [`publication`].
    pub fn distribution(path: &'static str, pulp_type: &'static str, schema: &'static str) -> Self {
        let mut resource = Self::new(path, "core_distribution", schema);
        resource.noun = Noun::Distribution;
        resource.pulp_type = Some(pulp_type);
        resource.create = Create::Task;
        resource.update = Changed::Task;
        resource.delete = Changed::Task;
        resource.labels = Some(200);
        resource.roles = true;
        resource
            .hooks(Rules)
            .fields([
                Field::text("base_path")
                    .required()
                    .unique()
                    .in_base()
                    .check(canonical)
                    .help("The path under which it is served; no distribution's path may lead through another's."),
                Field::computed("base_url", Shape::Text, BaseUrl).help("The URL under which it is served."),
                Field::href("content_guard", Target::CONTENT_GUARD).nullable().in_base().help("Who may read; everybody if unset."),
                Field::computed("content_guard_prn", Shape::Text, GuardPrn).help("The content guard's PRN."),
                Field::computed("no_content_change_since", Shape::Text, UnchangedSince).help("Since when what it serves has not changed."),
                Field::boolean("hidden").default(false).in_base().help("Whether it is left out of listings."),
                super::labels(),
                super::name("A unique name for this distribution."),
                Field::boolean("time_travel").default(false).in_base().help(
                    "Whether earlier versions of its repository can be read below it, at @NUMBER/, and what it had at a time, at @TIME/.",
                ),
                Field::text("cache_control")
                    .nullable()
                    .in_base()
                    .check(cache_control)
                    .help("Cache-Control of its files; as the settings say if unset."),
                Field::boolean("redirect_to_object_storage")
                    .nullable()
                    .in_base()
                    .help("Whether files in object storage are served by sending the client there; as the domain says if unset."),
            ])
            .ordered_by(["base_path", "checkpoint", "hidden", "name", "pulp_labels", "pulp_type"])
            .filters([
                Filter::new("base_path", FilterKind::Text, &[Lookup::Exact, Lookup::Contains, Lookup::IContains, Lookup::In]),
                Filter::new("checkpoint", FilterKind::Boolean, Lookup::EXACT),
                Filter::name("name"),
                Filter::custom("repository", FilterKind::Href(Target::REPOSITORY), ServesRepository)
                    .naming(Naming::Pointer)
                    .without_value("No value supplied for repository filter.")
                    .lookups(Lookup::EXACT_IN),
                Filter::custom("with_content", FilterKind::Href(Target::CONTENT), DistributedContent).naming(Naming::Anything),
            ])
    }
}

/// It can serve the latest of a repository.
pub fn repository() -> Field {
    Field::href("repository", Target::REPOSITORY).nullable().in_base().help("Whose latest publication or version is served.")
}

/// It can serve a version.
pub fn repository_version() -> Field {
    Field::href("repository_version", Target::REPOSITORY_VERSION).nullable().in_base().help("Which version is served.")
}

/// It can serve a publication.
pub fn publication() -> Field {
    Field::href("publication", Target::PUBLICATION).nullable().in_base().help("Which publication is served.")
}

/// A path as it is, and nothing that leads elsewhere or means something else in a URL.
fn canonical(value: &Json) -> Result<(), String> {
    let path = value.as_str().unwrap_or_default();
    let clean = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '\\');
    if clean && !path.contains(odd) { Ok(()) } else { Err(format!("Relative path is not in canonical form. {path}")) }
}

fn cache_control(value: &Json) -> Result<(), String> {
    value.as_str().map_or(Ok(()), check_cache_control)
}

/// What concerns several fields of a distribution, and other distributions.
struct Rules;

/// What it can serve, of which it serves one.
const SERVED: [&str; 3] = ["publication", "repository", "repository_version"];

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        if current.is_none() && !input.has("content_guard") {
            default_guard(cx, input).await?;
        }
        if let Some(path) = input.text("base_path") {
            overlap(cx, path, current.map(Record::id)).await?;
        }
        let serves = |field: &str| match input.get(field) {
            Some(value) => !value.is_null(),
            None => current.is_some_and(|row| row.uuid(&format!("{field}_id")).is_some()),
        };
        let refused = |message: String| Err(Error::Refused(json!({"non_field_errors": [message]})));
        let served: Vec<&str> = SERVED.into_iter().filter(|field| serves(field)).collect();
        // As Pulp names them: the repository first where it is one of two.
        match served.as_slice() {
            [] | [_] => {}
            ["publication", "repository"] => {
                return refused("Only one of the attributes 'repository' and 'publication' may be used simultaneously.".to_owned());
            }
            [first, .., last] => {
                return refused(format!("Only one of the attributes '{first}' and '{last}' may be used simultaneously."));
            }
        }
        let is_set = |field: &str| input.boolean(field).or_else(|| current.and_then(|row| row.boolean(field))).unwrap_or(false);
        if is_set("checkpoint") && served != ["repository"] {
            return refused("The 'checkpoint' attribute may only be used with the 'repository' attribute.".to_owned());
        }
        if is_set("time_travel") && (is_set("checkpoint") || serves("remote")) {
            let other = if is_set("checkpoint") { "checkpoint" } else { "remote" };
            return refused(format!("The 'time_travel' attribute may not be used with the '{other}' attribute."));
        }
        Ok(())
    }

    async fn created(&self, cx: &Context, tx: &Tx, id: Uuid, _: &Input) -> Result<()> {
        note(cx, tx, id).await
    }

    async fn updated(&self, cx: &Context, tx: &Tx, before: &Record, _: &Input) -> Result<()> {
        note(cx, tx, before.id()).await
    }

    async fn committed(&self, cx: &Context, _: Uuid) {
        Change::Distributions.announce(cx.pulp()).await;
    }
}

/// A domain can say which guard distributions get that are made without one.
async fn default_guard(cx: &Context, input: &mut Input) -> Result<()> {
    let sql = Sql::new(
        "select g.pulp_id, g.pulp_type from core_domain d join core_contentguard g on g.pulp_id = d.default_content_guard_id where d.pulp_id = $1",
    );
    let guard: Option<(Uuid, String)> = cx.pulp().db().optional(sql.bind(cx.domain().pulp_id)).await?;
    if let Some(prn) = guard.and_then(|(id, kind)| cx.prn_of(Target::CONTENT_GUARD, id, Some(&kind))) {
        input.set("content_guard", prn.to_string());
    }
    Ok(())
}

/// No distribution’s path may lead through another’s.
async fn overlap(cx: &Context, path: &str, own: Option<Uuid>) -> Result<()> {
    // Every path that this one leads through, and every one that leads through this one.
    let above = path.match_indices('/').map(|(at, _)| &path[..at]);
    let below = format!("{path}/");
    let mut sql = Sql::new("select pulp_id from core_distribution where pulp_domain_id = $1 and (base_path in ").bind(cx.domain().pulp_id);
    sql.push_list(above);
    // What is special to `like` is not special here.
    sql.push(" or substr(base_path, 1, length(cast(").push_bind(below.as_str()).push(" as text))) = ").push_bind(below.as_str()).push(")");
    let others: Vec<Uuid> = cx.pulp().db().column(sql).await?;
    if others.into_iter().any(|id| Some(id) != own) {
        return Err(Error::Refused(json!({"base_path": {"base_path": "Overlaps with an existing distribution."}})));
    }
    Ok(())
}

/// Notes which publication it serves from now on: the one before stays reachable for a while.
async fn note(cx: &Context, tx: &Tx, id: Uuid) -> Result<()> {
    let seconds = cx.pulp().settings().distributed_publication_retention_period;
    Ok(grace::note_distribution(tx, id, cx.pulp().now(), seconds).await?)
}

struct BaseUrl;

#[async_trait]
impl Compute for BaseUrl {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let settings = cx.pulp().settings();
        let origin = settings.content_origin.as_deref().unwrap_or_default();
        let domain = if settings.domain_enabled { format!("{}/", cx.domain().name) } else { String::new() };
        let prefix = format!("{origin}{}{domain}", settings.content_path_prefix);
        Ok(rows.iter().map(|row| vec![json!(format!("{prefix}{}/", row.text("base_path").unwrap_or_default()))]).collect())
    }
}

struct GuardPrn;

#[async_trait]
impl Compute for GuardPrn {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let guards: Vec<Uuid> = rows.iter().filter_map(|row| row.uuid("content_guard_id")).collect();
        let mut prns: HashMap<Uuid, String> = HashMap::new();
        if !guards.is_empty() {
            let mut sql = Sql::new("select pulp_id, pulp_type from core_contentguard where pulp_id in ");
            sql.push_list(guards);
            for (id, kind) in cx.pulp().db().all::<(Uuid, String)>(sql).await? {
                prns.extend(cx.prn_of(Target::CONTENT_GUARD, id, Some(&kind)).map(|prn| (id, prn.to_string())));
            }
        }
        Ok(rows
            .iter()
            .map(|row| vec![row.uuid("content_guard_id").and_then(|id| prns.get(&id)).map_or(Json::Null, |prn| json!(prn))])
            .collect())
    }
}

/// What is served cannot change without a change of the distribution where a version or a publication is fixed; where it
/// follows a repository, it has not since the repository’s latest version.
struct UnchangedSince;

#[async_trait]
impl Compute for UnchangedSince {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let since = |row: &Record| {
            let fixed = row.uuid("publication_id").or_else(|| row.uuid("repository_version_id")).is_some();
            row.time("pulp_last_updated").filter(|_| fixed)
        };
        Ok(rows.iter().map(|row| vec![since(row).map_or(Json::Null, |moment| json!(to_wire(moment)))]).collect())
    }
}

/// Distributions that serve a repository, one of its versions, or a publication of one.
struct ServesRepository;

#[async_trait]
impl Condition for ServesRepository {
    async fn condition(&self, _: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        Ok(value.pointed_at_by("b.repository_id"))
    }
}
