//! Roles on one object: who has which, giving and taking them, and what the asker may do with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::api::crud;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::model::role::{self, Extent, Holder, Role};
use crate::resource::{Context, Field, Kind, Resource, action_body};
use crate::{Error, Result};

/// `GET …/list_roles/`.
pub(crate) async fn list(request: Request, resource: Arc<Resource>) -> Answer {
    let object = object(&request, &resource).await?;
    let mut roles: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for (role, holder, name) in role::on_object(request.cx.pulp().db(), object).await? {
        let (users, groups) = roles.entry(role).or_default();
        match holder {
            Holder::User => users.push(name),
            Holder::Group => groups.push(name),
        }
    }
    let roles: Vec<Json> =
        roles.into_iter().map(|(role, (users, groups))| json!({"role": role, "users": users, "groups": groups})).collect();
    Ok(response::json(StatusCode::OK, &json!({"roles": roles})))
}

/// `GET …/my_permissions/`: those that the asker has by roles on this very object.
pub(crate) async fn mine(request: Request, resource: Arc<Resource>) -> Answer {
    let object = object(&request, &resource).await?;
    let permissions = role::permissions_on(request.cx.pulp().db(), request.user()?.id, object).await?;
    Ok(response::json(StatusCode::OK, &json!({"permissions": permissions})))
}

/// `POST …/add_role/`.
pub(crate) async fn add(mut request: Request, resource: Arc<Resource>) -> Answer {
    refuse_reserved(&mut request, &resource).await?;
    let (model, id) = object(&request, &resource).await?;
    let change = read(&mut request, model).await?;
    let pulp = request.cx.pulp();
    let tx = pulp.db().begin().await?;
    for (holder, name, who) in &change.holders {
        if role::give(&tx, (*holder, *who), change.role.id, Extent::Object(model, id), pulp.now()).await?.is_none() {
            return Err(refused(format!("The role is already assigned to {} '{name}'.", noun(*holder))).into());
        }
    }
    tx.commit().await?;
    Ok(response::json(StatusCode::CREATED, &change.shown))
}

/// `POST …/remove_role/`.
pub(crate) async fn remove(mut request: Request, resource: Arc<Resource>) -> Answer {
    refuse_reserved(&mut request, &resource).await?;
    let (model, id) = object(&request, &resource).await?;
    let change = read(&mut request, model).await?;
    let tx = request.cx.pulp().db().begin().await?;
    for (holder, name, who) in &change.holders {
        if !role::take(&tx, (*holder, *who), change.role.id, (model, id)).await? {
            return Err(refused(format!("The role is not assigned to {} '{name}'.", noun(*holder))).into());
        }
    }
    tx.commit().await?;
    Ok(response::json(StatusCode::CREATED, &change.shown))
}

/// The key of the object’s model, and its own.
async fn object(request: &Request, resource: &Resource) -> Result<(i64, Uuid), ApiError> {
    let id = crud::find(request, resource).await?.id();
    let model = request.cx.pulp().access().model(&resource.model);
    let model = model.ok_or_else(|| Error::Internal(format!("the model {} has no permissions", resource.model)))?;
    Ok((model, id))
}

/// Refuses a role that the server alone gives, whether the object is there or not.
async fn refuse_reserved(request: &mut Request, resource: &Resource) -> Result<(), ApiError> {
    let Some(policy) = resource.policy.as_ref().filter(|policy| !policy.reserved.is_empty()) else { return Ok(()) };
    let body = request.peek().await?;
    match body.values.get("role").and_then(Json::as_str) {
        Some(role) if policy.reserved.contains(&role) => {
            let object = resource.model_name().to_lowercase();
            Err(Error::Refused(json!([format!("{role} can not be added/removed from a {object}.")])).into())
        }
        _ => Ok(()),
    }
}

/// What a body asks for.
struct Change {
    role: Role,
    holders: Vec<(Holder, String, i64)>,
    shown: Json,
}

async fn read(request: &mut Request, model: i64) -> Result<Change, ApiError> {
    let names = |name| Field::list(name, Kind::Text).default(json!([]));
    let fields = [names("users"), names("groups"), Field::text("role").required()];
    let mut body = request.payload().await?;
    body.values.retain(|name, _| fields.iter().any(|field| field.name == name.as_str()));
    let input = action_body(&request.cx, &fields, &body).await?;
    let db = request.cx.pulp().db();
    let mut errors = Map::new();
    let mut holders = Vec::new();
    for (field, holder) in [("users", Holder::User), ("groups", Holder::Group)] {
        let names: Vec<&str> = input.get(field).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        let known: HashMap<String, i64> = role::holders(db, holder, &names).await?;
        let mut missing = Map::new();
        for (at, name) in names.into_iter().enumerate() {
            match known.get(name) {
                Some(id) => holders.push((holder, name.to_owned(), *id)),
                None => {
                    missing.insert(at.to_string(), json!([format!("Object with {}={name} does not exist.", holder.names().1)]));
                }
            }
        }
        if !missing.is_empty() {
            errors.insert(field.to_owned(), Json::Object(missing));
        }
    }
    let role = named(&request.cx, input.text("role").unwrap_or_default()).await?;
    let Some(role) = role.map_err(|message| errors.insert("role".to_owned(), json!([message]))).ok().filter(|_| errors.is_empty()) else {
        return Err(Error::Refused(Json::Object(errors)).into());
    };
    if !role.concerns(model) {
        return Err(refused("The role does not contain any permission for that object.".to_owned()).into());
    }
    let shown = json!({"users": input.get("users"), "groups": input.get("groups"), "role": role.name});
    Ok(Change { role, holders, shown })
}

/// The role of a name, or the message that there is none.
pub(super) async fn named(cx: &Context, name: &str) -> Result<Result<Role, String>> {
    let role = Role::by_name(cx.pulp().db(), name).await?;
    Ok(role.ok_or_else(|| format!("Object with name={name} does not exist.")))
}

pub(super) fn refused(message: String) -> Error {
    Error::Refused(json!({"non_field_errors": [message]}))
}

pub(super) fn noun(holder: Holder) -> &'static str {
    match holder {
        Holder::User => "user",
        Holder::Group => "group",
    }
}
