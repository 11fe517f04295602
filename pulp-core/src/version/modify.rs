//! The tasks that change what is in a repository by hand.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{UnitRule, VersionDraft, announce, output, rules_of};
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Model, Repository, RepositoryVersion};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// Adds units to a repository and removes others: its `modify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddAndRemove {
    /// The repository.
    pub repository: Prn,
    /// Units to add.
    #[serde(default)]
    pub add_content_units: Vec<Uuid>,
    /// Units to remove.
    #[serde(default)]
    pub remove_content_units: Vec<Uuid>,
    /// Whether all units go before any is added (`*`).
    #[serde(default)]
    pub remove_all: bool,
    /// The version to start from; the latest if unset.
    #[serde(default)]
    pub base_version: Option<Uuid>,
    /// Whether an added unit may replace one that is there; refused otherwise.
    #[serde(default = "yes")]
    pub overwrite: bool,
}

fn yes() -> bool {
    true
}

impl AddAndRemove {
    /// Changes nothing yet.
    pub fn new(repository: Prn) -> Self {
        Self {
            repository,
            add_content_units: Vec::new(),
            remove_content_units: Vec::new(),
            remove_all: false,
            base_version: None,
            overwrite: true,
        }
    }

    /// Also adds these units.
    #[must_use]
    pub fn with(mut self, units: impl IntoIterator<Item = Uuid>) -> Self {
        self.add_content_units.extend(units);
        self
    }

    /// Also removes these units.
    #[must_use]
    pub fn remove(mut self, units: impl IntoIterator<Item = Uuid>) -> Self {
        self.remove_content_units.extend(units);
        self
    }
}

#[async_trait]
impl Task for AddAndRemove {
    const NAME: &'static str = "pulpcore.app.tasks.repository.add_and_remove";

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.repository)
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let version = self.apply(&cx).await?;
        output(&cx, version.as_ref()).await
    }
}

impl AddAndRemove {
    /// Makes the change as part of a task, which holds the repository exclusively. The new version, if anything has changed.
    ///
    /// # Errors
    /// What the rules of the repository say.
    pub async fn apply(&self, cx: &TaskContext) -> Result<Option<RepositoryVersion>> {
        let db = cx.pulp().db();
        let repository = Repository::find(db, self.repository.id).await?;
        let rules = rules_of(cx.pulp(), &repository)?;
        let base = match self.base_version {
            Some(base) => Some(RepositoryVersion::find(db, base).await?),
            None => None,
        };
        let mut draft = VersionDraft::begin(db, repository.pulp_id, base.as_ref(), cx.pulp().now()).await?;
        draft.held_by(cx);
        if let Err(error) = self.change(&mut draft, rules.unit_rules()).await {
            draft.discard().await?;
            return Err(error);
        }
        let version = draft.commit(rules.as_ref()).await?;
        if let Some(version) = &version {
            announce(cx, rules.as_ref(), version).await?;
        }
        Ok(version)
    }

    async fn change(&self, draft: &mut VersionDraft, rules: &[UnitRule]) -> Result<()> {
        if self.remove_all {
            draft.remove_all().await?;
        }
        draft.remove(&self.remove_content_units).await?;
        if !self.overwrite {
            for rule in rules {
                check_overwrite(draft, rule, &self.add_content_units).await?;
            }
        }
        hold(draft, &self.add_content_units).await?;
        draft.add(&self.add_content_units).await?;
        Ok(())
    }
}

/// Keeps units from orphan cleanup until they are in the draft, and makes sure that they are all there.
async fn hold(draft: &VersionDraft, units: &[Uuid]) -> Result<()> {
    let mut missing: HashSet<Uuid> = units.iter().copied().collect();
    for some in units.chunks(2_000) {
        let mut sql = Sql::new("update core_content set timestamp_of_interest = ");
        sql.push_bind(draft.now).push(" where pulp_id in ").push_list(some).push(" returning pulp_id");
        for unit in draft.db().column::<Uuid>(sql).await? {
            missing.remove(&unit);
        }
    }
    match missing.iter().next() {
        None => Ok(()),
        Some(unit) => Err(Error::not_found(format!("content unit {unit}"))),
    }
}

/// Refuses units that would replace others.
async fn check_overwrite(draft: &VersionDraft, rule: &UnitRule, units: &[Uuid]) -> Result<()> {
    let same: Vec<String> = rule.columns.iter().map(|column| format!("there.{column} = incoming.{column}")).collect();
    let mut replaced = Vec::new();
    for some in units.chunks(1_000) {
        let mut sql = Sql::new(format!(
            "select incoming.content_ptr_id, there.content_ptr_id from {table} incoming \
             join {table} there on {same} and there.content_ptr_id <> incoming.content_ptr_id \
             join core_repositorycontent held on held.content_id = there.content_ptr_id \
             where held.version_removed_id is null and held.repository_id = ",
            table = rule.table,
            same = same.join(" and "),
        ));
        sql.push_bind(draft.repository().pulp_id).push(" and incoming.content_ptr_id in ").push_list(some);
        replaced.extend(draft.db().all::<(Uuid, Uuid)>(sql).await?);
    }
    if replaced.is_empty() {
        return Ok(());
    }
    let pairs: Vec<String> = replaced.iter().take(20).map(|(incoming, there)| format!("{incoming}->{there}")).collect();
    Err(Error::Coded {
        code: "PLP0023",
        message: format!(
            "Content overwrite rejected: new content of type '{}' would overwrite {} existing content unit(s) in the repository with the same unique key. \
             Conflicting content (incoming->existing): [{}]",
            rule.pulp_type,
            replaced.len(),
            pairs.join(", ")
        ),
    })
}
