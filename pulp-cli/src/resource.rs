//! Resources: finding, listing, making, changing and deleting them, whatever they are.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::client::{Query, Started};
use crate::context::{Context, Followed};
use crate::error::{Error, Result};
use crate::prn::{self, Prn};
use crate::reference::{Category, Reference, TypedReference};

/// The most entries that are asked for in one page.
const PAGE: usize = 200;

/// A kind of resource: what it is called, and where its collection lies.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    noun: Cow<'static, str>,
    path: Cow<'static, str>,
}

impl Kind {
    pub(crate) fn new(noun: impl Into<Cow<'static, str>>, path: impl Into<Cow<'static, str>>) -> Self {
        Self { noun: noun.into(), path: path.into() }
    }

    /// A kind that is known when this is written.
    pub(crate) const fn known(noun: &'static str, path: &'static str) -> Self {
        Self { noun: Cow::Borrowed(noun), path: Cow::Borrowed(path) }
    }

    /// "file repository".
    pub(crate) fn noun(&self) -> &str {
        &self.noun
    }

    /// The path of the collection below the API root: `repositories/file/file/`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    fn not_found(&self, criteria: impl Into<String>) -> Error {
        Error::NotFound { noun: self.noun.to_string(), criteria: criteria.into() }
    }
}

/// The JSON body of a call, made of what the user gave.
#[derive(Debug, Default)]
pub(crate) struct Body(Map<String, Value>);

impl Body {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the field if there is a value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl Serialize>) -> Self {
        if let Some(value) = value.and_then(|value| serde_json::to_value(value).ok()) {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds all fields of another body.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl From<Body> for Value {
    fn from(body: Body) -> Self {
        Self::Object(body.0)
    }
}

/// A text field of an answer; the server always has it.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value
        .get(field)
        .and_then(Value::as_str)
        .ok_or_else(|| Error::usage(format!("the server's answer has no '{field}': it may be of a version that this client does not know")))
}

impl Context {
    /// The first entries of a collection that match, `limit` of them, from `offset` on, and how many match in all.
    ///
    /// What comes after the first page of a list of content is read by key where the server can: a page costs the same wherever it is.
    ///
    /// # Errors
    /// When the server refuses, or answers with something else than a list.
    pub(crate) async fn list(&self, path: &str, query: &Query, limit: usize, offset: usize) -> Result<(Vec<Value>, u64)> {
        let mut entries: Vec<Value> = Vec::new();
        let mut by_key = path.starts_with("content/") && !query.has("ordering");
        let mut total = None;
        loop {
            let wanted = (limit - entries.len()).min(PAGE);
            let last = entries.last().and_then(|entry| entry.get("pulp_href")).and_then(Value::as_str).filter(|_| by_key);
            let page = match last {
                Some(last) => query.clone().with("after", Some(last)).with("count", total),
                None => query.clone().with("offset", Some(offset + entries.len())),
            };
            let mut answer = match self.client.get(path, &page.with("limit", Some(wanted))).await {
                // One that does not know such pages, as Pulp does not.
                Err(Error::Server { status: StatusCode::BAD_REQUEST, .. }) if last.is_some() => {
                    by_key = false;
                    continue;
                }
                answer => answer?,
            };
            let count = answer.get("count").and_then(Value::as_u64);
            let Some((Value::Array(results), count)) = answer.get_mut("results").map(Value::take).zip(count) else {
                return Err(Error::usage(format!("the server's answer to a list of {path} is no list")));
            };
            total = Some(count);
            let got = results.len();
            entries.extend(results);
            if entries.len() >= limit || got == 0 || got < wanted && answer.get("next").is_none_or(Value::is_null) {
                entries.truncate(limit);
                return Ok((entries, count));
            }
        }
    }

    /// The one resource that matches; `criteria` describes the query to the user.
    ///
    /// # Errors
    /// [`Error::NotFound`] if none does; an error that says so if several do.
    pub(crate) async fn find_one(&self, kind: &Kind, query: &Query, criteria: &str) -> Result<Value> {
        let (mut found, total) = self.list(kind.path(), query, 1, 0).await?;
        match (found.pop(), total) {
            (Some(entry), 0 | 1) => Ok(entry),
            (Some(_), many) => Err(Error::usage(format!("{many} {}s have {criteria}: name one by its href", kind.noun()))),
            (None, _) => Err(kind.not_found(criteria)),
        }
    }

    /// The href of the resource that the reference means; the server is asked only for a name.
    ///
    /// # Errors
    /// When there is none of the name, or the href or PRN is of another kind.
    pub(crate) async fn href(&self, kind: &Kind, reference: &Reference) -> Result<String> {
        match reference {
            Reference::Href(href) => self.checked_href(kind, href),
            Reference::Prn(text) => self.href_of_prn(kind, &text.parse()?),
            Reference::Name(name) => Ok(text(&self.find_name(kind, name).await?, "pulp_href")?.to_owned()),
        }
    }

    /// The resource that the reference means.
    ///
    /// # Errors
    /// As [`Context::href`], and when it does not exist.
    pub(crate) async fn find(&self, kind: &Kind, reference: &Reference) -> Result<Value> {
        let href = match reference {
            Reference::Href(href) => self.checked_href(kind, href)?,
            Reference::Prn(text) => self.href_of_prn(kind, &text.parse()?)?,
            Reference::Name(name) => return self.find_name(kind, name).await,
        };
        match self.client.get(&href, &Query::new()).await {
            Err(Error::Server { status, .. }) if status == http::StatusCode::NOT_FOUND => Err(kind.not_found(format!("href '{href}'"))),
            answer => answer,
        }
    }

    async fn find_name(&self, kind: &Kind, name: &str) -> Result<Value> {
        let query = Query::new().with("name", Some(name));
        self.find_one(kind, &query, &format!("name '{name}'")).await
    }

    fn checked_href(&self, kind: &Kind, href: &str) -> Result<String> {
        if self.is_href_of(kind, href) {
            Ok(href.to_owned())
        } else {
            Err(Error::usage(format!("'{href}' is not a valid HREF value for a {}", kind.noun())))
        }
    }

    /// The href of what another resource points to; null for no resource.
    ///
    /// # Errors
    /// As [`Context::href`].
    pub(crate) async fn target(&self, category: &Category, reference: &TypedReference) -> Result<Value> {
        let TypedReference::Typed { plugin, resource_type, reference } = reference else {
            return Ok(Value::Null);
        };
        let outside = |what: &str| Error::usage(format!("'{what}' is not a {}", category.noun));
        Ok(match reference {
            Reference::Href(href) => {
                let path = href.rsplit_once("/api/v3/").map_or("", |(_, path)| path);
                if !path.starts_with(&format!("{}/", category.path)) {
                    return Err(outside(href));
                }
                href.clone()
            }
            Reference::Prn(text) => {
                let prn: Prn = text.parse()?;
                match prn.path() {
                    Some(path) if path.starts_with(&format!("{}/", category.path)) => {
                        format!("{}{path}", self.client.api())
                    }
                    Some(_) => return Err(outside(text)),
                    // A model of a plugin that this client does not know: the server does.
                    None => text.clone(),
                }
            }
            Reference::Name(_) => {
                let kind = category.kind(plugin.as_deref(), resource_type.as_deref())?;
                self.href(&kind, reference).await?
            }
        }
        .into())
    }

    /// [`Context::target`] for an argument that may be left out.
    pub(crate) async fn target_if(&self, category: &Category, reference: Option<&TypedReference>) -> Result<Option<Value>> {
        match reference {
            Some(reference) => self.target(category, reference).await.map(Some),
            None => Ok(None),
        }
    }

    /// [`Context::target`] for an argument that may be repeated: the hrefs, none if it was left out. A single empty text
    /// stands for the empty list.
    pub(crate) async fn targets(&self, category: &Category, references: &[TypedReference]) -> Result<Option<Vec<Value>>> {
        let mut hrefs = Vec::with_capacity(references.len());
        for reference in references {
            hrefs.push(self.target(category, reference).await?);
        }
        hrefs.retain(|href| !href.is_null());
        Ok((!references.is_empty()).then_some(hrefs))
    }

    fn is_href_of(&self, kind: &Kind, href: &str) -> bool {
        // The domain in an href may differ from the one of the settings.
        href.rsplit_once("/api/v3/")
            .and_then(|(_, path)| path.strip_prefix(kind.path()))
            .is_some_and(|id| !id.trim_end_matches('/').is_empty())
    }

    fn href_of_prn(&self, kind: &Kind, prn: &Prn) -> Result<String> {
        match prn::model_of(kind.path()) {
            Some(model) if model != prn.model => {
                Err(Error::usage(format!("'{prn}' is not a {}: its PRN would begin with prn:{model}:", kind.noun())))
            }
            _ => Ok(format!("{}{}{}/", self.client.api(), kind.path(), prn.id)),
        }
    }

    /// Makes a resource and prints it.
    ///
    /// # Errors
    /// When the server refuses, or its task fails.
    pub(crate) async fn create(&self, kind: &Kind, body: Body) -> Result<()> {
        let answer = self.client.post(kind.path(), body.into()).await?;
        match self.created(kind, &answer).await? {
            Some(created) => self.print(&created),
            None => Ok(()),
        }
    }

    /// What the answer to a creating call made; none if that runs in the background.
    ///
    /// # Errors
    /// When the task fails.
    pub(crate) async fn created(&self, kind: &Kind, answer: &crate::client::Answer) -> Result<Option<Value>> {
        match self.follow(answer).await? {
            Followed::NoTask => Ok(Some(answer.body.clone())),
            Followed::Background => Ok(None),
            // A group does not tell what its tasks made, so it stands for it.
            Followed::Ended(group) if matches!(answer.started(), Some(Started::Group(_))) => Ok(Some(group)),
            Followed::Ended(task) => {
                // Servers from 3.82 or so put the resource into the task.
                if let Some(result @ Value::Object(_)) = task.get("result")
                    && result.get("pulp_href").and_then(Value::as_str).is_some_and(|href| self.is_href_of(kind, href))
                {
                    return Ok(Some(result.clone()));
                }
                let href = self.created_href(kind, &task).ok_or_else(|| {
                    let task = text(&task, "pulp_href").unwrap_or("?");
                    Error::usage(format!("task {task} names no {} that it made", kind.noun()))
                })?;
                Ok(Some(self.client.get(href, &Query::new()).await?))
            }
        }
    }

    /// The href of the first resource of the kind that the task made.
    pub(crate) fn created_href<'a>(&self, kind: &Kind, task: &'a Value) -> Option<&'a str> {
        task.get("created_resources")?.as_array()?.iter().filter_map(Value::as_str).find(|href| self.is_href_of(kind, href))
    }

    /// Changes fields of a resource. Prints nothing, as the Python client.
    ///
    /// # Errors
    /// When the server refuses, or its task fails.
    pub(crate) async fn update(&self, href: &str, body: Body) -> Result<()> {
        let answer = self.client.patch(href, body.into()).await?;
        self.follow(&answer).await.map(drop)
    }

    /// Deletes a resource. Prints nothing.
    ///
    /// # Errors
    /// When the server refuses, or its task fails.
    pub(crate) async fn destroy(&self, href: &str) -> Result<()> {
        let answer = self.client.delete(href).await?;
        self.follow(&answer).await.map(drop)
    }

    /// Calls an action of a resource (`…/{id}/sync/`) and follows its task.
    ///
    /// # Errors
    /// When the server refuses, or its task fails.
    pub(crate) async fn act(&self, href: &str, action: &str, body: Body) -> Result<Followed> {
        let answer = self.client.post(&format!("{href}{action}/"), body.into()).await?;
        self.follow(&answer).await
    }
}
