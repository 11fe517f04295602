//! Domains: tenants. Every object belongs to one; without `DOMAIN_ENABLED` to the default one.

use serde_json::Value as Json;
use sqlx::FromRow;
use sqlx::types::Json as Column;
use uuid::Uuid;

use super::{Labels, model};
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::ids::new_id;

/// A row of `core_domain`.
#[derive(Debug, Clone, FromRow)]
pub struct Domain {
    /// Key.
    pub pulp_id: Uuid,
    /// When it was made.
    pub pulp_created: Timestamp,
    /// When it was changed.
    pub pulp_last_updated: Option<Timestamp>,
    /// Unique name, part of paths where domains are enabled.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Labels.
    pub pulp_labels: Column<Labels>,
    /// Which kind of storage its artifacts lie in.
    pub storage_class: String,
    /// That storage’s settings.
    pub storage_settings: Column<Json>,
    /// Whether artifacts in object storage are served by redirect.
    pub redirect_to_object_storage: bool,
    /// Whether guarded distributions are left out of listings.
    pub hide_guarded_distributions: bool,
    /// The guard of distributions that are made without one.
    pub default_content_guard_id: Option<Uuid>,
}
model!(Domain, "core_domain", "domain");

impl Domain {
    /// The name of the domain that is always there.
    pub const DEFAULT: &'static str = "default";

    /// The domain of this name.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn named<E: Executor + ?Sized>(executor: &E, name: &str) -> Result<Option<Self>, DbError> {
        executor.optional(Sql::new("select * from core_domain where name = $1").bind(name)).await
    }

    /// The default domain; made at the first call on a new database.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn default<E: Executor + ?Sized>(executor: &E, now: Timestamp) -> Result<Self, DbError> {
        if let Some(domain) = Self::named(executor, Self::DEFAULT).await? {
            return Ok(domain);
        }
        let insert = Sql::new(
            "insert into core_domain (pulp_id, pulp_created, pulp_last_updated, name, storage_class) values ($1, $2, $2, $3, $4) on conflict (name) do nothing",
        )
        .bind(new_id())
        .bind(now)
        .bind(Self::DEFAULT)
        .bind("pulpcore.app.models.storage.FileSystem");
        executor.execute(insert).await?;
        executor.one(Sql::new("select * from core_domain where name = $1").bind(Self::DEFAULT)).await
    }
}
