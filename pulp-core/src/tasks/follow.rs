//! Following one task: what happens to it, as it happens, whichever process runs it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{TaskEvent, Tasks};
use crate::clock::Timestamp;
use crate::db::{DbError, ExecutorExt, Sql};
use crate::model::{LogLine, ProgressRow, TaskRow, TaskState};
use crate::{Error, Pulp, Result};

/// How long to trust that a change of state is told before looking for oneself. Progress is never told: it is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How many may follow tasks in one process.
const FOLLOWERS: usize = 1_000;

/// How many reports, and how many lines, are read in one go; what is beyond comes with the next.
const AT_ONCE: usize = 200;

/// What [`Follow`] tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum News {
    /// The task is in another state than before, or this is the first that is told of it.
    State(Box<TaskRow>),
    /// A line of progress has moved.
    Progress(ProgressRow),
    /// The task has written a line.
    Line(LogLine),
    /// The task has ended; nothing follows.
    Ended(Box<TaskRow>),
    /// There is no such task any more; nothing follows.
    Gone,
}

/// Who may follow, and until when.
#[derive(Debug)]
pub(super) struct Followers {
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Default for Followers {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(FOLLOWERS)), closing: CancellationToken::new() }
    }
}

/// Follows one task. It holds the news that were not taken yet, some hundred at most, and looks for more only when it is asked.
#[derive(Debug)]
pub struct Follow {
    pulp: Pulp,
    task: Uuid,
    told: broadcast::Receiver<TaskEvent>,
    /// What is told of is at this moment, or later.
    since: Option<Timestamp>,
    /// Of this moment, the reports and lines that were told of.
    at: HashSet<Uuid>,
    state: Option<TaskState>,
    news: VecDeque<News>,
    /// Whether there may be more already, so that nobody has to wait for it.
    more: bool,
    ended: bool,
    following: Following,
}

/// Leave to wait for what happens to a task.
#[derive(Debug)]
pub(super) struct Following {
    closing: CancellationToken,
    _room: OwnedSemaphorePermit,
}

impl Following {
    /// Until the process stops.
    pub(super) async fn closed(&self) {
        self.closing.cancelled().await;
    }
}

impl Tasks {
    /// Follows a task from now on. With `since`, progress that was made before it is not told of; what was made at that very moment is.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many follow tasks in this process.
    pub fn follow(&self, task: Uuid, since: Option<Timestamp>) -> Result<Follow> {
        let told = self.events();
        let following = self.may_follow().ok_or_else(|| Error::Busy("too many follow tasks here; try again later".to_owned()))?;
        Ok(Follow {
            pulp: self.pulp.clone(),
            task,
            told,
            since,
            at: HashSet::new(),
            state: None,
            news: VecDeque::new(),
            more: true,
            ended: false,
            following,
        })
    }

    /// Nothing if too many wait in this process.
    pub(super) fn may_follow(&self) -> Option<Following> {
        let followers = &self.pulp.hub().followers;
        let room = Arc::clone(&followers.room).try_acquire_owned().ok()?;
        Some(Following { closing: followers.closing.clone(), _room: room })
    }

    /// Ends all [`Follow`]s of this process, and those that begin later: a server that stops must not wait for who listens.
    pub fn stop_following(&self) {
        self.pulp.hub().followers.closing.cancel();
    }
}

impl Follow {
    /// The next news; nothing after the last, or when the process stops. Dropped before it is ready, it loses nothing.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Some(news);
            }
            if self.ended {
                return None;
            }
            if !std::mem::take(&mut self.more) && !self.wait().await {
                return None;
            }
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = self.following.closed() => return None,
            };
            match looked {
                Ok(look) => self.take(look),
                // The database comes back.
                Err(error) => tracing::debug!(%error, task = %self.task, "a task that somebody follows could not be looked at"),
            }
        }
    }

    /// The moment from which on the news are that were not told of: to be given to [`Tasks::follow`] by who goes on later.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Until there may be news; whether there may be.
    async fn wait(&mut self) -> bool {
        let (told, task) = (&mut self.told, self.task);
        let told = async {
            loop {
                match told.recv().await {
                    Ok(event) if event.task == task => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    // The sender lives in the handle that we hold.
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = told => true,
            () = tokio::time::sleep(LOOK_AGAIN) => true,
            () = self.following.closed() => false,
        }
    }

    async fn look(&self) -> Result<Look, DbError> {
        let db = self.pulp.db();
        // The task first: what it reported before its end is there then.
        let row = db.optional::<TaskRow>(Sql::new("select * from core_task where pulp_id = $1").bind(self.task)).await?;
        let limit = AT_ONCE + self.at.len();
        let since = |table: &str, moment: &str| {
            let mut sql = Sql::new(format!("select * from {table} where task_id = "));
            sql.push_bind(self.task);
            if let Some(since) = self.since {
                sql.push(format!(" and {moment} >= ")).push_bind(since);
            }
            sql.push(format!(" order by {moment}, pulp_id limit {limit}"));
            sql
        };
        let reports: Vec<ProgressRow> = db.all(since("core_progressreport", "pulp_last_updated")).await?;
        let lines: Vec<LogLine> = db.all(since("core_tasklogline", "pulp_created")).await?;
        Ok(Look { row, written: Written::of(reports, lines, limit) })
    }

    fn take(&mut self, look: Look) {
        let Some(row) = look.row else {
            self.ended = true;
            self.news.push_back(News::Gone);
            return;
        };
        let state = row.state();
        if self.state != Some(state) {
            self.state = Some(state);
            self.news.push_back(News::State(Box::new(row.clone())));
        }
        self.more = look.written.more;
        for Entry { moment, id, news } in look.written.entries {
            if self.since.is_none_or(|since| moment > since) {
                self.since = Some(moment);
                self.at.clear();
            }
            if self.at.insert(id) {
                self.news.push_back(news);
            }
        }
        if state.is_final() && !self.more {
            self.ended = true;
            self.news.push_back(News::Ended(Box::new(row)));
        }
    }
}

struct Look {
    row: Option<TaskRow>,
    written: Written,
}

/// What a task has written, in the order in which it was.
struct Written {
    entries: Vec<Entry>,
    /// Whether there is more than was read.
    more: bool,
}

struct Entry {
    moment: Timestamp,
    id: Uuid,
    news: News,
}

impl Written {
    /// Of reports and lines up to a limit each: where that was reached, nothing of a later moment, which something may come before.
    fn of(reports: Vec<ProgressRow>, lines: Vec<LogLine>, limit: usize) -> Self {
        let report = |row: ProgressRow| Entry {
            moment: row.pulp_last_updated.unwrap_or(row.pulp_created),
            id: row.pulp_id,
            news: News::Progress(row),
        };
        let line = |row: LogLine| Entry { moment: row.pulp_created, id: row.pulp_id, news: News::Line(row) };
        let kinds: [Vec<Entry>; 2] = [reports.into_iter().map(report).collect(), lines.into_iter().map(line).collect()];
        let reached = kinds.iter().filter(|entries| entries.len() >= limit).filter_map(|entries| Some(entries.last()?.moment)).min();
        let mut entries: Vec<Entry> =
            kinds.into_iter().flatten().filter(|entry| reached.is_none_or(|reached| entry.moment <= reached)).collect();
        entries.sort_by_key(|entry| entry.moment);
        Self { entries, more: reached.is_some() }
    }
}
