//! The server’s configuration: a TOML file, `PULP_*` environment variables and flags, in rising order of precedence.
//!
//! Keys of the library’s [`Settings`] and of the server stand side by side, under the names that Pulp gives them, in upper or
//! lower case: `content_origin` in the file is `PULP_CONTENT_ORIGIN` in the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use http::HeaderValue;
use pulp_core::settings::Settings;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// What a process does. All roles by default; split them over processes where one is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers the REST API.
    Api,
    /// Serves content.
    Content,
    /// Runs tasks.
    Worker,
}

impl Role {
    const ALL: [Self; 3] = [Self::Api, Self::Content, Self::Worker];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Content => "content",
            Self::Worker => "worker",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or_else(|| format!("`{text}` is no role: choose among api, content, worker"))
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsAccess {
    /// Nobody: it is not there.
    Off,
    /// Whoever asks from this host and not through a proxy; others must be administrators.
    #[default]
    Local,
    /// Administrators.
    Administrators,
    /// Whoever can reach it.
    Anyone,
}

/// The keys that the server has beside the library’s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Server {
    /// Address and port of API and content.
    pub listen: SocketAddr,
    /// The chain of certificates of the listener, PEM: with it and a key, TLS is spoken. Read again when it changes.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate’s private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// What this process does.
    pub roles: Vec<Role>,
    /// Directory of database, artifacts, keys and unfinished files.
    pub data_dir: PathBuf,
    /// The database’s address: `postgres://…`, or `sqlite:///…`. Unset: a SQLite file in the data directory.
    pub database: Option<String>,
    /// Connections to the database at most.
    pub database_connections: u32,
    /// Whether SQLite waits for the disk at every commit.
    pub database_full_sync: bool,
    /// Where artifacts lie: `file:///…`, or `s3://bucket/prefix`. Unset: `media` in the data directory.
    pub storage: Option<String>,
    /// Options of the object storage: `endpoint`, `region`, `access_key_id`, `secret_access_key`, `session_token`,
    /// `virtual_hosted_style`.
    pub storage_options: BTreeMap<String, String>,
    /// Which log lines to write: a level, or a filter as in `info,pulp_core::tasks=debug`.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Whether to write a line for each request.
    pub access_log: bool,
    /// Who may read `/metrics`: `off`, `local`, `administrators`, `anyone`.
    pub metrics: MetricsAccess,
    /// Another address and port on which `/metrics` is answered, and nothing else: for processes that have no other. Without TLS.
    pub metrics_listen: Option<SocketAddr>,
    /// Whether metrics are pushed to an OpenTelemetry collector, which the variables `OTEL_…` name.
    pub otel_enabled: bool,
    /// Seconds that a client may take to send the head of a request.
    pub header_read_timeout: u64,
    /// Seconds that open requests get to end when the server stops.
    pub shutdown_timeout: u64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 24817)),
            tls_certificate: None,
            tls_key: None,
            roles: Role::ALL.to_vec(),
            data_dir: PathBuf::from("pulp-data"),
            database: None,
            database_connections: 8,
            database_full_sync: false,
            storage: None,
            storage_options: BTreeMap::new(),
            log_level: "info".to_owned(),
            log_format: LogFormat::default(),
            access_log: true,
            metrics: MetricsAccess::default(),
            metrics_listen: None,
            otel_enabled: false,
            header_read_timeout: 30,
            shutdown_timeout: 30,
        }
    }
}

impl Server {
    /// Whether this process has the role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Certificate and key, if the listener is to speak TLS.
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.tls_certificate.as_deref().zip(self.tls_key.as_deref())
    }
}

/// Everything that is configured, and where each key came from.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server’s keys.
    pub server: Server,
    /// The library’s keys.
    pub settings: Settings,
    sources: BTreeMap<String, String>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("the configuration file {path} is not valid TOML: {message}", path = path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: there is no setting `{key}`{}", hint.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// The key.
        key: String,
        /// Where it stands.
        origin: String,
        /// The nearest one that exists.
        hint: Option<String>,
    },
    /// A value that does not fit.
    #[error("{origin}: {key}: {message}")]
    Value {
        /// The key.
        key: String,
        /// Where it stands.
        origin: String,
        /// What is wrong.
        message: String,
    },
}

/// Collects keys in rising order of precedence.
#[derive(Debug)]
pub struct ConfigBuilder {
    server: Table,
    settings: Table,
    sources: BTreeMap<String, String>,
    /// The keys that exist, with an example of their type.
    known_server: Table,
    known_settings: Table,
}

/// Optional keys have no default that would show them in the table of defaults.
const OPTIONAL_SERVER: [&str; 5] = ["database", "metrics_listen", "storage", "tls_certificate", "tls_key"];
const OPTIONAL_SETTINGS: [&str; 8] = [
    "content_origin",
    "db_encryption_key",
    "remote_user_environ_name",
    "authentication_json_header",
    "authentication_json_header_jq_filter",
    "oidc_issuer",
    "oidc_audience",
    "oidc_groups_claim",
];

/// Variables of this prefix that belong to other programs.
const FOREIGN: [&str; 4] = ["PULP_SETTINGS", "PULP_CLI_CONFIG", "PULP_TEST_", "PULP_CONFIG"];

impl Default for ConfigBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfigBuilder {
    /// Starts with the defaults.
    pub fn new() -> Self {
        // Both structs are plain data: they always turn into tables.
        let known_server = Table::try_from(Server::default()).unwrap_or_default();
        let known_settings = Table::try_from(Settings::default()).unwrap_or_default();
        Self { server: Table::new(), settings: Table::new(), sources: BTreeMap::new(), known_server, known_settings }
    }

    /// Adds the keys of a TOML file.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, or has a key that does not exist.
    pub fn file(&mut self, path: &Path) -> Result<&mut Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File { path: path.to_owned(), source })?;
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax { path: path.to_owned(), message: error.to_string() })?;
        let origin = path.display().to_string();
        for (key, value) in table {
            self.set(&key, value, &origin)?;
        }
        Ok(self)
    }

    /// Adds the variables `PULP_<KEY>`. One that does not exist is only warned about: other programs use the prefix too.
    ///
    /// # Errors
    /// If a value does not fit its key.
    pub fn environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) -> Result<&mut Self, ConfigError> {
        for (variable, text) in variables {
            let Some(key) = variable.strip_prefix("PULP_") else { continue };
            if FOREIGN.iter().any(|foreign| variable.starts_with(foreign)) {
                continue;
            }
            let key = key.to_ascii_lowercase();
            let origin = format!("environment variable {variable}");
            let value = self.read_text(&key, &text);
            match self.set(&key, value, &origin) {
                Err(ConfigError::Unknown { hint: Some(near), .. }) => {
                    eprintln!("warning: {origin} is not a setting; did you mean PULP_{}?", near.to_ascii_uppercase());
                }
                Err(ConfigError::Unknown { .. }) => {}
                other => other?,
            }
        }
        Ok(self)
    }

    /// Adds one key from a flag.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn flag(&mut self, key: &str, value: impl Into<Value>) -> Result<&mut Self, ConfigError> {
        self.set(key, value.into(), &format!("flag --{}", key.replace('_', "-")))?;
        Ok(self)
    }

    /// Checks it all.
    ///
    /// # Errors
    /// [`ConfigError::Value`] names the first key whose value does not fit.
    pub fn build(self) -> Result<Config, ConfigError> {
        let server: Server = self.typed(&self.server)?;
        let settings: Settings = self.typed(&self.settings)?;
        let config = Config { server, settings, sources: self.sources };
        config.check()?;
        Ok(config)
    }

    fn set(&mut self, key: &str, value: Value, origin: &str) -> Result<(), ConfigError> {
        let key = key.to_ascii_lowercase();
        let table = if self.known_server.contains_key(&key) || OPTIONAL_SERVER.contains(&key.as_str()) {
            &mut self.server
        } else if self.known_settings.contains_key(&key) || OPTIONAL_SETTINGS.contains(&key.as_str()) {
            &mut self.settings
        } else {
            return Err(ConfigError::Unknown { hint: self.nearest(&key), key, origin: origin.to_owned() });
        };
        table.insert(key.clone(), value);
        self.sources.insert(key, origin.to_owned());
        Ok(())
    }

    /// A variable’s text as the type that its key has: TOML for lists, tables, numbers and booleans (Python’s spelling too).
    fn read_text(&self, key: &str, text: &str) -> Value {
        let like = self.known_server.get(key).or_else(|| self.known_settings.get(key));
        if matches!(like, None | Some(Value::String(_))) {
            return Value::String(text.to_owned());
        }
        let toml_text = match text {
            "True" | "1" if matches!(like, Some(Value::Boolean(_))) => "true",
            "False" | "0" if matches!(like, Some(Value::Boolean(_))) => "false",
            other => other,
        };
        if let Ok(mut table) = format!("v = {toml_text}").parse::<Table>()
            && let Some(value) = table.remove("v")
        {
            return value;
        }
        match like {
            // `--roles api,content` and the like.
            Some(Value::Array(_)) => Value::Array(
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| Value::String(part.to_owned())).collect(),
            ),
            _ => Value::String(text.to_owned()),
        }
    }

    fn nearest(&self, key: &str) -> Option<String> {
        let known =
            self.known_server.keys().chain(self.known_settings.keys()).map(String::as_str).chain(OPTIONAL_SERVER).chain(OPTIONAL_SETTINGS);
        known
            .map(|name| (distance(key, name), name))
            .min()
            .filter(|(far, name)| *far <= 1 + name.len() / 4)
            .map(|(_, name)| name.to_owned())
    }

    fn typed<T: for<'de> Deserialize<'de>>(&self, table: &Table) -> Result<T, ConfigError> {
        table.clone().try_into().map_err(|error: toml::de::Error| {
            // One key at a time tells which one it is.
            let guilty = table.iter().find(|(key, value)| {
                let alone: Table = [((*key).clone(), (*value).clone())].into_iter().collect();
                alone.try_into::<T>().is_err()
            });
            let key = guilty.map(|(key, _)| key.clone()).unwrap_or_default();
            let origin = self.sources.get(&key).cloned().unwrap_or_default();
            ConfigError::Value { key, origin, message: error.message().to_owned() }
        })
    }
}

impl Config {
    /// Where a key’s value came from; `None` for a default.
    pub fn source(&self, key: &str) -> Option<&str> {
        self.sources.get(key).map(String::as_str)
    }

    /// All keys with their values and sources, as TOML with comments; secrets are masked.
    pub fn show(&self) -> String {
        let mut keys = Table::try_from(&self.server).unwrap_or_default();
        keys.extend(Table::try_from(&self.settings).unwrap_or_default());
        for (key, value) in &mut keys {
            mask(key, value);
        }
        let mut lines = String::new();
        for (key, value) in &keys {
            let origin = self.source(key).unwrap_or("default");
            lines.push_str(&format!("{key} = {value}  # {origin}\n"));
        }
        for key in OPTIONAL_SERVER.into_iter().chain(OPTIONAL_SETTINGS).filter(|key| !keys.contains_key(*key)) {
            lines.push_str(&format!("# {key} is not set\n"));
        }
        lines
    }

    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, message: &str| {
            Err(ConfigError::Value {
                key: key.to_owned(),
                origin: self.source(key).unwrap_or("default").to_owned(),
                message: message.to_owned(),
            })
        };
        if self.server.roles.is_empty() {
            return wrong("roles", "a process needs a role: api, content, worker");
        }
        if self.server.otel_enabled && cfg!(not(feature = "opentelemetry")) {
            return wrong("otel_enabled", "this program was built without the feature `opentelemetry`");
        }
        for (key, path) in [("api_root", &self.settings.api_root), ("content_path_prefix", &self.settings.content_path_prefix)] {
            if !path.starts_with('/') || !path.ends_with('/') {
                return wrong(key, "the path must begin and end with a slash");
            }
        }
        for (key, one, other) in [
            ("tls_certificate", &self.server.tls_certificate, &self.server.tls_key),
            ("tls_key", &self.server.tls_key, &self.server.tls_certificate),
        ] {
            if one.is_some() && other.is_none() {
                return wrong(key, "TLS needs both, tls_certificate and tls_key");
            }
        }
        if !self.settings.allowed_content_checksums.iter().any(|name| name == "sha256") {
            return wrong("allowed_content_checksums", "sha256 must be among the checksums");
        }
        if let Some(value) = self.settings.content_cache_control.values().find(|value| HeaderValue::try_from(*value).is_err()) {
            return wrong("content_cache_control", &format!("`{value}` cannot stand in a header"));
        }
        if let Some(origin) = &self.settings.content_origin
            && (!(origin.starts_with("http://") || origin.starts_with("https://")) || origin.ends_with('/'))
        {
            return wrong("content_origin", "it must read like https://host:port, without a slash at the end");
        }
        Ok(())
    }
}

fn mask(key: &str, value: &mut Value) {
    match value {
        Value::Table(table) => {
            for (name, inner) in table.iter_mut() {
                mask(name, inner);
            }
        }
        Value::String(text) if ["secret", "password", "access_key", "token"].iter().any(|word| key.contains(word)) => {
            *text = "****".to_owned()
        }
        Value::String(text) => {
            if let Ok(mut url) = url::Url::parse(text)
                && url.password().is_some()
                && url.set_password(Some("****")).is_ok()
            {
                *text = url.into();
            }
        }
        _ => {}
    }
}

/// Edits that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pulp.toml");
        std::fs::write(&path, "worker_ttl = 1\nORPHAN_PROTECTION_TIME = 1\nlisten = \"127.0.0.1:1\"\n").unwrap();
        let mut builder = ConfigBuilder::new();
        builder.file(&path).unwrap();
        builder
            .environment(env(&[("PULP_ORPHAN_PROTECTION_TIME", "2"), ("PULP_LISTEN", "127.0.0.1:2"), ("PULP_CLI_CONFIG", "x")]))
            .unwrap();
        builder.flag("listen", "127.0.0.1:3").unwrap();
        let config = builder.build().unwrap();
        assert_eq!((config.settings.worker_ttl, config.settings.orphan_protection_time, config.server.listen.port()), (1, 2, 3));
        assert!(
            config.show().contains("orphan_protection_time = 2  # environment variable PULP_ORPHAN_PROTECTION_TIME"),
            "{}",
            config.show()
        );
    }

    #[test]
    fn lists_and_booleans_read_as_pulp_writes_them() {
        let mut builder = ConfigBuilder::new();
        builder
            .environment(env(&[
                ("PULP_ALLOWED_IMPORT_PATHS", r#"["/tmp", "/srv"]"#),
                ("PULP_HIDE_GUARDED_DISTRIBUTIONS", "True"),
                ("PULP_ROLES", "api,content"),
                ("PULP_CONTENT_ORIGIN", "https://pulp.example.com"),
            ]))
            .unwrap();
        let config = builder.build().unwrap();
        assert_eq!(config.settings.allowed_import_paths, [PathBuf::from("/tmp"), PathBuf::from("/srv")]);
        assert!(config.settings.hide_guarded_distributions);
        assert_eq!(config.server.roles, [Role::Api, Role::Content]);
        assert_eq!(config.settings.content_origin.as_deref(), Some("https://pulp.example.com"));
    }

    #[test]
    fn keys_without_a_default_can_be_set() {
        let mut builder = ConfigBuilder::new();
        builder
            .environment(env(&[
                ("PULP_REMOTE_USER_ENVIRON_NAME", "HTTP_REMOTE_USER"),
                ("PULP_AUTHENTICATION_JSON_HEADER", "HTTP_X_RH_IDENTITY"),
                ("PULP_AUTHENTICATION_JSON_HEADER_JQ_FILTER", ".identity.user.username"),
                ("PULP_OIDC_ISSUER", "https://issuer.example.com"),
                ("PULP_OIDC_AUDIENCE", "pulp"),
                ("PULP_OIDC_GROUPS_CLAIM", "groups"),
            ]))
            .unwrap();
        let settings = builder.build().unwrap().settings;
        assert_eq!(settings.remote_user_header().as_deref(), Some("remote-user"));
        assert_eq!(settings.oidc_issuer.as_deref(), Some("https://issuer.example.com"));
        assert_eq!((settings.oidc_audience.as_deref(), settings.oidc_groups_claim.as_deref()), (Some("pulp"), Some("groups")));
        assert_eq!(settings.json_header(), Some(("x-rh-identity".to_owned(), ".identity.user.username")));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pulp.toml");
        std::fs::write(&path, "content_orign = \"http://x\"\n").unwrap();
        let error = ConfigBuilder::new().file(&path).unwrap_err().to_string();
        assert!(error.contains("there is no setting `content_orign`; did you mean `content_origin`?"), "{error}");
    }

    #[test]
    fn a_value_that_does_not_fit_names_key_and_origin() {
        for (variable, text, says) in [
            ("PULP_WORKER_TTL", "soon", "worker_ttl"),
            ("PULP_ROLES", "api,cook", "roles"),
            ("PULP_API_ROOT", "pulp", "slash"),
            ("PULP_ALLOWED_CONTENT_CHECKSUMS", r#"["md5"]"#, "sha256"),
            ("PULP_CONTENT_ORIGIN", "pulp.example.com", "https://host:port"),
            ("PULP_CONTENT_CACHE_CONTROL", r#"{ "a/*" = "caf\u0007" }"#, "header"),
            ("PULP_TLS_KEY", "key.pem", "tls_certificate"),
        ] {
            let mut builder = ConfigBuilder::new();
            builder.environment(env(&[(variable, text)])).unwrap();
            let error = builder.build().unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut builder = ConfigBuilder::new();
        builder
            .environment(env(&[
                ("PULP_DATABASE", "postgres://pulp:hunter2@db/pulp"),
                ("PULP_STORAGE_OPTIONS", r#"{ secret_access_key = "hunter2", region = "x" }"#),
            ]))
            .unwrap();
        let shown = builder.build().unwrap().show();
        assert!(!shown.contains("hunter2") && shown.contains("region"), "{shown}");
    }
}
