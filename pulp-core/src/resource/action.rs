//! What can be done with a resource beyond reading and writing.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, StatusCode};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Context, Field, Input};
use crate::Result;

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// One object: `…/{id}/sync/`.
    Object,
    /// The collection: `…/upload/`.
    Collection,
}

/// The body of an action.
#[derive(Debug, Clone)]
pub struct Body {
    /// The name of its schema: `FileRepositorySyncURL`.
    pub schema: &'static str,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// What an action answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Returns {
    /// 202 and the href of a task.
    Task,
    /// 202 and the href of a task group.
    TaskGroup,
    /// An object of the component of this name, without the `Response` at its end. The name of the action’s own body stands
    /// for the resource’s object, which the API document then has under that name, too.
    Component(u16, &'static str),
    /// The object itself.
    Object(u16),
    /// No body.
    Nothing(u16),
}

/// What an action has to answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reply {
    /// 202 and the href of this task.
    Task(Uuid),
    /// 202 and the href of this task group.
    TaskGroup(Uuid),
    /// The resource’s object with this key.
    Object(StatusCode, Uuid),
    /// This JSON.
    Json(StatusCode, Json),
    /// No body.
    Nothing(StatusCode),
}

/// Does an action.
#[async_trait]
pub trait ActionHandler: Send + Sync {
    /// Whether this can be done at all here, before the body is looked at.
    ///
    /// # Errors
    /// Any; the wire shows it as the error says.
    async fn check(&self, _cx: &Context) -> Result<()> {
        Ok(())
    }

    /// `id` is the object of an [`On::Object`] action, which exists; `input` the validated body.
    ///
    /// # Errors
    /// Any; the wire shows it as the error says.
    async fn handle(&self, cx: &Context, id: Option<Uuid>, input: Input) -> Result<Reply>;
}

/// A named action.
#[derive(Clone)]
#[non_exhaustive]
pub struct Action {
    /// Its name: the last segment of the path, and of the operation id.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// What it is done to.
    pub on: On,
    /// The action whose permission it needs; one of its own name if unset.
    pub like: Option<&'static str>,
    /// What it takes; nothing where there is no body.
    pub body: Option<Body>,
    /// Whether the body must be a form: one of its fields is a file.
    pub multipart_only: bool,
    /// What it answers.
    pub returns: Returns,
    /// What it is for.
    pub help: &'static str,
    /// The code.
    pub handler: Arc<dyn ActionHandler>,
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("name", &self.name).field("method", &self.method).field("on", &self.on).finish_non_exhaustive()
    }
}

impl Action {
    /// `POST …/{id}/<name>/`, which answers with a task.
    pub fn post(name: &'static str, handler: impl ActionHandler + 'static) -> Self {
        Self {
            name,
            method: Method::POST,
            on: On::Object,
            like: None,
            body: None,
            multipart_only: false,
            returns: Returns::Task,
            help: "",
            handler: Arc::new(handler),
        }
    }

    /// `GET …/{id}/<name>/`.
    pub fn get(name: &'static str, returns: Returns, handler: impl ActionHandler + 'static) -> Self {
        Self { method: Method::GET, returns, ..Self::post(name, handler) }
    }

    /// It is done to the collection.
    #[must_use]
    pub fn on_collection(mut self) -> Self {
        self.on = On::Collection;
        self
    }

    /// Whoever may do this other action may do it, too; it has no permission of its own.
    #[must_use]
    pub fn like(mut self, action: &'static str) -> Self {
        self.like = Some(action);
        self
    }

    /// The action whose permission it needs.
    pub(crate) fn permission(&self) -> &'static str {
        self.like.unwrap_or(self.name)
    }

    /// What it takes.
    #[must_use]
    pub fn body(mut self, schema: &'static str, fields: impl IntoIterator<Item = Field>) -> Self {
        self.body = Some(Body { schema, fields: fields.into_iter().collect() });
        self
    }

    /// The body must be a form.
    #[must_use]
    pub fn multipart_only(mut self) -> Self {
        self.multipart_only = true;
        self
    }

    /// What it answers.
    #[must_use]
    pub fn returns(mut self, returns: Returns) -> Self {
        self.returns = returns;
        self
    }

    /// What it is for.
    #[must_use]
    pub fn help(mut self, text: &'static str) -> Self {
        self.help = text;
        self
    }
}
