//! Remembering for a short time that a password was right, and how often one was wrong.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{fmt, sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::{
    Secret,
    fernet::random,
    password::{self, ITERATIONS, PasswordError},
};

/// How many verified credentials are remembered.
const MOST: u64 = 10_000;
/// How long, unless told otherwise.
const LIFETIME: Duration = Duration::from_secs(300);
/// For how long wrong passwords count against a user.
const WINDOW: Duration = Duration::from_secs(60);
/// For how long who knew the password may go on trying while others guess.
const TRUSTED: Duration = Duration::from_secs(24 * 60 * 60);

/// Checks passwords on blocking threads, and remembers which were right, since each check costs some hundred milliseconds of
/// CPU and clients of the API send their password with every request.
///
/// What is remembered is neither password nor hash, but an HMAC, with a key of this process, over user, password and stored
/// hash: so a password that is changed is forgotten at once, and memory holds nothing to log in with. Wrong passwords are not
/// remembered, but counted: after [some](Self::attempts) for a user within a minute, only who has given the right one lately is heard.
/// At most as many checks run at once as there are cores. Cloning gives another handle to the same memory.
#[derive(Clone)]
pub struct CredentialCache {
    key: Secret<[u8; 32]>,
    verified: moka::sync::Cache<[u8; 32], ()>,
    trusted: moka::sync::Cache<[u8; 32], ()>,
    wrong: moka::sync::Cache<String, Arc<AtomicU32>>,
    attempts: u32,
    checks: Arc<Semaphore>,
}

impl CredentialCache {
    /// Remembers for five minutes.
    ///
    /// # Errors
    /// [`PasswordError::Random`].
    pub fn new() -> Result<Self, PasswordError> {
        Self::with_lifetime(LIFETIME)
    }

    /// Remembers for `lifetime`; not at all, if it is zero.
    ///
    /// # Errors
    /// [`PasswordError::Random`].
    pub fn with_lifetime(lifetime: Duration) -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let capacity = if lifetime.is_zero() { 0 } else { MOST };
        Ok(Self {
            key: random().map_err(|_| PasswordError::Random)?.into(),
            verified: moka::sync::Cache::builder().max_capacity(capacity).time_to_live(lifetime).build(),
            trusted: moka::sync::Cache::builder().max_capacity(MOST).time_to_live(TRUSTED).build(),
            wrong: moka::sync::Cache::builder().max_capacity(MOST).time_to_live(WINDOW).build(),
            attempts: 0,
            checks: Arc::new(Semaphore::new(cores)),
        })
    }

    /// How many wrong passwords may be tried for a user within a minute; 0 sets no bound.
    #[must_use]
    pub fn attempts(mut self, most: u32) -> Self {
        self.attempts = most;
        self
    }

    /// Whether `password` is that of `user`, whose stored hash is `stored`; there is none for a user who does not exist.
    ///
    /// For the latter a check is made all the same, lest its time tells which users there are.
    ///
    /// # Errors
    /// [`PasswordError::UnknownAlgorithm`], [`PasswordError::Malformed`] for what is stored; [`PasswordError::Stopping`].
    pub async fn verify(&self, user: &str, password: &Secret, stored: Option<&str>) -> Result<bool, PasswordError> {
        // Neither the time nor the answer tells whether there is such a user, or one who has a password.
        let Some(stored) = stored.filter(|stored| !stored.starts_with('!')) else {
            self.admit(user, None)?;
            let password = password.clone();
            self.slowly(move || password::make(password.expose(), ITERATIONS)).await?;
            self.count_wrong(user);
            return Ok(false);
        };
        let fingerprint = self.fingerprint(user, password, stored)?;
        if self.verified.contains_key(&fingerprint) {
            return Ok(true);
        }
        self.admit(user, Some(&fingerprint))?;
        let (password, stored) = (password.clone(), stored.to_owned());
        let right = self.slowly(move || password::verify(password.expose(), &stored)).await?;
        if right {
            self.verified.insert(fingerprint, ());
            self.trusted.insert(fingerprint, ());
        } else {
            self.count_wrong(user);
        }
        Ok(right)
    }

    /// Whether another password may be tried for a user.
    fn admit(&self, user: &str, fingerprint: Option<&[u8; 32]>) -> Result<(), PasswordError> {
        let tried = || self.wrong.get(user).map_or(0, |count| count.load(Ordering::Relaxed));
        let known = || fingerprint.is_some_and(|fingerprint| self.trusted.contains_key(fingerprint));
        if self.attempts == 0 || tried() < self.attempts || known() { Ok(()) } else { Err(PasswordError::TooMany) }
    }

    fn count_wrong(&self, user: &str) {
        if self.attempts > 0 {
            self.wrong.get_with_by_ref(user, Arc::default).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hashes a new password, to be stored.
    ///
    /// # Errors
    /// [`PasswordError::Random`], [`PasswordError::Stopping`].
    pub async fn hash(&self, password: &Secret) -> Result<String, PasswordError> {
        let password = password.clone();
        self.slowly(move || password::make(password.expose(), ITERATIONS)).await
    }

    async fn slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.checks).acquire_owned().await.map_err(|_| PasswordError::Stopping)?;
        // The permit goes with the work: who hangs up does not make room for more.
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError::Stopping)?
    }

    fn fingerprint(&self, user: &str, password: &Secret, stored: &str) -> Result<[u8; 32], PasswordError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose()).map_err(|_| PasswordError::Random)?;
        for part in [user, password.expose(), stored] {
            // With its length, so that no two different triples give the same bytes.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        Ok(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache").field("remembered", &self.verified.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered(cache: &CredentialCache) -> u64 {
        cache.verified.run_pending_tasks();
        cache.verified.entry_count()
    }

    #[tokio::test]
    async fn right_ones_are_remembered_until_the_hash_changes() {
        let cache = CredentialCache::new().unwrap();
        let (right, wrong) = (Secret::from("right"), Secret::from("wrong"));
        let stored = password::make("right", 1000).unwrap();
        assert_eq!(cache.verify("joe", &wrong, Some(&stored)).await, Ok(false));
        assert_eq!(remembered(&cache), 0);
        assert_eq!(cache.verify("joe", &right, Some(&stored)).await, Ok(true));
        assert_eq!(remembered(&cache), 1);

        // No more checks can be made: what is answered now was remembered.
        cache.checks.close();
        assert_eq!(cache.verify("joe", &right, Some(&stored)).await, Ok(true));
        let unknown = Err(PasswordError::Stopping);
        assert_eq!(cache.verify("joe", &wrong, Some(&stored)).await, unknown);
        assert_eq!(cache.verify("ann", &right, Some(&stored)).await, unknown);
        let changed = password::make("right", 1000).unwrap();
        assert_eq!(cache.verify("joe", &right, Some(&changed)).await, unknown);
    }

    #[tokio::test]
    async fn a_user_who_does_not_exist_is_checked_and_refused() {
        let cache = CredentialCache::new().unwrap();
        let password = Secret::from("x");
        assert_eq!(cache.verify("nobody", &password, None).await, Ok(false));
        // It is a check as any other: without checks, there is no answer.
        cache.checks.close();
        assert_eq!(cache.verify("nobody", &password, None).await, Err(PasswordError::Stopping));
    }

    #[tokio::test]
    async fn without_a_lifetime_nothing_is_remembered() {
        let cache = CredentialCache::with_lifetime(Duration::ZERO).unwrap();
        let stored = password::make("pw", 1000).unwrap();
        assert_eq!(cache.verify("joe", &"pw".into(), Some(&stored)).await, Ok(true));
        assert_eq!(remembered(&cache), 0);
    }

    #[tokio::test]
    async fn who_guesses_is_not_heard_for_long() {
        let cache = CredentialCache::with_lifetime(Duration::ZERO).unwrap().attempts(2);
        let (right, wrong) = (Secret::from("right"), Secret::from("wrong"));
        let stored = password::make("right", 1000).unwrap();
        assert_eq!(cache.verify("joe", &right, Some(&stored)).await, Ok(true));
        for user in ["joe", "ann"] {
            for _ in 0..2 {
                assert_eq!(cache.verify(user, &wrong, Some(&stored)).await, Ok(false));
            }
            assert_eq!(cache.verify(user, &wrong, Some(&stored)).await, Err(PasswordError::TooMany));
        }
        // Who has known the password goes on; whoever finds it now learns nothing.
        assert_eq!(cache.verify("joe", &right, Some(&stored)).await, Ok(true));
        assert_eq!(cache.verify("ann", &right, Some(&stored)).await, Err(PasswordError::TooMany));
        assert_eq!(cache.verify("bob", &right, Some(&stored)).await, Ok(true));
    }

    #[test]
    fn parts_cannot_be_shifted() {
        let cache = CredentialCache::new().unwrap();
        let print = |user, password: &str, stored| cache.fingerprint(user, &password.into(), stored).unwrap();
        assert_ne!(print("ab", "c", "d"), print("a", "bc", "d"));
        assert_ne!(print("a", "bc", "d"), print("a", "b", "cd"));
        assert_ne!(print("a", "b", "c"), CredentialCache::new().unwrap().fingerprint("a", &"b".into(), "c").unwrap());
    }
}
