//! `pulp config`

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::SettingArgs;
use crate::config::{self, File, Profile};
use crate::error::{Error, Result};
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write a settings file
    Create(Box<Create>),
    /// Check a settings file
    Validate(Validate),
    /// Edit the settings file with $VISUAL or $EDITOR, and check it
    Edit(Location),
}

#[derive(Debug, Args)]
pub(crate) struct Location {
    /// The settings file [default: ~/.config/pulp/cli.toml]
    #[arg(long, value_name = "FILE")]
    location: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    settings: SettingArgs,
    /// Plugin of the Python client to load; kept in the file, without meaning here; may be repeated
    #[arg(long)]
    plugin: Vec<String>,
    /// Edit the file once it is written
    #[arg(long, short)]
    editor: bool,
    /// Replace the file if it is there
    #[arg(long, short)]
    overwrite: bool,
    /// Do not ask questions; none are asked
    #[arg(long, hide = true)]
    no_interactive: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    location: Location,
    /// Also refuse a profile that leaves a setting with a default unsaid
    #[arg(long)]
    strict: bool,
}

impl Location {
    fn path(&self) -> Result<PathBuf> {
        self.location
            .clone()
            .or_else(config::user_file)
            .ok_or_else(|| Error::usage("neither XDG_CONFIG_HOME nor HOME is set: say which file with --location"))
    }
}

impl ConfigCommand {
    pub(crate) fn exec(&self) -> Result<()> {
        match self {
            Self::Create(create) => create.exec(),
            Self::Validate(validate) => validate.exec(),
            Self::Edit(location) => {
                let path = location.path()?;
                edit(&path)?;
                say_valid(&path)
            }
        }
    }
}

impl Create {
    fn exec(&self) -> Result<()> {
        let path = self.location.path()?;
        let mut profile = self.settings.profile().with_defaults();
        profile.plugins = Some(self.plugin.clone()).filter(|list| !list.is_empty());
        let text = toml::to_string(&BTreeMap::from([("cli", profile)]))
            .map_err(|error| Error::Config { path: path.clone(), reason: error.to_string() })?;
        write(&path, &text, self.overwrite)?;
        output::line(&format!("Created the settings file '{}'.", path.display()))?;
        if self.editor {
            edit(&path)?;
            return say_valid(&path);
        }
        Ok(())
    }
}

impl Validate {
    fn exec(&self) -> Result<()> {
        let path = self.location.path()?;
        let file = File::read(&path)?;
        if self.strict {
            for (name, profile) in &file.profiles {
                let missing = unsaid(profile);
                if !missing.is_empty() {
                    let reason = format!("[{name}]: missing settings: {}", missing.join(", "));
                    return Err(Error::Config { path, reason });
                }
            }
        }
        output::line(&format!("'{}' is a valid settings file.", path.display()))
    }
}

/// The settings with a default that the profile does not say.
fn unsaid(profile: &Profile) -> Vec<&'static str> {
    [
        ("base_url", profile.base_url.is_none()),
        ("api_root", profile.api_root.is_none()),
        ("domain", profile.domain.is_none()),
        ("headers", profile.headers.is_none()),
        ("verify_ssl", profile.verify_ssl.is_none()),
        ("format", profile.format.is_none()),
        ("dry_run", profile.dry_run.is_none()),
        ("timeout", profile.timeout.is_none()),
        ("verbose", profile.verbose.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, missing)| missing.then_some(name))
    .collect()
}

/// Writes the file so that only its owner can read it: it may hold a password.
fn write(path: &Path, text: &str, overwrite: bool) -> Result<()> {
    let failed = |source| Error::File { action: "write", path: path.to_owned(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    if overwrite {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::usage(format!("'{}' is there already: replace it with --overwrite", path.display())),
        _ => failed(error),
    })?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn edit(path: &Path) -> Result<()> {
    if !path.exists() {
        return Err(Error::usage(format!("'{}' is not there: make it with `pulp config create`", path.display())));
    }
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
        .unwrap_or_else(|| "vi".to_owned());
    // An editor may come with arguments: `code --wait`.
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = std::process::Command::new(program)
        .args(words)
        .arg(path)
        .status()
        .map_err(|error| Error::usage(format!("cannot run the editor '{program}': {error}")))?;
    if status.success() { Ok(()) } else { Err(Error::usage(format!("the editor '{program}' failed ({status})"))) }
}

fn say_valid(path: &Path) -> Result<()> {
    File::read(path)?;
    output::line(&format!("'{}' is a valid settings file.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_private_and_not_replaced_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pulp").join("cli.toml");
        write(&path, "[cli]\n", false).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let error = write(&path, "[cli]\n", false).unwrap_err().to_string();
        assert!(error.contains("--overwrite"), "{error}");
        write(&path, "[cli-new]\n", true).unwrap();
        assert!(File::read(&path).unwrap().profiles.contains_key("cli-new"));
    }

    #[test]
    fn strict_wants_every_setting_said() {
        assert!(unsaid(&Profile::default().with_defaults()).is_empty());
        assert!(unsaid(&Profile::default()).contains(&"base_url"));
    }
}
