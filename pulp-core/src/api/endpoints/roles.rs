//! Roles: named sets of permissions.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::db::{ExecutorExt, Sql, Tx};
use crate::model::role::Role;
use crate::plugin::Registry;
use crate::resource::access::set_permissions;
use crate::resource::{
    Change, Compute, Condition, Context, Create, Field, Filter, FilterKind, FilterValue, Fragment, Hooks, Input, Kind, Lookup, Record,
    Resource, Shape,
};
use crate::{Error, Result};

const TEXT: &[Lookup] = &[Lookup::Exact, Lookup::Contains, Lookup::IContains, Lookup::IExact];

pub(super) fn register(registry: &mut Registry) {
    let mut roles = Resource::new("roles", "core_role", "Role");
    roles.in_domain = false;
    registry.resource(
        roles
            .field(Field::text("name").required().unique().help("Its name."))
            .field(Field::text("description").nullable().help("For people."))
            .field(
                Field::list("permissions", Kind::Text)
                    .required()
                    .write_only()
                    .keyword("writeOnly", Json::Null)
                    .nowhere()
                    .keyword("items", json!({"type": "string"}))
                    .help("What it lets do: names of permissions."),
            )
            .field(
                Field::computed("permissions", Shape::Schema(json!({"type": "array", "items": {"type": "string"}})), Permissions)
                    .required()
                    .help("What it lets do: names of permissions."),
            )
            .field(Field::boolean("locked").read_only().help("Whether it is one of Pulp's own, which cannot be changed."))
            .create(Create::Now)
            .update(Change::Now)
            .delete(Change::Now)
            .hooks(Rules)
            .filters([
                Filter::custom("contains_permission", FilterKind::Text, Contains).repeated(),
                Filter::new("description", FilterKind::Text, TEXT),
                Filter::custom("for_object_type", FilterKind::Text, ForObjects),
                Filter::new("locked", FilterKind::Boolean, Lookup::EXACT),
                Filter::name("name"),
            ])
            .ordered_by(["description", "locked", "name"]),
    );
}

struct Permissions;

#[async_trait]
impl Compute for Permissions {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let ids: Vec<Uuid> = rows.iter().map(Record::id).collect();
        let roles = Role::by_ids(cx.pulp().db(), &ids).await?;
        let names =
            |row: &Record| roles.get(&row.id()).map_or_else(|| json!([]), |role| json!(role.permissions.keys().collect::<Vec<_>>()));
        Ok(rows.iter().map(|row| vec![names(row)]).collect())
    }
}

/// Locked roles stay as they are; permissions must be known.
struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        if current.is_some_and(|row| row.boolean("locked") == Some(true)) {
            return Err(Error::Denied("The role is locked.".to_owned()));
        }
        permissions(cx, input).map(drop)
    }

    async fn created(&self, cx: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        Ok(set_permissions(tx, id, permissions(cx, input)?).await?)
    }

    async fn updated(&self, cx: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        if input.has("permissions") {
            set_permissions(tx, before.id(), permissions(cx, input)?).await?;
        }
        Ok(())
    }

    async fn deleting(&self, _: &Context, tx: &Tx, id: Uuid) -> Result<()> {
        let locked: Option<(bool,)> = tx.optional(Sql::new("select locked from core_role where pulp_id = $1").bind(id)).await?;
        if locked == Some((true,)) { Err(Error::Denied("The role is locked.".to_owned())) } else { Ok(()) }
    }
}

/// The keys of the permissions that a body names.
fn permissions(cx: &Context, input: &Input) -> Result<BTreeSet<i64>> {
    let mut all = BTreeSet::new();
    for name in input.get("permissions").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
        if name.split('.').count() != 2 {
            return Err(Error::field("permissions", format!("Permission '{name}' is not in the format '<app_label>.<codename>'.")));
        }
        let id = cx.pulp().access().permission(name);
        all.insert(id.ok_or_else(|| Error::field("permissions", format!("Permission '{name}' does not exist.")))?);
    }
    Ok(all)
}

/// Roles that carry any of these permissions.
struct Contains;

#[async_trait]
impl Condition for Contains {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let names = value.as_text().unwrap_or_default().split(',').map(str::trim);
        let known: Vec<i64> = names.filter_map(|name| cx.pulp().access().permission(name)).collect();
        Ok(Fragment::new("b.pulp_id in (select rp.role_id from core_role_permissions rp where rp.permission_id in ").list(known).text(")"))
    }
}

/// Roles all of whose permissions are about objects of one list.
struct ForObjects;

#[async_trait]
impl Condition for ForObjects {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let href = value.as_text().unwrap_or_default();
        let refused = || Error::Refused(json!([format!("URI not valid: {href}")]));
        let (_, path) = cx.pulp().hrefs().split(href).ok_or_else(refused)?;
        let registry = cx.pulp().registry();
        let resource =
            registry.resource_at(path).or_else(|| registry.split_path(path).map(|(resource, _)| resource)).ok_or_else(refused)?;
        let Some(model) = cx.pulp().access().model(&resource.model) else { return Ok(Fragment::never()) };
        let of =
            "select rp.role_id from core_role_permissions rp join auth_permission p on p.id = rp.permission_id where p.content_type_id";
        Ok(Fragment::new(format!("b.pulp_id in ({of} = "))
            .bind(model)
            .text(format!(") and b.pulp_id not in ({of} <> "))
            .bind(model)
            .text(")"))
    }
}
