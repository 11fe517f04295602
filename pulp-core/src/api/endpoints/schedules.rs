//! Schedules: tasks that are dispatched by themselves. Those of the server and of plugins can only be read; users make schedules that sync
//! a repository.

mod rules;
mod sync;
mod turn;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use self::rules::Rules;
use super::tasks::CreatedBy;
use crate::Result;
use crate::plugin::Registry;
use crate::resource::{
    AccessPolicy, Change, Compute, Context, Create, Extra, Field, Filter, FilterKind, Kind, Lookup, Record, Resource, Shape, Target,
};
use crate::tasks::{Reconciler, interval_to_wire};

/// What `task_name` of users’ schedules is: no kind of task, since it is the repository’s own sync that is dispatched.
const SYNC: &str = "repository.sync";

/// How often it is looked for turns.
const LOOK: Duration = Duration::from_secs(5);

pub(super) fn register(registry: &mut Registry) {
    registry.reconciler(Reconciler::new("recurring syncs", LOOK, turn::take_all));
    let text = |name| Filter::new(name, FilterKind::Text, &[Lookup::Exact, Lookup::Contains]);
    let mut schedules = Resource::new("task-schedules", "core_taskschedule", "TaskSchedule");
    schedules.roles = true;
    schedules.policy = Some(policy());
    registry.resource(
        schedules
            .help("A task that is dispatched again and again. One that is made here syncs a repository, in the name of whoever changed it last.")
            .field(Field::text("name").required().unique().help("What it is for."))
            .field(Field::text("task_name").required().read_only().keyword("readOnly", Json::Null).help("What kind of task it dispatches."))
            .extra("dispatch_interval", Extra::Int)
            .field(
                Field::text("dispatch_interval")
                    .write_only()
                    .nullable()
                    .nowhere()
                    .help("The time from one turn to the next, if there is no cron expression: `[days ]hh:mm:ss`, or seconds."),
            )
            .field(
                Field::computed("dispatch_interval", Shape::Text, Interval)
                    .required()
                    .nullable()
                    .keyword("readOnly", Json::Null)
                    .help("The time from one dispatch to the next; null: it dispatches once, or by `cron`."),
            )
            .field(Field::time("next_dispatch").nullable().read_only().help("When it dispatches next."))
            .field(Field::href("last_task", Target::TASK).read_only().help("The task that it dispatched last."))
            .field(
                Field::href("repository", Target::REPOSITORY)
                    .nullable()
                    .create_only()
                    .help("The repository that is synced; null for schedules of the server."),
            )
            .field(Field::new("options", Kind::Dictionary).default(json!({})).help("What the repository's sync takes: its body."))
            .field(Field::text("cron").nullable().max_length(400).help("When, in UTC: minute, hour, day of the month, month, day of the week."))
            .field(Field::integer("jitter").default(0).at_least(0).at_most(86_400).help("Seconds by which a turn may be late, at random."))
            .field(Field::boolean("enabled").default(true).help("Whether it has turns."))
            .field(Field::text("last_error").nullable().read_only().help("Why the last turn could not be taken, or why it is not enabled."))
            .extra("user_id", Extra::Int)
            .extra("turn", Extra::Time)
            .field(Field::computed("created_by", Shape::Uri, CreatedBy).nullable().help("In whose name it is done."))
            .constant("task_name", SYNC)
            .ordered_by(["dispatch_interval", "name", "next_dispatch", "task_args", "task_kwargs", "task_name"])
            .filters([text("name"), text("task_name")])
            .create(Create::Now)
            .update(Change::Now)
            .delete(Change::Now)
            .hooks(Rules),
    );
}

/// Schedules are seen by those who were given a role on them, and made by those who may make them.
fn policy() -> AccessPolicy {
    let may = |verb: &str| format!("has_model_or_domain_or_obj_perms:core.{verb}_taskschedule");
    AccessPolicy::explicit()
        .rule(&["list", "retrieve", "my_permissions"], &[])
        .rule(&["create"], &["has_model_or_domain_perms:core.add_taskschedule"])
        .rule(&["update", "partial_update"], &[&may("change")])
        .rule(&["destroy"], &[&may("delete")])
        .rule(&["list_roles", "add_role", "remove_role"], &["has_model_or_domain_or_obj_perms:core.manage_roles_taskschedule"])
        .role(
            "core.taskschedule_owner",
            Some("Allow all actions on a taskschedule."),
            &["core.manage_roles_taskschedule", "core.view_taskschedule"],
        )
        .role("core.taskschedule_viewer", None, &["core.view_taskschedule"])
        // Pulp's owner cannot change anything, since nobody can; roles of its name stay as they are there.
        .role("core.taskschedule_creator", None, &["core.add_taskschedule"])
        .role("core.taskschedule_editor", None, &["core.change_taskschedule", "core.delete_taskschedule", "core.view_taskschedule"])
        .creator(&["core.taskschedule_owner", "core.taskschedule_editor"])
}

struct Interval;

#[async_trait]
impl Compute for Interval {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(rows.iter().map(|row| vec![row.integer("dispatch_interval").map_or(Json::Null, interval_to_wire)]).collect())
    }
}
