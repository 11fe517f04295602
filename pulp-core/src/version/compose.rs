//! A version that is made of others, as sets are.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::draft::KEYS;
use super::members::push_has;
use super::{Members, VersionDraft, announce, output, rules_of};
use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Model, Repository, RepositoryVersion};
use crate::tasks::{Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};

/// What is made of several versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetOperation {
    /// What any of them has.
    Union,
    /// What all of them have.
    Intersection,
    /// What the first has and none of the others.
    Difference,
}

impl SetOperation {
    /// All of them, as they are called on the wire.
    pub const NAMES: [&'static str; 3] = ["union", "intersection", "difference"];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Union, Self::Intersection, Self::Difference].into_iter().zip(Self::NAMES).find(|(_, known)| *known == name).map(|(of, _)| of)
    }
}

/// Makes the next version of a repository of versions of any repositories: its content is the result, whatever it was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeVersion {
    /// The repository.
    pub repository: Prn,
    /// What is made of the versions.
    pub operation: SetOperation,
    /// The versions, and the repositories that they are of, which the task needs, so that none of them goes meanwhile.
    pub versions: Vec<(Uuid, Prn)>,
    /// Of units that are [versions of one thing](super::RepositoryType::lineages), as many of the newest are kept; all if unset.
    pub newest: Option<u32>,
}

#[async_trait]
impl Task for ComposeVersion {
    const NAME: &'static str = "pulpcore.app.tasks.repository.compose";

    fn resources(&self) -> Resources {
        let needs = Resources::none().exclusive(&self.repository);
        self.versions.iter().fold(needs, |needs, (_, owner)| needs.shared(owner))
    }

    async fn run(self, cx: TaskContext) -> Result<TaskOutput> {
        let db = cx.pulp().db();
        let repository = Repository::find(db, self.repository.id).await?;
        let rules = rules_of(cx.pulp(), &repository)?;
        let mut versions = Vec::with_capacity(self.versions.len());
        for (version, _) in &self.versions {
            versions.push(RepositoryVersion::find(db, *version).await?);
        }
        let mut draft = VersionDraft::begin(db, repository.pulp_id, None, cx.pulp().now()).await?;
        draft.held_by(&cx);
        let made = async {
            draft.mirror();
            fill(&mut draft, self.operation, &versions).await?;
            draft.remove_unseen().await?;
            if let Some(newest) = self.newest {
                for lineage in rules.lineages() {
                    draft.keep_newest_of(lineage, newest).await?;
                }
            }
            // None of them is an addition that replaces what was there.
            for rule in rules.unit_rules() {
                draft.check_single(rule).await?;
            }
            Ok(())
        };
        if let Err(error) = made.await {
            draft.discard().await?;
            return Err(error);
        }
        let version = draft.commit(rules.as_ref()).await?;
        if let Some(version) = &version {
            announce(&cx, rules.as_ref(), version).await?;
        }
        output(&cx, version.as_ref()).await
    }
}

/// Adds what the operation gives.
async fn fill(draft: &mut VersionDraft, operation: SetOperation, versions: &[RepositoryVersion]) -> Result<()> {
    let Some((first, others)) = versions.split_first() else {
        return Err(Error::field("versions", "Name at least one version."));
    };
    match operation {
        SetOperation::Union => {
            for version in versions {
                add_all(draft, version, |_| {}).await?;
            }
            Ok(())
        }
        SetOperation::Intersection => add_all(draft, first, |sql| push_others(sql, others, " and ")).await,
        SetOperation::Difference => add_all(draft, first, |sql| push_others(sql, others, " and not ")).await,
    }
}

fn push_others(sql: &mut Sql, others: &[RepositoryVersion], word: &str) {
    for other in others {
        sql.push(word);
        push_has(sql, other.repository_id, other.number);
    }
}

/// Adds the units of a version that meet a condition on `rc`, in bounded memory.
async fn add_all(draft: &mut VersionDraft, version: &RepositoryVersion, condition: impl Fn(&mut Sql) + Send) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let mut sql = Sql::new("select rc.content_id from core_repositorycontent rc");
        Members::of(version).push_where(&mut sql);
        sql.push(" and rc.content_id > ").push_bind(after);
        condition(&mut sql);
        sql.push(" order by rc.content_id limit ").push_bind(KEYS as i64);
        let page: Vec<Uuid> = draft.db().column(sql).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = *last;
        draft.add(&page).await?;
    }
}
