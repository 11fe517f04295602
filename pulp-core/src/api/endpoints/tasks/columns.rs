//! What tasks and groups show beside their columns, read for a whole page at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use sqlx::FromRow;
use uuid::Uuid;

use crate::Result;
use crate::clock::{Timestamp, to_wire};
use crate::db::{ExecutorExt, Sql};
use crate::resource::{Compute, Context, Field, Record, Shape, Target};

/// Rows by the key of what they belong to, as JSON lists.
fn lists(rows: &[Record], mut found: HashMap<Uuid, Vec<Json>>) -> Vec<Vec<Json>> {
    rows.iter().map(|row| vec![Json::Array(found.remove(&row.id()).unwrap_or_default())]).collect()
}

fn for_rows(text: &str, rows: &[Record], order: &str) -> Sql {
    let mut sql = Sql::new(format!("{text} in "));
    sql.push_list(rows.iter().map(Record::id)).push(order);
    sql
}

pub(in crate::api::endpoints) struct CreatedBy;

#[async_trait]
impl Compute for CreatedBy {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let base = cx.pulp().hrefs().base(&cx.domain().name);
        Ok(rows.iter().map(|row| vec![row.integer("user_id").map_or(Json::Null, |id| json!(format!("{base}users/{id}/")))]).collect())
    }
}

pub(super) struct ChildTasks;

#[async_trait]
impl Compute for ChildTasks {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let sql = for_rows("select parent_task_id, pulp_id from core_task where parent_task_id", rows, " order by sequence");
        let mut found: HashMap<Uuid, Vec<Json>> = HashMap::new();
        for (parent, child) in cx.pulp().db().all::<(Uuid, Uuid)>(sql).await? {
            found.entry(parent).or_default().extend(cx.href_of(Target::TASK, child, None).map(Json::from));
        }
        Ok(lists(rows, found))
    }
}

pub(super) struct Progress;

#[derive(FromRow)]
struct Report {
    owner: Uuid,
    message: String,
    code: String,
    state: Option<String>,
    total: Option<i64>,
    done: i64,
    suffix: Option<String>,
}

impl Report {
    fn json(&self) -> Json {
        let mut report = json!({"message": self.message, "code": self.code});
        if let Some(state) = &self.state {
            report["state"] = json!(state);
        }
        report["total"] = json!(self.total);
        report["done"] = json!(self.done);
        report["suffix"] = json!(self.suffix);
        report
    }
}

#[async_trait]
impl Compute for Progress {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let sql = for_rows(
            "select task_id as owner, message, code, state, total, done, suffix from core_progressreport where task_id",
            rows,
            " order by pulp_id",
        );
        let mut found: HashMap<Uuid, Vec<Json>> = HashMap::new();
        for report in cx.pulp().db().all::<Report>(sql).await? {
            found.entry(report.owner).or_default().push(report.json());
        }
        Ok(lists(rows, found))
    }
}

/// `created_resources` and `created_resource_prns`.
pub(super) struct CreatedResources;

impl CreatedResources {
    pub(super) fn fields() -> [Field; 2] {
        let shared: Arc<dyn Compute> = Arc::new(Self);
        let uris = || Shape::List(Box::new(Shape::Uri));
        [
            Field::computed_by("created_resources", uris(), Arc::clone(&shared)).help("What it made."),
            Field::computed_by("created_resource_prns", uris(), shared).help("The PRNs of what it made."),
        ]
    }
}

#[async_trait]
impl Compute for CreatedResources {
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let sql =
            for_rows("select task_id, object_id, content_type, href from core_createdresource where task_id", rows, " order by pulp_id");
        let mut found: HashMap<Uuid, (Vec<Json>, Vec<Json>)> = HashMap::new();
        for (task, object, model, href) in cx.pulp().db().all::<(Uuid, Uuid, String, String)>(sql).await? {
            let of_task = found.entry(task).or_default();
            of_task.0.push(json!(href));
            of_task.1.push(json!(format!("prn:{model}:{object}")));
        }
        Ok(rows
            .iter()
            .map(|row| {
                let (hrefs, prns) = found.remove(&row.id()).unwrap_or_default();
                fields.iter().map(|field| Json::Array(if *field == "created_resources" { hrefs.clone() } else { prns.clone() })).collect()
            })
            .collect())
    }
}

/// How many tasks of a group are in each state.
pub(super) struct GroupCounts;

impl GroupCounts {
    pub(super) fn fields() -> Vec<Field> {
        let shared: Arc<dyn Compute> = Arc::new(Self);
        ["waiting", "skipped", "running", "completed", "canceled", "failed", "canceling"]
            .into_iter()
            .map(|state| Field::computed_by(state, Shape::Integer, Arc::clone(&shared)).help("Tasks in this state."))
            .collect()
    }
}

#[async_trait]
impl Compute for GroupCounts {
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let sql =
            for_rows("select task_group_id, state, count(*) from core_task where task_group_id", rows, " group by task_group_id, state");
        let mut found: HashMap<Uuid, BTreeMap<String, i64>> = HashMap::new();
        for (group, state, count) in cx.pulp().db().all::<(Uuid, String, i64)>(sql).await? {
            found.entry(group).or_default().insert(state, count);
        }
        Ok(rows
            .iter()
            .map(|row| {
                let counts = found.remove(&row.id()).unwrap_or_default();
                fields.iter().map(|state| json!(counts.get(*state).copied().unwrap_or(0))).collect()
            })
            .collect())
    }
}

pub(super) struct GroupReports;

#[async_trait]
impl Compute for GroupReports {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let sql = for_rows(
            "select task_group_id as owner, message, code, cast(null as text) as state, total, done, suffix from core_groupprogressreport where task_group_id",
            rows,
            " order by pulp_id",
        );
        let mut found: HashMap<Uuid, Vec<Json>> = HashMap::new();
        for report in cx.pulp().db().all::<Report>(sql).await? {
            found.entry(report.owner).or_default().push(report.json());
        }
        Ok(lists(rows, found))
    }
}

pub(super) struct GroupTasks;

#[derive(FromRow)]
struct TaskLine {
    task_group_id: Uuid,
    pulp_id: Uuid,
    pulp_created: Timestamp,
    pulp_last_updated: Option<Timestamp>,
    name: String,
    state: String,
    unblocked_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
}

#[async_trait]
impl Compute for GroupTasks {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let sql = for_rows(
            "select task_group_id, pulp_id, pulp_created, pulp_last_updated, name, state, unblocked_at, started_at, finished_at from core_task where task_group_id",
            rows,
            " order by sequence",
        );
        let mut found: HashMap<Uuid, Vec<Json>> = HashMap::new();
        for line in cx.pulp().db().all::<TaskLine>(sql).await? {
            found.entry(line.task_group_id).or_default().push(json!({
                "pulp_href": cx.href_of(Target::TASK, line.pulp_id, None),
                "prn": format!("prn:core.task:{}", line.pulp_id),
                "pulp_created": to_wire(line.pulp_created),
                "pulp_last_updated": line.pulp_last_updated.map(to_wire),
                "name": line.name,
                "state": line.state,
                "unblocked_at": line.unblocked_at.map(to_wire),
                "started_at": line.started_at.map(to_wire),
                "finished_at": line.finished_at.map(to_wire),
                "worker": null,
            }));
        }
        Ok(lists(rows, found))
    }
}
