//! Repository versions: drafting the next one, committing it, deleting, and asking what is in one.
//!
//! A version is its delta. `core_repositorycontent` holds one row per stay of a unit in a repository: from the version that
//! added it up to, but not including, the version that removed it. Everything here is set-oriented over those rows, and
//! costs what changes, not what is there.
//!
//! A [`VersionDraft`] writes its rows under a version that is not `complete`, which no reader looks at: readers go by the
//! numbers of versions. [`VersionDraft::commit`] makes it visible in one transaction. A draft that is dropped leaves rows
//! that nobody sees; [`VersionDraft::begin`] sweeps them.

mod commit;
mod compose;
mod create;
mod delete;
mod difference;
mod draft;
mod members;
mod modify;
mod paths;
mod recount;
mod retain;
mod scan;
mod sweep;
#[cfg(test)]
mod tests;
mod usage;

pub use compose::{ComposeVersion, SetOperation};
pub(crate) use create::create_empty_version;
pub use create::create_repository;
pub(crate) use delete::refuse_in_use;
pub use delete::{DeleteVersion, delete_version};
pub use difference::{ChangedFile, ChangedUnit, Difference, UnitChange};
pub use draft::VersionDraft;
pub use members::{ContentCount, CountType, Members, content_summary};
pub use modify::AddAndRemove;
pub use recount::Recount;
pub(crate) use retain::retain;
pub use retain::{protected_versions, retain_checkpoints, retain_versions};
pub use scan::{Package, ScanVersion};
pub use sweep::sweep_incomplete;
pub use usage::Usage;

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::content::Change;
use crate::db::Db;
use crate::ids::Prn;
use crate::model::{Repository, RepositoryVersion};
use crate::plugin::Registry;
use crate::resource::shown;
use crate::tasks::{Created, TaskContext, TaskOutput};
use crate::{Error, Pulp, Result};

/// Adds the tasks of this module.
pub(crate) fn register(registry: &mut Registry) {
    registry.task::<AddAndRemove>();
    registry.task::<ComposeVersion>();
    registry.task::<DeleteVersion>();
    registry.task::<ScanVersion>();
    registry.task::<Recount>();
}

/// The rules of one type of repository. Registered with [`Registry::repository`](crate::plugin::Registry::repository).
///
/// ```
/// use pulp_core::version::{RepositoryType, UnitRule};
///
/// /// Packages by name: a newer upload of a name replaces the older.
/// struct Packages;
///
/// impl RepositoryType for Packages {
///     fn pulp_type(&self) -> &'static str {
///         "npm.npm"
///     }
///
///     fn model(&self) -> &'static str {
///         "npm.npmrepository"
///     }
///
///     fn collection(&self) -> &'static str {
///         "repositories/npm/npm"
///     }
///
///     fn unit_types(&self) -> &'static [&'static str] {
///         &["npm.package"]
///     }
///
///     fn unit_rules(&self) -> &'static [UnitRule] {
///         &[UnitRule { pulp_type: "npm.package", table: "npm_package", columns: &["name", "version"] }]
///     }
/// }
/// ```
#[async_trait]
pub trait RepositoryType: Send + Sync + 'static {
    /// The type, as in `core_repository.pulp_type`: `file.file`.
    fn pulp_type(&self) -> &'static str;

    /// The model’s label in PRNs: `file.filerepository`.
    fn model(&self) -> &'static str;

    /// The path of the list of such repositories below the API’s base: `repositories/file/file`.
    fn collection(&self) -> &'static str;

    /// The types of the units that it takes; versions with others are refused.
    fn unit_types(&self) -> &'static [&'static str];

    /// Which units replace each other, if some do.
    fn unit_rules(&self) -> &'static [UnitRule] {
        &[]
    }

    /// Which units are versions of one thing, of which a composition can keep the newest: by default those that replace each other.
    fn lineages(&self) -> &'static [UnitRule] {
        self.unit_rules()
    }

    /// Makes the draft obey the rules of the type, or refuses it. By default newer units replace older ones by
    /// [`unit_rules`](Self::unit_rules), and then no two files may want the same path.
    ///
    /// # Errors
    /// [`Error::Coded`] or [`Error::BadRequest`]: the version is not made then.
    async fn finalize(&self, draft: &mut VersionDraft) -> Result<()> {
        for rule in self.unit_rules() {
            draft.keep_newest(rule).await?;
        }
        draft.check_paths().await
    }

    /// Whether known vulnerabilities of its units can be looked up: [`packages`](Self::packages) names them then, and each version can be
    /// scanned.
    fn has_packages(&self) -> bool {
        false
    }

    /// Up to `limit` packages of a version, in the order of their units’ keys, those after `after` first.
    ///
    /// # Errors
    /// If the database cannot be reached.
    async fn packages(&self, db: &Db, version: &RepositoryVersion, after: Uuid, limit: i64) -> Result<Vec<Package>> {
        let _ = (db, version, after, limit);
        Ok(Vec::new())
    }

    /// Called when a new version has become visible, by the task that made it: a type that publishes by itself does it here.
    ///
    /// # Errors
    /// The task fails with it; the version stays.
    async fn published(&self, version: &RepositoryVersion, cx: &TaskContext) -> Result<()> {
        let _ = (version, cx);
        Ok(())
    }
}

/// Units of a type that agree in some columns cannot be in one version: the newest stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitRule {
    /// The type of the units.
    pub pulp_type: &'static str,
    /// Its table, with the column `content_ptr_id`.
    pub table: &'static str,
    /// The columns.
    pub columns: &'static [&'static str],
}

/// The rules of a repository.
fn rules_of(pulp: &Pulp, repository: &Repository) -> Result<Arc<dyn RepositoryType>> {
    let rules = pulp.registry().repository_type(&repository.pulp_type).cloned();
    rules.ok_or_else(|| Error::Internal(format!("the repository type {} is not registered", repository.pulp_type)))
}

/// What a task that may have made a version gives as its result: the version as the API shows it, or nothing.
///
/// # Errors
/// If the database cannot be reached.
pub async fn output(cx: &TaskContext, version: Option<&RepositoryVersion>) -> Result<TaskOutput> {
    Ok(match version {
        Some(version) => TaskOutput { result: Some(shown(cx, "repository_versions", version.pulp_id).await?) },
        None => TaskOutput::default(),
    })
}

/// Tells of a version that a task has made: as a created resource, and to the repository’s type.
///
/// # Errors
/// What [`RepositoryType::published`] says.
pub async fn announce(cx: &TaskContext, rules: &dyn RepositoryType, version: &RepositoryVersion) -> Result<()> {
    let href = cx.pulp().hrefs().version(&cx.domain().name, rules.collection(), version.repository_id, version.number);
    cx.created(Created { prn: Prn::new("core.repositoryversion", version.pulp_id), href });
    Change::Repository(version.repository_id).announce(cx.pulp()).await;
    rules.published(version, cx).await
}
