//! What every distribution has.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::{
    Change, Compute, Condition, Context, Create, Field, Filter, FilterKind, FilterValue, Fragment, Lookup, Noun, Record, Resource, Shape,
    Target,
};
use super::content::DistributedContent;
use crate::Result;
use crate::clock::to_wire;
use crate::db::{ExecutorExt, Sql};

impl Resource {
    /// A distribution type: `pulp_type` is its type’s name (`file.file`), `schema` the name of its schema. The type adds what
    /// it can serve: [`repository`], [`repository_version`], [`publication`].
    pub fn distribution(path: &'static str, pulp_type: &'static str, schema: &'static str) -> Self {
        let mut resource = Self::new(path, "core_distribution", schema);
        resource.noun = Noun::Distribution;
        resource.pulp_type = Some(pulp_type);
        resource.create = Create::Task;
        resource.update = Change::Task;
        resource.delete = Change::Task;
        resource.labels = Some(200);
        resource.roles = true;
        resource
            .fields([
                Field::text("base_path")
                    .required()
                    .in_base()
                    .check(relative_path)
                    .help("The path under which it is served; no distribution's path may lead through another's."),
                Field::computed("base_url", Shape::Text, BaseUrl).help("The URL under which it is served."),
                Field::href("content_guard", Target::CONTENT_GUARD).nullable().in_base().help("Who may read; everybody if unset."),
                Field::computed("content_guard_prn", Shape::Text, GuardPrn).help("The content guard's PRN."),
                Field::computed("no_content_change_since", Shape::Text, UnchangedSince).help("Since when what it serves has not changed."),
                Field::boolean("hidden").default(false).in_base().help("Whether it is left out of listings."),
                super::labels(),
                super::name("A unique name for this distribution."),
            ])
            .ordered_by(["base_path", "checkpoint", "hidden", "name", "pulp_labels", "pulp_type"])
            .filters([
                Filter::new("base_path", FilterKind::Text, &[Lookup::Exact, Lookup::Contains, Lookup::IContains, Lookup::In]),
                Filter::new("checkpoint", FilterKind::Boolean, Lookup::EXACT),
                Filter::name("name"),
                Filter::custom("repository", FilterKind::Href(Target::REPOSITORY), ServesRepository).lookups(Lookup::EXACT_IN),
                Filter::custom("with_content", FilterKind::Href(Target::CONTENT), DistributedContent),
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

fn relative_path(value: &Json) -> Result<(), String> {
    let path = value.as_str().unwrap_or_default();
    if path.starts_with('/') || path.ends_with('/') {
        return Err("Relative path cannot begin or end with slashes.".to_owned());
    }
    if path.contains("//") {
        return Err("Relative path cannot contain consecutive slashes.".to_owned());
    }
    if !path.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:@%/".contains(c)) {
        return Err("Relative path can only contain URL path characters.".to_owned());
    }
    Ok(())
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
        Ok(Fragment::new("b.repository_id in ").list(value.all().iter().map(FilterValue::to_sql)))
    }
}
