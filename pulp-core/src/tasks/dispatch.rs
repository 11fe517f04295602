//! Dispatch: a task becomes a row, its needs become reservations.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::hub::tell_others;
use super::{Resources, Task, TaskKind, Tasks, claim, presence, run};
use crate::db::{Executor, ExecutorExt, Sql, Tx, Value, rows_per_statement};
use crate::ids::{Prn, new_id};
use crate::model::{Domain, TaskRow, TaskState};
use crate::resource::access::{give_role, give_to_creator};
use crate::{Error, Result};

/// How a task is dispatched. The default: in the default domain, for nobody in particular.
#[derive(Debug, Clone, Default)]
pub struct DispatchOptions {
    /// The domain; the default one if unset.
    pub domain: Option<Arc<Domain>>,
    /// Needed beside what the task itself names.
    pub resources: Resources,
    /// The group it joins.
    pub group: Option<Uuid>,
    /// The task that dispatches it.
    pub parent: Option<Uuid>,
    /// The correlation id of the request; a new one if unset.
    pub cid: Option<String>,
    /// Who dispatches it.
    pub user: Option<i64>,
    /// Whether this process may run it at once, if what it needs is free; as the kind of task says if unset.
    pub immediate: Option<bool>,
    /// An immediate task that cannot be run at once is canceled instead of waiting for a worker.
    pub never_deferred: bool,
    /// What is to be recorded while it runs (`memory`), where the settings allow it (`TASK_DIAGNOSTICS`).
    pub diagnostics: Vec<String>,
}

impl DispatchOptions {
    /// Also needs this object for itself alone.
    #[must_use]
    pub fn exclusive(mut self, resource: impl ToString) -> Self {
        self.resources = self.resources.exclusive(resource);
        self
    }

    /// Also needs that nobody has this object for itself alone.
    #[must_use]
    pub fn shared(mut self, resource: impl ToString) -> Self {
        self.resources = self.resources.shared(resource);
        self
    }
}

/// What is to be inserted.
pub(super) struct Draft {
    name: &'static str,
    version: i64,
    args: Json,
    resources: Resources,
    immediate: bool,
    domain: Arc<Domain>,
    cid: String,
    options: DispatchOptions,
}

/// A task whose row is written and not committed yet.
#[must_use = "others must be told once it is committed"]
pub(super) struct Inserted {
    pub(super) row: TaskRow,
    /// What it waits for.
    blocked: Option<Resources>,
}

impl Tasks {
    /// Records a task; a worker will run it when what it needs is free. An [immediate](Task::IMMEDIATE) one is run right now, by
    /// this process, if that is free already: then the row shows how it ended.
    ///
    /// # Errors
    /// If the task’s kind is not registered, it cannot be serialised, or the database cannot be reached.
    pub async fn dispatch<T: Task>(&self, task: T, options: DispatchOptions) -> Result<TaskRow> {
        let draft = Draft::of(self, task, T::IMMEDIATE, options)?;
        let lease = if draft.immediate { Some(self.own_lease().await?) } else { None };
        let row = self.insert(draft, lease).await?;
        if row.state() != TaskState::Running {
            return Ok(row);
        }
        let id = row.pulp_id;
        // Detached: a client that goes away must not end the task halfway.
        let limit = Some(run::IMMEDIATE_LIMIT);
        let ended = tokio::spawn(run::run(self.pulp.clone(), row, limit)).await;
        ended.map_err(|error| Error::Internal(format!("an immediate task's runner ended: {error}")))?;
        self.find(id).await
    }

    /// Dispatches a task and runs it in this process, as soon as what it needs is free and unless a worker is faster; its row when
    /// it has ended. For programs that have no workers.
    ///
    /// # Errors
    /// As [`Tasks::dispatch`]. That the task failed is no error: look at the row.
    pub async fn run<T: Task>(&self, task: T, options: DispatchOptions) -> Result<TaskRow> {
        let lease = self.own_lease().await?;
        let mut work = self.pulp.hub().work();
        self.listen();
        let mut row = self.insert(Draft::of(self, task, true, options)?, Some(lease)).await?;
        let id = row.pulp_id;
        while row.state() == TaskState::Waiting {
            match claim::claim_one(&self.pulp, lease, id).await? {
                Some(claimed) => row = claimed,
                None => {
                    // The time-out only means: look again.
                    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), work.changed()).await;
                    row = self.find(id).await?;
                }
            }
        }
        if row.app_lock_id == Some(lease) && row.state() == TaskState::Running {
            let ended = tokio::spawn(run::run(self.pulp.clone(), row, None)).await;
            ended.map_err(|error| Error::Internal(format!("a task's runner ended: {error}")))?;
        }
        self.wait(id).await
    }

    /// Inserts a task: running under `lease` if that is given and nothing it needs is taken, else waiting.
    async fn insert(&self, draft: Draft, lease: Option<Uuid>) -> Result<TaskRow> {
        let tx = self.pulp.db().begin().await?;
        let inserted = draft.insert(self, &tx, lease).await?;
        tx.commit().await?;
        inserted.committed(self).await
    }
}

impl Draft {
    pub(super) fn of<T: Task>(tasks: &Tasks, task: T, immediate: bool, options: DispatchOptions) -> Result<Self> {
        if tasks.pulp.registry().find_task(T::NAME).is_none() {
            return Err(Error::Internal(format!("task {} is not registered: its plugin must call registry.task", T::NAME)));
        }
        let args =
            serde_json::to_string(&task).map_err(|error| Error::Internal(format!("task {} cannot be serialised: {error}", T::NAME)))?;
        Self::new(tasks, (T::NAME, T::VERSION), &args, &task.resources(), immediate, options)
    }

    /// Of a task in its serialised form; a worker will run it.
    pub(super) fn of_kind(tasks: &Tasks, kind: &TaskKind, args: &Json, options: DispatchOptions) -> Result<Self> {
        Self::new(tasks, (kind.name(), kind.version()), &args.to_string(), &kind.resources(args)?, false, options)
    }

    fn new(
        tasks: &Tasks,
        (name, version): (&'static str, i64),
        args: &str,
        needs: &Resources,
        immediate: bool,
        mut options: DispatchOptions,
    ) -> Result<Self> {
        let domain = options.domain.clone().unwrap_or_else(|| tasks.pulp.default_domain().clone());
        // They may hold the password of a remote.
        let args = Json::String(tasks.pulp.seal(args)?);
        // As Pulp does: whatever changes or removes a domain waits for the tasks in it.
        let resources = needs.clone().and(&options.resources).shared(Prn::new("core.domain", domain.pulp_id));
        let cid = options.cid.take().unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        let immediate = options.immediate.unwrap_or(immediate);
        Ok(Self { name, version, args, resources, immediate, domain, cid, options })
    }

    /// What it needs as it is recorded: its domain last, as Pulp has it.
    fn record(&self) -> Vec<String> {
        let domain = format!("shared:{}", Prn::new("core.domain", self.domain.pulp_id));
        let mut record = self.resources.to_record();
        record.sort_by_key(|entry| *entry == domain);
        record
    }

    /// Writes the row: running under `lease` if that is given and nothing it needs is taken, else waiting.
    pub(super) async fn insert(self, tasks: &Tasks, tx: &Tx, lease: Option<Uuid>) -> Result<Inserted> {
        let pulp = &tasks.pulp;
        let now = pulp.now();
        lock(tx, &self.resources).await?;
        let blocked = is_taken(tx, &self.resources).await?;
        let lease = lease.filter(|_| !blocked);
        let refused = blocked && self.immediate && self.options.never_deferred;
        let state = match lease {
            Some(_) => TaskState::Running,
            None if refused => TaskState::Canceled,
            None => TaskState::Waiting,
        };
        let error = refused.then(|| run::ended_from_outside("Resources temporarily unavailable."));
        let started = lease.map(|_| now);
        let record = self.record();
        let diagnostics = (!self.options.diagnostics.is_empty()).then(|| Json::from(self.options.diagnostics));
        let mut sql = Sql::new(
            "insert into core_task (pulp_id, pulp_created, pulp_last_updated, state, name, task_version, logging_cid, unblocked_at, started_at, finished_at, \
             error, args, versions, reserved_resources_record, immediate, deferred, profile_options, app_lock_id, fence, user_id, \
             parent_task_id, task_group_id, pulp_domain_id) values ",
        );
        sql.push_list::<Value>([
            new_id().into(),
            now.into(),
            now.into(),
            state.as_str().into(),
            self.name.into(),
            self.version.into(),
            self.cid.into(),
            (!blocked).then_some(now).into(),
            started.into(),
            refused.then_some(now).into(),
            error.into(),
            if refused { Json::Object(serde_json::Map::new()) } else { self.args }.into(),
            presence::versions(pulp).into(),
            Json::from(record).into(),
            self.immediate.into(),
            (!self.options.never_deferred).into(),
            diagnostics.into(),
            lease.into(),
            i64::from(lease.is_some()).into(),
            self.options.user.into(),
            self.options.parent.into(),
            self.options.group.into(),
            self.domain.pulp_id.into(),
        ]);
        sql.push(format!(" returning {}", TaskRow::COLUMNS));
        let row: TaskRow = tx.one(sql).await?;
        if !refused {
            reserve(tx, row.sequence, &self.resources).await?;
        }
        if let Some(user) = self.options.user {
            let task = ("core.task", row.pulp_id);
            give_to_creator(pulp, tx, Some(user), "tasks", task).await?;
            give_role(pulp, tx, user, "core.task_user_dispatcher", task).await?;
        }
        tell_others(tx, row.pulp_id, state).await?;
        Ok(Inserted { row, blocked: (blocked && !refused).then_some(self.resources) })
    }
}

impl Inserted {
    /// To be called once the row is committed.
    pub(super) async fn committed(self, tasks: &Tasks) -> Result<TaskRow> {
        if let Some(needs) = &self.blocked {
            // Whoever had it may have ended between our look and our commit, and not have seen us.
            claim::unblock_surely(&tasks.pulp, needs).await;
        }
        tasks.pulp.hub().tell(self.row.pulp_id, self.row.state());
        Ok(self.row)
    }
}

/// Makes dispatches that conflict wait for each other: the order of their sequence numbers must be that of their commits.
async fn lock(tx: &Tx, resources: &Resources) -> Result<()> {
    let mut keys: BTreeMap<i64, bool> = BTreeMap::new();
    for name in resources.shareds() {
        keys.entry(lock_key(name)).or_insert(false);
    }
    for name in resources.exclusives() {
        keys.insert(lock_key(name), true);
    }
    if let Some(text) = tx.dialect().advisory_locks(keys.values().copied()) {
        tx.rows(keys.keys().fold(Sql::new(text), |sql, key| sql.bind(*key))).await?;
    }
    Ok(())
}

/// Two names with one key only wait for each other needlessly.
fn lock_key(name: &str) -> i64 {
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}

/// Whether an unfinished task has reserved what conflicts with these needs.
async fn is_taken(tx: &Tx, resources: &Resources) -> Result<bool> {
    Ok(has_any(tx, "", resources.exclusives()).await? || has_any(tx, "exclusive and ", resources.shareds()).await?)
}

/// Whether one of these resources is reserved. The order says by which index to look: PostgreSQL would expect to find one among the first that it comes by,
/// and look through all.
async fn has_any<'a>(tx: &Tx, condition: &str, names: impl Iterator<Item = &'a str>) -> Result<bool> {
    let names: Vec<&str> = names.collect();
    for some in names.chunks(rows_per_statement(1)) {
        let (before, after) = tx.dialect().leads("resource");
        let mut sql = Sql::new(format!("select 1 from core_taskreservation where {condition}{before}"));
        for (at, name) in some.iter().enumerate() {
            sql.push(if at > 0 { ", " } else { "" }).push_bind(*name);
        }
        sql.push(after).push(" order by resource, task_sequence limit 1");
        if !tx.rows(sql).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn reserve(tx: &Tx, sequence: i64, resources: &Resources) -> Result<()> {
    let exclusives = resources.exclusives().map(|name| (name, true));
    let all: Vec<_> = exclusives.chain(resources.shareds().map(|name| (name, false))).collect();
    for some in all.chunks(rows_per_statement(3)) {
        let mut sql = Sql::new("insert into core_taskreservation (task_sequence, resource, exclusive) values ");
        sql.push_rows(some.iter().map(|(name, exclusive)| -> [Value; 3] { [sequence.into(), (*name).into(), (*exclusive).into()] }));
        tx.execute(sql).await?;
    }
    Ok(())
}
