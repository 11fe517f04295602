//! Several processes of a server as they would be on several machines: what they share is a PostgreSQL, a bucket and a key.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use pulp_migrations::{CERTGUARD, CORE, FILE};

use crate::{Balancer, Client, Engine, Launch, Process, Program, S3Server, TestDatabase};

/// How long the processes may take to stop.
const STOP: Duration = Duration::from_secs(60);

/// How many processes there are of each kind.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Those that answer the API.
    pub api: usize,
    /// Those that serve content.
    pub content: usize,
    /// Those that run tasks.
    pub workers: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { api: 2, content: 2, workers: 3 }
    }
}

/// Processes of a server, each with one role and a directory of its own, behind a [`Balancer`]; all end with their handle.
#[derive(Debug)]
pub struct Cluster {
    balancer: Balancer,
    api: Vec<Process>,
    content: Vec<Process>,
    workers: Vec<Process>,
    program: Program,
    s3: S3Server,
}

impl Cluster {
    /// Starts it, with its proxy on this port (0: one that the system chooses). `None` where PostgreSQL is not installed, and need not
    /// be.
    ///
    /// # Panics
    /// When something of it does not start.
    pub async fn start(binary: impl Into<PathBuf>, sizes: Sizes, port: u16) -> Option<Self> {
        let database = TestDatabase::migrated(Engine::Postgres, &[CORE, CERTGUARD, FILE]).await?;
        let (s3, balancer) = (S3Server::start().await, Balancer::start(port).await);
        let key = database.dir().join("shared.key");
        let mut program = Program::on(binary, database).await;
        for (name, value) in s3.configuration() {
            program = program.setting(name, value);
        }
        let program = program
            .setting("db_encryption_key", key.display())
            .setting("content_origin", balancer.url())
            .setting("worker_ttl", 5)
            .setting("database_connections", 6);
        let start = async |role: &str, count: usize| {
            let launches: Vec<Launch> = (0..count).map(|number| Launch::roles(role).directory(&format!("{role}-{number}"))).collect();
            join_all(launches.iter().map(|launch| program.start_as(launch))).await
        };
        // One alone first: it makes the key.
        let mut api = start("api", sizes.api.min(1)).await;
        for number in api.len()..sizes.api {
            api.push(program.start_as(&Launch::roles("api").directory(&format!("api-{number}"))).await);
        }
        let content = start("content", sizes.content).await;
        let workers = start("worker", sizes.workers).await;
        balancer.api(api.iter().map(Process::address).collect());
        balancer.content(content.iter().map(Process::address).collect());
        Some(Self { balancer, api, content, workers, program, s3 })
    }

    /// The one address of all.
    #[must_use]
    pub fn url(&self) -> String {
        self.balancer.url()
    }

    /// A client of it that may do everything.
    #[must_use]
    pub fn client(&self) -> Client {
        self.program.client(&self.url())
    }

    /// Where the stored files are.
    #[must_use]
    pub fn bucket(&self) -> &S3Server {
        &self.s3
    }

    /// All processes: API, content, workers.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.api.iter().chain(&self.content).chain(&self.workers)
    }

    /// Stops all of them in good order: those that take requests before those that run tasks.
    ///
    /// # Panics
    /// When one does not stop, or not well.
    pub async fn stop(self) {
        self.balancer.api(Vec::new());
        self.balancer.content(Vec::new());
        for group in [self.api, self.content, self.workers] {
            for status in join_all(group.into_iter().map(|process| process.terminate(STOP))).await {
                assert!(status.success(), "{status}");
            }
        }
    }
}
