//! Trees of paths: what a publication or a repository version has at which path.

use sqlx::FromRow;
use uuid::Uuid;

use super::Distribution;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// Something that has files at paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tree {
    /// What a publication names: published artifacts, and published metadata.
    Publication(Uuid),
    /// Every file of every unit of a version, at the path that it has in its unit.
    Version {
        /// The repository.
        repository: Uuid,
        /// The version’s number.
        number: i64,
    },
}

/// A file of a [`Tree`].
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct TreeFile {
    /// Its path in the tree.
    pub relative_path: String,
    /// The content artifact’s key.
    pub content_artifact_id: Uuid,
    /// The stored file; null while it is only known where to fetch it, as all that follow.
    pub artifact_id: Option<Uuid>,
    /// Its path in the storage.
    pub file: Option<String>,
    /// Its size in bytes.
    pub size: Option<i64>,
    /// Its digest.
    pub sha256: Option<String>,
    /// When it was stored.
    pub stored: Option<Timestamp>,
    /// When it came to be at this path: when its unit joined the repository, or, of what was generated, when it was published. A file that
    /// takes the place of another one is younger, even if its unit was there before.
    pub joined: Timestamp,
}

/// A file of a [`Tree`], as a listing shows it.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct TreeEntry {
    /// Its path in the tree.
    pub relative_path: String,
    /// When it came into the repository, or was published.
    pub added: Timestamp,
    /// Its size in bytes; of a file that is not stored, what its sources’ metadata says.
    pub size: Option<i64>,
}

/// Where a page of entries begins, in the order of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// After this path.
    After(String),
    /// At this text, whether or not it is a path.
    From(String),
    /// Before this text, going back; from the end without one.
    Before(Option<String>),
}

impl Cursor {
    fn is_backwards(&self) -> bool {
        matches!(self, Self::Before(_))
    }
}

const FILE: &str = "ca.pulp_id as content_artifact_id, a.pulp_id as artifact_id, a.file, a.size, a.sha256, a.pulp_created as stored";
const ENTRY: &str = "coalesce(a.size, (select max(ra.size) from core_remoteartifact ra where ra.content_artifact_id = ca.pulp_id)) as size";

/// One place where the files of a tree are recorded.
struct Part {
    /// The path’s column.
    path: &'static str,
    /// When the file was added, as a listing tells.
    added: &'static str,
    /// When it came to be at its path.
    joined: &'static str,
    /// Tables, and a first condition; the tree’s own values are appended to it.
    from: &'static str,
}

const PUBLISHED_ARTIFACT: Part = Part {
    path: "pa.relative_path",
    added: "ca.pulp_created",
    joined: "coalesce((select max(member.pulp_created) from core_publication p \
        join core_repositoryversion v on v.pulp_id = p.repository_version_id \
        join core_repositorycontent member on member.content_id = ca.content_id and member.repository_id = v.repository_id \
        join core_repositoryversion since on since.pulp_id = member.version_added_id and since.number <= v.number \
        where p.pulp_id = pa.publication_id), ca.pulp_created)",
    from: "from core_publishedartifact pa join core_contentartifact ca on ca.pulp_id = pa.content_artifact_id \
           left join core_artifact a on a.pulp_id = ca.artifact_id where pa.publication_id = ",
};
const PUBLISHED_METADATA: Part = Part {
    path: "pm.relative_path",
    added: "ca.pulp_created",
    joined: "ca.pulp_created",
    from: "from core_publishedmetadata pm join core_contentartifact ca on ca.content_id = pm.content_ptr_id \
           left join core_artifact a on a.pulp_id = ca.artifact_id where pm.publication_id = ",
};
const MEMBER: Part = Part {
    path: "ca.relative_path",
    added: "rc.pulp_created",
    joined: "rc.pulp_created",
    from: "from core_contentartifact ca join core_repositorycontent rc on rc.content_id = ca.content_id \
           join core_repositoryversion va on va.pulp_id = rc.version_added_id \
           left join core_repositoryversion vr on vr.pulp_id = rc.version_removed_id \
           left join core_artifact a on a.pulp_id = ca.artifact_id where rc.repository_id = ",
};

impl Tree {
    fn parts(self) -> &'static [Part] {
        match self {
            Self::Publication(_) => &[PUBLISHED_ARTIFACT, PUBLISHED_METADATA],
            Self::Version { .. } => &[MEMBER],
        }
    }

    /// Appends what makes a part this tree’s.
    fn push_part(self, sql: &mut Sql, part: &Part) {
        sql.push(part.from);
        match self {
            Self::Publication(publication) => {
                sql.push_bind(publication);
            }
            Self::Version { repository, number } => {
                sql.push_bind(repository).push(" and va.number <= ").push_bind(number);
                sql.push(" and (vr.number is null or vr.number > ").push_bind(number).push(")");
            }
        }
    }

    /// The file at exactly this path. Where several units have one there, the one that was stored or made last.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn find<E: Executor + ?Sized>(self, executor: &E, path: &str) -> Result<Option<TreeFile>, DbError> {
        let mut sql = Sql::new("select * from (");
        for (at, part) in self.parts().iter().enumerate() {
            if at > 0 {
                sql.push(" union all ");
            }
            sql.push(format!("select {} as relative_path, {FILE}, {} as joined ", part.path, part.joined));
            self.push_part(&mut sql, part);
            sql.push(format!(" and {} = ", part.path)).push_bind(path);
        }
        sql.push(") found order by artifact_id is null, content_artifact_id desc limit 1");
        executor.optional(sql).await
    }

    /// Whether any path begins with `directory`, which ends with a slash or is empty.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn has_below<E: Executor + ?Sized>(self, executor: &E, directory: &str) -> Result<bool, DbError> {
        let found = Self::entries(&[self], executor, directory, &Cursor::From(directory.to_owned()), 1).await?;
        Ok(!found.is_empty())
    }

    /// A page of the files below `directory` of several trees taken together, in the order of the bytes of their paths; back from the
    /// cursor, where that leads back.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn entries<E: Executor + ?Sized>(
        trees: &[Self],
        executor: &E,
        directory: &str,
        cursor: &Cursor,
        limit: u32,
    ) -> Result<Vec<TreeEntry>, DbError> {
        let mut sql = Sql::new("select * from (");
        let mut first = true;
        let order = if cursor.is_backwards() { "desc" } else { "asc" };
        for tree in trees {
            for part in tree.parts() {
                if !std::mem::take(&mut first) {
                    sql.push(" union all ");
                }
                // Each part brings no more than the page needs, so that all of them can be read off their indexes.
                sql.push(format!("select * from (select {} as relative_path, {} as added, {ENTRY} ", part.path, part.added));
                tree.push_part(&mut sql, part);
                let end = after_all_below(directory);
                let (start, end) = match cursor {
                    Cursor::After(path) => ((">", path.clone()), end),
                    Cursor::From(text) => ((">=", text.clone()), end),
                    Cursor::Before(text) => ((">=", directory.to_owned()), text.clone().or(end)),
                };
                sql.push(format!(" and {} {} ", part.path, start.0)).push_bind(start.1);
                if let Some(end) = end {
                    sql.push(format!(" and {} < ", part.path)).push_bind(end);
                }
                sql.push(format!(" order by {} {order} limit {limit}) page", part.path));
            }
        }
        if first {
            return Ok(Vec::new());
        }
        sql.push(format!(") entries order by relative_path {order} limit {limit}"));
        executor.all(sql).await
    }
}

/// The first text after all that begin with this directory: `0` follows the slash. None for the root.
pub fn after_all_below(directory: &str) -> Option<String> {
    directory.strip_suffix('/').map(|name| format!("{name}0"))
}

/// A publication, and the version that it was made of.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PublishedVersion {
    /// The publication’s key.
    pub publication_id: Uuid,
    /// Whether the units’ own paths are served, too.
    pub pass_through: bool,
    /// The repository.
    pub repository_id: Uuid,
    /// The version’s number.
    pub number: i64,
}

const PUBLISHED_VERSION: &str = "select p.pulp_id as publication_id, p.pass_through, v.repository_id, v.number \
     from core_publication p join core_repositoryversion v on v.pulp_id = p.repository_version_id";

impl PublishedVersion {
    /// What the publication names.
    pub fn published(&self) -> Tree {
        Tree::Publication(self.publication_id)
    }

    /// What its version has.
    pub fn version(&self) -> Tree {
        Tree::Version { repository: self.repository_id, number: self.number }
    }

    /// The trees that it serves, the first with priority.
    pub fn trees(&self) -> Vec<Tree> {
        if self.pass_through { vec![self.published(), self.version()] } else { vec![self.published()] }
    }

    /// What a distribution serves: the publication it names, or the newest of its version or repository.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_distribution<E: Executor + ?Sized>(executor: &E, distribution: &Distribution) -> Result<Option<Self>, DbError> {
        if let Some(publication) = distribution.publication_id {
            Self::of_publication(executor, publication).await
        } else if let Some(version) = distribution.repository_version_id {
            Self::of_version(executor, version).await
        } else if let Some(repository) = distribution.repository_id {
            Self::of_repository(executor, repository).await
        } else {
            Ok(None)
        }
    }

    /// This publication, if it is complete.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_publication<E: Executor + ?Sized>(executor: &E, publication: Uuid) -> Result<Option<Self>, DbError> {
        executor.optional(Sql::new(format!("{PUBLISHED_VERSION} where p.pulp_id = $1 and p.complete")).bind(publication)).await
    }

    /// The newest complete publication of a version.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_version<E: Executor + ?Sized>(executor: &E, version: Uuid) -> Result<Option<Self>, DbError> {
        let text = format!(
            "{PUBLISHED_VERSION} where p.repository_version_id = $1 and p.complete order by p.pulp_created desc, p.pulp_id desc limit 1"
        );
        executor.optional(Sql::new(text).bind(version)).await
    }

    /// The newest complete publication of the newest version that has one: later versions are not served until they are published.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_repository<E: Executor + ?Sized>(executor: &E, repository: Uuid) -> Result<Option<Self>, DbError> {
        let text = format!(
            "{PUBLISHED_VERSION} where v.repository_id = $1 and p.complete \
             order by v.number desc, p.pulp_created desc, p.pulp_id desc limit 1"
        );
        executor.optional(Sql::new(text).bind(repository)).await
    }
}
