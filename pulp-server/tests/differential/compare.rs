//! What two answers have in common.

use std::fmt;

use http::{Method, StatusCode};
use pulp_testkit::Answer;
use serde_json::Value as Json;

use crate::request::Request;
use crate::side::{Outcome, Side};
use crate::world::World;

/// Lists in which Pulp shows what the asker has no role for, and we do not: see the page on compatibility.
const SHOW_LESS: &[&str] = &["repository_versions/?limit=1000", "distributions/?limit=1000"];

/// Something that is not the same.
pub struct Difference {
    what: &'static str,
    /// The request without who and which.
    shape: String,
    real: String,
    ours: String,
    /// Whether the worlds are not the same any more.
    pub diverged: bool,
}

impl Difference {
    /// What it has in common with others like it.
    pub fn kind(&self) -> String {
        format!("{} of {}", self.what, self.shape)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: Pulp {} | here {}", self.what, self.real, self.ours)
    }
}

pub fn compare(world: &World, request: &Request, answers: &[Answer; 2], outcomes: &[Outcome; 2]) -> Option<Difference> {
    let [real, ours] = answers;
    let shape =
        format!("{} {}", request.method, request.path.split('?').next()?.chars().filter(|one| !one.is_ascii_digit()).collect::<String>());
    let difference = |what, real: String, ours: String, diverged| Some(Difference { what, shape: shape.clone(), real, ours, diverged });
    // No request makes this server fail: what Pulp fails at is refused here.
    if real.status == StatusCode::INTERNAL_SERVER_ERROR && ours.status.is_client_error() {
        return None;
    }
    if real.status != ours.status && !is_refused_earlier(real, ours) {
        let text = |answer: &Answer| format!("{} {}", answer.status, answer.text());
        return difference("status", text(real), text(ours), real.status.is_success() || ours.status.is_success());
    }
    if real.status != ours.status {
        return None;
    }
    if outcomes[0].ends != outcomes[1].ends {
        return difference("tasks", format!("{:?}", outcomes[0].ends), format!("{:?}", outcomes[1].ends), true);
    }
    let [real, ours] = [0, 1].map(|at| seen(world, &world.sides[at], request, &answers[at]));
    if real == ours || (SHOW_LESS.contains(&request.path.as_str()) && within(&ours, &real)) {
        None
    } else {
        difference("body", real.to_string(), ours.to_string(), false)
    }
}

/// Whether Pulp refuses a role that nobody gives before it asks who may give roles, and we after: see the page on compatibility.
fn is_refused_earlier(real: &Answer, ours: &Answer) -> bool {
    let asked = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&ours.status);
    asked && real.status == StatusCode::BAD_REQUEST && real.text().contains("can not be added/removed from a task.")
}

/// Whether everything that is visible here is visible there.
fn within(here: &Json, there: &Json) -> bool {
    let visible = |list: &Json| list["visible"].as_array().cloned().unwrap_or_default();
    let all = visible(there);
    visible(here).iter().all(|one| all.contains(one))
}

/// What of an answer must be the same: of lists the objects of the world, all of a refusal and of what is said about roles.
fn seen(world: &World, side: &Side, request: &Request, answer: &Answer) -> Json {
    let Ok(body) = serde_json::from_slice::<Json>(&answer.body) else { return Json::Null };
    if request.method == Method::PATCH && request.path.starts_with("<task") {
        // In its answer Pulp leaves out who made the task: see the page on compatibility.
        return Json::Null;
    }
    let about_roles = ["my_permissions/", "list_roles/"].iter().any(|suffix| request.path.ends_with(suffix));
    if let Some(list) = body["results"].as_array() {
        let mut visible: Vec<String> = list.iter().filter_map(|object| label(world, side, object)).collect();
        visible.sort_unstable();
        let foreign = list.len() - visible.len();
        // What others have there is not counted; where that is more than a page, nobody knows how much it is.
        let whole = body["next"].is_null();
        let count = body["count"].as_u64().filter(|_| whole).map(|count| count.saturating_sub(foreign as u64));
        return serde_json::json!({"count": count, "visible": visible});
    }
    if about_roles || !answer.status.is_success() { sorted(side.shown_json(&body)) } else { Json::Null }
}

/// How an object of the world is called; none for others.
fn label(world: &World, side: &Side, object: &Json) -> Option<String> {
    let text = |field: &str| object[field].as_str().map(|text| side.shown(text));
    if let Some(role) = text("role") {
        return Some(format!("{role} on {:?}", text("content_object")));
    }
    let known = text("pulp_href").filter(|href| href.contains('<'));
    let named = || ["name", "username", "relative_path"].iter().find_map(|field| text(field)).filter(|name| name.contains(&world.prefix));
    let reserving = || side.shown(&object["reserved_resources_record"].to_string()).contains('<').then(|| text("name")).flatten();
    known.or_else(named).or_else(reserving)
}

/// With lists in one order.
fn sorted(value: Json) -> Json {
    match value {
        Json::Array(values) => {
            let mut values: Vec<Json> = values.into_iter().map(sorted).collect();
            values.sort_by_key(Json::to_string);
            Json::Array(values)
        }
        Json::Object(fields) => Json::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect()),
        other => other,
    }
}
