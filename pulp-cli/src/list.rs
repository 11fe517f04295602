//! `list` of any resource: which entries, in what order, with which fields.

use clap::Args;

use crate::client::Query;
use crate::context::Context;
use crate::error::Result;
use crate::output;

/// Which part of a list, and which fields.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// How many entries to show at most
    #[arg(long, default_value_t = 25, value_parser = positive)]
    limit: usize,
    /// How many entries to skip
    #[arg(long, default_value_t = 0)]
    offset: usize,
    /// Field to order by, with - before it for descending order; may be repeated
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    ordering: Vec<String>,
    /// Field to show, and no others; may be repeated
    #[arg(long, value_name = "FIELD")]
    field: Vec<String>,
    /// Field to leave out; may be repeated
    #[arg(long, value_name = "FIELD")]
    exclude_field: Vec<String>,
}

impl Page {
    /// Lists the collection and prints it; says so on standard error if there is more.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn exec(&self, cx: &Context, path: &str, filters: Query) -> Result<()> {
        let query =
            filters.with_all("ordering", &self.ordering).with_all("fields", &self.field).with_all("exclude_fields", &self.exclude_field);
        let (entries, total) = cx.list(path, &query, self.limit, self.offset).await?;
        if (self.offset + entries.len()) as u64 != total && !entries.is_empty() {
            output::note(&format!("Not all {total} entries were shown: see --limit and --offset."));
        }
        cx.print(&entries.into())
    }
}

/// The list of resources that have a name.
#[derive(Debug, Args)]
pub(crate) struct NamedList {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    name: NameFilters,
}

impl NamedList {
    /// Lists the resources of a collection.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        self.page.exec(cx, path, self.name.query()).await
    }
}

/// The list of resources that have a name and labels.
#[derive(Debug, Args)]
pub(crate) struct LabelledList {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    name: NameFilters,
    #[command(flatten)]
    label: LabelFilter,
}

impl LabelledList {
    /// Lists the resources of a collection.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        self.page.exec(cx, path, self.name.query().and(self.label.query())).await
    }
}

/// A number above zero.
fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

/// Filters by name, which most resources have.
#[derive(Debug, Args)]
pub(crate) struct NameFilters {
    /// Only the one of this name
    #[arg(long)]
    name: Option<String>,
    /// Only those whose name contains this
    #[arg(long, value_name = "TEXT")]
    name_contains: Option<String>,
    /// Only those whose name contains this, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    name_icontains: Option<String>,
    /// Only those whose name begins with this
    #[arg(long, value_name = "TEXT")]
    name_startswith: Option<String>,
    /// Only those of these names; may be repeated
    #[arg(long, value_name = "NAME")]
    name_in: Vec<String>,
}

impl NameFilters {
    pub(crate) fn query(&self) -> Query {
        Query::new()
            .with("name", self.name.as_deref())
            .with("name__contains", self.name_contains.as_deref())
            .with("name__icontains", self.name_icontains.as_deref())
            .with("name__startswith", self.name_startswith.as_deref())
            .with_all("name__in", &self.name_in)
    }
}

/// Filter by labels.
#[derive(Debug, Args)]
pub(crate) struct LabelFilter {
    /// Only those whose labels match: KEY, KEY=VALUE, KEY!=VALUE, KEY~TEXT, !KEY, joined by commas
    #[arg(long, value_name = "SELECTION")]
    label_select: Option<String>,
}

impl LabelFilter {
    pub(crate) fn query(&self) -> Query {
        Query::new().with("pulp_label_select", self.label_select.as_deref())
    }
}
