//! Tasks and task groups.

mod columns;
mod events;
mod filters;
mod profile;
mod read;

use chrono::TimeDelta;
use http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

pub(super) use self::columns::CreatedBy;
use self::columns::{ChildTasks, CreatedResources, GroupCounts, GroupReports, GroupTasks, Progress};
pub(crate) use self::events::events;
use self::filters::{Children, Created, Reserved, Worker};
pub(crate) use self::read::read;
use crate::api::crud;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::clock::{Timestamp, to_wire};
use crate::model::TaskState;
use crate::plugin::Registry;
use crate::resource::{AccessPolicy, Context, Extra, Field, Filter, FilterKind, Kind, Lookup, Resource, Scope, Shape, Target, action_body};
use crate::tasks::{Purge, Task};
use crate::{Error, Result};

/// Days for which `tasks/purge/` keeps tasks if it is not told a moment.
const PURGE_AFTER_DAYS: i64 = 30;

const STATES: &[&str] = &["waiting", "skipped", "running", "completed", "failed", "canceled", "canceling"];
const FINAL: &[&str] = &["skipped", "completed", "failed", "canceled"];

/// What `minimal=true` shows of a task.
const SHORT: &[&str] = &[
    "pulp_href",
    "prn",
    "pulp_created",
    "pulp_last_updated",
    "pulp_api_version",
    "name",
    "state",
    "unblocked_at",
    "started_at",
    "finished_at",
    "worker",
];

pub(super) fn register(registry: &mut Registry) {
    let time = |name| Field::time(name).read_only();
    let moment = |name| Filter::time(name);
    let reserved = |name, part| Filter::custom(name, FilterKind::Text, Reserved(part)).lookups(Lookup::EXACT_IN);
    let uris = || Shape::List(Box::new(Shape::Uri));
    let profile = profile::action(registry);
    let mut tasks = Resource::new("tasks", "core_task", "Task");
    // With these columns begin the indexes, that by state too.
    tasks.default_order = "-pulp_created,-sequence";
    tasks.roles = true;
    tasks.policy = Some(task_policy());
    tasks.short = SHORT;
    registry.resource(
        tasks
            .field(Field::text("state").read_only().help("waiting, running, completed, failed, canceled, canceling or skipped."))
            .field(Field::text("name").required().read_only().help("What kind of task it is."))
            .field(Field::text("logging_cid").required().read_only().help("The correlation id of the request that made it."))
            .field(Field::computed("created_by", Shape::Uri, CreatedBy).nullable().help("Who made it."))
            .extra("user_id", Extra::Int)
            .field(time("unblocked_at").help("When nothing stood in its way any more."))
            .field(time("started_at").help("When its work began."))
            .field(time("finished_at").help("When it ended."))
            .field(Field::json("error").read_only().keyword("type", "object").help("Why it failed."))
            .field(Field::href("worker", Target::WORKER).column("app_lock_id").nullable().read_only().help("Who runs it."))
            .field(Field::href("parent_task", Target::TASK).read_only().help("The task that made it."))
            .field(Field::computed("child_tasks", uris(), ChildTasks).help("The tasks that it made."))
            .field(Field::href("task_group", Target::TASK_GROUP).read_only().help("The group it belongs to."))
            .field(
                Field::computed("progress_reports", Shape::List(Box::new(Shape::Component("ProgressReportResponse"))), Progress)
                    .help("What it has done so far."),
            )
            .fields(CreatedResources::fields())
            .field(Field::list("reserved_resources_record", Kind::Text).read_only().help("What it needs, exclusively or shared."))
            .field(Field::json("result").read_only().help("What it gave."))
            .field(
                Field::text("pulp_api_version")
                    .read_only()
                    .keyword("readOnly", Json::Null)
                    .keyword("default", "v3")
                    .help("The version of the API through which it was made."),
            )
            .ordered_by([
                "deferred",
                "error",
                "finished_at",
                "immediate",
                "logging_cid",
                "name",
                "profile_options",
                "pulp_api_version",
                "reserved_resources_record",
                "result",
                "started_at",
                "state",
                "unblocked_at",
                "versions",
            ])
            .filters([
                Filter::custom("child_tasks", FilterKind::Href(Target::TASK), Children),
                Filter::custom("created_resources", FilterKind::Text, Created),
                reserved("exclusive_resources", filters::Part::Exclusive),
                moment("finished_at"),
                Filter::new("logging_cid", FilterKind::Text, &[Lookup::Exact, Lookup::Contains]),
                Filter::new("name", FilterKind::Text, &[Lookup::Exact, Lookup::Contains, Lookup::In, Lookup::Ne]),
                Filter::href("parent_task", Target::TASK, Lookup::EXACT),
                moment("pulp_created"),
                reserved("reserved_resources", filters::Part::Any),
                reserved("shared_resources", filters::Part::Shared),
                moment("started_at"),
                Filter::new("state", FilterKind::Choice(STATES), &[Lookup::Exact, Lookup::In, Lookup::Ne]),
                Filter::href("task_group", Target::TASK_GROUP, Lookup::EXACT),
                moment("unblocked_at"),
                Filter::custom("worker", FilterKind::Text, Worker),
            ])
            .action(profile),
    );
    let mut groups = Resource::new("task-groups", "core_taskgroup", "TaskGroup")
        .field(Field::text("description").required().read_only().help("What the group is for."))
        .field(
            Field::boolean("all_tasks_dispatched")
                .required()
                .read_only()
                .keyword("deprecated", true)
                .help("Whether no more tasks join it."),
        )
        .fields(GroupCounts::fields())
        .field(
            Field::computed("group_progress_reports", Shape::List(Box::new(Shape::Component("GroupProgressReportResponse"))), GroupReports)
                .help("What its tasks have done together."),
        )
        .field(Field::computed("tasks", Shape::List(Box::new(Shape::Component("MinimalTaskResponse"))), GroupTasks).help("Its tasks."));
    groups.fields.retain(|field| !matches!(field.name, "pulp_created" | "pulp_last_updated"));
    groups.filterable = false;
    groups.policy = Some(AccessPolicy::explicit().rule(&["list", "retrieve", "partial_update"], &[]).scope(Scope::OfViewedTasks));
    registry.resource(groups);
}

/// Whoever dispatches a task owns it.
fn task_policy() -> AccessPolicy {
    let may = |verb: &str| format!("has_model_or_domain_or_obj_perms:core.{verb}");
    let owner = ["core.change_task", "core.delete_task", "core.manage_roles_task", "core.view_task", "core.view_task_profile_artifacts"];
    AccessPolicy::explicit()
        .rule(&["list", "retrieve", "my_permissions"], &[])
        .rule(&["profile_artifacts"], &[&may("view_task_profile_artifacts")])
        .rule(&["destroy"], &[&may("delete_task")])
        .rule(&["update", "partial_update"], &[&may("change_task")])
        .rule(&["purge"], &[])
        .rule(&["list_roles", "add_role", "remove_role"], &[&may("manage_roles_task")])
        .permission("view_task_profile_artifacts")
        .role("core.task_owner", Some("Allow all actions on a task."), &owner)
        .role("core.task_viewer", None, &["core.view_task"])
        .role("core.task_user_dispatcher", None, &["core.add_task"])
        .reserved("core.task_user_dispatcher")
}

fn resource(cx: &Context, path: &str) -> Result<std::sync::Arc<Resource>> {
    cx.pulp().registry().resource_at(path).cloned().ok_or_else(|| Error::Internal(format!("there is no resource at {path}")))
}

/// One task group.
pub(crate) async fn read_group(request: Request) -> Answer {
    let groups = resource(&request.cx, "task-groups")?;
    crud::read(request, groups).await
}

/// Whether the body asks for what can be asked for: `{"state": "canceled"}`.
async fn asks_to_cancel(request: &mut Request) -> Result<(), ApiError> {
    let body = request.payload().await?;
    let input = action_body(&request.cx, &[Field::text("state").required()], &body).await?;
    if input.text("state") == Some("canceled") {
        Ok(())
    } else {
        Err(Error::field("state", "The only acceptable value for 'state' is 'canceled'.").into())
    }
}

/// Cancels a task; 409, with the task, if it has ended already.
pub(crate) async fn cancel(mut request: Request) -> Answer {
    let tasks = resource(&request.cx, "tasks")?;
    let id = crud::find(&request, &tasks).await?.id();
    asks_to_cancel(&mut request).await?;
    let status = match request.cx.pulp().tasks().cancel(id).await {
        Ok(_) => StatusCode::OK,
        Err(Error::Conflict(_)) => StatusCode::CONFLICT,
        Err(error) => return Err(error.into()),
    };
    shown(&request.cx, &tasks, status, id).await
}

/// Cancels all tasks of a group.
pub(crate) async fn cancel_group(mut request: Request) -> Answer {
    let groups = resource(&request.cx, "task-groups")?;
    let id = crud::find(&request, &groups).await?.id();
    asks_to_cancel(&mut request).await?;
    request.cx.pulp().tasks().cancel_group(id).await?;
    shown(&request.cx, &groups, StatusCode::OK, id).await
}

async fn shown(cx: &Context, resource: &Resource, status: StatusCode, id: Uuid) -> Answer {
    crud::reply(cx, resource, crate::resource::Reply::Object(status, id)).await
}

/// Deletes a task that has ended.
pub(crate) async fn delete(request: Request) -> Answer {
    let tasks = resource(&request.cx, "tasks")?;
    let id = crud::find(&request, &tasks).await?.id();
    request.cx.pulp().tasks().delete(id).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Deletes tasks that ended before a moment, by a task.
pub(crate) async fn purge(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let cx = &request.cx;
    let fields = [Field::time("finished_before"), Field::list("states", Kind::Choice("StatesEnum", FINAL)).default(json!(["completed"]))];
    let input = action_body(cx, &fields, &body.only(&fields)).await.map_err(flat)?;
    let default: Timestamp = cx.pulp().now() - TimeDelta::days(PURGE_AFTER_DAYS);
    let before = input.text("finished_before").map_or_else(|| to_wire(default), str::to_owned);
    let states: Vec<TaskState> =
        input.get("states").and_then(Json::as_array).into_iter().flatten().filter_map(|state| state.as_str()?.parse().ok()).collect();
    let finished_before = before.parse().map_err(|_| Error::field("finished_before", "Datetime has wrong format."))?;
    if cx.grants().is_some_and(|grants| !grants.lets(cx.pulp().access(), "core.delete_task")) {
        return Err(Error::Forbidden.into());
    }
    let may_delete_all = cx.grants().is_some_and(|grants| {
        let access = cx.pulp().access();
        grants.everywhere(access, "core.delete_task") || grants.in_domain(access, "core.delete_task")
    });
    let of_user = if may_delete_all { None } else { cx.user().map(|user| user.id) };
    dispatched(&request, Purge { finished_before: Some(finished_before), states: Some(states), of_user }).await
}

/// Dispatches a task in the name of whoever asks, and tells which it is.
pub(super) async fn dispatched<T: Task>(request: &Request, task: T) -> Answer {
    let cx = &request.cx;
    let tasks = resource(cx, "tasks")?;
    let reply = cx.dispatch(task).await?;
    crud::reply(cx, &tasks, reply).await
}

/// Of a multiple choice Pulp tells what is wrong, not where.
fn flat(error: Error) -> Error {
    match error {
        Error::Refused(Json::Object(mut fields)) => {
            if let Some(Json::Object(items)) = fields.get("states") {
                let messages: Vec<Json> = items.values().flat_map(|messages| messages.as_array().cloned().unwrap_or_default()).collect();
                fields.insert("states".to_owned(), Json::Array(messages));
            }
            Error::Refused(Json::Object(fields))
        }
        other => other,
    }
}
