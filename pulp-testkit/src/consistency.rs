//! Whether a database and a store agree: what must hold when nothing is at work, whatever was killed before.
//!
//! The checker reads the database beside the server, by statements of its own, and every file. It changes nothing, and it tells all that it finds.
//!
//! ```no_run
//! # async fn example(program: pulp_testkit::Program) {
//! use std::time::Duration;
//! use pulp_testkit::Checker;
//!
//! let checker = Checker::of(&program).await;
//! // What a killed process left is there for an orphan cleanup to find, for so long.
//! checker.forgive(Duration::from_secs(3_600)).assert().await;
//! # }
//! ```

mod files;
mod layout;
mod reader;
mod rows;
mod tasks;
#[cfg(test)]
mod tests;
mod versions;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pulp_core::clock::Timestamp;
use pulp_core::db::{ExecutorExt, Sql};
use uuid::Uuid;

use crate::Program;
use reader::Reader;

/// What is wrong with one row or one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What does not hold; always the same words for the same rule.
    pub rule: &'static str,
    /// The row or the file, by name.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// Reads a database and a data directory, and tells where they disagree with each other or with themselves.
///
/// Domains that keep their files elsewhere are not looked at on disk.
#[derive(Debug)]
pub struct Checker {
    db: Reader,
    data: PathBuf,
    media: PathBuf,
    also: Vec<String>,
    forgiven: Duration,
}

impl Checker {
    /// Of a database (`sqlite:///…` or `postgres://…`) and a data directory, whose files lie in its directory `media`.
    ///
    /// # Panics
    /// When the database cannot be opened. So do the other methods when it cannot be read, or the directory.
    pub async fn new(database: &str, data_dir: &Path) -> Self {
        let db = Reader::open(database).await;
        let (data, media) = (data_dir.to_owned(), data_dir.join("media"));
        Self { db, data, media, also: Vec::new(), forgiven: Duration::ZERO }
    }

    /// Of a server's.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub async fn of(program: &Program) -> Self {
        Self::new(&program.database().url(), program.dir()).await.also("server.log")
    }

    /// A file that may lie in the data directory, beside those that a server makes.
    #[must_use]
    pub fn also(mut self, name: &str) -> Self {
        self.also.push(name.to_owned());
        self
    }

    /// Does not tell of what was left behind (files without a row, drafts of versions and publications) within so much time. Without it, nothing is
    /// forgiven: that is for after an orphan cleanup.
    #[must_use]
    pub fn forgive(mut self, age: Duration) -> Self {
        self.forgiven = age;
        self
    }

    /// All that is wrong, in order.
    pub async fn check(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        rows::check(&self.db, &mut findings).await;
        versions::check(self, &mut findings).await;
        tasks::check(self, &mut findings).await;
        files::check(self, &mut findings).await;
        findings.0.sort();
        findings.0.dedup();
        findings.0
    }

    /// Says that nothing is wrong.
    ///
    /// # Panics
    /// With all that is.
    pub async fn assert(&self) {
        let found = self.check().await;
        let lines: Vec<String> = found.iter().map(Finding::to_string).collect();
        assert!(found.is_empty(), "database and store do not agree:\n{}", lines.join("\n"));
    }

    /// What was left before this moment is told.
    fn before(&self) -> Timestamp {
        Timestamp::from(SystemTime::now().checked_sub(self.forgiven).unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, rule: &'static str, what: impl Into<String>) {
        self.0.push(Finding { rule, what: what.into() });
    }

    /// Every row that a statement gives breaks the rule: a name, and the key of a row.
    async fn rows(&mut self, db: &Reader, rule: &'static str, name: &str, sql: impl Into<Sql>) {
        let keys: Vec<Uuid> = db.column(sql.into()).await.unwrap_or_else(|error| panic!("{rule}: {error}"));
        for key in keys {
            self.add(rule, format!("{name} {key}"));
        }
    }
}
