//! Workers: processes that run tasks.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::Result;
use crate::db::{ExecutorExt, Sql};
use crate::plugin::Registry;
use crate::resource::{
    Compute, Condition, Context, Field, Filter, FilterKind, FilterValue, Fragment, Kind, Lookup, Record, Resource, Shape, Target,
};

pub(super) fn register(registry: &mut Registry) {
    let mut workers = Resource::new("workers", "core_appstatus", "Worker").model("core.appstatus");
    workers.in_domain = false;
    registry.resource(
        workers
            .visible_if("b.app_type = 'worker'")
            .field(Field::text("name").read_only().help("Process and host."))
            .field(Field::time("last_heartbeat").read_only().help("The last sign of life."))
            .field(Field::new("versions", Kind::Labels).read_only().help("Versions of its components."))
            .field(Field::computed("current_task", Shape::Uri, CurrentTask).help("The task that it runs."))
            .ordered_by(["app_type", "last_heartbeat", "name", "ttl", "versions"])
            .filters([
                Filter::time("last_heartbeat"),
                Filter::custom("missing", FilterKind::Boolean, Online(false)),
                Filter::name("name"),
                Filter::custom("online", FilterKind::Boolean, Online(true)),
            ]),
    );
}

/// Whether a worker shows signs of life.
struct Online(bool);

#[async_trait]
impl Condition for Online {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let since = cx.pulp().now() - chrono::TimeDelta::seconds(cx.pulp().settings().worker_ttl);
        let alive = (*value == FilterValue::Boolean(true)) == self.0;
        Ok(Fragment::new(if alive { "b.last_heartbeat >= " } else { "b.last_heartbeat < " }).bind(since))
    }
}

struct CurrentTask;

#[async_trait]
impl Compute for CurrentTask {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new("select app_lock_id, pulp_id from core_task where state in ('running', 'canceling') and app_lock_id in ");
        sql.push_list(rows.iter().map(Record::id)).push(" order by sequence desc");
        let running: HashMap<Uuid, Uuid> = cx.pulp().db().all::<(Uuid, Uuid)>(sql).await?.into_iter().collect();
        let href = |row: &Record| cx.href_of(Target::TASK, *running.get(&row.id())?, None);
        Ok(rows.iter().map(|row| vec![href(row).map_or(Json::Null, Json::from)]).collect())
    }
}
