//! `pulp audit`

use clap::{Args, Subcommand};

use crate::args::CreatedFilters;
use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::list::Page;
use crate::lookup::{HrefLookup, Lookup as _};
use crate::output;
use crate::resource::Kind;

/// Records of who changed what.
const RECORD: Kind = Kind::known("audit record", "audit/");
/// Records that an export asks for at a time.
const BATCH: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List records, the latest first
    List(List),
    /// Show a record
    Show(HrefLookup),
    /// Print all records, the earliest first, each as a line of JSON
    Export(Filters),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    filters: Filters,
}

#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Only what this user did
    #[arg(long)]
    username: Option<String>,
    /// Only what was done to the object of this href
    #[arg(long, value_name = "HREF")]
    object: Option<String>,
    /// Only requests of this method
    #[arg(long)]
    method: Option<String>,
    /// Only this operation, as repositories/file/file/{id}/sync/
    #[arg(long)]
    operation: Option<String>,
    /// Only operations that begin with this
    #[arg(long, value_name = "TEXT")]
    operation_startswith: Option<String>,
    /// Only the request with this correlation id
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    #[command(flatten)]
    created: CreatedFilters,
}

impl Filters {
    fn query(&self) -> Query {
        Query::new()
            .with("username", self.username.as_deref())
            .with("object", self.object.as_deref())
            .with("method", self.method.as_deref())
            .with("operation", self.operation.as_deref())
            .with("operation__startswith", self.operation_startswith.as_deref())
            .with("correlation_id", self.correlation_id.as_deref())
            .and(self.created.query())
    }

    /// Prints a batch at a time: there may be more records than memory has room for.
    async fn export(&self, cx: &Context) -> Result<()> {
        let query = self.query().with("ordering", Some("pulp_id"));
        let mut offset = 0;
        loop {
            let (records, _) = cx.list(RECORD.path(), &query, BATCH, offset).await?;
            for record in &records {
                output::line(&record.to_string())?;
            }
            offset += records.len();
            if records.len() < BATCH {
                return Ok(());
            }
        }
    }
}

impl AuditCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.page.exec(cx, RECORD.path(), list.filters.query()).await,
            Self::Show(lookup) => cx.print(&lookup.find(cx, &RECORD).await?),
            Self::Export(filters) => filters.export(cx).await,
        }
    }
}
