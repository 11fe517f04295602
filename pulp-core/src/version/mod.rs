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
mod create;
mod delete;
mod draft;
mod members;
mod paths;
mod retain;
mod sweep;
#[cfg(test)]
mod tests;

pub(crate) use create::create_empty_version;
pub use create::create_repository;
pub use delete::delete_version;
pub use draft::VersionDraft;
pub use members::{ContentCount, CountType, Members, content_summary};
pub use retain::{protected_versions, retain_versions};
pub use sweep::sweep_incomplete;

use async_trait::async_trait;

use crate::Result;

/// The rules of one type of repository. Registered with [`Registry::repository`](crate::plugin::Registry::repository).
///
/// ```
/// use async_trait::async_trait;
/// use pulp_core::version::{RepositoryType, VersionDraft};
///
/// /// Packages by name: a newer upload of a name replaces the older.
/// struct Packages;
///
/// #[async_trait]
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
///     async fn finalize(&self, draft: &mut VersionDraft) -> pulp_core::Result<()> {
///         draft.keep_newest("npm_package", &["name", "version"]).await?;
///         draft.check_paths().await
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

    /// Makes the draft obey the rules of the type, or refuses it. By default no two files may want the same path.
    ///
    /// # Errors
    /// [`Error::Coded`](crate::Error::Coded) or [`Error::BadRequest`](crate::Error::BadRequest): the version is not made then.
    async fn finalize(&self, draft: &mut VersionDraft) -> Result<()> {
        draft.check_paths().await
    }
}
