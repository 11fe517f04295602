//! `pulp file repository content`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::content::{CONTENT, find_unit};
use super::repository::REPOSITORY;
use super::repository_version::version_href;
use super::{REPOSITORIES, one_type_group};
use crate::args;
use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::Page;
use crate::lookup::{Lookup as _, RepositoryLookup};
use crate::reference::TypedReference;
use crate::resource::Body;

one_type_group!(
    /// `pulp file repository content`
    ContentGroup, ContentCommand
);

#[derive(Debug, Subcommand)]
pub(crate) enum ContentCommand {
    /// List the content of a version
    List(List),
    /// Add a content unit, as a new version
    Add(Add),
    /// Remove a content unit, or all, as a new version
    Remove(Remove),
    /// Add and remove many content units in one new version
    Modify(Modify),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    lookup: RepositoryLookup,
    /// Number of the version [default: the latest]
    #[arg(long, value_name = "NUMBER")]
    version: Option<u64>,
    /// List content of all types, with the fields that all types have
    #[arg(long)]
    all_types: bool,
}

/// Which repository to change, and from which version on.
#[derive(Debug, Args)]
struct Target {
    #[command(flatten)]
    lookup: RepositoryLookup,
    /// Repository whose version the new one begins with: [[PLUGIN:]TYPE:]NAME, href or PRN
    #[arg(long, value_name = "REPOSITORY")]
    base_repository: Option<TypedReference>,
    /// Number of the version that the new one begins with
    #[arg(long, value_name = "NUMBER")]
    base_version: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    target: Target,
    /// SHA-256 digest of the file
    #[arg(long)]
    sha256: String,
    /// Path of the file in the repository
    #[arg(long)]
    relative_path: String,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    target: Target,
    /// Remove everything
    #[arg(long, conflicts_with_all = ["sha256", "relative_path"], required_unless_present = "sha256")]
    all: bool,
    /// SHA-256 digest of the file
    #[arg(long, requires = "relative_path")]
    sha256: Option<String>,
    /// Path of the file in the repository
    #[arg(long, requires = "sha256")]
    relative_path: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Modify {
    #[command(flatten)]
    target: Target,
    /// What to add: JSON list of {"sha256": …, "relative_path": …}, or @FILE with one
    #[arg(long, value_name = "JSON", value_parser = units)]
    add_content: Option<Units>,
    /// What to remove, written likewise
    #[arg(long, value_name = "JSON", value_parser = units)]
    remove_content: Option<Units>,
}

/// Content units, each by its natural key: digest and path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Units(Vec<(String, String)>);

impl ContentCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx).await,
            Self::Add(add) => {
                let unit = find_unit(cx, &add.sha256, &add.relative_path).await?;
                add.target.modify(cx, &[unit], &[]).await
            }
            Self::Remove(remove) => {
                let unit = match (&remove.sha256, &remove.relative_path) {
                    (Some(sha256), Some(path)) => find_unit(cx, sha256, path).await?,
                    _ => "*".to_owned(),
                };
                remove.target.modify(cx, &[], &[unit]).await
            }
            Self::Modify(modify) => {
                let add = find_units(cx, modify.add_content.as_ref()).await?;
                let remove = find_units(cx, modify.remove_content.as_ref()).await?;
                modify.target.modify(cx, &add, &remove).await
            }
        }
    }
}

impl List {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let repository = self.lookup.find(cx, &REPOSITORY).await?;
        let version = version_href(&repository, self.version)?;
        let path = if self.all_types { "content/" } else { CONTENT.path() };
        self.page.exec(cx, path, Query::new().with("repository_version", Some(version))).await
    }
}

impl Target {
    async fn modify(&self, cx: &Context, add: &[String], remove: &[String]) -> Result<()> {
        let href = self.lookup.href(cx, &REPOSITORY).await?;
        let body = Body::new()
            .with("base_version", self.base(cx, &href).await?)
            .with("add_content_units", Some(add).filter(|units| !units.is_empty()))
            .with("remove_content_units", Some(remove).filter(|units| !units.is_empty()));
        cx.act(&href, "modify", body).await.map(drop)
    }

    /// The href of the version to begin with, if one was named.
    async fn base(&self, cx: &Context, repository: &str) -> Result<Option<String>> {
        let base = match cx.target_if(&REPOSITORIES, self.base_repository.as_ref()).await? {
            Some(Value::String(href)) => href,
            Some(_) => return Err(Error::usage("--base-repository: name a repository")),
            None if self.base_version.is_some() => repository.to_owned(),
            None => return Ok(None),
        };
        let base = cx.client.get(&base, &Query::new()).await?;
        version_href(&base, self.base_version).map(Some)
    }
}

/// The hrefs of the units.
async fn find_units(cx: &Context, units: Option<&Units>) -> Result<Vec<String>> {
    let mut hrefs = Vec::new();
    for (sha256, relative_path) in units.into_iter().flat_map(|units| &units.0) {
        hrefs.push(find_unit(cx, sha256, relative_path).await?);
    }
    Ok(hrefs)
}

/// Reads the list of an argument. The phrases of the errors are those that scripts of the Python client look for.
fn units(text: &str) -> Result<Units, String> {
    let value = args::json(text)?;
    let list = value.as_array().ok_or_else(|| format!("{value} should be instance of 'list'"))?;
    list.iter().map(unit).collect::<Result<_, _>>().map(Units)
}

fn unit(value: &Value) -> Result<(String, String), String> {
    let fields = value.as_object().ok_or_else(|| format!("{value} should be instance of 'dict'"))?;
    if let Some(wrong) = fields.keys().find(|key| !matches!(key.as_str(), "sha256" | "relative_path")) {
        return Err(format!("Wrong key '{wrong}' in {value}"));
    }
    let field = |name: &str| match fields.get(name) {
        None => Err(format!("Missing key: '{name}' in {value}")),
        Some(Value::String(text)) if text.is_empty() => Err(format!("Key '{name}' error: must not be empty")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("Key '{name}' error: {other} should be instance of 'str'")),
    };
    Ok((field("sha256")?, field("relative_path")?))
}

/// Adds content units to a repository in one new version.
pub(super) async fn add_units(cx: &Context, repository: &str, hrefs: &[String]) -> Result<()> {
    cx.act(repository, "modify", Body::new().with("add_content_units", Some(hrefs))).await.map(drop)
}

/// The href of a repository in an answer or argument.
pub(super) fn as_href(target: &Value) -> Result<&str> {
    target.as_str().ok_or_else(|| Error::usage("--repository: name a repository"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_checked() {
        let good = units(r#"[{"sha256": "a", "relative_path": "b"}]"#).unwrap();
        assert_eq!(good, Units(vec![("a".to_owned(), "b".to_owned())]));
        for (text, phrase) in [
            (r#"{"sha256": "a"}"#, "should be instance of 'list'"),
            ("[1]", "should be instance of 'dict'"),
            (r#"[{"relative_path": "b"}]"#, "Missing key: 'sha256'"),
            (r#"[{"sha256": "a", "relative_path": "b", "sha128": "c"}]"#, "Wrong key 'sha128' in"),
            (r#"[{"sha256": 1, "relative_path": "b"}]"#, "should be instance of 'str'"),
            (r#"[{"sha256": "a", "relative_path": ""}]"#, "Key 'relative_path' error:"),
        ] {
            let error = units(text).unwrap_err();
            assert!(error.contains(phrase), "{error}");
        }
    }
}
