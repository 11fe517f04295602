//! Tokens with which programs ask in the name of a user.

use rand::TryRng as _;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::User;
use crate::clock::Timestamp;
use crate::crypto::Secret;
use crate::db::{DbError, Executor, ExecutorExt, Sql};
use crate::ids::new_id;
use crate::{Error, Result};

/// How every secret begins: so that it is known for what it is, wherever it turns up.
const PREFIX: &str = "pulp_";
/// Random bytes of a secret, which follow in hexadecimal digits.
const RANDOM: usize = 32;
/// Seconds that pass until it is noted again that a token was used.
const NOTED: i64 = 60;

/// A token and its user.
#[derive(Debug, Clone, FromRow)]
pub struct ApiToken {
    /// Key.
    pub pulp_id: Uuid,
    /// Whether it lets its user read only.
    pub read_only: bool,
    /// The permissions that it lets its user have at most; nothing for all of them.
    pub permissions: Option<Json<Vec<String>>>,
    /// From when on it is not valid.
    pub expires: Option<Timestamp>,
    /// When it was used last, but for a minute.
    pub last_used: Option<Timestamp>,
    /// Whose it is.
    #[sqlx(flatten)]
    pub user: User,
}

/// What a new token is to be.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Unique among those of the user.
    pub name: String,
    /// As of [`ApiToken`].
    pub read_only: bool,
    /// As of [`ApiToken`].
    pub permissions: Option<Vec<String>>,
    /// As of [`ApiToken`].
    pub expires: Option<Timestamp>,
}

impl ApiToken {
    /// Whether a text has the shape that secrets have.
    pub fn is_secret(text: &str) -> bool {
        text.strip_prefix(PREFIX).is_some_and(|rest| rest.len() == 2 * RANDOM && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    /// The token of a secret, whether it is still valid or not.
    ///
    /// What is looked up is its digest: how long that takes tells nothing of other secrets.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn by_secret<E: Executor + ?Sized>(executor: &E, secret: &str) -> Result<Option<Self>, DbError> {
        let sql = Sql::new(
            "select t.pulp_id, t.read_only, t.permissions, t.expires, t.last_used, u.* \
             from core_apitoken t join auth_user u on u.id = t.user_id where t.digest = $1",
        );
        executor.optional(sql.bind(digest(secret))).await
    }

    /// Whether its user may ask with it.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.user.is_active && self.expires.is_none_or(|expires| now < expires)
    }

    /// Notes that it was used, unless that was noted a moment ago.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn note_use<E: Executor + ?Sized>(&self, executor: &E, now: Timestamp) -> Result<(), DbError> {
        let before = now - chrono::TimeDelta::seconds(NOTED);
        if self.last_used.is_none_or(|last| last < before) {
            executor.execute(Sql::new("update core_apitoken set last_used = $1 where pulp_id = $2").bind(now).bind(self.pulp_id)).await?;
        }
        Ok(())
    }

    /// Makes a token of a user; its key, and its secret, which is not to be had again.
    ///
    /// # Errors
    /// A unique violation if the user has one of this name.
    pub async fn create<E: Executor + ?Sized>(executor: &E, user: i64, new: &NewToken, now: Timestamp) -> Result<(Uuid, Secret)> {
        let (id, secret) = (new_id(), new_secret()?);
        let sql = Sql::new(
            "insert into core_apitoken (pulp_id, pulp_created, pulp_last_updated, name, digest, read_only, permissions, expires, user_id) \
             values ($1, $2, $2, $3, $4, $5, $6, $7, $8)",
        );
        let permissions = new.permissions.as_ref().map(|names| serde_json::json!(names));
        let sql = sql.bind(id).bind(now).bind(&new.name).bind(digest(&secret)).bind(new.read_only).bind(permissions).bind(new.expires);
        executor.execute(sql.bind(user)).await?;
        Ok((id, Secret::new(secret)))
    }
}

fn new_secret() -> Result<String> {
    let mut bytes = [0; RANDOM];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| Error::Internal("the machine gives no random bytes".to_owned()))?;
    Ok(format!("{PREFIX}{}", hex::encode(bytes)))
}

/// What is stored of a secret. It is random enough to need no more than this.
fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
