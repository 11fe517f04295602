//! The library’s settings, under Pulp’s own names.
//!
//! A front end fills them from a file, the environment (`PULP_<NAME>`) and flags; an embedding program sets the fields.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::digest::{Algorithm, UnknownAlgorithm};
use crate::download::DeniedNetworks;
use crate::{Error, Result};

/// Settings of one [`Pulp`](crate::Pulp). Times say their unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Settings {
    /// Path under which the API lies, with a slash at both ends.
    pub api_root: String,
    /// Scheme, host and port of content URLs, without a slash at the end. Unset: `base_url` is a path only.
    pub content_origin: Option<String>,
    /// Path under which content is served, with a slash at both ends.
    pub content_path_prefix: String,
    /// The file of the key that encrypts secrets in the database; made in the data directory if unset.
    pub db_encryption_key: Option<PathBuf>,
    /// Whether paths carry the name of a domain.
    pub domain_enabled: bool,
    /// Digests that are computed of every artifact, and accepted. `sha256` must be among them.
    pub allowed_content_checksums: Vec<String>,
    /// Directories from which `file://` remotes and importers may read.
    pub allowed_import_paths: Vec<PathBuf>,
    /// Networks that remotes, upstream Pulps and webhooks must not reach: `10.0.0.0/8`, single addresses, and the word `private`.
    pub remote_denied_networks: Vec<String>,
    /// Directories into which exporters may write.
    pub allowed_export_paths: Vec<PathBuf>,
    /// Minutes for which an orphan is kept.
    pub orphan_protection_time: i64,
    /// Minutes after which finished tasks are purged; 0 keeps them.
    pub task_protection_time: i64,
    /// Minutes after which uploads that were not committed are removed; 0 keeps them.
    pub upload_protection_time: i64,
    /// Minutes after which temporary files are removed; 0 keeps them.
    pub tmpfile_protection_time: i64,
    /// Seconds for which files of a publication that a distribution no longer serves stay reachable.
    pub distributed_publication_retention_period: i64,
    /// Seconds after which a worker that gives no sign of life counts as dead.
    pub worker_ttl: i64,
    /// Seconds after which an API process that gives no sign of life counts as gone.
    pub api_app_ttl: i64,
    /// Seconds after which a content process that gives no sign of life counts as gone.
    pub content_app_ttl: i64,
    /// Tasks that run at the same time in this process.
    pub worker_slots: usize,
    /// Seconds for which a lazy source that failed is not asked again.
    pub remote_content_fetch_failure_cooldown: i64,
    /// Whether what is not stored yet is still fetched from a remote that was deleted, until nothing needs it any more. Pulp forgets its sources.
    pub keep_sources_of_deleted_remotes: bool,
    /// Environment variables that content guards may compare a header with.
    pub envvar_header_content_guard_allowed_vars: Vec<String>,
    /// `Cache-Control` of files by the base path of their distribution, with the domain in front where there are domains; a `*` at its end
    /// stands for anything, and the longest that fits counts: `"release/*" = "public, max-age=3600"`. Behind a guard it is made private.
    pub content_cache_control: BTreeMap<String, String>,
    /// Whether listings and answers of the API are compressed for clients that take it.
    pub compress_answers: bool,
    /// Whether guarded distributions are left out of listings.
    pub hide_guarded_distributions: bool,
    /// Bytes that a sync may hold in memory and on its way to storage.
    pub sync_max_in_flight_bytes: u64,
    /// Content units that a sync may hold at the same time.
    pub sync_max_in_flight_items: usize,
    /// Bytes that unfinished files may take; 0 sets no bound.
    pub spool_quota_bytes: u64,
    /// Bytes of large files that did not come in whole which are kept, for a day at most, so that the next fetch goes on behind them; 0 keeps
    /// none.
    pub partial_files_bytes: u64,
    /// Bytes above which a lazy file is streamed before its digest is known to be right (its end is held back until then).
    pub verify_before_serving_bytes: u64,
    /// Upstream fetches of lazy content at the same time.
    pub lazy_fetch_concurrency: usize,
    /// Requests to one upstream host at the same time, whichever remotes make them; 0 sets no bound.
    pub download_host_concurrency: usize,
    /// Bytes that are fetched from one upstream host in a second; 0 sets no bound.
    pub download_host_bytes_per_second: u64,
    /// Bytes of one request body that is not an upload.
    pub max_request_body_bytes: usize,
    /// Bytes of one uploaded file; 0 sets no bound.
    pub max_upload_bytes: u64,
    /// Seconds for which a verified password need not be hashed again.
    pub credential_cache_seconds: u64,
    /// Wrong passwords that may be tried for a user within a minute; 0 sets no bound.
    pub login_attempts_per_minute: u32,
    /// The request's header that names a user whom a proxy has authenticated, as Django's environment calls it: `HTTP_REMOTE_USER`. The
    /// proxy must strip it from what clients send. Unset: none.
    pub remote_user_environ_name: Option<String>,
    /// The request's header in which a proxy says who asks, as base64 of JSON; named as `remote_user_environ_name` is. The proxy must strip
    /// it from what clients send. Unset: none.
    pub authentication_json_header: Option<String>,
    /// The jq filter whose first output over that JSON is the user's name.
    pub authentication_json_header_jq_filter: Option<String>,
    /// The OpenID Connect issuer whose bearer tokens say who asks: its address, exactly as its tokens name it. Unset: none.
    pub oidc_issuer: Option<String>,
    /// For whom the issuer's tokens must be: what they have as `aud`.
    pub oidc_audience: Option<String>,
    /// The claim that is the user's name.
    pub oidc_username_claim: String,
    /// The claim with the names of the groups that the user is in: of those that exist, these and no others. Unset: groups stay as they are.
    pub oidc_groups_claim: Option<String>,
    /// Where known vulnerabilities are asked for: the query address of an OSV database.
    pub vulnerability_source_url: String,
    /// Seconds for which a session is valid.
    pub session_cookie_age: i64,
    /// Diagnostics that a request may ask of its tasks (`X-Task-Diagnostics`): `memory`. Pulp’s others are accepted, and none is taken.
    pub task_diagnostics: Vec<String>,
    /// Bytes of stored files that are read in a second to find those that are damaged; 0: none.
    pub scrub_bytes_per_second: u64,
    /// Days from one look at a stored file to the next.
    pub scrub_interval_days: i64,
    /// Days after which records of changes are removed; 0 keeps them.
    pub audit_retention_days: i64,
    /// Hours for which a message to a webhook is tried to be sent.
    pub webhook_retry_hours: i64,
    /// Days after which messages to webhooks are removed; 0 keeps them.
    pub webhook_retention_days: i64,
    /// Messages to webhooks that are sent at the same time.
    pub webhook_concurrency: usize,
    /// Milliseconds up to which a task is young: a look at one that has not ended is answered when it ends, or is no longer young; 0: at once.
    pub young_task_milliseconds: u64,
    /// Start of the grace that ends running tasks at shut-down, in seconds.
    pub task_grace_interval: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_root: "/pulp/".to_owned(),
            content_origin: None,
            content_path_prefix: "/pulp/content/".to_owned(),
            db_encryption_key: None,
            domain_enabled: false,
            allowed_content_checksums: ["sha224", "sha256", "sha384", "sha512"].map(str::to_owned).to_vec(),
            allowed_import_paths: Vec::new(),
            remote_denied_networks: Vec::new(),
            allowed_export_paths: Vec::new(),
            orphan_protection_time: 24 * 60,
            task_protection_time: 0,
            upload_protection_time: 0,
            tmpfile_protection_time: 0,
            distributed_publication_retention_period: 3 * 24 * 3_600,
            worker_ttl: 30,
            api_app_ttl: 120,
            content_app_ttl: 30,
            worker_slots: 2,
            remote_content_fetch_failure_cooldown: 5 * 60,
            keep_sources_of_deleted_remotes: false,
            envvar_header_content_guard_allowed_vars: Vec::new(),
            content_cache_control: BTreeMap::new(),
            compress_answers: true,
            hide_guarded_distributions: false,
            sync_max_in_flight_bytes: 256 << 20,
            sync_max_in_flight_items: 12_000,
            spool_quota_bytes: 0,
            partial_files_bytes: 10 << 30,
            verify_before_serving_bytes: 1 << 20,
            lazy_fetch_concurrency: 64,
            download_host_concurrency: 0,
            download_host_bytes_per_second: 0,
            max_request_body_bytes: 16 << 20,
            max_upload_bytes: 0,
            credential_cache_seconds: 60,
            login_attempts_per_minute: 20,
            remote_user_environ_name: None,
            authentication_json_header: None,
            authentication_json_header_jq_filter: None,
            oidc_issuer: None,
            oidc_audience: None,
            oidc_username_claim: "sub".to_owned(),
            oidc_groups_claim: None,
            vulnerability_source_url: "https://api.osv.dev/v1/query".to_owned(),
            session_cookie_age: 14 * 24 * 60 * 60,
            task_diagnostics: Vec::new(),
            scrub_bytes_per_second: 0,
            scrub_interval_days: 30,
            audit_retention_days: 0,
            webhook_retry_hours: 24,
            webhook_retention_days: 14,
            webhook_concurrency: 8,
            young_task_milliseconds: 250,
            task_grace_interval: 600,
        }
    }
}

impl Settings {
    /// [`Settings::allowed_content_checksums`] as algorithms.
    ///
    /// # Errors
    /// [`Error::Setting`] for a name that is none, or if `sha256` is missing.
    pub fn checksums(&self) -> Result<Vec<Algorithm>> {
        let wrong = |reason: String| Error::Setting { name: "allowed_content_checksums".to_owned(), reason };
        let algorithms: Vec<Algorithm> = self
            .allowed_content_checksums
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, _>>()
            .map_err(|error: UnknownAlgorithm| wrong(error.to_string()))?;
        if algorithms.contains(&Algorithm::Sha256) {
            Ok(algorithms)
        } else {
            Err(wrong("sha256 must be among them: it names every artifact".to_owned()))
        }
    }

    /// [`Settings::remote_denied_networks`], read.
    ///
    /// # Errors
    /// [`Error::Setting`] for a text that is no network.
    pub fn denied_networks(&self) -> Result<DeniedNetworks> {
        DeniedNetworks::parse(&self.remote_denied_networks).map_err(|text| Error::Setting {
            name: "remote_denied_networks".to_owned(),
            reason: format!(
                "`{text}` is no network: write it as 10.0.0.0/8 or fd00::/8, as an address, or `private` for those of one's own"
            ),
        })
    }

    /// The header of [`Settings::remote_user_environ_name`]: `remote-user` of `HTTP_REMOTE_USER`.
    pub fn remote_user_header(&self) -> Option<String> {
        header_of(self.remote_user_environ_name.as_deref()?)
    }

    /// The header of [`Settings::authentication_json_header`], and the filter that finds the user's name in it; nothing unless both are set.
    pub fn json_header(&self) -> Option<(String, &str)> {
        let filter = self.authentication_json_header_jq_filter.as_deref()?;
        Some((header_of(self.authentication_json_header.as_deref()?)?, filter))
    }

    /// The moment before which an orphan may go.
    pub fn orphans_before(&self, now: Timestamp) -> Timestamp {
        now - chrono::TimeDelta::minutes(self.orphan_protection_time)
    }
}

/// The header that Django calls so: `remote-user` of `HTTP_REMOTE_USER`.
fn header_of(name: &str) -> Option<String> {
    Some(name.strip_prefix("HTTP_")?.to_ascii_lowercase().replace('_', "-"))
}
