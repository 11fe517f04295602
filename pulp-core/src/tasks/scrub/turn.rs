//! Whose turn it is: one slice of the scrub after the other, from whichever process notices first.

use chrono::TimeDelta;
use uuid::Uuid;

use super::super::dispatch::Draft;
use super::{Scrub, is_due};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{ExecutorExt, Sql};
use crate::model::{ScrubState, TaskState};
use crate::tasks::{DispatchOptions, Task as _, Tasks};

/// After a slice that has failed.
const PAUSE: TimeDelta = TimeDelta::hours(1);

/// For how long slices that went well are kept: there is one a minute.
const KEPT: TimeDelta = TimeDelta::days(1);

/// Such rows that are removed in one go.
const BATCH: i64 = 1_000;

impl Tasks {
    /// Dispatches the next slice of the scrub, if it is its time and none is waiting or running; the task. Any number of processes may do
    /// it at the same time: one of them does.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn dispatch_scrub(&self) -> Result<Option<Uuid>> {
        let (db, settings, now) = (self.pulp.db(), self.pulp.settings(), self.pulp.now());
        if settings.scrub_bytes_per_second == 0 {
            return Ok(None);
        }
        let state = ScrubState::read(db).await?;
        if !state.is_under_way() && !is_due(&state, settings, now) || !self.scrub_is_free(&state, now).await? {
            return Ok(None);
        }
        self.forget_slices(now).await?;
        let draft = Draft::of(self, Scrub::default(), false, DispatchOptions::default())?;
        let tx = db.begin().await?;
        let turn = Sql::new("update core_scrub set turns = turns + 1 where id = 1 and turns = $1").bind(state.turns);
        // Another process may have been faster.
        if tx.execute(turn).await? == 0 {
            return Ok(None);
        }
        let inserted = draft.insert(self, &tx, None).await?;
        let note = Sql::new("update core_scrub set task_id = $1 where id = 1").bind(inserted.row.pulp_id);
        tx.execute(note).await?;
        tx.commit().await?;
        Ok(Some(inserted.committed(self).await?.pulp_id))
    }

    /// Whether no task of the kind is waiting or running, and the last of our own has not failed lately.
    async fn scrub_is_free(&self, state: &ScrubState, now: Timestamp) -> Result<bool> {
        let db = self.pulp.db();
        let busy = Sql::new("select 1 as one from core_taskreservation where resource = $1 limit 1").bind(Scrub::RESOURCE);
        if db.optional::<(i32,)>(busy).await?.is_some() {
            return Ok(false);
        }
        let Some(last) = state.task_id else { return Ok(true) };
        let sql = Sql::new("select state, finished_at from core_task where pulp_id = $1").bind(last);
        let ended: Option<(String, Option<Timestamp>)> = db.optional(sql).await?;
        Ok(ended.is_none_or(|(state, ended)| state == TaskState::Completed.as_str() || ended.is_some_and(|ended| ended + PAUSE <= now)))
    }

    /// Removes the rows of slices that went well.
    async fn forget_slices(&self, now: Timestamp) -> Result<()> {
        let sql = Sql::new(
            "delete from core_task where pulp_id in (select pulp_id from core_task where name = $1 and state = 'completed' \
             and user_id is null and pulp_created < $2 order by pulp_created limit $3)",
        );
        self.pulp.db().execute(sql.bind(Scrub::NAME).bind(now - KEPT).bind(BATCH)).await?;
        Ok(())
    }
}
