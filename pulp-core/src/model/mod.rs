//! Rows as structs, and the set-oriented SQL over them. No HTTP in here.

mod artifact;
pub mod backend;
mod content;
pub(crate) mod dependents;
mod disk_usage;
mod distribution;
mod domain;
mod publication;
mod remote;
mod repository;
mod retired;
pub mod role;
pub mod save;
mod scrub;
pub(crate) mod source;
mod task;
mod task_schedule;
mod token;
pub(crate) mod tree;
mod upload;
mod user;
mod webhook;

pub use artifact::Artifact;
pub use content::{Content, ContentArtifact, RemoteArtifact};
pub use disk_usage::{DiskUsage, RepositoryDiskUsage};
pub use distribution::Distribution;
pub use domain::Domain;
pub use publication::{Publication, PublishedArtifact, PublishedMetadata};
pub use remote::{Policy, Remote};
pub use repository::{Repository, RepositoryVersion};
pub use scrub::{FindingEnd, Lost, Problem, ScrubState, Seen};
pub use source::FileSource;
pub use task::{AppStatus, CreatedResource, GroupProgressRow, LogLine, ProgressRow, TaskGroup, TaskRow, TaskState};
pub use task_schedule::TaskSchedule;
pub(crate) use task_schedule::Turn;
pub use token::{ApiToken, NewToken};
pub use tree::{Cursor, PublishedVersion, Tree, TreeEntry, TreeFile, after_all_below};
pub use upload::{Upload, UploadChunk};
pub use user::User;
pub(crate) use webhook::{Attempt, Subscription};
pub use webhook::{Webhook, WebhookDelivery};

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::db::{DbError, Executor, ExecutorExt, Record, Sql};
use crate::{Error, Result};

/// Labels: texts, or nothing, by key.
pub type Labels = BTreeMap<String, Option<String>>;

/// A row with a key and a name for messages.
pub trait Model: Record {
    /// The table.
    const TABLE: &'static str;
    /// The column of its key.
    const KEY: &'static str = "pulp_id";
    /// What a message calls it: `repository`.
    const NOUN: &'static str;

    /// The row with this key.
    fn find<E: Executor + ?Sized>(executor: &E, id: Uuid) -> impl Future<Output = Result<Self>> + Send {
        async move {
            let sql = Sql::new(format!("select * from {} where {} = $1", Self::TABLE, Self::KEY)).bind(id);
            executor.optional(sql).await?.ok_or_else(|| Error::not_found(format!("{} {id}", Self::NOUN)))
        }
    }

    /// The rows with these keys, in no order; those that do not exist are missing.
    fn find_many<E: Executor + ?Sized>(executor: &E, ids: &[Uuid]) -> impl Future<Output = Result<Vec<Self>, DbError>> + Send {
        async move {
            let mut rows = Vec::with_capacity(ids.len());
            for some in ids.chunks(1_000) {
                let mut sql = Sql::new(format!("select * from {} where {} in ", Self::TABLE, Self::KEY));
                sql.push_list(some);
                rows.extend(executor.all::<Self>(sql).await?);
            }
            Ok(rows)
        }
    }
}

macro_rules! model {
    ($type:ty, $table:literal, $noun:literal) => {
        impl $crate::model::Model for $type {
            const TABLE: &'static str = $table;
            const NOUN: &'static str = $noun;
        }
    };
    ($type:ty, $table:literal, $key:literal, $noun:literal) => {
        impl $crate::model::Model for $type {
            const TABLE: &'static str = $table;
            const KEY: &'static str = $key;
            const NOUN: &'static str = $noun;
        }
    };
}
pub(crate) use model;
