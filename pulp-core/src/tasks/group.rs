//! Task groups: tasks that belong together, and progress that they report together.

use uuid::Uuid;

use super::{TaskContext, Tasks};
use crate::clock::Timestamp;
use crate::db::{Executor, ExecutorExt, Sql};
use crate::ids::new_id;
use crate::model::{Domain, Model, TaskGroup, TaskRow};
use crate::{Error, Result};

/// A line of progress that all tasks of a group move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupProgress {
    /// For people.
    pub message: String,
    /// For scripts; unique in the group.
    pub code: String,
    /// How much there is to do.
    pub total: i64,
    /// What `done` counts.
    pub suffix: Option<String>,
}

impl Tasks {
    /// Makes a group. Name it in [`DispatchOptions::group`](super::DispatchOptions::group).
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn create_group(&self, domain: &Domain, description: &str, progress: &[GroupProgress]) -> Result<TaskGroup> {
        let now = self.pulp.now();
        let tx = self.pulp.db().begin().await?;
        let insert = Sql::new(
            "insert into core_taskgroup (pulp_id, pulp_created, pulp_last_updated, description, pulp_domain_id) values ($1, $2, $2, $3, $4) \
             returning *",
        );
        let group: TaskGroup = tx.one(insert.bind(new_id()).bind(now).bind(description).bind(domain.pulp_id)).await?;
        for line in progress {
            add_progress(&tx, group.pulp_id, line, now).await?;
        }
        tx.commit().await?;
        Ok(group)
    }

    /// Adds a line of progress to a group: what there is to do may show only when its first task runs.
    ///
    /// # Errors
    /// If the database cannot be reached, or the group has the line already.
    pub async fn add_group_progress(&self, group: Uuid, line: &GroupProgress) -> Result<()> {
        add_progress(self.pulp.db(), group, line, self.pulp.now()).await
    }

    /// Notes that no more tasks will join a group.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such group.
    pub async fn complete_group(&self, id: Uuid) -> Result<()> {
        let sql = Sql::new("update core_taskgroup set all_tasks_dispatched = true, pulp_last_updated = $2 where pulp_id = $1");
        match self.pulp.db().execute(sql.bind(id).bind(self.pulp.now())).await? {
            0 => Err(Error::not_found(format!("task group {id}"))),
            _ => Ok(()),
        }
    }

    /// Cancels all tasks of a group that have not ended; their rows.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such group, [`Error::Conflict`] if all of its tasks have ended.
    pub async fn cancel_group(&self, id: Uuid) -> Result<Vec<TaskRow>> {
        TaskGroup::find(self.pulp.db(), id).await?;
        let sql = Sql::new(
            "select pulp_id from core_task where task_group_id = $1 and state in ('waiting', 'running', 'canceling') order by sequence desc",
        );
        // The last first: none is started only because one before it was cancelled.
        let unfinished: Vec<Uuid> = self.pulp.db().column(sql.bind(id)).await?;
        if unfinished.is_empty() {
            return Err(Error::Conflict(format!("all tasks of task group {id} have ended already: it cannot be canceled")));
        }
        let mut rows = Vec::with_capacity(unfinished.len());
        for task in unfinished {
            match self.cancel(task).await {
                Ok(row) => rows.push(row),
                // It ended meanwhile.
                Err(Error::Conflict(_) | Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }
}

async fn add_progress<E: Executor + ?Sized>(executor: &E, group: Uuid, line: &GroupProgress, now: Timestamp) -> Result<()> {
    let insert = Sql::new(
        "insert into core_groupprogressreport (pulp_id, pulp_created, pulp_last_updated, message, code, total, suffix, task_group_id) \
         values ($1, $2, $2, $3, $4, $5, $6, $7)",
    );
    let insert = insert.bind(new_id()).bind(now).bind(&line.message).bind(&line.code).bind(line.total);
    executor.execute(insert.bind(line.suffix.clone()).bind(group)).await?;
    Ok(())
}

impl TaskContext {
    /// Moves a line of progress of this task’s group by so much; nothing happens without a group.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn group_progress<E: Executor + ?Sized>(&self, executor: &E, code: &str, by: i64) -> Result<()> {
        if let Some(group) = self.group() {
            let sql = Sql::new(
                "update core_groupprogressreport set done = done + $1, pulp_last_updated = $2 where task_group_id = $3 and code = $4",
            );
            executor.execute(sql.bind(by).bind(self.pulp().now()).bind(group).bind(code)).await?;
        }
        Ok(())
    }
}
