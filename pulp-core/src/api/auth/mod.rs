//! Who asks: by HTTP Basic, with a token, by what a proxy says, or by the cookie of a session.

pub(crate) mod basic;
mod oidc;
pub(crate) mod proxy;
mod token;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, Method, StatusCode};
use sqlx::FromRow;
use uuid::Uuid;

use super::error::ApiError;
use super::request::is_safe;
use super::session;
use crate::db::{DbError, ExecutorExt, Sql};
use crate::model::User;
use crate::resource::access::Limit;
use crate::{Error, Pulp};

/// Characters of a user's name.
const LONGEST_NAME: usize = 150;

/// Who asks, and how that is known.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) user: User,
    pub(crate) by: By,
    /// The most that the user may do this time; nothing where that is all that the user may.
    pub(crate) limit: Option<Limit>,
    /// Whether policies are known to be as they are described.
    pub(crate) as_described: bool,
}

/// A user, and what each of the user's requests asks next: read together, for one look at the database is what most requests wait for longest.
#[derive(Debug, FromRow)]
pub(super) struct Known {
    #[sqlx(flatten)]
    pub(super) user: User,
    /// Whether an administrator has changed a policy.
    customized: bool,
}

impl Known {
    /// What a statement selects where `u` is the user's row.
    pub(super) const COLUMNS: &str = "u.*, exists (select 1 from core_accesspolicy where customized) as customized";

    async fn by_name(pulp: &Pulp, name: &str) -> Result<Option<Self>, DbError> {
        // PostgreSQL refuses a text with a null character; there is no such user.
        if name.contains('\0') {
            return Ok(None);
        }
        let sql = Sql::new(format!("select {} from auth_user u where u.username = $1", Self::COLUMNS));
        pulp.db().optional(sql.bind(name)).await
    }
}

/// How it is known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Name and password.
    Password,
    /// A token of ours.
    Token {
        /// Its key.
        id: Uuid,
        /// Whether it lets its user read only.
        read_only: bool,
    },
    /// A token of an OpenID Connect issuer.
    OpenId,
    /// A proxy, in a header that is the name.
    RemoteUser,
    /// A proxy, in a header of JSON.
    JsonHeader,
    /// The cookie of a session.
    Session,
}

impl By {
    /// As records have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Token { .. } => "token",
            Self::OpenId => "oidc",
            Self::RemoteUser => "remote_user",
            Self::JsonHeader => "json_header",
            Self::Session => "session",
        }
    }
}

impl Asker {
    /// A user with all that the user may do.
    fn new(user: User, by: By) -> Self {
        Self { user, by, limit: None, as_described: false }
    }

    /// The same, of whom more is known.
    fn of(known: Known, by: By) -> Self {
        Self { as_described: !known.customized, ..Self::new(known.user, by) }
    }
}

/// Who sends a request.
pub(super) async fn authenticate(pulp: &Pulp, headers: &HeaderMap, method: &Method) -> Result<Asker, ApiError> {
    if let Some(asker) = authorization(pulp, headers).await? {
        return Ok(asker);
    }
    match proxy::asker(pulp, headers).await? {
        Some(asker) => Ok(asker),
        None => session(pulp, headers, method).await,
    }
}

/// Who reads content, if the request names somebody who can log in.
pub(crate) async fn asker_of(pulp: &Pulp, headers: &HeaderMap) -> Option<Asker> {
    authenticate(pulp, headers, &Method::GET).await.ok()
}

/// Whether a request comes from somebody who may do everything, and not with a token that lets its user have a part of that.
pub(crate) async fn is_administrator(pulp: &Pulp, headers: &HeaderMap) -> Result<bool, ApiError> {
    let asker = authenticate(pulp, headers, &Method::GET).await?;
    Ok(asker.user.is_superuser && asker.limit.is_none())
}

/// By the header `Authorization`; schemes that are not known say nothing.
async fn authorization(pulp: &Pulp, headers: &HeaderMap) -> Result<Option<Asker>, ApiError> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let Some((scheme, rest)) = header.to_str().unwrap_or_default().split_once(' ') else { return Ok(None) };
    if scheme.eq_ignore_ascii_case("basic") {
        return basic::asker(pulp, rest.trim()).await.map(Some);
    }
    if scheme.eq_ignore_ascii_case("bearer") {
        return match token::bearer(pulp, rest.trim()).await? {
            Some(asker) => Ok(Some(asker)),
            None => oidc::asker(pulp, rest.trim()).await,
        };
    }
    Ok(None)
}

/// By the cookie of a session.
async fn session(pulp: &Pulp, headers: &HeaderMap, method: &Method) -> Result<Asker, ApiError> {
    let Some(key) = cookie(headers, session::COOKIE) else { return Err(Error::Unauthenticated.into()) };
    let known = session::user(pulp, key).await?.ok_or(Error::Unauthenticated)?;
    // Another site can make a browser send the cookie, but it can neither read it nor set the header.
    if !is_safe(method) {
        let sent = headers.get("x-csrftoken").and_then(|token| token.to_str().ok());
        match (sent, cookie(headers, session::CSRF)) {
            (Some(sent), Some(known)) if !sent.is_empty() && sent == known => {}
            (None, _) => return Err(ApiError::detail(StatusCode::FORBIDDEN, "CSRF Failed: CSRF token missing.")),
            _ => return Err(ApiError::detail(StatusCode::FORBIDDEN, "CSRF Failed: CSRF token incorrect.")),
        }
    }
    Ok(Asker::of(known, By::Session))
}

/// The user of this name, whom somebody else has authenticated. Whoever is new is made, without any role.
async fn known(pulp: &Pulp, name: &str) -> Result<User, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.contains('\0') || name.chars().count() > LONGEST_NAME {
        return Err(Error::Unauthenticated.into());
    }
    let user = match User::by_name(pulp.db(), name).await? {
        Some(user) => user,
        None => User::create_remote(pulp.db(), name, pulp.now()).await?,
    };
    if user.is_active { Ok(user) } else { Err(Error::Unauthenticated.into()) }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';')).find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}
