//! What was decided for a path is remembered; here is what makes it forgotten.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use uuid::Uuid;

use crate::Pulp;
use crate::ids::Prn;
use crate::tasks::{Resources, Scrub};

/// Something happened that may change what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Any distribution or content guard was made, changed or deleted.
    Distributions,
    /// The repository of this key has a version or a publication more or less.
    Repository(Uuid),
    /// Anything may have happened.
    Everything,
}

/// The channel on which processes tell each other of changes.
pub(super) const CHANNEL: &str = "content";

impl Change {
    /// Makes what was decided before forgotten, here at once, and in the other processes on this database as soon as they hear of it.
    /// Call it after the commit.
    ///
    /// If the others cannot be told, the log says so; they find out by themselves within a minute.
    pub async fn announce(self, pulp: &Pulp) {
        let content = pulp.content_state();
        content.apply(self);
        let payload = format!("{} {}", content.id.simple(), self.to_word());
        if let Err(error) = pulp.db().notify(CHANNEL, &payload).await {
            tracing::warn!(%error, "other processes could not be told at once that what is served has changed");
        }
    }

    /// Announces what a task may have changed, by what it needed: the repositories, and all else that it held for itself alone.
    pub(crate) async fn announce_task(pulp: &Pulp, needs: &Resources) {
        let repository = |name: &str| name.parse::<Prn>().ok().filter(|prn| prn.model.ends_with("repository")).map(|prn| prn.id);
        let mut changes: BTreeSet<Self> =
            // The scrub says for itself when it has touched a file.
            needs.exclusives().filter(|name| *name != Scrub::RESOURCE).map(|name| repository(name).map_or(Self::Distributions, Self::Repository)).collect();
        changes.extend(needs.shareds().filter_map(repository).map(Self::Repository));
        for change in changes {
            change.announce(pulp).await;
        }
    }

    pub(super) fn to_word(self) -> String {
        match self {
            Self::Distributions => "distributions".to_owned(),
            Self::Repository(id) => id.simple().to_string(),
            Self::Everything => "everything".to_owned(),
        }
    }

    /// Reads what [`to_word`](Self::to_word) wrote. Of what is not understood, a newer process’s word say, everything is assumed.
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "distributions" => Self::Distributions,
            _ => word.parse().map_or(Self::Everything, Self::Repository),
        }
    }
}

/// When a decision began to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(u64);

/// What has changed when, in the order in which this process heard of it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    now: AtomicU64,
    /// Whatever was decided before is void.
    all: AtomicU64,
    /// Whatever was decided before may be void: nobody listened for a while.
    doubt: AtomicU64,
    repositories: RwLock<HashMap<Uuid, u64>>,
}

/// With more repositories than this changed, everything is forgotten once.
const REMEMBERED: usize = 65_536;

impl Changes {
    /// To be taken before anything is read on which a decision rests.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp(self.now.load(Ordering::Acquire))
    }

    pub(super) fn apply(&self, change: Change) {
        let now = self.now.fetch_add(1, Ordering::AcqRel) + 1;
        let Change::Repository(repository) = change else {
            self.all.fetch_max(now, Ordering::AcqRel);
            return;
        };
        let mut repositories = self.repositories.write().unwrap_or_else(PoisonError::into_inner);
        if repositories.len() >= REMEMBERED {
            self.all.fetch_max(now, Ordering::AcqRel);
            repositories.clear();
            return;
        }
        let changed = repositories.entry(repository).or_default();
        *changed = now.max(*changed);
    }

    /// Notes that changes may have been missed.
    pub(super) fn doubt(&self) {
        let now = self.now.fetch_add(1, Ordering::AcqRel) + 1;
        self.doubt.fetch_max(now, Ordering::AcqRel);
    }

    /// Whether no change can have been missed since.
    pub(super) fn is_certain(&self, stamp: Stamp) -> bool {
        self.doubt.load(Ordering::Acquire) <= stamp.0
    }

    /// Whether a decision that rests on the distributions, and on this repository, still holds.
    pub(super) fn holds(&self, stamp: Stamp, repository: Option<Uuid>) -> bool {
        if self.all.load(Ordering::Acquire) > stamp.0 {
            return false;
        }
        let Some(repository) = repository else {
            return true;
        };
        let repositories = self.repositories.read().unwrap_or_else(PoisonError::into_inner);
        // Checked again under the lock: the table may just have been cleared.
        repositories.get(&repository).is_none_or(|changed| *changed <= stamp.0) && self.all.load(Ordering::Acquire) <= stamp.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_voids_what_was_begun_before_it() {
        let changes = Changes::default();
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        let before = changes.stamp();
        changes.apply(Change::Repository(one));
        assert!(!changes.holds(before, Some(one)));
        assert!(changes.holds(before, Some(other)) && changes.holds(before, None));
        let after = changes.stamp();
        assert!(changes.holds(after, Some(one)));
        changes.apply(Change::Distributions);
        assert!(!changes.holds(after, Some(one)) && !changes.holds(after, None));
        assert!(changes.holds(changes.stamp(), Some(one)));
    }

    #[test]
    fn what_may_have_been_missed_is_doubted_and_still_holds() {
        let changes = Changes::default();
        let before = changes.stamp();
        assert!(changes.is_certain(before));
        changes.doubt();
        assert!(changes.holds(before, None) && !changes.is_certain(before) && changes.is_certain(changes.stamp()));
    }

    #[test]
    fn too_many_changes_void_everything_rather_than_nothing() {
        let changes = Changes::default();
        let first = Uuid::now_v7();
        let before = changes.stamp();
        changes.apply(Change::Repository(first));
        for _ in 0..REMEMBERED {
            changes.apply(Change::Repository(Uuid::now_v7()));
        }
        assert!(!changes.holds(before, Some(first)));
        assert!(changes.repositories.read().unwrap().len() <= REMEMBERED);
    }

    #[test]
    fn words_read_back() {
        for change in [Change::Distributions, Change::Repository(Uuid::now_v7()), Change::Everything] {
            assert_eq!(Change::from_word(&change.to_word()), change);
        }
        assert_eq!(Change::from_word("something of the next release"), Change::Everything);
    }
}
