//! The record of who changed what, and when.
//!
//! Requests only leave a note; notes are written together, some moments later, so that no request waits for it. What a process that is
//! killed takes with it are the notes of those moments; one that is stopped writes them first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use uuid::Uuid;

use crate::Pulp;
use crate::clock::Timestamp;
use crate::db::{DbError, ExecutorExt, Sql, Value, rows_per_statement};
use crate::ids::new_id;

/// How long a note waits for others at most.
const DELAY: Duration = Duration::from_millis(500);
/// Notes that wait at most while the database is away; then the oldest go to the log alone.
const MOST: usize = 10_000;
/// Old records that are removed at once.
const BATCH: u64 = 1_000;

/// One change, or the attempt at one.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub(crate) at: Timestamp,
    /// Key and name of who asked.
    pub(crate) user: (i64, String),
    /// How that was known.
    pub(crate) authentication: &'static str,
    /// The token, where it was known by one.
    pub(crate) token: Option<Uuid>,
    /// The other end of the connection.
    pub(crate) remote_address: Option<String>,
    /// For whom a proxy says that it asks; nobody vouches for it.
    pub(crate) forwarded_for: Option<String>,
    pub(crate) correlation_id: String,
    pub(crate) method: String,
    /// The path with names in the place of keys: `repositories/file/file/{id}/`.
    pub(crate) operation: String,
    pub(crate) path: String,
    /// The href of what was made or changed.
    pub(crate) object: Option<String>,
    /// Of the answer, if the client waited for it.
    pub(crate) status: Option<u16>,
    /// The href of the task that goes on with it.
    pub(crate) task: Option<String>,
}

/// The notes that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    waiting: Mutex<Waiting>,
    writing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    notes: Vec<Note>,
    /// Whether somebody will come and write them.
    expected: bool,
}

impl Audit {
    /// Leaves a note, which is written soon.
    pub(crate) fn note(&self, pulp: &Pulp, note: Note) {
        let mut waiting = self.waiting();
        waiting.notes.push(note);
        let expected = std::mem::replace(&mut waiting.expected, true);
        drop(waiting);
        if let Some(runtime) = Handle::try_current().ok().filter(|_| !expected) {
            let pulp = pulp.clone();
            runtime.spawn(async move {
                tokio::time::sleep(DELAY).await;
                pulp.flush_audit().await;
            });
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *self.waiting()).notes
    }

    /// Puts back what could not be written: the next note takes it along.
    fn put_back(&self, mut notes: Vec<Note>) {
        let mut waiting = self.waiting();
        notes.append(&mut waiting.notes);
        for lost in notes.drain(..notes.len().saturating_sub(MOST)) {
            tracing::error!(?lost, "a record of a change could not be written, and is lost");
        }
        waiting.notes = notes;
    }
}

impl Pulp {
    /// Writes what this process has noted of changes: who stops it, and who reads the record, does this first.
    pub async fn flush_audit(&self) {
        let _writing = self.audit().writing.lock().await;
        let notes = self.audit().take();
        if notes.is_empty() {
            return;
        }
        if let Err(error) = write(self, &notes).await {
            tracing::warn!(%error, count = notes.len(), "records of changes could not be written; they are kept for the next time");
            self.audit().put_back(notes);
        }
    }

    /// Removes records that are older than `AUDIT_RETENTION_DAYS`.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub(crate) async fn forget_audit(&self) -> Result<(), DbError> {
        let days = self.settings().audit_retention_days;
        let age = chrono::TimeDelta::try_days(days).filter(|_| days > 0);
        let Some(before) = age.and_then(|age| self.now().checked_sub_signed(age)) else { return Ok(()) };
        // Other writers get their turn in between.
        let some = format!("select pulp_id from core_auditrecord where pulp_created < $1 limit {BATCH}");
        let old = Sql::new(format!("delete from core_auditrecord where pulp_id in ({some})")).bind(before);
        while self.db().execute(old.clone()).await? == BATCH {}
        Ok(())
    }
}

const COLUMNS: &str = "pulp_id, pulp_created, user_id, username, authentication, token_id, remote_address, forwarded_for, correlation_id, \
                       method, operation, path, object, status, task";

async fn write(pulp: &Pulp, notes: &[Note]) -> Result<(), DbError> {
    let tx = pulp.db().begin().await?;
    for some in notes.chunks(rows_per_statement(15)) {
        let mut sql = Sql::new(format!("insert into core_auditrecord ({COLUMNS}) values "));
        sql.push_rows(some.iter().map(row));
        tx.execute(sql).await?;
    }
    tx.commit().await
}

fn row(note: &Note) -> [Value; 15] {
    let text = |text: &Option<String>| Value::Text(text.clone());
    [
        new_id().into(),
        note.at.into(),
        note.user.0.into(),
        (&note.user.1).into(),
        note.authentication.into(),
        note.token.into(),
        text(&note.remote_address),
        text(&note.forwarded_for),
        (&note.correlation_id).into(),
        (&note.method).into(),
        (&note.operation).into(),
        (&note.path).into(),
        text(&note.object),
        note.status.map(i64::from).into(),
        text(&note.task),
    ]
}
