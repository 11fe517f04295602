//! What the list over all content shows beside what every unit has.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::Result;
use crate::db::{ExecutorExt, Sql};
use crate::resource::{Compute, Context, Record, Target};

/// The hrefs of a unit’s artifacts by path; null where a file is not here yet.
pub(super) struct Artifacts;

#[async_trait]
impl Compute for Artifacts {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new("select content_id, relative_path, artifact_id from core_contentartifact where content_id in ");
        sql.push_list(rows.iter().map(Record::id)).push(" order by relative_path");
        let mut all: HashMap<Uuid, Map<String, Json>> = HashMap::new();
        for (unit, path, artifact) in cx.pulp().db().all::<(Uuid, String, Option<Uuid>)>(sql).await? {
            let href = artifact.and_then(|id| cx.href_of(Target::ARTIFACT, id, None)).map_or(Json::Null, Json::from);
            all.entry(unit).or_default().insert(path, href);
        }
        Ok(rows.iter().map(|row| vec![Json::Object(all.remove(&row.id()).unwrap_or_default())]).collect())
    }
}
