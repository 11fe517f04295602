//! Trees of paths: what a publication or a repository version has at which path.
//!
//! The files of a version can be reached from two sides: from its units, or from the index of all paths. Neither database knows which is
//! shorter: SQLite keeps no statistics, and those of PostgreSQL are old where a version has just been made. So the side is chosen here.

mod entries;

use sqlx::FromRow;
use uuid::Uuid;

use super::Distribution;
use super::source::Place;
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
    #[sqlx(rename = "found_id")]
    pub content_artifact_id: Uuid,
    /// The stored file; null while it is only known where to fetch it, as all that follow.
    pub artifact_id: Option<Uuid>,
    /// Its path in the storage.
    pub file: Option<String>,
    /// Its size in bytes.
    #[sqlx(rename = "file_size")]
    pub size: Option<i64>,
    /// Its digest.
    #[sqlx(rename = "file_sha256")]
    pub sha256: Option<String>,
    /// When it was stored.
    pub stored: Option<Timestamp>,
    /// When it came to be at this path: when its unit joined the repository, or, of what was generated, when it was published. A file that
    /// takes the place of another one is younger, even if its unit was there before.
    pub joined: Timestamp,
}

impl TreeFile {
    /// Most of its columns, of a content artifact `ca` and its artifact `a`. No name is one of a source's, so that both fit into a row.
    pub(crate) const COLUMNS: &str = "ca.pulp_id as found_id, a.pulp_id as artifact_id, a.file, a.size as file_size, \
         a.sha256 as file_sha256, a.pulp_created as stored";
}

/// A file of a [`Tree`], and where it can be fetched.
#[derive(Debug)]
pub(crate) struct Located {
    /// The file.
    pub(crate) file: TreeFile,
    /// Its sources, as [`Place::of`] gives them, if they were looked up along with it.
    pub(crate) places: Option<Vec<Place>>,
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

    /// The version that a distribution serves: the one it names, or the newest of its repository.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn of_distribution<E: Executor + ?Sized>(executor: &E, distribution: &Distribution) -> Result<Option<Self>, DbError> {
        let (condition, id) = match (distribution.repository_version_id, distribution.repository_id) {
            (Some(version), _) => ("pulp_id = $1", version),
            (None, Some(repository)) => ("repository_id = $1 and complete order by number desc limit 1", repository),
            (None, None) => return Ok(None),
        };
        let sql = Sql::new(format!("select repository_id, number from core_repositoryversion where {condition}")).bind(id);
        let row: Option<(Uuid, i64)> = executor.optional(sql).await?;
        Ok(row.map(|(repository, number)| Self::Version { repository, number }))
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
        match self {
            Self::Publication(_) => self.find_from(Side::Units, executor, path).await,
            Self::Version { .. } => Ok(Self::locate_in(&[self], executor, path, None).await?.map(|located| located.file)),
        }
    }

    /// The file at exactly this path in the first of these trees that has one; and if it is not stored, those of its sources that did not
    /// fail at `failed_after` or later, if that is given.
    ///
    /// One statement as a rule: few units have the same path, so those of a version are reached from there; only where they are many,
    /// another statement begins with the shorter side.
    pub(crate) async fn locate_in<E: Executor + ?Sized>(
        trees: &[Self],
        executor: &E,
        path: &str,
        failed_after: Option<Timestamp>,
    ) -> Result<Option<Located>, DbError> {
        let mut sql = Sql::new("with found as (select few.at_path, first.* from (select count(*) as at_path from ");
        sql.push("(select 1 from core_contentartifact where relative_path = ").push_bind(path);
        sql.push(format!(" limit {FEW}) looked) few left join (select * from ("));
        for (place, tree) in trees.iter().enumerate() {
            if place > 0 {
                sql.push(" union all ");
            }
            sql.push(format!("select cast({place} as bigint) as place, of_tree.* from ("));
            match tree {
                Self::Publication(_) => tree.push_parts(&mut sql, path),
                Self::Version { .. } => tree.push_from_paths(&mut sql, path, Some(FEW)),
            }
            sql.push(") of_tree");
        }
        sql.push(") all_trees order by place, artifact_id is null, found_id desc limit 1) first on true) ");
        match failed_after {
            Some(failed_after) => Place::push_own(&mut sql, failed_after),
            None => _ = sql.push("select found.* from found"),
        }
        let rows = executor.rows(sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let all_were_looked_at = row.get::<i64>("at_path")? < FEW;
        if let Some(place) = row.get::<Option<i64>>("place")?
            && (all_were_looked_at || usize::try_from(place).is_ok_and(|place| matches!(trees.get(place), Some(Self::Publication(_)))))
        {
            let places = if failed_after.is_some() { Place::own(&rows)? } else { None };
            return Ok(Some(Located { file: row.read()?, places }));
        }
        if !all_were_looked_at {
            for tree in trees {
                let side = if tree.units(executor).await? > MANY { Side::Paths } else { Side::Units };
                if let Some(file) = tree.find_from(side, executor, path).await? {
                    return Ok(Some(Located { file, places: None }));
                }
            }
        }
        Ok(None)
    }

    async fn find_from<E: Executor + ?Sized>(self, side: Side, executor: &E, path: &str) -> Result<Option<TreeFile>, DbError> {
        let mut sql = Sql::new("select * from (");
        match side {
            Side::Paths => self.push_from_paths(&mut sql, path, None),
            Side::Units => self.push_parts(&mut sql, path),
        }
        sql.push(") found order by artifact_id is null, found_id desc limit 1");
        executor.optional(sql).await
    }

    /// Appends the files at a path, reached from the units.
    fn push_parts(self, sql: &mut Sql, path: &str) {
        for (at, part) in self.parts().iter().enumerate() {
            if at > 0 {
                sql.push(" union all ");
            }
            let file = TreeFile::COLUMNS;
            sql.push(format!("select {} as relative_path, {file}, {} as joined ", part.path, part.joined));
            self.push_part(sql, part);
            sql.push(format!(" and {} = ", part.path)).push_bind(path);
        }
    }

    /// Appends the files at a path of a version, reached from the path; of so many units at most.
    fn push_from_paths(self, sql: &mut Sql, path: &str, most: Option<i64>) {
        let Self::Version { repository, number } = self else {
            return self.push_parts(sql, path);
        };
        sql.push(format!("select * from (select ca.relative_path, {}, ", TreeFile::COLUMNS));
        push_joined(sql, repository, number);
        sql.push(" as joined from (select * from core_contentartifact where relative_path = ").push_bind(path);
        if let Some(most) = most {
            sql.push(format!(" limit {most}"));
        }
        sql.push(") ca left join core_artifact a on a.pulp_id = ca.artifact_id) at_path where joined is not null");
    }

    /// How many units a version has, as its counts tell.
    async fn units<E: Executor + ?Sized>(self, executor: &E) -> Result<i64, DbError> {
        let Self::Version { repository, number } = self else { return Ok(0) };
        let sql = Sql::new(
            "select cast(coalesce(sum(counted.count), 0) as bigint) from core_repositoryversioncontentdetails counted \
             where counted.count_type = 'P' and counted.repository_version_id = \
             (select v.pulp_id from core_repositoryversion v where v.repository_id = $1 and v.number = $2)",
        );
        executor.scalar(sql.bind(repository).bind(number)).await
    }

    /// Whether any path begins with `directory`, which ends with a slash or is empty.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn has_below<E: Executor + ?Sized>(self, executor: &E, directory: &str) -> Result<bool, DbError> {
        let found = Self::entries(&[self], executor, directory, &Cursor::From(directory.to_owned()), 1).await?;
        Ok(!found.is_empty())
    }
}

/// From where the files of a version are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// From its units: what is read is in proportion to the version.
    Units,
    /// From the paths: what is read is in proportion to all units that have such a path, in whatever repository.
    Paths,
}

/// Units at one path that are looked at without a question.
const FEW: i64 = 200;
/// Units of a version from which on its paths are the shorter way to it.
const MANY: i64 = 10_000;

/// Appends when a unit of a `ca` joined a version, which is null if it is not in it. A scalar: no database can begin with its tables.
fn push_joined(sql: &mut Sql, repository: Uuid, number: i64) {
    sql.push(
        "(select max(rc.pulp_created) from core_repositorycontent rc join core_repositoryversion va on va.pulp_id = rc.version_added_id \
         left join core_repositoryversion vr on vr.pulp_id = rc.version_removed_id \
         where rc.content_id = ca.content_id and rc.repository_id = ",
    );
    sql.push_bind(repository).push(" and va.number <= ").push_bind(number);
    sql.push(" and (vr.number is null or vr.number > ").push_bind(number).push("))");
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
