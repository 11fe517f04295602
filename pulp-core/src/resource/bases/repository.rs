//! What every repository has.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::{
    Change, Compute, Context, Create, Field, Filter, FilterKind, Hooks, Input, Lookup, Noun, Record, Resource, Shape, Target,
};
use super::content::{Membership, WithContent};
use crate::db::{ExecutorExt, Sql};
use crate::{Result, version};

impl Resource {
    /// A repository type: `pulp_type` is its type’s name (`file.file`), `schema` the name of its schema.
    ///
    /// Its versions, at `…/{id}/versions/`, come with it.
    pub fn repository(path: &'static str, pulp_type: &'static str, schema: &'static str) -> Self {
        let mut resource = Self::new(path, "core_repository", schema);
        resource.noun = Noun::Repository;
        resource.pulp_type = Some(pulp_type);
        resource.create = Create::Now;
        resource.update = Change::Task;
        resource.delete = Change::Task;
        resource.labels = Some(201);
        resource.roles = true;
        // Repositories that the server makes for itself.
        resource.visible = Some("not b.user_hidden");
        resource
            .hooks(Rules)
            .fields([
                Field::computed("versions_href", Shape::Uri, VersionsHref).help("Where the versions are listed."),
                super::labels(),
                Field::computed("latest_version_href", Shape::Uri, LatestVersionHref).help("The latest version."),
                super::name("A unique name for this repository."),
                Field::text("description").nullable().in_base().help("For people."),
                Field::integer("retain_repo_versions")
                    .nullable()
                    .at_least(1)
                    .in_base()
                    .help("How many versions are kept; without a number, all are."),
                Field::integer("retain_checkpoints")
                    .nullable()
                    .at_least(1)
                    .in_base()
                    .help("How many checkpoint publications are kept; without a number, all are."),
                Field::href("remote", Target::REMOTE).nullable().in_base().help("Where a sync that names no remote fetches from."),
            ])
            .ordered_by([
                "description",
                "name",
                "next_version",
                "pulp_labels",
                "pulp_type",
                "retain_checkpoints",
                "retain_repo_versions",
                "user_hidden",
            ])
            .filters([
                Filter::custom("latest_with_content", FilterKind::Href(Target::CONTENT), WithContent(Membership::Latest)),
                Filter::name("name"),
                Filter::href("remote", Target::REMOTE, Lookup::EXACT).nullable(),
                Filter::new("retain_checkpoints", FilterKind::Integer, Lookup::NUMBER),
                Filter::new("retain_repo_versions", FilterKind::Integer, Lookup::NUMBER),
                Filter::custom("with_content", FilterKind::Href(Target::CONTENT), WithContent(Membership::Any)),
            ])
    }
}

struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn settle(&self, cx: &Context, before: &Record, input: &Input) -> Result<()> {
        if input.has("retain_repo_versions") || input.has("retain_checkpoints") {
            version::retain(cx.pulp().db(), before.id()).await?;
        }
        Ok(())
    }

    async fn committed(&self, cx: &Context, id: Uuid) {
        crate::content::Change::Repository(id).announce(cx.pulp()).await;
    }
}

struct VersionsHref;

#[async_trait]
impl Compute for VersionsHref {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(rows
            .iter()
            .map(|row| {
                vec![
                    cx.href_of(Target::REPOSITORY, row.id(), row.text("pulp_type"))
                        .map_or(Json::Null, |href| json!(format!("{href}versions/"))),
                ]
            })
            .collect())
    }
}

struct LatestVersionHref;

#[async_trait]
impl Compute for LatestVersionHref {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new("select repository_id, max(number) from core_repositoryversion where complete and repository_id in ");
        sql.push_list(rows.iter().map(Record::id)).push(" group by repository_id");
        let latest: HashMap<Uuid, i64> = cx.pulp().db().all::<(Uuid, i64)>(sql).await?.into_iter().collect();
        Ok(rows
            .iter()
            .map(|row| {
                let href = cx.href_of(Target::REPOSITORY, row.id(), row.text("pulp_type"));
                let href = href.zip(latest.get(&row.id())).map(|(href, number)| json!(format!("{href}versions/{number}/")));
                vec![href.unwrap_or(Json::Null)]
            })
            .collect())
    }
}
