//! Schedules: tasks that are dispatched by themselves. They are made by the server and by plugins, and read only here.

use async_trait::async_trait;
use serde_json::Value as Json;

use crate::Result;
use crate::plugin::Registry;
use crate::resource::{AccessPolicy, Compute, Context, Extra, Field, Filter, FilterKind, Lookup, Record, Resource, Shape, Target};
use crate::tasks::interval_to_wire;

pub(super) fn register(registry: &mut Registry) {
    let text = |name| Filter::new(name, FilterKind::Text, &[Lookup::Exact, Lookup::Contains]);
    let mut schedules = Resource::new("task-schedules", "core_taskschedule", "TaskSchedule");
    schedules.roles = true;
    schedules.policy = Some(policy());
    registry.resource(
        schedules
            .field(Field::text("name").required().read_only().keyword("readOnly", Json::Null).help("What it is for."))
            .field(Field::text("task_name").required().read_only().keyword("readOnly", Json::Null).help("What kind of task it dispatches."))
            .extra("dispatch_interval", Extra::Int)
            .field(
                Field::computed("dispatch_interval", Shape::Text, Interval)
                    .required()
                    .nullable()
                    .keyword("readOnly", Json::Null)
                    .help("The time from one dispatch to the next; null: it dispatches once."),
            )
            .field(Field::time("next_dispatch").nullable().read_only().help("When it dispatches next."))
            .field(Field::href("last_task", Target::TASK).read_only().help("The task that it dispatched last."))
            .ordered_by(["dispatch_interval", "name", "next_dispatch", "task_args", "task_kwargs", "task_name"])
            .filters([text("name"), text("task_name")]),
    );
}

/// Schedules are seen by those who were given a role on them.
fn policy() -> AccessPolicy {
    AccessPolicy::explicit()
        .rule(&["list", "retrieve", "my_permissions"], &[])
        .rule(&["list_roles", "add_role", "remove_role"], &["has_model_or_domain_or_obj_perms:core.manage_roles_taskschedule"])
        .role(
            "core.taskschedule_owner",
            Some("Allow all actions on a taskschedule."),
            &["core.manage_roles_taskschedule", "core.view_taskschedule"],
        )
        .role("core.taskschedule_viewer", None, &["core.view_taskschedule"])
}

struct Interval;

#[async_trait]
impl Compute for Interval {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(rows.iter().map(|row| vec![row.integer("dispatch_interval").map_or(Json::Null, interval_to_wire)]).collect())
    }
}
