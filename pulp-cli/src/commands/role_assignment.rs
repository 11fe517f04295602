//! `role-assignment` of users and groups: which roles they have, on what.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::domain::DOMAIN;
use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::list::Page;
use crate::resource::{Body, text};

#[derive(Debug, Subcommand)]
pub(crate) enum RoleAssignmentCommand<H: Args> {
    /// Give a role
    Add(Assignment<H>),
    /// Take a role away
    Remove(Assignment<H>),
    /// List roles that were given
    List(List<H>),
}

/// Whose roles they are.
pub(crate) trait Holder {
    /// The href of the user or group.
    ///
    /// # Errors
    /// When there is none.
    async fn href(&self, cx: &Context) -> Result<String>;
}

#[derive(Debug, Args)]
pub(crate) struct Assignment<H: Args> {
    #[command(flatten)]
    holder: H,
    /// Name of the role
    #[arg(long)]
    role: String,
    /// Href or PRN of the object on which it is given; empty for everything
    #[arg(long, value_name = "HREF")]
    object: Option<String>,
    /// Name or href of the domain in which it is given
    #[arg(long, value_name = "NAME|HREF")]
    domain: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List<H: Args> {
    #[command(flatten)]
    holder: H,
    #[command(flatten)]
    page: Page,
    /// Only this role
    #[arg(long)]
    role: Option<String>,
    /// Only these roles; may be repeated
    #[arg(long, value_name = "ROLE")]
    role_in: Vec<String>,
    /// Only roles whose name contains this
    #[arg(long, value_name = "TEXT")]
    role_contains: Option<String>,
    /// Only roles whose name contains this, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    role_icontains: Option<String>,
    /// Only roles whose name begins with this
    #[arg(long, value_name = "TEXT")]
    role_startswith: Option<String>,
    /// Only roles on this object, by href or PRN; empty for roles on everything
    #[arg(long, value_name = "HREF")]
    object: Option<String>,
    /// Only roles in this domain, by name or href
    #[arg(long, value_name = "NAME|HREF")]
    domain: Option<String>,
}

async fn domain_href(cx: &Context, domain: Option<&String>) -> Result<Option<String>> {
    match domain {
        Some(domain) => {
            let reference = domain.parse().unwrap_or_else(|never| match never {});
            cx.href(&DOMAIN, &reference).await.map(Some)
        }
        None => Ok(None),
    }
}

/// The filter for roles on everything is the word `null`.
fn object_filter(object: Option<&String>) -> Option<&str> {
    object.map(|object| if object.is_empty() { "null" } else { object.as_str() })
}

impl<H: Args + Holder> RoleAssignmentCommand<H> {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::Add(given) => given.add(cx).await,
            Self::Remove(given) => given.remove(cx).await,
            Self::List(list) => list.exec(cx).await,
        }
    }
}

impl<H: Args + Holder> Assignment<H> {
    async fn add(&self, cx: &Context) -> Result<()> {
        let href = self.holder.href(cx).await?;
        let object = self.object.as_deref().filter(|object| !object.is_empty());
        let body = Body::new()
            .with("role", Some(&self.role))
            .with("content_object", Some(object.map_or(Value::Null, Value::from)))
            .with("domain", domain_href(cx, self.domain.as_ref()).await?);
        let answer = cx.client.post(&format!("{href}roles/"), body.into()).await?;
        cx.print(&answer.body)
    }

    async fn remove(&self, cx: &Context) -> Result<()> {
        let path = format!("{}roles/", self.holder.href(cx).await?);
        let query = Query::new()
            .with("role", Some(self.role.as_str()))
            .with("content_object", object_filter(self.object.as_ref()).or(Some("null")))
            .with("domain", domain_href(cx, self.domain.as_ref()).await?);
        let (found, total) = cx.list(&path, &query, 1, 0).await?;
        match found.first() {
            Some(one) if total == 1 => cx.destroy(text(one, "pulp_href")?).await,
            Some(_) => Err(Error::usage(format!("{total} assignments match: say --object or --domain"))),
            None => Err(Error::NotFound { noun: "role assignment".to_owned(), criteria: format!("role '{}'", self.role) }),
        }
    }
}

impl<H: Args + Holder> List<H> {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let path = format!("{}roles/", self.holder.href(cx).await?);
        let query = Query::new()
            .with("role", self.role.as_deref())
            .with_all("role__in", &self.role_in)
            .with("role__contains", self.role_contains.as_deref())
            .with("role__icontains", self.role_icontains.as_deref())
            .with("role__startswith", self.role_startswith.as_deref())
            .with("content_object", object_filter(self.object.as_ref()))
            .with("domain", domain_href(cx, self.domain.as_ref()).await?);
        self.page.exec(cx, &path, query).await
    }
}
