//! Users.

use std::fmt;

use sqlx::FromRow;

use crate::Result;
use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// A row of `auth_user`.
#[derive(Clone, FromRow)]
pub struct User {
    /// Key.
    pub id: i64,
    /// Hash, in Django’s format.
    pub password: String,
    /// When a session was last opened.
    pub last_login: Option<Timestamp>,
    /// May do everything.
    pub is_superuser: bool,
    /// Unique.
    pub username: String,
    /// For people.
    pub first_name: String,
    /// For people.
    pub last_name: String,
    /// For people.
    pub email: String,
    /// Kept for Django’s sake.
    pub is_staff: bool,
    /// Whether the user may log in.
    pub is_active: bool,
    /// When it was made.
    pub date_joined: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("username", &self.username).finish_non_exhaustive()
    }
}

impl User {
    /// The user of this name.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn by_name<E: Executor + ?Sized>(executor: &E, name: &str) -> Result<Option<Self>, DbError> {
        // PostgreSQL refuses a text with a null character; there is no such user.
        if name.contains('\0') {
            return Ok(None);
        }
        executor.optional(Sql::new("select * from auth_user where username = $1").bind(name)).await
    }

    /// Whether there is any user.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn any<E: Executor + ?Sized>(executor: &E) -> Result<bool, DbError> {
        executor.scalar("select exists (select 1 from auth_user)").await
    }

    /// The user with this key.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn by_id<E: Executor + ?Sized>(executor: &E, id: i64) -> Result<Option<Self>, DbError> {
        executor.optional(Sql::new("select * from auth_user where id = $1").bind(id)).await
    }

    /// Makes a user that may do everything. `hash` is the password as
    /// [`CredentialCache::hash`](crate::crypto::CredentialCache::hash) gives it.
    ///
    /// # Errors
    /// A unique violation if there is a user of this name.
    pub async fn create_superuser<E: Executor + ?Sized>(executor: &E, name: &str, hash: &str, now: Timestamp) -> Result<Self> {
        let sql = Sql::new(
            "insert into auth_user (password, is_superuser, username, is_staff, is_active, date_joined) \
             values ($1, true, $2, true, true, $3) returning *",
        );
        Ok(executor.one(sql.bind(hash).bind(name).bind(now)).await?)
    }

    /// Makes a user whom somebody else authenticates, or finds the one of this name: no password is right.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn create_remote<E: Executor + ?Sized>(executor: &E, name: &str, now: Timestamp) -> Result<Self, DbError> {
        let sql = Sql::new(
            "insert into auth_user (password, username, is_active, date_joined) values ('!', $1, true, $2) on conflict (username) do nothing",
        );
        executor.execute(sql.bind(name).bind(now)).await?;
        executor.one(Sql::new("select * from auth_user where username = $1").bind(name)).await
    }

    /// Puts a user into the groups of these names, as far as they exist, and takes the user out of all others.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn set_groups<E: Executor + ?Sized>(executor: &E, user: i64, names: &[String]) -> Result<(), DbError> {
        let mut sql = Sql::new("delete from auth_user_groups where user_id = ");
        sql.push_bind(user).push(" and group_id not in (select id from auth_group where name in ");
        sql.push_list(names).push(")");
        executor.execute(sql).await?;
        let mut sql =
            Sql::new("insert into auth_user_groups (user_id, group_id) select u.id, g.id from auth_user u, auth_group g where u.id = ");
        sql.push_bind(user).push(" and g.name in ");
        sql.push_list(names).push(" on conflict do nothing");
        executor.execute(sql).await?;
        Ok(())
    }

    /// Gives a user another password; sessions that were opened with the old one end. Whether there is such a user.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn set_password<E: Executor + ?Sized>(executor: &E, name: &str, hash: &str) -> Result<bool> {
        let sql = Sql::new("update auth_user set password = $1 where username = $2").bind(hash).bind(name);
        Ok(executor.execute(sql).await? > 0)
    }
}
