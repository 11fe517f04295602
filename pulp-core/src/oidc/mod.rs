//! Bearer tokens of an OpenID Connect issuer: who asks is known there, and signed for.
//!
//! The issuer's [discovery document](https://openid.net/specs/openid-connect-discovery-1_0.html) says where its keys are; they are fetched
//! when first needed, again every hour, and when a token names one that is not known: then once a minute at most.

mod keys;
pub(crate) mod token;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use chrono::TimeDelta;
use moka::sync::Cache;
use serde_json::Value as Json;
use tokio::sync::Mutex;
use url::Url;

use self::keys::KeySet;
use self::token::Token;
use crate::clock::Timestamp;
use crate::db::{Db, DbError};
use crate::download::{DownloadError, JsonDocuments};
use crate::model::User;
use crate::settings::Settings;
use crate::{Error, Result};

/// How old keys may be.
const LIFETIME: TimeDelta = TimeDelta::hours(1);
/// The least time between two attempts to fetch them.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Groups of a token that count.
const MOST_GROUPS: usize = 1_000;
/// Users whose groups are remembered, and for how long.
const MOST_USERS: u64 = 10_000;
const REMEMBERED: Duration = Duration::from_secs(60);

/// Why a token lets nobody in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcError {
    /// The token is at fault.
    #[error("the token {0}")]
    Token(&'static str),
    /// The issuer cannot be asked for its keys.
    #[error("the keys of the issuer cannot be had: {0}")]
    Issuer(String),
}

/// An issuer, and what is known of its keys.
#[derive(Debug)]
pub(crate) struct Oidc {
    /// As tokens must name it.
    issuer: String,
    audience: String,
    documents: JsonDocuments,
    keys: ArcSwapOption<Fetched>,
    /// When they were asked for last, whatever came of it. Who holds it fetches.
    asked: Mutex<Option<Timestamp>>,
    /// The groups that users were put into lately.
    groups: Cache<i64, Vec<String>>,
}

#[derive(Debug)]
struct Fetched {
    at: Timestamp,
    keys: KeySet,
}

impl Oidc {
    /// The issuer of the settings, if they name one.
    ///
    /// # Errors
    /// [`Error::Setting`] if it cannot be used.
    pub(crate) fn new(settings: &Settings) -> Result<Option<Self>> {
        let wrong = |name: &str, reason: &str| Error::Setting { name: name.to_owned(), reason: reason.to_owned() };
        let Some(issuer) = &settings.oidc_issuer else { return Ok(None) };
        let url: Url = issuer.parse().map_err(|_| wrong("oidc_issuer", "it is not a URL"))?;
        if !is_safe(&url) {
            return Err(wrong("oidc_issuer", "it must begin with https://: who can change its answers can be anybody"));
        }
        let audience = settings.oidc_audience.clone().filter(|audience| !audience.is_empty());
        let audience = audience.ok_or_else(|| wrong("oidc_audience", "without it, tokens that were made for others would do"))?;
        let (documents, keys, asked) = (JsonDocuments::new()?, ArcSwapOption::empty(), Mutex::default());
        let groups = Cache::builder().max_capacity(MOST_USERS).time_to_live(REMEMBERED).build();
        Ok(Some(Self { issuer: issuer.clone(), audience, documents, keys, asked, groups }))
    }

    /// Whether a text has the shape of a token: what has not is none of the issuer's.
    pub(crate) fn is_token(text: &str) -> bool {
        text.split('.').count() == 3
    }

    /// What a token says, which is believed: it is signed, meant for us, and valid now.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) async fn verify(&self, text: &str, now: Timestamp) -> Result<serde_json::Map<String, Json>, OidcError> {
        let token = Token::parse(text)?;
        let known = self.keys.load_full().filter(|fetched| now - fetched.at < LIFETIME);
        let signed = match known {
            Some(fetched) if fetched.keys.has(&token) => fetched.keys.verify(&token),
            _ => match self.fetched(now).await? {
                Some(fetched) => fetched.keys.verify(&token),
                None => false,
            },
        };
        if !signed {
            return Err(OidcError::Token("is not signed with a key of the issuer"));
        }
        token.claims(&self.issuer, &self.audience, now)
    }

    /// Puts a user into the groups that a token names, unless that was done a moment ago.
    pub(crate) async fn put_into_groups(&self, db: &Db, user: i64, mut names: Vec<String>) -> Result<(), DbError> {
        names.truncate(MOST_GROUPS);
        if self.groups.get(&user).is_some_and(|known| known == names) {
            return Ok(());
        }
        let tx = db.begin().await?;
        User::set_groups(&tx, user, &names).await?;
        tx.commit().await?;
        self.groups.insert(user, names);
        Ok(())
    }

    /// The keys as they are now, unless they were asked for a moment ago: then those that are known.
    async fn fetched(&self, now: Timestamp) -> Result<Option<Arc<Fetched>>, OidcError> {
        let mut asked = self.asked.lock().await;
        if asked.is_none_or(|asked| now - asked >= PAUSE) {
            *asked = Some(now);
            match self.fetch().await {
                Ok(keys) => self.keys.store(Some(Arc::new(Fetched { at: now, keys }))),
                Err(error) => tracing::warn!(%error, issuer = self.issuer, "keys of the issuer of tokens could not be fetched"),
            }
        }
        match self.keys.load_full() {
            None => Err(OidcError::Issuer("it could not be reached, or what it answers is of no use".to_owned())),
            keys => Ok(keys),
        }
    }

    async fn fetch(&self) -> Result<KeySet, OidcError> {
        let lost = |error: DownloadError| OidcError::Issuer(error.to_string());
        let wrong = |reason: &str| OidcError::Issuer(reason.to_owned());
        let discovery = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let discovery: Url = discovery.parse().map_err(|_| wrong("its address is none"))?;
        let document = self.documents.get(&discovery).await.map_err(lost)?;
        if document["issuer"].as_str() != Some(self.issuer.as_str()) {
            return Err(wrong("its discovery document names another issuer"));
        }
        let at: Option<Url> = document["jwks_uri"].as_str().and_then(|at| at.parse().ok());
        let at = at.filter(is_safe).ok_or_else(|| wrong("its discovery document has no safe address of its keys"))?;
        Ok(KeySet::read(&self.documents.get(&at).await.map_err(lost)?))
    }
}

/// Whether nobody on the way can change what comes from there.
fn is_safe(url: &Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && local)
}
