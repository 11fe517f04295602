//! Access policies, as administrators read and change them.

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::db::{ExecutorExt, Sql, Tx};
use crate::plugin::Registry;
use crate::resource::{
    Action, ActionHandler, Change, Compute, Context, Field, Filter, FilterKind, Hooks, Input, Kind, Lookup, Record, Reply, Resource,
    Returns, Shape,
};
use crate::{Error, Result};

pub(super) fn register(registry: &mut Registry) {
    let objects = || Kind::List(Box::new(Kind::Dictionary));
    let list = json!({"type": "array", "items": {"type": "object"}});
    let mut policies = Resource::new("access_policies", "core_accesspolicy", "AccessPolicy");
    policies.in_domain = false;
    registry.resource(
        policies
            .field(Field::new("permissions_assignment", objects()).write_only().nowhere().keyword("writeOnly", Json::Null))
            .field(
                Field::computed("permissions_assignment", Shape::Schema(list), OldName)
                    .keyword("readOnly", Json::Null)
                    .help("The same as `creation_hooks`, which it was called before."),
            )
            .field(Field::new("creation_hooks", objects()).help("What happens when an object is made: functions and their parameters."))
            .field(Field::new("statements", objects()).required().help("Who may do what."))
            .field(Field::text("viewset_name").read_only().help("Which list it is about."))
            .field(Field::boolean("customized").read_only().help("Whether somebody has changed it."))
            .field(Field::new("queryset_scoping", Kind::Dictionary).help("Which objects a list shows: a function, or nothing for all."))
            .update(Change::Now)
            .hooks(Rules)
            .action(Action::post("reset", Reset).returns(Returns::Object(200)).help("Takes all changes back."))
            .filters([Filter::new("customized", FilterKind::Boolean, Lookup::EXACT), Filter::name("viewset_name")])
            .ordered_by(["creation_hooks", "customized", "queryset_scoping", "statements", "viewset_name"]),
    );
}

struct OldName;

#[async_trait]
impl Compute for OldName {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(rows.iter().map(|row| vec![row.json("creation_hooks").cloned().unwrap_or(Json::Null)]).collect())
    }
}

struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, _: &Context, input: &mut Input, _: Option<&Record>) -> Result<()> {
        if let Some(hooks) = input.remove("permissions_assignment")
            && !input.has("creation_hooks")
        {
            input.set("creation_hooks", hooks);
        }
        Ok(())
    }

    async fn updated(&self, _: &Context, tx: &Tx, before: &Record, _: &Input) -> Result<()> {
        tx.execute(Sql::new("update core_accesspolicy set customized = true where pulp_id = $1").bind(before.id())).await?;
        Ok(())
    }
}

/// `POST …/reset/`.
struct Reset;

#[async_trait]
impl ActionHandler for Reset {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, _: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("no policy is named".to_owned()))?;
        let db = cx.pulp().db();
        let name: String = db.scalar(Sql::new("select viewset_name from core_accesspolicy where pulp_id = $1").bind(id)).await?;
        let Some(policy) = cx.pulp().access().described(&name) else {
            return Err(Error::BadRequest(format!("There is no default access policy of '{name}' any more.")));
        };
        let null = |value: &Json| crate::db::Value::Json((!value.is_null()).then(|| value.clone()));
        let sql = Sql::new(
            "update core_accesspolicy set statements = $1, creation_hooks = $2, queryset_scoping = $3, customized = false, \
             pulp_last_updated = $4 where pulp_id = $5",
        );
        let sql = sql.bind(policy.statements.clone()).bind(null(&policy.hooks)).bind(null(&policy.scoping));
        db.execute(sql.bind(cx.pulp().now()).bind(id)).await?;
        Ok(Reply::Object(StatusCode::OK, id))
    }
}
