//! Roles of one user or group: `users/{id}/roles/`, `groups/{id}/roles/`.

mod object;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use self::object::Named;
use super::groups;
use super::object_roles::{named, noun, refused};
use crate::api::crud;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::db::{ExecutorExt, Sql};
use crate::model::role::{self, Extent, Holder, Role};
use crate::plugin::Registry;
use crate::resource::{
    Compute, Condition, Context, Extra, Field, Filter, FilterKind, FilterValue, Fragment, Lookup, Record, Resource, Shape, Target,
    action_body, mask,
};
use crate::{Error, Result};

const NAME: &[Lookup] = &[Lookup::Exact, Lookup::Contains, Lookup::IContains, Lookup::In, Lookup::StartsWith];

pub(super) fn register(registry: &mut Registry) {
    for holder in [Holder::User, Holder::Group] {
        let assignments = resource(holder);
        registry.component(assignments.schema, assignments.fields);
    }
}

/// The roles of users, or of groups, as a resource; not one of the registry: it lies below each of them.
pub(crate) fn resource(holder: Holder) -> Resource {
    let (path, schema) = match holder {
        Holder::User => ("users/roles", "UserRole"),
        Holder::Group => ("groups/roles", "GroupRole"),
    };
    let shared: Arc<dyn Compute> = Arc::new(Shown(holder));
    let computed = |name, shape| Field::computed_by(name, shape, Arc::clone(&shared));
    let object = |name, help| {
        [
            Field::text(name).nullable().write_only().keyword("writeOnly", Json::Null).nowhere().help(help),
            computed(name, Shape::Text).nullable().keyword("readOnly", Json::Null).help(help),
        ]
    };
    let (extra, order) = (["role_id", "object_id"], ["pulp_created"]);
    let mut assignments = Resource::new(path, holder.table(), schema);
    assignments.in_domain = false;
    assignments.nested = true;
    assignments.fields.retain(|field| field.name != "pulp_href");
    assignments.fields.insert(0, computed("pulp_href", Shape::Uri));
    assignments.ordering = order.to_vec();
    assignments.order_expressions = vec![
        ("role", "(select r.name from core_role r where r.pulp_id = b.role_id)"),
        ("description", "(select r.description from core_role r where r.pulp_id = b.role_id)"),
    ];
    assignments = extra.into_iter().fold(assignments, |resource, column| resource.extra(column, Extra::Uuid));
    assignments
        .extra("content_type_id", Extra::Int)
        .extra(holder.column(), Extra::Int)
        .field(Field::text("role").required().write_only().keyword("writeOnly", Json::Null).nowhere().help("The name of the role."))
        .field(computed("role", Shape::Text).required().help("The name of the role."))
        .fields(object("content_object", "The object on which it is given, by href; null for all."))
        .fields(object("content_object_prn", "The object on which it is given, by PRN; null for all."))
        .field(computed("description", Shape::Text).help("What the role is for."))
        .field(computed("permissions", Shape::Schema(json!({"type": "array", "items": {"type": "string"}}))).help("What the role lets do."))
        .field(Field::href("domain", Target::DOMAIN).nullable().help("The domain on all of whose objects it is given."))
        .filters([
            Filter::custom("content_object", FilterKind::Text, OnObject).help("Those that are given on this object; null for none."),
            Filter::href("domain", Target::DOMAIN, Lookup::EXACT).nullable(),
            Filter::new("role", FilterKind::Text, NAME).on("(select r.name from core_role r where r.pulp_id = b.role_id)"),
        ])
}

/// The key of the user or group that the path names.
async fn holder_id(request: &Request, holders: &Resource) -> Result<i64, ApiError> {
    groups::group(request, holders).await
}

/// `GET …/{id}/roles/`.
pub(crate) async fn list(request: Request, holders: Arc<Resource>, holder: Holder) -> Answer {
    let who = holder_id(&request, &holders).await?;
    let assignments = resource(holder);
    let scope = Fragment::new(format!("b.{} = ", holder.column())).bind(who);
    crud::list_of(request, &assignments, scope).await
}

async fn find(request: &Request, holders: &Resource, holder: Holder) -> Result<(Resource, Record), ApiError> {
    let who = holder_id(request, holders).await?;
    let assignments = resource(holder);
    let id = Uuid::try_parse(request.parameter("role")).map_err(|_| ApiError::not_found())?;
    let condition = Fragment::new("b.pulp_id = ").bind(id).text(format!(" and b.{} = ", holder.column())).bind(who);
    let found = assignments.first(&request.cx, condition).await?;
    let row = found.ok_or_else(|| ApiError::no_match(assignments.model_name()))?;
    Ok((assignments, row))
}

/// `GET …/{id}/roles/{role}/`.
pub(crate) async fn read(request: Request, holders: Arc<Resource>, holder: Holder) -> Answer {
    let (assignments, row) = find(&request, &holders, holder).await?;
    let body = assignments.render_one(&request.cx, &mask(&request.query), row).await?;
    Ok(response::raw_json(StatusCode::OK, body))
}

/// `DELETE …/{id}/roles/{role}/`.
pub(crate) async fn remove(request: Request, holders: Arc<Resource>, holder: Holder) -> Answer {
    let (assignments, row) = find(&request, &holders, holder).await?;
    let sql = Sql::new(format!("delete from {} where pulp_id = $1", assignments.table)).bind(row.id());
    request.cx.pulp().db().execute(sql).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST …/{id}/roles/`.
pub(crate) async fn create(mut request: Request, holders: Arc<Resource>, holder: Holder) -> Answer {
    let who = holder_id(&request, &holders).await?;
    let body = request.payload().await?;
    let cx = &request.cx;
    let assignments = resource(holder);
    let input = action_body(cx, &assignments.fields, &body).await?;
    let role = named(cx, input.text("role").unwrap_or_default()).await?.map_err(|message| Error::field("role", message))?;
    let object = match (input.get("content_object"), input.get("content_object_prn")) {
        (None, None) => {
            return Err(refused(
                "Either 'content_object' or 'content_object_prn' needs to be specified. Use 'null' for global or domain level access."
                    .to_owned(),
            )
            .into());
        }
        (Some(Json::String(href)), _) => Some(Named::by_href(cx, href).await?),
        (_, Some(Json::String(prn))) => Some(Named::by_prn(cx, prn).await?),
        _ => None,
    };
    let extent = match (object, input.id("domain")) {
        (Some(_), Some(_)) => return Err(refused("Domain and content_object are mutually exclusive.".to_owned()).into()),
        (Some(object), None) => {
            if !role.concerns(object.model) {
                return Err(refused(format!("The role '{}' does not carry any permission for that object.", role.name)).into());
            }
            Extent::Object(object.model, object.id)
        }
        (None, Some(domain)) => {
            if !concerns_domains(cx, &role) {
                return Err(refused(format!("The role '{}' does not carry any permission on an object with a domain", role.name)).into());
            }
            Extent::Domain(domain)
        }
        (None, None) => Extent::Everywhere,
    };
    let given = role::give(cx.pulp().db(), (holder, who), role.id, extent, cx.pulp().now()).await?;
    let id = given.ok_or_else(|| refused(format!("The role is already assigned to this {}.", noun(holder))))?;
    let made = assignments.first(cx, Fragment::new("b.pulp_id = ").bind(id)).await?;
    let made = assignments.to_json(cx, made.ok_or_else(ApiError::not_found)?).await?;
    let href = made["pulp_href"].as_str().unwrap_or_default().to_owned();
    Ok(response::located(response::json(StatusCode::CREATED, &made), &href))
}

/// Whether a role lets do anything with objects that are in domains.
fn concerns_domains(cx: &Context, role: &Role) -> bool {
    let access = cx.pulp().access();
    cx.pulp()
        .registry()
        .resources()
        .iter()
        .filter(|resource| resource.in_domain)
        .any(|resource| access.model(&resource.model).is_some_and(|model| role.concerns(model)))
}

/// What follows from the role and the object.
struct Shown(Holder);

#[async_trait]
impl Compute for Shown {
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.uuid("role_id")).collect();
        let roles = Role::by_ids(cx.pulp().db(), &ids).await?;
        let objects: Vec<Option<(i64, Uuid)>> = rows.iter().map(|row| row.integer("content_type_id").zip(row.uuid("object_id"))).collect();
        let named: HashMap<(i64, Uuid), Named> = Named::all(cx, objects.iter().flatten()).await?;
        let base = cx.shared_base();
        let holders = match self.0 {
            Holder::User => "users",
            Holder::Group => "groups",
        };
        let one = |row: &Record, object: Option<&Named>, field: &str| {
            let role = row.uuid("role_id").and_then(|id| roles.get(&id));
            match field {
                "pulp_href" => json!(format!("{base}{holders}/{}/roles/{}/", row.integer(self.0.column()).unwrap_or_default(), row.id())),
                "role" => json!(role.map(|role| &role.name)),
                "description" => json!(role.and_then(|role| role.description.as_ref())),
                "permissions" => json!(role.map(|role| role.permissions.keys().collect::<Vec<_>>()).unwrap_or_default()),
                "content_object" => json!(object.map(|object| &object.href)),
                _ => json!(object.map(|object| &object.prn)),
            }
        };
        let row = |(row, object): (&Record, &Option<(i64, Uuid)>)| {
            let object = object.as_ref().and_then(|object| named.get(object));
            fields.iter().map(|field| one(row, object, field)).collect()
        };
        Ok(rows.iter().zip(&objects).map(row).collect())
    }
}

/// Those that are given on one object.
struct OnObject;

#[async_trait]
impl Condition for OnObject {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let text = value.as_text().unwrap_or_default();
        if text == "null" {
            return Ok(Fragment::new("b.object_id is null"));
        }
        let refused = |_| Error::Refused(json!([format!("Invalid value for 'content_object': {text}.")]));
        let object = Named::by_href(cx, text).await.map_err(refused)?;
        Ok(Fragment::new("b.content_type_id = ").bind(object.model).text(" and b.object_id = ").bind(object.id))
    }
}
