//! What was recorded while a task ran.

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use sqlx::FromRow;
use uuid::Uuid;

use crate::db::{ExecutorExt, Sql};
use crate::model::Artifact;
use crate::plugin::Registry;
use crate::resource::{Action, ActionHandler, Context, Field, Input, Kind, Reply, Returns};
use crate::{Error, Result};

/// `GET tasks/{id}/profile_artifacts/`.
pub(super) fn action(registry: &mut Registry) -> Action {
    let urls = Field::new("urls", Kind::Dictionary).required().keyword("additionalProperties", json!({"type": "string", "format": "uri"}));
    registry.component("ProfileArtifact", [urls.help("Addresses of files, by what they tell; they hold for an hour.")]);
    Action::get("profile_artifacts", Returns::Component(200, "ProfileArtifact"), ProfileArtifacts)
        .help("Where to fetch what `X-Task-Diagnostics` had recorded while the task ran.")
}

struct ProfileArtifacts;

#[derive(FromRow)]
struct Recorded {
    profile: String,
    #[sqlx(flatten)]
    artifact: Artifact,
}

#[async_trait]
impl ActionHandler for ProfileArtifacts {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, _: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::not_found("task"))?;
        let sql = Sql::new(
            "select profile.name as profile, artifact.* from core_profileartifact profile \
             join core_artifact artifact on artifact.pulp_id = profile.artifact_id where profile.task_id = $1 order by profile.name",
        );
        let mut urls = Map::new();
        for recorded in cx.pulp().db().all::<Recorded>(sql.bind(id)).await? {
            let url = cx.pulp().artifact_url(cx.domain(), &recorded.artifact).await?;
            let url = if url.starts_with('/') { format!("{}{url}", cx.origin().unwrap_or_default()) } else { url };
            urls.insert(recorded.profile, Json::String(url));
        }
        Ok(Reply::Json(StatusCode::OK, json!({ "urls": urls })))
    }
}
