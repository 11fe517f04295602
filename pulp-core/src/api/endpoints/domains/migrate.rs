//! Moving a domain to another storage.

use async_trait::async_trait;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Domain, backend};
use crate::resource::{ActionHandler, Context, Input, Reply};
use crate::storage::{ArtifactPath, NewFile};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// How many artifacts are looked up at a time.
const BATCH: i64 = 500;

/// `POST domains/migrate/`, of the domain in the path.
pub(super) struct Migrate;

#[async_trait]
impl ActionHandler for Migrate {
    async fn check(&self, cx: &Context) -> Result<()> {
        if cx.domain().name == Domain::DEFAULT {
            return Err(Error::BadRequest("Default domain can not be migrated.".to_owned()));
        }
        Ok(())
    }

    async fn handle(&self, cx: &Context, _: Option<Uuid>, input: Input) -> Result<Reply> {
        let class = input.text("storage_class").unwrap_or_default();
        let values = super::settings(cx, class, input.get("storage_settings").unwrap_or(&Json::Null), None)?;
        let settings = cx.pulp().seal_settings(&values)?;
        cx.dispatch(MigrateBackend { domain: cx.domain().pulp_id, class: class.to_owned(), settings }).await
    }
}

/// Copies all artifacts of a domain into another storage, then lets the domain use that.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MigrateBackend {
    domain: Uuid,
    class: String,
    /// Encrypted.
    settings: Json,
}

#[async_trait]
impl Task for MigrateBackend {
    const NAME: &'static str = "pulpcore.app.tasks.migrate.migrate_backend";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(Prn::new("core.domain", self.domain))
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let pulp = cx.pulp();
        let db = pulp.db();
        let values = pulp.unseal_settings(&self.settings)?;
        let to = match backend::open(&self.class, &values).await? {
            Some(storage) => storage,
            None => pulp.default_storage().clone(),
        };
        let total: i64 = db.scalar(Sql::new("select count(*) from core_artifact where pulp_domain_id = $1").bind(self.domain)).await?;
        let report = cx.progress("Migrating Artifacts", "migrate").total(total);
        let mut after = Uuid::nil();
        loop {
            let sql = Sql::new(
                "select pulp_id, file, sha256 from core_artifact where pulp_domain_id = $1 and pulp_id > $2 order by pulp_id limit $3",
            );
            let batch: Vec<(Uuid, String, String)> = db.all(sql.bind(self.domain).bind(after).bind(BATCH)).await?;
            let Some((last, ..)) = batch.last() else { break };
            after = *last;
            for (_, file, sha256) in &batch {
                let path: ArtifactPath =
                    file.parse().map_err(|_| Error::Internal(format!("the path of artifact {sha256} is none of ours")))?;
                copy(&cx, &path, sha256, &*to).await?;
                report.increase(1);
            }
        }
        report.finish();
        let report = cx.progress(format!("Update Domain({})'s Backend Settings", cx.domain().name), "update").total(1);
        let sql = Sql::new("update core_domain set storage_class = $1, storage_settings = $2, pulp_last_updated = $3 where pulp_id = $4");
        db.execute(sql.bind(&self.class).bind(self.settings.clone()).bind(pulp.now()).bind(self.domain)).await?;
        report.increase(1);
        report.finish();
        Ok(().into())
    }
}

/// Copies one file, unless it is there already; a damaged one is found out.
async fn copy(cx: &TaskContext, path: &ArtifactPath, sha256: &str, to: &dyn crate::storage::Storage) -> Result<()> {
    let from = cx.pulp().storage();
    if to.size(path).await.ok() == Some(from.size(path).await?) {
        return Ok(());
    }
    let mut file = cx.pulp().spool().create_with(NewFile::default());
    let mut bytes = from.open(path, None).await?;
    while let Some(chunk) = bytes.next().await {
        file.write(chunk?).await?;
    }
    let file = file.finish().await?;
    if !file.sha256()?.to_string().eq_ignore_ascii_case(sha256) {
        return Err(Error::Conflict(format!("the stored file of artifact {sha256} is damaged: repair it first, then migrate")));
    }
    Ok(to.adopt(file, path).await?)
}
