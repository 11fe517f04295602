//! No two files of a version may want the same path, nor one the path of another’s directory.

use std::collections::HashSet;

use uuid::Uuid;

use super::VersionDraft;
use super::draft::KEYS;
use crate::db::{DbError, ExecutorExt, Sql};
use crate::{Error, Result};

/// Files that are looked at in one go.
const PAGE: i64 = 10_000;

/// Whether the repository `$2` holds the file `other` now. A scalar subquery, not a join or an `exists`, which a planner may turn around:
/// SQLite, which has no statistics, then walks through the whole repository for each file that was added.
const HELD: &str = "(select 1 from core_repositorycontent held where held.content_id = other.content_id and held.repository_id = $2 \
     and held.version_removed_id is null limit 1) is not null";

/// Directories that are remembered as free while a draft is checked.
const REMEMBERED: usize = 100_000;

impl VersionDraft {
    /// Refuses the draft if a file that it adds has the path of another file, lies in a “directory” that is a file, or is a file
    /// where others have their directory. Costs what was added, not what is there.
    ///
    /// # Errors
    /// [`Error::BadRequest`] with the first such path, worded as Pulp does.
    pub async fn check_paths(&self) -> Result<()> {
        // Side by side, for each is about all that was added; the first that found something is told.
        let looks = tokio::join!(self.duplicated_path(), self.path_above_others(), self.check_directories());
        if let Some(path) = looks.0? {
            return Err(path_error(&format!("Path is duplicated: {path}")));
        }
        if let Some((above, below)) = looks.1? {
            return Err(path_error(&format!("The path for file '{below}' overlaps: {above}")));
        }
        looks.2
    }

    async fn duplicated_path(&self) -> Result<Option<String>, DbError> {
        let sql = Sql::new(format!(
            "select file.relative_path from core_repositorycontent rc join core_contentartifact file on file.content_id = rc.content_id \
             where rc.version_added_id = $1 and (\
                select 1 from core_contentartifact other where other.relative_path = file.relative_path and other.pulp_id <> file.pulp_id \
                and {HELD} limit 1) is not null limit 1"
        ));
        Ok(self.db.column(sql.bind(self.id).bind(self.repository.pulp_id)).await?.into_iter().next())
    }

    /// An added file whose path is the directory of another. In byte order, all that lies below `a/` comes before `a0`.
    async fn path_above_others(&self) -> Result<Option<(String, String)>, DbError> {
        let sql = Sql::new(format!(
            "select above, below from (select file.relative_path as above, (\
                select other.relative_path from core_contentartifact other where other.relative_path > file.relative_path || '/' \
                and other.relative_path < file.relative_path || '0' and {HELD} limit 1) as below \
             from core_repositorycontent rc join core_contentartifact file on file.content_id = rc.content_id \
             where rc.version_added_id = $1) as pairs where below is not null limit 1"
        ));
        self.db.optional(sql.bind(self.id).bind(self.repository.pulp_id)).await
    }

    /// Whether a directory of an added file is a file.
    async fn check_directories(&self) -> Result<()> {
        let mut free: HashSet<String> = HashSet::new();
        let mut after = (Uuid::nil(), Uuid::nil());
        loop {
            let mut sql = Sql::new(
                "select rc.content_id, file.pulp_id, file.relative_path from core_repositorycontent rc \
                 join core_contentartifact file on file.content_id = rc.content_id \
                 where file.relative_path like '%/%' and rc.version_added_id = ",
            );
            sql.push_bind(self.id).push(" and (rc.content_id, file.pulp_id) > (").push_bind(after.0).push(", ").push_bind(after.1);
            sql.push(") order by rc.content_id, file.pulp_id limit ").push_bind(PAGE);
            let page: Vec<(Uuid, Uuid, String)> = self.db.all(sql).await?;
            let Some((content, file, _)) = page.last() else {
                return Ok(());
            };
            after = (*content, *file);
            let mut asked: Vec<&str> = Vec::new();
            for (_, _, path) in &page {
                for (at, _) in path.rmatch_indices('/') {
                    if free.contains(&path[..at]) {
                        break;
                    }
                    free.insert(path[..at].to_owned());
                    asked.push(&path[..at]);
                }
            }
            for some in asked.chunks(KEYS) {
                self.check_are_no_files(some, &page).await?;
            }
            if free.len() > REMEMBERED {
                free.clear();
            }
        }
    }

    async fn check_are_no_files(&self, directories: &[&str], files: &[(Uuid, Uuid, String)]) -> Result<()> {
        let mut sql = Sql::new(
            "select other.relative_path from core_contentartifact other where (select 1 from core_repositorycontent held \
             where held.content_id = other.content_id and held.version_removed_id is null and held.repository_id = ",
        );
        sql.push_bind(self.repository.pulp_id).push(" limit 1) is not null and other.relative_path in ");
        sql.push_list(directories.iter().copied()).push(" limit 1");
        let found: Vec<String> = self.db.column(sql).await?;
        let Some(above) = found.first() else {
            return Ok(());
        };
        let prefix = format!("{above}/");
        let below = files.iter().find(|(.., path)| path.starts_with(&prefix)).map_or(above.as_str(), |(.., path)| path);
        Err(path_error(&format!("The path for file '{below}' overlaps: {above}")))
    }
}

fn path_error(what: &str) -> Error {
    Error::BadRequest(format!("Repository version errors : Path errors found. \n{what}"))
}
