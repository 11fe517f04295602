//! The processes, and how they are treated.

use std::time::Duration;

use async_trait::async_trait;
use pulp_migrations::{CERTGUARD, CORE, FILE};
use pulp_testkit::{Engine, Gate, Launch, Prepare, Process, Program, TestDatabase};

use crate::probe::MIGRATIONS;

/// Seconds without a sign of life after which a process counts as gone.
pub const TTL: u64 = 2;

/// The servers of one test, on one database and one directory.
pub struct Servers(pub Program);

#[async_trait]
impl Prepare for Servers {
    async fn prepare(engine: Engine) -> Option<Self> {
        let database = TestDatabase::migrated(engine, &[CORE, CERTGUARD, FILE, MIGRATIONS]).await?;
        let program = Program::on(std::env::current_exe().expect("this program"), database).await;
        let program = program.arguments(&["process", "--exact", "--ignored", "--nocapture", "--"]);
        let program = program.setting("worker_ttl", TTL).setting("api_app_ttl", TTL).setting("database_connections", 6);
        Some(Self(program.setting("access_log", false).setting("log_level", "warn").setting("orphan_protection_time", 0)))
    }
}

impl Drop for Servers {
    /// When the test fails, what the servers have complained of.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.0.dir().join("server.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("The servers’ last complaints:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

impl Servers {
    /// One process in these roles, whose way to the database can be blocked.
    pub async fn one(&self, roles: &str) -> One<'_> {
        let postgres = self.0.database().postgres().expect("a PostgreSQL");
        let gate = postgres.gate().await;
        let launch = Launch::roles(roles).database(postgres.url_by(gate.port()));
        let process = self.0.start_as(&launch).await;
        One { program: &self.0, launch, gate, process }
    }
}

/// A process, and those that come after it when it dies.
pub struct One<'p> {
    program: &'p Program,
    launch: Launch,
    pub gate: Gate,
    pub process: Process,
}

/// What can befall a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// SIGKILL; the next one is started at once.
    Killed,
    /// SIGSTOP for so long, SIGCONT.
    Stopped(Duration),
    /// Nothing of what it sends or should hear arrives for so long; then all of it.
    Held(Duration),
    /// The same, and then the connections break.
    Lost(Duration),
    /// Its connections break, and it gets no others for so long.
    Cut(Duration),
}

impl Mishap {
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Stopped(_) => "stopped",
            Self::Held(_) => "held back",
            Self::Lost(_) => "held back and cut off",
            Self::Cut(_) => "cut off",
        }
    }
}

impl One<'_> {
    pub async fn suffer(&mut self, mishap: Mishap) {
        match mishap {
            Mishap::Killed => {
                let next = self.program.start_as(&self.launch);
                self.process.end().await;
                self.process = next.await;
            }
            Mishap::Stopped(time) => {
                self.process.pause().await;
                tokio::time::sleep(time).await;
                self.process.go_on().await;
            }
            Mishap::Held(time) => {
                self.gate.hold();
                tokio::time::sleep(time).await;
                self.gate.open();
            }
            Mishap::Lost(time) => {
                self.gate.hold();
                tokio::time::sleep(time).await;
                self.gate.cut();
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.gate.open();
            }
            Mishap::Cut(time) => {
                self.gate.cut();
                tokio::time::sleep(time).await;
                self.gate.open();
            }
        }
    }
}
