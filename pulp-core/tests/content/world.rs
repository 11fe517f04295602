//! Rows and files to serve, made directly.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use http::{HeaderMap, Method, Request, StatusCode};
use pulp_core::Pulp;
use pulp_core::clock::ManualClock;
use pulp_core::content::Change;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::digest::{Algorithm, hash_bytes};
use pulp_core::ids::new_id;
use pulp_core::storage::ArtifactPath;
use pulp_testkit::{Engine, Kit, Prepare};
use uuid::Uuid;

pub struct World {
    pub pulp: Pulp,
}

/// A response that was read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Result<Vec<u8>, String>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone().unwrap()).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl World {
    pub fn new(pulp: &Pulp) -> Self {
        Self { pulp: pulp.clone() }
    }

    /// Waits until notifications come through.
    pub async fn listens(&self) {
        let _listening = self.pulp.content();
        for word in ["once", "twice"] {
            let mut told = self.pulp.db().notifications();
            loop {
                self.pulp.db().notify("test", word).await.unwrap();
                match tokio::time::timeout(Duration::from_millis(100), told.recv()).await {
                    Ok(Ok(notification)) if notification.payload == word => break,
                    _ => {}
                }
            }
        }
    }

    pub async fn sql(&self, sql: Sql) {
        self.pulp.db().execute(sql).await.unwrap();
    }

    fn domain(&self) -> Uuid {
        self.pulp.default_domain().pulp_id
    }

    /// A stored file.
    pub async fn artifact(&self, bytes: &[u8]) -> Uuid {
        let spooled = self.pulp.spool().store(bytes.to_vec()).await.unwrap();
        let sha256 = spooled.sha256().unwrap();
        let path = ArtifactPath::of(&sha256);
        self.pulp.storage().adopt(spooled, &path).await.unwrap();
        let known = Sql::new("select pulp_id from core_artifact where sha256 = $1").bind(sha256.to_string());
        if let Some((known,)) = self.pulp.db().optional(known).await.unwrap() {
            return known;
        }
        let id = new_id();
        let sql = Sql::new(
            "insert into core_artifact (pulp_id, pulp_created, file, size, sha256, timestamp_of_interest, pulp_domain_id) \
             values ($1, $2, $3, $4, $5, $2, $6)",
        );
        let sql = sql.bind(id).bind(self.pulp.now()).bind(path.as_str()).bind(bytes.len() as i64).bind(sha256.to_string());
        self.sql(sql.bind(self.domain())).await;
        id
    }

    /// A unit with one file; without an artifact it is only known where to fetch it. Gives the unit and its content artifact.
    pub async fn unit(&self, path: &str, artifact: Option<Uuid>) -> (Uuid, Uuid) {
        let (content, file) = (new_id(), new_id());
        let now = self.pulp.now();
        let sql = Sql::new(
            "insert into core_content (pulp_id, pulp_created, pulp_type, timestamp_of_interest, pulp_domain_id) \
             values ($1, $2, 'file.file', $2, $3)",
        );
        self.sql(sql.bind(content).bind(now).bind(self.domain())).await;
        let sql = Sql::new(
            "insert into core_contentartifact (pulp_id, pulp_created, relative_path, artifact_id, content_id) \
             values ($1, $2, $3, $4, $5)",
        );
        self.sql(sql.bind(file).bind(now).bind(path).bind(artifact).bind(content)).await;
        (content, file)
    }

    pub async fn file(&self, path: &str, bytes: &[u8]) -> Uuid {
        let artifact = self.artifact(bytes).await;
        self.unit(path, Some(artifact)).await.0
    }

    pub async fn repository(&self, name: &str) -> Uuid {
        let id = new_id();
        let sql =
            Sql::new("insert into core_repository (pulp_id, pulp_created, pulp_type, name, pulp_domain_id) values ($1, $2, $3, $4, $5)");
        self.sql(sql.bind(id).bind(self.pulp.now()).bind("file.file").bind(name).bind(self.domain())).await;
        id
    }

    /// A version of a repository with these units more and these less.
    pub async fn version(&self, repository: Uuid, number: i64, add: &[Uuid], remove: &[Uuid]) -> Uuid {
        let id = new_id();
        let now = self.pulp.now();
        let sql = Sql::new(
            "insert into core_repositoryversion (pulp_id, pulp_created, repository_id, number, complete) values ($1, $2, $3, $4, $5)",
        );
        self.sql(sql.bind(id).bind(now).bind(repository).bind(number).bind(true)).await;
        for unit in add {
            let sql = Sql::new(
                "insert into core_repositorycontent (pulp_id, pulp_created, content_id, repository_id, version_added_id) \
                 values ($1, $2, $3, $4, $5)",
            );
            self.sql(sql.bind(new_id()).bind(now).bind(unit).bind(repository).bind(id)).await;
        }
        for unit in remove {
            let sql = Sql::new(
                "update core_repositorycontent set version_removed_id = $1 \
                 where repository_id = $2 and content_id = $3 and version_removed_id is null",
            );
            self.sql(sql.bind(id).bind(repository).bind(unit)).await;
        }
        id
    }

    pub async fn publication(&self, version: Uuid) -> Uuid {
        let id = new_id();
        let sql = Sql::new(
            "insert into core_publication (pulp_id, pulp_created, pulp_type, complete, pass_through, repository_version_id, pulp_domain_id) \
             values ($1, $2, 'file.file', $3, $3, $4, $5)",
        );
        self.sql(sql.bind(id).bind(self.pulp.now()).bind(true).bind(version).bind(self.domain())).await;
        id
    }

    /// Publishes a generated file.
    pub async fn metadata(&self, publication: Uuid, path: &str, bytes: &[u8]) {
        let artifact = self.artifact(bytes).await;
        let (content, _) = self.unit(path, Some(artifact)).await;
        let sql = Sql::new("insert into core_publishedmetadata (content_ptr_id, relative_path, publication_id) values ($1, $2, $3)");
        self.sql(sql.bind(content).bind(path).bind(publication)).await;
    }

    /// Publishes a unit's file at another path.
    pub async fn published(&self, publication: Uuid, path: &str, content_artifact: Uuid) {
        let sql = Sql::new(
            "insert into core_publishedartifact (pulp_id, pulp_created, relative_path, content_artifact_id, publication_id) \
             values ($1, $2, $3, $4, $5)",
        );
        self.sql(sql.bind(new_id()).bind(self.pulp.now()).bind(path).bind(content_artifact).bind(publication)).await;
    }

    /// A distribution; `points` names one of its columns and what it holds.
    pub async fn distribution(&self, base_path: &str, points: &[(&str, Uuid)]) -> Uuid {
        let id = new_id();
        let mut sql = Sql::new("insert into core_distribution (pulp_id, pulp_created, pulp_type, name, base_path, pulp_domain_id");
        for (column, _) in points {
            sql.push(format!(", {column}"));
        }
        sql.push(") values (").push_bind(id).push(", ").push_bind(self.pulp.now()).push(", 'file.file', ");
        sql.push_bind(base_path).push(", ").push_bind(base_path).push(", ").push_bind(self.domain());
        for (_, value) in points {
            sql.push(", ").push_bind(*value);
        }
        sql.push(")");
        self.sql(sql).await;
        Change::Distributions.announce(&self.pulp).await;
        id
    }

    /// A repository with these files, published and distributed at `base_path`.
    pub async fn served(&self, base_path: &str, files: &[(&str, &[u8])]) -> Uuid {
        let repository = self.repository(base_path).await;
        let mut units = Vec::new();
        for (path, bytes) in files {
            units.push(self.file(path, bytes).await);
        }
        let version = self.version(repository, 1, &units, &[]).await;
        self.publication(version).await;
        self.distribution(base_path, &[("repository_id", repository)]).await;
        repository
    }

    /// A remote that is asked once only.
    pub async fn remote(&self, url: &str, policy: &str) -> Uuid {
        let id = new_id();
        let sql = Sql::new(
            "insert into core_remote (pulp_id, pulp_created, pulp_type, name, url, policy, max_retries, pulp_domain_id) \
             values ($1, $2, 'file.file', $3, $4, $5, $6, $7)",
        );
        let sql = sql.bind(id).bind(self.pulp.now()).bind(id.to_string()).bind(url).bind(policy).bind(0);
        self.sql(sql.bind(self.domain())).await;
        id
    }

    /// A source of a file, with what its metadata says of the file.
    pub async fn source(&self, content_artifact: Uuid, remote: Uuid, url: &str, says: &[u8]) {
        let sql = Sql::new(
            "insert into core_remoteartifact (pulp_id, pulp_created, url, size, sha256, content_artifact_id, remote_id, pulp_domain_id) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        );
        let sql = sql.bind(new_id()).bind(self.pulp.now()).bind(url).bind(says.len() as i64).bind(sha256(says));
        self.sql(sql.bind(content_artifact).bind(remote).bind(self.domain())).await;
    }

    /// Publishes a unit at `/d/`.
    pub async fn publish(&self, units: &[Uuid]) {
        let repository = self.repository("d").await;
        let version = self.version(repository, 1, units, &[]).await;
        self.publication(version).await;
        self.distribution("d", &[("repository_id", repository)]).await;
    }

    pub async fn count(&self, what: &str) -> i64 {
        self.pulp.db().scalar(Sql::new(format!("select count(*) from {what}"))).await.unwrap()
    }

    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/pulp/content{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.pulp.content().handle(request.body(()).unwrap()).await;
        let (head, body) = response.into_parts();
        let body = body.read(64 << 20).await.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string());
        Answer { status: head.status, headers: head.headers, body }
    }

    /// The lines and bytes of an answer that needs nothing but memory.
    pub fn at_hand(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Option<(String, Vec<u8>)> {
        let mut request = Request::builder().method(method).uri(format!("/pulp/content{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.pulp.content().at_hand(&request.body(()).unwrap().into_parts().0)?;
        Some((String::from_utf8(answer.lines().to_vec()).unwrap(), answer.bytes().to_vec()))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[]).await
    }

    pub async fn status(&self, path: &str) -> u16 {
        self.get(path).await.status.as_u16()
    }

    pub async fn changed(&self, repository: Uuid) {
        Change::Repository(repository).announce(&self.pulp).await;
    }
}

/// A Pulp whose clock stands still.
pub struct Timed {
    pub kit: Kit,
    pub clock: ManualClock,
}

#[async_trait]
impl Prepare for Timed {
    async fn prepare(engine: Engine) -> Option<Self> {
        let clock = ManualClock::new(chrono::Utc::now());
        let kit = Kit::built(engine, |builder| builder.clock(clock.clone())).await?;
        Some(Self { kit, clock })
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    hash_bytes(&[Algorithm::Sha256], bytes).0.get(Algorithm::Sha256).unwrap().to_owned()
}

pub fn days(days: i64) -> TimeDelta {
    TimeDelta::days(days)
}
