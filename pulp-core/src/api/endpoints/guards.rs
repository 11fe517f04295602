//! The content guards of core.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::content::guards::{new_secret, rbac};
use crate::db::{ExecutorExt, Sql, Tx};
use crate::model::role::Holder;
use crate::plugin::Registry;
use crate::resource::{AccessPolicy, Compute, Context, Field, Hooks, Input, Kind, Record, Resource, Shape, Target};
use crate::{Error, Result};

pub(super) fn register(registry: &mut Registry) {
    let guard = |path, pulp_type, schema, table| Resource::content_guard(path, pulp_type, schema).detail(table, "contentguard_ptr_id");
    let header_name = || Field::text("header_name").required().help("The header that is looked at.");
    registry.resource(
        guard("contentguards/core/header", "core.header", "HeaderContentGuard", "core_headercontentguard")
            .field(header_name())
            .field(Field::text("header_value").required().help("What it must be, after base64 and the filter."))
            .field(Field::text("jq_filter").nullable().help("A jq filter that finds the value in a header that is JSON.")),
    );
    registry.resource(
        guard("contentguards/core/envvar_header", "core.envvar_header", "EnvVarHeaderContentGuard", "core_envvarheadercontentguard")
            .hooks(Variables)
            .field(header_name())
            .field(Field::text("env_var").required().help("The server's environment variable with what it must be, after base64.")),
    );
    let mut guards = Field::list("guards", Kind::Href(Target::CONTENT_GUARD)).nowhere();
    guards.compute = Some(Arc::new(Members));
    let nullable = json!({"type": "string", "format": "uri", "nullable": true});
    registry.resource(
        guard("contentguards/core/composite", "core.composite", "CompositeContentGuard", "core_compositecontentguard")
            .hooks(Composites)
            .field(guards.keyword("items", nullable).help("Those of which one must let a request pass.")),
    );
    registry.resource(
        guard(
            "contentguards/core/content_redirect",
            "core.content_redirect",
            "ContentRedirectContentGuard",
            "core_contentredirectcontentguard",
        )
        .hooks(Secrets),
    );
    let of = |component| Shape::List(Box::new(Shape::Component(component)));
    let entitled = Arc::new(Entitled);
    registry.resource(
        guard("contentguards/core/rbac", "core.rbac", "RBACContentGuard", "core_rbaccontentguard")
            .policy(
                AccessPolicy::usual()
                    .rule(&["download"], &["has_model_or_domain_or_obj_perms:core.download_rbaccontentguard"])
                    .permission("download_rbaccontentguard")
                    .role("core.rbaccontentguard_downloader", None, &[rbac::DOWNLOAD])
                    .creator(&["core.rbaccontentguard_owner", "core.rbaccontentguard_downloader"]),
            )
            .field(Field::computed_by("users", of("GroupUserResponse"), entitled.clone()).help("Users who may download."))
            .field(Field::computed_by("groups", of("GroupResponse"), entitled).help("Groups whose users may download.")),
    );
}

/// Which environment variables may be compared with.
struct Variables;

#[async_trait]
impl Hooks for Variables {
    async fn validate(&self, cx: &Context, input: &mut Input, _: Option<&Record>) -> Result<()> {
        let allowed = &cx.pulp().settings().envvar_header_content_guard_allowed_vars;
        match input.text("env_var") {
            Some(name) if !allowed.iter().any(|known| known == name) => {
                Err(Error::field("env_var", format!("Environment variable '{name}' is not in ENVVAR_HEADER_CONTENT_GUARD_ALLOWED_VARS.")))
            }
            _ => Ok(()),
        }
    }
}

/// The guards of a composite.
struct Composites;

#[async_trait]
impl Hooks for Composites {
    async fn created(&self, _: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        set_members(tx, id, input).await
    }

    async fn updated(&self, _: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        set_members(tx, before.id(), input).await
    }
}

async fn set_members(tx: &Tx, composite: Uuid, input: &Input) -> Result<()> {
    let Some(guards) = input.get("guards").and_then(Json::as_array) else { return Ok(()) };
    tx.execute(Sql::new("delete from core_compositecontentguard_guards where compositecontentguard_id = $1").bind(composite)).await?;
    let mut members: Vec<Uuid> = Vec::with_capacity(guards.len());
    for guard in guards.iter().filter_map(Json::as_str) {
        let prn: crate::ids::Prn = guard.parse().map_err(|_| Error::Internal("a guard was not resolved".to_owned()))?;
        if !members.contains(&prn.id) {
            members.push(prn.id);
        }
    }
    for some in members.chunks(crate::db::rows_per_statement(2)) {
        let mut sql = Sql::new("insert into core_compositecontentguard_guards (compositecontentguard_id, contentguard_id) values ");
        sql.push_rows(some.iter().map(|guard| -> [crate::db::Value; 2] { [composite.into(), (*guard).into()] }));
        tx.execute(sql).await?;
    }
    Ok(())
}

struct Members;

#[async_trait]
impl Compute for Members {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select m.compositecontentguard_id, g.pulp_id, g.pulp_type from core_compositecontentguard_guards m \
             join core_contentguard g on g.pulp_id = m.contentguard_id where m.compositecontentguard_id in ",
        );
        sql.push_list(rows.iter().map(Record::id)).push(" order by m.id");
        let mut of: HashMap<Uuid, Vec<Json>> = HashMap::new();
        for (composite, guard, kind) in cx.pulp().db().all::<(Uuid, Uuid, String)>(sql).await? {
            of.entry(composite).or_default().push(json!(cx.href_of(Target::CONTENT_GUARD, guard, Some(&kind))));
        }
        Ok(rows.iter().map(|row| vec![Json::Array(of.remove(&row.id()).unwrap_or_default())]).collect())
    }
}

/// The secret that addresses are signed with: nobody is shown it.
struct Secrets;

#[async_trait]
impl Hooks for Secrets {
    async fn created(&self, cx: &Context, tx: &Tx, id: Uuid, _: &Input) -> Result<()> {
        let sealed = cx.pulp().seal(&new_secret())?;
        let sql = Sql::new("update core_contentredirectcontentguard set shared_secret = $2 where contentguard_ptr_id = $1");
        tx.execute(sql.bind(id).bind(sealed)).await?;
        Ok(())
    }
}

/// Users and groups that may download by a role on the guard itself.
struct Entitled;

#[async_trait]
impl Compute for Entitled {
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut columns = Vec::with_capacity(fields.len());
        for field in fields {
            columns.push(entitled(cx, if *field == "users" { Holder::User } else { Holder::Group }, rows).await?);
        }
        let mut of = |row: &Record| columns.iter_mut().map(|column| Json::Array(column.remove(&row.id()).unwrap_or_default())).collect();
        Ok(rows.iter().map(&mut of).collect())
    }
}

async fn entitled(cx: &Context, holder: Holder, rows: &[Record]) -> Result<HashMap<Uuid, Vec<Json>>> {
    let catalogue = cx.pulp().access();
    let keys = catalogue.model(rbac::MODEL).zip(catalogue.permission(rbac::DOWNLOAD));
    let (model, permission) = keys.ok_or_else(|| Error::Internal("nobody can be let download".to_owned()))?;
    let (table, name) = holder.names();
    let mut sql = Sql::new(format!(
        "select distinct given.object_id, holder.id, holder.{name} from {} given \
         join core_role_permissions rp on rp.role_id = given.role_id join {table} holder on holder.id = given.{} \
         where given.content_type_id = ",
        holder.table(),
        holder.column()
    ));
    sql.push_bind(model).push(" and rp.permission_id = ").push_bind(permission).push(" and given.object_id in ");
    sql.push_list(rows.iter().map(Record::id)).push(" order by holder.id");
    let base = cx.shared_base();
    let mut of: HashMap<Uuid, Vec<Json>> = HashMap::new();
    for (guard, id, name) in cx.pulp().db().all::<(Uuid, i64, String)>(sql).await? {
        of.entry(guard).or_default().push(match holder {
            Holder::User => json!({"username": name, "pulp_href": format!("{base}users/{id}/"), "prn": format!("prn:auth.user:{id}")}),
            Holder::Group => {
                json!({"name": name, "pulp_href": format!("{base}groups/{id}/"), "prn": format!("prn:core.group:{id}"), "id": id})
            }
        });
    }
    Ok(of)
}
