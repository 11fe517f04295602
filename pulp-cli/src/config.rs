//! Settings: the files of the Python client, and the flags over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::output::Format;
use crate::secret::Secret;
use crate::size::Size;

/// The system's settings file.
const SYSTEM_FILE: &str = "/etc/pulp/cli.toml";

/// Names a further settings file, read over the default ones.
pub(crate) const FILE_VARIABLE: &str = "PULP_CLI_CONFIG";

/// One profile: the `[cli]` or `[cli-NAME]` table of a settings file, or the flags of one call.
///
/// The keys are those of the Python client, so that one file serves both.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Scheme, host and port of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    /// Path below which the API lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_root: Option<String>,
    /// Domain to work in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) domain: Option<String>,
    /// Headers for every call, each `name:value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<Secret>,
    /// OAuth2; known so that a shared file is accepted, but refused when used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<Secret>,
    /// PEM file with the client certificate, and perhaps its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<PathBuf>,
    /// PEM file with the client's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verify_ssl: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<Format>,
    /// Files above this size are uploaded in pieces of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) chunk_size: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dry_run: Option<bool>,
    /// Seconds to wait for a task; 0 for as long as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verbose: Option<u8>,
    /// Only `v3` is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_version: Option<String>,
    /// Plugins of the Python client; without meaning here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plugins: Option<Vec<String>>,
}

impl Profile {
    /// The profile with every value of `over` that is set in place of its own.
    pub(crate) fn overlaid(self, over: Self) -> Self {
        Self {
            base_url: over.base_url.or(self.base_url),
            api_root: over.api_root.or(self.api_root),
            domain: over.domain.or(self.domain),
            headers: match (self.headers, over.headers) {
                // A header of a flag comes in addition to those of the file.
                (Some(mut all), Some(more)) => {
                    all.extend(more);
                    Some(all)
                }
                (all, more) => more.or(all),
            },
            username: over.username.or(self.username),
            password: over.password.or(self.password),
            client_id: over.client_id.or(self.client_id),
            client_secret: over.client_secret.or(self.client_secret),
            cert: over.cert.or(self.cert),
            key: over.key.or(self.key),
            verify_ssl: over.verify_ssl.or(self.verify_ssl),
            format: over.format.or(self.format),
            chunk_size: over.chunk_size.or(self.chunk_size),
            dry_run: over.dry_run.or(self.dry_run),
            timeout: over.timeout.or(self.timeout),
            verbose: over.verbose.or(self.verbose),
            api_version: over.api_version.or(self.api_version),
            plugins: over.plugins.or(self.plugins),
        }
    }

    /// The profile with the default of every setting that has one; what `config create` writes.
    pub(crate) fn with_defaults(self) -> Self {
        Self {
            base_url: Some("https://localhost".to_owned()),
            api_root: Some("/pulp/".to_owned()),
            domain: Some("default".to_owned()),
            headers: Some(Vec::new()),
            verify_ssl: Some(true),
            format: Some(Format::Json),
            dry_run: Some(false),
            timeout: Some(0),
            verbose: Some(0),
            api_version: Some("v3".to_owned()),
            ..Self::default()
        }
        .overlaid(self)
    }
}

/// The table name of a profile: `cli` for none, `cli-NAME` for a name.
fn table_name(profile: Option<&str>) -> String {
    profile.map_or_else(|| "cli".to_owned(), |name| format!("cli-{name}"))
}

/// All profiles of one settings file, by table name.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl File {
    /// Reads a settings file.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or has an unknown key or a value of a wrong type. The error names
    /// the key and quotes no value.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|reason| Error::Config { path: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        // The parser's full message quotes the line, which may hold a password: give its number instead.
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {}", error.message())
        })?;
        let mut profiles = BTreeMap::new();
        for (name, value) in table {
            if name != "cli" && !name.starts_with("cli-") {
                return Err(format!("table [{name}]: profiles are called [cli] or [cli-NAME]"));
            }
            let profile = value.try_into::<Profile>().map_err(|error| format!("[{name}]: {}", error.message()))?;
            profiles.insert(name, profile);
        }
        Ok(Self { profiles })
    }

    fn overlay(&mut self, over: Self) {
        for (name, profile) in over.profiles {
            let below = self.profiles.remove(&name).unwrap_or_default();
            self.profiles.insert(name, below.overlaid(profile));
        }
    }
}

/// Where the user's settings file lies: `$XDG_CONFIG_HOME/pulp/cli.toml`, or `~/.config/pulp/cli.toml`.
pub(crate) fn user_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(directory.join("pulp").join("cli.toml"))
}

/// Reads the profile that a call works with, before its flags.
///
/// With `explicit`, that file alone; else the system's, the user's and that of `PULP_CLI_CONFIG`, a later one over
/// an earlier one, those that are missing left out. A profile takes nothing from `[cli]`.
///
/// # Errors
/// As [`File::read`]; when no file has the named profile; when the file that the variable names is missing.
pub(crate) fn load(explicit: Option<&Path>, profile: Option<&str>) -> Result<Profile> {
    let mut all = File::default();
    if let Some(path) = explicit {
        all = File::read(path)?;
    } else {
        for path in std::iter::once(PathBuf::from(SYSTEM_FILE)).chain(user_file()) {
            if path.exists() {
                all.overlay(File::read(&path)?);
            }
        }
        if let Some(path) = std::env::var_os(FILE_VARIABLE).filter(|value| !value.is_empty()) {
            all.overlay(File::read(Path::new(&path))?);
        }
    }
    let name = table_name(profile);
    match all.profiles.remove(&name) {
        Some(found) => Ok(found),
        None if profile.is_none() => Ok(Profile::default()),
        None => Err(Error::usage(format!(
            "there is no profile [{name}] in the settings; there are: {}",
            all.profiles.keys().map(|name| format!("[{name}]")).collect::<Vec<_>>().join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[cli]
base_url = "https://pulp.example.org"
username = "admin"
password = "secret"
verify_ssl = false
headers = ["a:1"]
chunk_size = "1mb"
timeout = 30
format = "json"
plugins = ["file", "rpm"]

[cli-other]
base_url = "http://localhost:8080"
"#;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_file_of_the_python_client() {
        let file = written(FILE);
        let profile = load(Some(file.path()), None).unwrap();
        assert_eq!(profile.base_url.as_deref(), Some("https://pulp.example.org"));
        assert_eq!(profile.password, Some("secret".into()));
        assert_eq!(profile.verify_ssl, Some(false));
        assert_eq!(profile.chunk_size, Size::bytes(1_000_000));
        assert_eq!(profile.timeout, Some(30));
    }

    #[test]
    fn a_profile_takes_nothing_from_the_default_one() {
        let file = written(FILE);
        let profile = load(Some(file.path()), Some("other")).unwrap();
        assert_eq!(profile.base_url.as_deref(), Some("http://localhost:8080"));
        assert_eq!(profile.username, None);
    }

    #[test]
    fn a_missing_profile_is_named_with_those_there_are() {
        let file = written(FILE);
        let error = load(Some(file.path()), Some("nope")).unwrap_err().to_string();
        assert!(error.contains("[cli-nope]") && error.contains("[cli-other]"), "{error}");
    }

    #[test]
    fn flags_win_and_headers_add_up() {
        let file = written(FILE);
        let flags = Profile { base_url: Some("http://flag".to_owned()), headers: Some(vec!["b:2".to_owned()]), ..Profile::default() };
        let profile = load(Some(file.path()), None).unwrap().overlaid(flags);
        assert_eq!(profile.base_url.as_deref(), Some("http://flag"));
        assert_eq!(profile.headers.unwrap(), ["a:1", "b:2"]);
        assert_eq!(profile.username.as_deref(), Some("admin"));
    }

    #[test]
    fn errors_name_the_key_and_quote_no_secret() {
        for (text, hint) in [
            ("[cli]\nbase_urll = \"x\"", "base_url"),
            ("[cli]\npassword = 4711", "must be a string"),
            ("[cli]\npassword = \"4711", "line 2"),
            ("[cli]\nchunk_size = \"1KKB\"", "1MB"),
            ("[cli]\nformat = \"xml\"", "json"),
            ("[client]\n", "[cli-NAME]"),
        ] {
            let file = written(text);
            let error = load(Some(file.path()), None).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
            assert!(error.contains(&file.path().display().to_string()), "{error}");
            assert!(!error.contains("4711"), "{error}");
        }
    }

    #[test]
    fn what_create_writes_is_read_again() {
        let profile = Profile { username: Some("admin".to_owned()), ..Profile::default() }.with_defaults();
        let text = toml::to_string(&BTreeMap::from([("cli", &profile)])).unwrap();
        assert_eq!(File::parse(&text).unwrap().profiles["cli"], profile);
    }
}
