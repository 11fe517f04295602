//! The tasks that make, change and remove objects.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Context, Input, Resource};
use crate::ids::Prn;
use crate::plugin::Registry;
use crate::tasks::{Created, Resources, Task, TaskContext, TaskOutput};
use crate::{Error, Result};
use std::sync::Arc;

/// Adds the tasks of resources.
pub(crate) fn register(registry: &mut Registry) {
    registry.task::<GeneralCreate>();
    registry.task::<GeneralUpdate>();
    registry.task::<GeneralDelete>();
}

/// Makes an object.
#[derive(Debug, Serialize, Deserialize)]
pub struct GeneralCreate {
    /// The path of the resource.
    pub(crate) resource: String,
    /// What it is made of.
    pub(crate) input: Input,
}

/// Changes an object.
#[derive(Debug, Serialize, Deserialize)]
pub struct GeneralUpdate {
    /// The path of the resource.
    pub(crate) resource: String,
    /// The object’s PRN.
    pub(crate) prn: String,
    /// Its key.
    pub(crate) id: Uuid,
    /// What changes.
    pub(crate) input: Input,
}

/// Removes an object.
#[derive(Debug, Serialize, Deserialize)]
pub struct GeneralDelete {
    /// The path of the resource.
    pub(crate) resource: String,
    /// The object’s PRN.
    pub(crate) prn: String,
    /// Its key.
    pub(crate) id: Uuid,
}

fn resource(cx: &TaskContext, path: &str) -> Result<(Context, Arc<Resource>)> {
    let resource = cx.pulp().registry().resource_at(path).cloned();
    let resource = resource.ok_or_else(|| Error::Internal(format!("there is no resource at {path}")))?;
    Ok((Context::new(cx.pulp().clone(), Arc::new(cx.domain().clone())).made_by(cx.user()), resource))
}

/// An object as its resource shows it: what the tasks that make one give as their result. `path` is that of the resource
/// (`repository_versions` for versions).
///
/// # Errors
/// If there is no such resource or object.
pub async fn shown(task: &TaskContext, path: &str, id: Uuid) -> Result<Json> {
    let (cx, resource) = resource(task, path)?;
    let row = resource.find(&cx, cx.pulp().db(), id).await?.ok_or_else(|| Error::not_found(format!("{path} {id}")))?;
    resource.to_json(&cx, row).await
}

impl GeneralCreate {
    /// Makes an object of the resource with this path of a validated body.
    pub fn new(resource: impl Into<String>, input: Input) -> Self {
        Self { resource: resource.into(), input }
    }
}

/// Makes objects of a resource whose making is more than inserting a row, within the task that does it.
#[async_trait]
pub trait Make: Send + Sync {
    /// Makes one of a validated body, or finds one that is equal; its key.
    ///
    /// # Errors
    /// Any; the task fails with it.
    async fn make(&self, task: &TaskContext, cx: &Context, input: Input) -> Result<Uuid>;
}

#[async_trait]
impl Task for GeneralCreate {
    const NAME: &'static str = "pulpcore.app.tasks.base.general_create";
    const IMMEDIATE: bool = true;

    fn resources(&self) -> Resources {
        Resources::none()
    }

    async fn run(self, task: TaskContext) -> Result<TaskOutput> {
        let (cx, resource) = resource(&task, &self.resource)?;
        let mut input = self.input;
        resource.hooks.validate(&cx, &mut input, None).await?;
        let id = match &resource.maker {
            Some(maker) => maker.make(&task, &cx, input).await?,
            None => resource.insert(&cx, &input).await?,
        };
        let Some(row) = resource.find(&cx, cx.pulp().db(), id).await? else { return Ok(TaskOutput::default()) };
        if let Some(href) = resource.own_href(&cx, &cx.pulp().hrefs().base(&cx.domain().name), &row) {
            task.created(Created { prn: Prn::new(resource.model.as_str(), id), href });
        }
        Ok(TaskOutput { result: Some(resource.to_json(&cx, row).await?) })
    }
}

#[async_trait]
impl Task for GeneralUpdate {
    const NAME: &'static str = "pulpcore.app.tasks.base.ageneral_update";
    const IMMEDIATE: bool = true;

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.prn)
    }

    async fn run(self, task: TaskContext) -> Result<TaskOutput> {
        let (cx, resource) = resource(&task, &self.resource)?;
        let db = cx.pulp().db();
        let gone = || Error::not_found(format!("object {}", self.prn));
        let before = resource.find(&cx, db, self.id).await?.ok_or_else(gone)?;
        let mut input = self.input;
        resource.hooks.validate(&cx, &mut input, Some(&before)).await?;
        resource.change(&cx, &before, &input).await?;
        let row = resource.find(&cx, db, self.id).await?.ok_or_else(|| Error::not_found(format!("object {}", self.prn)))?;
        Ok(TaskOutput { result: Some(resource.to_json(&cx, row).await?) })
    }
}

#[async_trait]
impl Task for GeneralDelete {
    const NAME: &'static str = "pulpcore.app.tasks.base.ageneral_delete";
    const IMMEDIATE: bool = true;

    fn resources(&self) -> Resources {
        Resources::none().exclusive(&self.prn)
    }

    async fn run(self, task: TaskContext) -> Result<TaskOutput> {
        let (cx, resource) = resource(&task, &self.resource)?;
        let gone = i64::from(resource.remove(&cx, self.id).await?);
        Ok(TaskOutput { result: Some(json!({ resource.schema: gone })) })
    }
}
