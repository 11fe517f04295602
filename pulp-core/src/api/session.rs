//! Sessions: rows of `django_session`, in a format of our own.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::FromRow;

use super::auth::Known;
use crate::clock::Timestamp;
use crate::db::{Executor, ExecutorExt, Sql};
use crate::model::User;
use crate::{Error, Pulp, Result};

/// The cookie of the session.
pub(super) const COOKIE: &str = "sessionid";

/// The cookie whose value a request that changes something must repeat in the header `X-CSRFToken`.
pub(super) const CSRF: &str = "csrftoken";

/// What a session knows.
#[derive(Debug, Serialize, Deserialize)]
struct Data {
    user: i64,
    /// Of the stored password hash: a new password ends old sessions.
    fingerprint: String,
}

fn fingerprint(user: &User) -> String {
    hex::encode(Sha256::digest(user.password.as_bytes()))
}

fn token() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = rand::rng();
    (0..32).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
}

/// The key under which a session is stored: who reads the database cannot log in with what is there.
fn stored_key(key: &str) -> String {
    hex::encode(Sha256::digest(key.as_bytes()))
}

/// Opens a session: the two cookies.
pub(super) async fn open(pulp: &Pulp, user: &User) -> Result<(String, String)> {
    let (key, now) = (token(), pulp.now());
    let data = serde_json::to_string(&Data { user: user.id, fingerprint: fingerprint(user) })
        .map_err(|error| Error::Internal(error.to_string()))?;
    let db = pulp.db();
    db.execute(Sql::new("delete from django_session where expire_date < $1").bind(now)).await?;
    let insert = Sql::new("insert into django_session (session_key, session_data, expire_date) values ($1, $2, $3)");
    db.execute(insert.bind(stored_key(&key)).bind(data).bind(now + chrono::TimeDelta::seconds(pulp.settings().session_cookie_age))).await?;
    db.execute(Sql::new("update auth_user set last_login = $1 where id = $2").bind(now).bind(user.id)).await?;
    Ok((key, token()))
}

/// A session with its user.
#[derive(FromRow)]
struct Open {
    session_data: String,
    expire_date: Timestamp,
    #[sqlx(flatten)]
    known: Known,
}

/// The user of a session, unless it has ended.
pub(super) async fn user(pulp: &Pulp, key: &str) -> Result<Option<Known>> {
    let db = pulp.db();
    let sql = Sql::new(format!(
        "select s.session_data, s.expire_date, {} from django_session s join auth_user u on u.id = {} where s.session_key = $1",
        Known::COLUMNS,
        db.dialect().json_number("s.session_data", "user"),
    ));
    let Some(open) = db.optional::<Open>(sql.bind(stored_key(key))).await? else { return Ok(None) };
    let Ok(data) = serde_json::from_str::<Data>(&open.session_data) else { return Ok(None) };
    let is_user = |known: &Known| known.user.is_active && known.user.id == data.user && fingerprint(&known.user) == data.fingerprint;
    Ok(Some(open.known).filter(|known| open.expire_date >= pulp.now() && is_user(known)))
}

/// Ends a session.
pub(super) async fn close(pulp: &Pulp, key: &str) -> Result<()> {
    pulp.db().execute(Sql::new("delete from django_session where session_key = $1").bind(stored_key(key))).await?;
    Ok(())
}

/// Sets both cookies.
pub(super) fn set_cookies(headers: &mut HeaderMap, pulp: &Pulp, key: &str, csrf: &str, secure: bool) {
    let age = pulp.settings().session_cookie_age;
    let secure = if secure { "; Secure" } else { "" };
    append(headers, &format!("{CSRF}={csrf}; Max-Age=31449600; Path=/; SameSite=Lax{secure}"));
    append(headers, &format!("{COOKIE}={key}; HttpOnly; Max-Age={age}; Path=/; SameSite=Lax{secure}"));
}

/// Takes the session’s cookie back.
pub(super) fn drop_cookie(headers: &mut HeaderMap) {
    append(headers, &format!("{COOKIE}=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=Lax"));
}

fn append(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        headers.append(SET_COOKIE, value);
    }
}
