//! `pulp artifact`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::Page;
use crate::output;
use crate::size::Size;
use crate::upload::{self, ARTIFACT, LocalFile};

#[derive(Debug, Subcommand)]
pub(crate) enum ArtifactCommand {
    /// List artifacts
    List(List),
    /// Show an artifact
    Show(Show),
    /// Upload a file as an artifact; one that is there already is not sent again
    Upload(Upload),
}

#[derive(Debug, Args)]
pub(crate) struct Digests {
    /// MD5 digest in hexadecimal
    #[arg(long)]
    md5: Option<String>,
    /// SHA-1 digest in hexadecimal
    #[arg(long)]
    sha1: Option<String>,
    /// SHA-224 digest in hexadecimal
    #[arg(long)]
    sha224: Option<String>,
    /// SHA-256 digest in hexadecimal
    #[arg(long)]
    sha256: Option<String>,
    /// SHA-384 digest in hexadecimal
    #[arg(long)]
    sha384: Option<String>,
    /// SHA-512 digest in hexadecimal
    #[arg(long)]
    sha512: Option<String>,
}

impl Digests {
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("md5", &self.md5),
            ("sha1", &self.sha1),
            ("sha224", &self.sha224),
            ("sha256", &self.sha256),
            ("sha384", &self.sha384),
            ("sha512", &self.sha512),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    fn query(&self) -> Query {
        self.given().fold(Query::new(), |query, (name, value)| query.with(name, Some(value)))
    }
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    digests: Digests,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Href or PRN of the artifact
    #[arg(long)]
    href: Option<String>,
    #[command(flatten)]
    digests: Digests,
}

#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The file
    #[arg(long)]
    file: PathBuf,
    /// Upload it in pieces of this size if it is larger, like 1MB
    #[arg(long, value_name = "SIZE")]
    chunk_size: Option<Size>,
}

impl ArtifactCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.page.exec(cx, ARTIFACT.path(), list.digests.query()).await,
            Self::Show(show) => show.exec(cx).await,
            Self::Upload(upload) => upload.exec(cx).await,
        }
    }
}

impl Show {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let artifact = match &self.href {
            Some(href) => {
                let reference = href.parse().unwrap_or_else(|never| match never {});
                cx.find(&ARTIFACT, &reference).await?
            }
            None => {
                let criteria: Vec<String> = self.digests.given().map(|(name, value)| format!("{name} '{value}'")).collect();
                if criteria.is_empty() {
                    return Err(Error::usage("name the artifact: --href, or a digest like --sha256"));
                }
                cx.find_one(&ARTIFACT, &self.digests.query(), &criteria.join(", ")).await?
            }
        };
        cx.print(&artifact)
    }
}

impl Upload {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let file = LocalFile::open(&self.file).await?;
        let artifact = match upload::existing_artifact(cx, &file.sha256).await? {
            Some(artifact) => {
                output::note("The server has this artifact already.");
                artifact
            }
            None => upload::artifact(cx, &file, self.chunk_size.or(cx.chunk_size)).await?,
        };
        cx.print(&artifact)
    }
}
