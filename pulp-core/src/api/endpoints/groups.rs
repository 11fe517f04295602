//! Groups of users, and who is in them.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::Error;
use crate::api::crud;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::db::{ExecutorExt, Sql};
use crate::model::User;
use crate::plugin::Registry;
use crate::resource::{AccessPolicy, Change, Context, Create, Field, Filter, FilterKind, Fragment, Lookup, Resource, Scope, key_number};

/// Lookups of short texts.
pub(super) const NAME: &[Lookup] = &[Lookup::Exact, Lookup::Contains, Lookup::IContains, Lookup::IExact, Lookup::In];

pub(super) fn register(registry: &mut Registry) {
    registry.resource(groups());
    registry.component("GroupUser", members().fields);
    let may = |verb: &str| format!("has_group_model_or_obj_perms:core.{verb}_group");
    registry.policy(
        "groups/users",
        AccessPolicy::explicit()
            .rule(&["list"], &[&may("view")])
            .rule(&["create"], &[&may("change")])
            .rule(&["destroy"], &[&may("change")])
            .creator(&[])
            .scope(Scope::Everything),
    );
}

/// A resource whose keys are numbers, and which has no moments.
pub(super) fn numbered(path: &'static str, table: &'static str, schema: &'static str) -> Resource {
    let mut resource = Resource::new(path, table, schema);
    resource.key = "id";
    resource.integer_key = true;
    resource.in_domain = false;
    resource.default_order = "id";
    resource.stamps = &[];
    resource.fields.retain(|field| matches!(field.name, "pulp_href" | "prn"));
    resource.ordering = vec!["id"];
    resource
}

fn groups() -> Resource {
    let mut groups = numbered("groups", "auth_group", "Group");
    groups.roles = true;
    groups.fields.insert(0, Field::text("name").required().unique().max_length(150).help("The unique name.").in_base());
    groups
        .field(Field::integer("id").read_only())
        .create(Create::Now)
        .update(Change::Now)
        .delete(Change::Now)
        .filters([Filter::new("id", FilterKind::Integer, Lookup::EXACT_IN), Filter::new("name", FilterKind::Text, NAME)])
        .ordered_by(["name"])
}

/// Users as groups show them.
fn members() -> Resource {
    let mut members = numbered("users", "auth_user", "GroupUser").model("auth.user");
    members.nested = true;
    members.fields.insert(0, Field::text("username").required().max_length(150).help("The name to log in with.").in_base());
    members
}

/// `GET groups/{id}/users/`.
pub(crate) async fn list(mut request: Request, groups: Arc<Resource>) -> Answer {
    let group = group(&request, &groups).await?;
    // This list knows no filters, and does not mind.
    request.query.retain(|(name, _)| matches!(name.as_str(), "limit" | "offset" | "fields" | "exclude_fields"));
    let members = members();
    let scope = members.scope(&request.cx);
    let within = Fragment::new("b.id in (select ug.user_id from auth_user_groups ug where ug.group_id = ").bind(group).text(")");
    crud::list_of(request, &members, scope.and(within)).await
}

/// `POST groups/{id}/users/`.
pub(crate) async fn add(mut request: Request, groups: Arc<Resource>) -> Answer {
    let group = group(&request, &groups).await?;
    let body = request.payload().await?;
    let db = request.cx.pulp().db();
    let refused = |message: String| ApiError::from(Error::BadRequest(message));
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let named = ["pk", "id"].into_iter().find_map(|name| body.values.get(name)).map(text);
    let user = match (named, body.values.get("username").map(text)) {
        (Some(key), name) => match key.parse().ok() {
            Some(id) => User::by_id(db, id).await?.ok_or(name),
            None => Err(name),
        },
        (None, Some(name)) => User::by_name(db, &name).await?.ok_or(Some(name)),
        (None, None) => {
            return Err(refused("Please provide one of the following values for User: 'pk', 'id', 'username'".to_owned()));
        }
    };
    let user = user.map_err(|name| refused(format!("Could not find user {}", name.as_deref().unwrap_or("None"))))?;
    let sql = Sql::new("insert into auth_user_groups (user_id, group_id) values ($1, $2) on conflict do nothing");
    db.execute(sql.bind(user.id).bind(group)).await?;
    Ok(response::json(StatusCode::CREATED, &shown(&request.cx, &user)))
}

/// `DELETE groups/{id}/users/{user}/`.
pub(crate) async fn remove(request: Request, groups: Arc<Resource>) -> Answer {
    let group = group(&request, &groups).await?;
    let user: i64 = request.parameter("user").parse().map_err(|_| ApiError::not_found())?;
    let db = request.cx.pulp().db();
    if User::by_id(db, user).await?.is_none() {
        return Err(ApiError::no_match("User"));
    }
    let sql = Sql::new("delete from auth_user_groups where user_id = $1 and group_id = $2");
    db.execute(sql.bind(user).bind(group)).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// The group of the path: that the asker may do this with it was found out already.
pub(super) async fn group(request: &Request, groups: &Resource) -> Result<i64, ApiError> {
    let id = groups.key_of(request.parameter("id")).ok_or_else(ApiError::not_found)?;
    if groups.is_there(&request.cx, id).await? { Ok(key_number(id)) } else { Err(ApiError::no_match(groups.model_name())) }
}

fn shown(cx: &Context, user: &User) -> Json {
    let base = cx.shared_base();
    json!({"username": user.username, "pulp_href": format!("{base}users/{}/", user.id), "prn": format!("prn:auth.user:{}", user.id)})
}
