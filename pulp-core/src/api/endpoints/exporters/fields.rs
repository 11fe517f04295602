//! Fields that exports and exporters work out.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::Result;
use crate::db::{ExecutorExt, Sql};
use crate::resource::{Compute, Context, Record, Shape, Target};

pub(super) fn uris() -> Shape {
    Shape::List(Box::new(Shape::Uri))
}

/// The hrefs of what was exported, as far as it is still there.
pub(super) struct Exported;

#[async_trait]
impl Compute for Exported {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let db = cx.pulp().db();
        let mut found: HashMap<Uuid, Vec<String>> = HashMap::new();
        let mut versions = Sql::new(
            "select x.export_id, v.number, r.pulp_id, r.pulp_type from core_exportedresource x \
             join core_repositoryversion v on v.pulp_id = x.object_id join core_repository r on r.pulp_id = v.repository_id where x.export_id in ",
        );
        versions.push_list(rows.iter().map(Record::id)).push(" order by x.pulp_id");
        for (export, number, repository, kind) in db.all::<(Uuid, i64, Uuid, String)>(versions).await? {
            let repository = cx.href_of(Target::REPOSITORY, repository, Some(&kind));
            found.entry(export).or_default().extend(repository.map(|href| format!("{href}versions/{number}/")));
        }
        let mut publications = Sql::new(
            "select x.export_id, p.pulp_id, p.pulp_type from core_exportedresource x \
             join core_publication p on p.pulp_id = x.object_id where x.export_id in ",
        );
        publications.push_list(rows.iter().map(Record::id)).push(" order by x.pulp_id");
        for (export, publication, kind) in db.all::<(Uuid, Uuid, String)>(publications).await? {
            found.entry(export).or_default().extend(cx.href_of(Target::PUBLICATION, publication, Some(&kind)));
        }
        Ok(rows.iter().map(|row| vec![json!(found.remove(&row.id()).unwrap_or_default())]).collect())
    }
}

/// The hrefs of an exporter’s repositories.
pub(super) struct Repositories;

#[async_trait]
impl Compute for Repositories {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select e.pulpexporter_id, r.pulp_id, r.pulp_type from core_pulpexporter_repositories e \
             join core_repository r on r.pulp_id = e.repository_id where e.pulpexporter_id in ",
        );
        sql.push_list(rows.iter().map(Record::id)).push(" order by r.pulp_id");
        let mut found: HashMap<Uuid, Vec<String>> = HashMap::new();
        for (exporter, id, kind) in cx.pulp().db().all::<(Uuid, Uuid, String)>(sql).await? {
            found.entry(exporter).or_default().extend(cx.href_of(Target::REPOSITORY, id, Some(&kind)));
        }
        Ok(rows.iter().map(|row| vec![json!(found.remove(&row.id()).unwrap_or_default())]).collect())
    }
}
