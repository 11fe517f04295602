//! What every resource can do: list, make, read, change, remove, labels, actions.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::error::ApiError;
use super::request::Request;
use super::response;
use super::router::Answer;
use crate::Error;
use crate::body::Body;
use crate::resource::{
    Action, BY_KEY, Change, Context, Create, Field, Fragment, GeneralCreate, GeneralDelete, GeneralUpdate, Kind, Noun, On, Purpose, Record,
    Reply, Resource, action_body, check_label, mask, set_label,
};
use crate::tasks::DispatchOptions;

/// What a row takes as JSON, roughly.
const ROW: usize = 1024;

/// `GET` of the collection.
pub(super) async fn list(request: Request, resource: Arc<Resource>) -> Answer {
    let scope = resource.scope(&request.cx);
    list_of(request, &resource, scope).await
}

/// A page of the rows that meet a condition.
pub(super) async fn list_of(request: Request, resource: &Resource, scope: Fragment) -> Answer {
    let page = resource.page(&request.cx, &request.query, scope).await?;
    let url = request.url();
    let link = |place: Vec<(&'static str, String)>| Json::String(page_url(&url, &request.query, page.limit, place));
    let at = |offset: i64| link(if offset > 0 { vec![("offset", offset.to_string())] } else { Vec::new() });
    let next = match page.next {
        // What was counted once need not be counted for each page.
        Some(key) => link(vec![("after", key.to_string()), ("count", page.count.to_string())]),
        None if page.by_key => Json::Null,
        None => page.offset.checked_add(page.limit).filter(|after| *after < page.count).map_or(Json::Null, at),
    };
    let previous = if page.offset > 0 { at((page.offset - page.limit).max(0)) } else { Json::Null };
    let mut body = Vec::with_capacity(page.len() * ROW + 256);
    body.extend_from_slice(format!("{{\"count\":{},\"next\":{next},\"previous\":{previous},\"results\":[", page.count).as_bytes());
    page.render(resource, &request.cx, &mut body).await?;
    body.extend_from_slice(b"]}");
    Ok(response::raw_json(StatusCode::OK, body))
}

/// The address of another page: the same query, its parameters in order, at another place.
fn page_url(url: &str, query: &[(String, String)], limit: i64, place: Vec<(&'static str, String)>) -> String {
    let by_key = place.iter().any(|(name, _)| *name == "after");
    let elsewhere = |name: &str| !(matches!(name, "limit" | "offset") || by_key && BY_KEY.contains(&name));
    let mut query: Vec<(&str, String)> =
        query.iter().filter(|(name, _)| elsewhere(name)).map(|(name, value)| (name.as_str(), value.clone())).collect();
    query.push(("limit", limit.to_string()));
    query.extend(place);
    query.sort_by(|a, b| a.0.cmp(b.0));
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{url}?{query}")
}

/// `POST` to the collection.
pub(super) async fn create(mut request: Request, resource: Arc<Resource>) -> Answer {
    let body = request.payload().await?;
    let cx = &request.cx;
    let input = resource.validate(cx, &body, Purpose::Create, None).await?.with_files(body.files);
    match &resource.create {
        Create::No => Err(ApiError::not_found()),
        Create::Now => {
            let id = resource.insert(cx, &input).await?;
            reply(cx, &resource, Reply::Object(StatusCode::CREATED, id)).await
        }
        Create::Task => {
            let task = GeneralCreate { resource: resource.path.to_owned(), input };
            reply(cx, &resource, cx.dispatch(task).await?).await
        }
        Create::By(_, handler) => reply(cx, &resource, handler.handle(cx, None, input).await?).await,
    }
}

/// `GET` of an object.
pub(super) async fn read(request: Request, resource: Arc<Resource>) -> Answer {
    let row = find(&request, &resource).await?;
    show(&request, &resource, row).await
}

/// An object as the request wants to see it.
pub(super) async fn show(request: &Request, resource: &Resource, row: Record) -> Answer {
    let body = resource.render_one(&request.cx, &mask(&request.query), row).await?;
    Ok(response::raw_json(StatusCode::OK, body))
}

/// `PUT` and `PATCH` of an object.
pub(super) async fn update(mut request: Request, resource: Arc<Resource>, purpose: Purpose) -> Answer {
    let current = find(&request, &resource).await?;
    let body = request.payload().await?;
    let cx = &request.cx;
    let id = current.id();
    let input = resource.validate(cx, &body, purpose, Some(&current)).await?.with_files(body.files);
    if resource.changes(&current, &input)? {
        if resource.update == Change::Task {
            let prn = resource.own_prn(cx, &current).unwrap_or_default();
            let task = GeneralUpdate { resource: resource.path.to_owned(), prn, id, input };
            let row = cx.pulp().tasks().dispatch(task, options(cx, &resource)).await?;
            return Ok(dispatched(cx, &resource, row.pulp_id));
        }
        resource.change(cx, &current, &input).await?;
    }
    reply(cx, &resource, Reply::Object(StatusCode::OK, id)).await
}

/// `DELETE` of an object.
pub(super) async fn delete(request: Request, resource: Arc<Resource>) -> Answer {
    let current = find(&request, &resource).await?;
    let (cx, id) = (&request.cx, current.id());
    resource.hooks.may_delete(cx, &current).await?;
    if resource.delete == Change::Task {
        let prn = resource.own_prn(cx, &current).unwrap_or_default();
        let task = GeneralDelete { resource: resource.path.to_owned(), prn, id };
        // A repository may hold a million units: that is no work for the process that answers requests.
        let options = DispatchOptions {
            immediate: Some(!matches!(resource.noun, Noun::Repository | Noun::AlternateContentSource)),
            ..options(cx, &resource)
        };
        let row = cx.pulp().tasks().dispatch(task, options).await?;
        return Ok(dispatched(cx, &resource, row.pulp_id));
    }
    resource.remove(cx, id).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// An action of an object or of the collection.
pub(super) async fn act(mut request: Request, resource: Arc<Resource>, action: Action) -> Answer {
    let id = match action.on {
        On::Object => Some(find(&request, &resource).await?.id()),
        On::Collection => None,
    };
    action.handler.check(&request.cx).await?;
    let body = match &action.body {
        Some(_) => request.payload().await?,
        None => Default::default(),
    };
    let fields = action.body.as_ref().map_or(&[] as &[Field], |body| &body.fields);
    let cx = &request.cx;
    let input = action_body(cx, fields, &body).await?.with_files(body.files);
    reply(cx, &resource, action.handler.handle(cx, id, input).await?).await
}

/// `POST …/set_label/`.
pub(super) async fn label(mut request: Request, resource: Arc<Resource>) -> Answer {
    let id = find(&request, &resource).await?.id();
    let mut body = request.payload().await?;
    body.values.retain(|name, _| matches!(name.as_str(), "key" | "value"));
    let fields = [Field::new("key", Kind::Text).required(), Field::text("value").required().nullable().blank()];
    let input = action_body(&request.cx, &fields, &body).await?;
    let key = input.text("key").unwrap_or_default();
    let value = input.get("value").cloned().unwrap_or(Json::Null);
    check_label(key, value.as_str()).map_err(|message| ApiError::new(StatusCode::BAD_REQUEST, json!({"non_field_errors": [message]})))?;
    let cx = &request.cx;
    set_label(cx.pulp().db(), &resource, id, cx.pulp().now(), key, Some(value.clone())).await?;
    resource.hooks.committed(cx, id).await;
    Ok(response::json(StatusCode::CREATED, &json!({"key": key, "value": value})))
}

/// `POST …/unset_label/`.
pub(super) async fn unlabel(mut request: Request, resource: Arc<Resource>) -> Answer {
    let id = find(&request, &resource).await?.id();
    let mut body = request.payload().await?;
    body.values.retain(|name, _| name == "key");
    let input = action_body(&request.cx, &[Field::new("key", Kind::Text).required()], &body).await?;
    let key = input.text("key").unwrap_or_default();
    let cx = &request.cx;
    let before = set_label(cx.pulp().db(), &resource, id, cx.pulp().now(), key, None).await?;
    let Some(value) = before else {
        return Err(Error::field("key", format!("Label '{key}' is not set on the object.")).into());
    };
    resource.hooks.committed(cx, id).await;
    Ok(response::json(StatusCode::CREATED, &json!({"key": key, "value": value})))
}

/// How a task about an object is dispatched: what is in no domain is the default one's to change.
fn options(cx: &Context, resource: &Resource) -> DispatchOptions {
    let mut options = cx.dispatch_options();
    if !resource.in_domain {
        options.domain = Some(Arc::clone(cx.pulp().default_domain()));
    }
    options
}

/// The task that does it.
fn dispatched(cx: &Context, resource: &Resource, task: Uuid) -> Response<Body> {
    let domain = if resource.in_domain { cx.domain() } else { cx.pulp().default_domain() };
    let base = cx.pulp().hrefs().base(&domain.name);
    response::dispatched("task", format!("{base}tasks/{task}/"))
}

/// The object that the path names.
pub(super) async fn find(request: &Request, resource: &Resource) -> Result<Record, ApiError> {
    let id = resource.key_of(request.parameter("id")).ok_or_else(ApiError::not_found)?;
    let found = resource.find(&request.cx, request.cx.pulp().db(), id).await?;
    found.ok_or_else(|| ApiError::no_match(resource.model_name()))
}

/// What a handler has to answer, as a response.
pub(super) async fn reply(cx: &Context, resource: &Resource, reply: Reply) -> Answer {
    let base = cx.pulp().hrefs().base(&cx.domain().name);
    Ok(match reply {
        Reply::Task(id) => response::dispatched("task", format!("{base}tasks/{id}/")),
        Reply::TaskGroup(id) => response::dispatched("task_group", format!("{base}task-groups/{id}/")),
        Reply::Object(status, id) => object(cx, resource, &base, status, id).await?,
        Reply::Json(status, value) => {
            let response = response::json(status, &value);
            let made = value["pulp_href"].as_str().filter(|_| status == StatusCode::CREATED);
            match made {
                Some(href) => response::located(response, href),
                None => response,
            }
        }
        Reply::Nothing(status) => response::empty(status),
    })
}

async fn object(cx: &Context, resource: &Resource, base: &str, status: StatusCode, id: Uuid) -> Result<Response<Body>, ApiError> {
    let row = resource.find(&cx.of_nobody(), cx.pulp().db(), id).await?.ok_or_else(|| ApiError::no_match(resource.model_name()))?;
    let href = resource.own_href(cx, base, &row);
    let response = response::raw_json(status, resource.render_one(cx, &Default::default(), row).await?);
    Ok(match href {
        Some(href) if status == StatusCode::CREATED => response::located(response, &href),
        _ => response,
    })
}
