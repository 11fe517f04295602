//! What every publication has.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::{
    ActionHandler, Change, Compute, Condition, Context, Field, Filter, FilterKind, FilterValue, Fragment, Hooks, Input, Lookup, Naming,
    Noun, Record, Resource, Returns, Shape, Target,
};
use super::content::PublishedContent;
use crate::db::{ExecutorExt, Sql};
use crate::{Error, Result};

impl Resource {
    /// A publication type: `pulp_type` is its type’s name (`file.file`), `schema` the name of its schema. `publish` gets the
    /// validated body, with either `repository` or `repository_version`, and dispatches the task.
    pub fn publication(path: &'static str, pulp_type: &'static str, schema: &'static str, publish: impl ActionHandler + 'static) -> Self {
        let mut resource = Self::new(path, "core_publication", schema);
        resource.noun = Noun::Publication;
        resource.pulp_type = Some(pulp_type);
        resource.delete = Change::Now;
        resource.roles = true;
        resource
            .create_by(Returns::Task, publish)
            .hooks(Rules)
            .visible_if("b.complete")
            .fields([
                Field::href("repository_version", Target::REPOSITORY_VERSION).in_base().help("What is published."),
                Field::href("repository", Target::REPOSITORY)
                    .nowhere()
                    .write_only()
                    .keyword("writeOnly", Json::Null)
                    .help("Whose latest version is published."),
                Field::computed("repository", Shape::Uri, Repository)
                    .keyword("readOnly", Json::Null)
                    .help("The repository of the published version."),
                Field::boolean("checkpoint").in_base().help("Whether it is a point in time that a checkpoint distribution serves."),
                Field::computed("distributions", Shape::List(Box::new(Shape::Uri)), Distributions)
                    .help("The distributions that serve this publication."),
            ])
            .ordered_by(["checkpoint", "complete", "pass_through", "pulp_type"])
            .filters([
                Filter::new("checkpoint", FilterKind::Boolean, Lookup::EXACT),
                Filter::custom("content", FilterKind::Href(Target::CONTENT), PublishedContent)
                    .naming(Naming::Units)
                    .lookups(Lookup::EXACT_IN),
                Filter::time("pulp_created"),
                Filter::custom("repository", FilterKind::Href(Target::REPOSITORY), OfRepository),
                Filter::href("repository_version", Target::REPOSITORY_VERSION, Lookup::EXACT).naming(Naming::Version),
            ])
    }
}

/// What is published: a version, or the latest of a repository.
struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, _: &Context, input: &mut Input, _: Option<&Record>) -> Result<()> {
        let refused = |message: &str| Err(Error::Refused(json!({"non_field_errors": [message]})));
        match (input.has("repository"), input.has("repository_version")) {
            (false, false) => refused("Either the 'repository' or 'repository_version' need to be specified"),
            (true, true) => refused("Either the 'repository' or 'repository_version' need to be specified but not both."),
            (false, true) if input.boolean("checkpoint") == Some(true) => refused("'checkpoint' may only be used with 'repository'"),
            _ => Ok(()),
        }
    }

    async fn committed(&self, cx: &Context, _: Uuid) {
        crate::content::Change::Everything.announce(cx.pulp()).await;
    }
}

/// Publications of any version of a repository.
struct OfRepository;

#[async_trait]
impl Condition for OfRepository {
    async fn condition(&self, _: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        Ok(Fragment::new("b.repository_version_id in (select pulp_id from core_repositoryversion where repository_id = ")
            .bind(value.to_sql())
            .text(")"))
    }
}

struct Repository;

#[async_trait]
impl Compute for Repository {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select v.pulp_id, r.pulp_id, r.pulp_type from core_repositoryversion v join core_repository r on r.pulp_id = v.repository_id where v.pulp_id in ",
        );
        sql.push_list(rows.iter().filter_map(|row| row.uuid("repository_version_id")));
        let found: HashMap<Uuid, (Uuid, String)> =
            cx.pulp().db().all::<(Uuid, Uuid, String)>(sql).await?.into_iter().map(|(version, id, kind)| (version, (id, kind))).collect();
        let href = |row: &Record| {
            let (id, kind) = found.get(&row.uuid("repository_version_id")?)?;
            cx.href_of(Target::REPOSITORY, *id, Some(kind))
        };
        Ok(rows.iter().map(|row| vec![href(row).map_or(Json::Null, Json::from)]).collect())
    }
}

struct Distributions;

#[async_trait]
impl Compute for Distributions {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new("select publication_id, pulp_id, pulp_type from core_distribution where publication_id in ");
        sql.push_list(rows.iter().map(Record::id)).push(" order by pulp_created");
        let mut found: HashMap<Uuid, Vec<String>> = HashMap::new();
        for (publication, id, kind) in cx.pulp().db().all::<(Uuid, Uuid, String)>(sql).await? {
            found.entry(publication).or_default().extend(cx.href_of(Target::DISTRIBUTION, id, Some(&kind)));
        }
        Ok(rows.iter().map(|row| vec![json!(found.remove(&row.id()).unwrap_or_default())]).collect())
    }
}
