//! What a request that changes something leaves behind: a note of who sent it, and what became of it.

use std::net::IpAddr;

use http::header::LOCATION;
use http::{HeaderMap, Method, Response};

use super::auth::By;
use super::request::{Request, is_safe};
use super::response::Dispatched;
use super::router::Route;
use crate::Pulp;
use crate::audit::Note;
use crate::body::Body;

/// Bytes of `X-Forwarded-For`, and of a path, that are kept.
const LONGEST: usize = 1_024;

/// The other end of a request's connection, in its extensions: whoever mounts the API says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddress(pub IpAddr);

/// A note of a request that is not answered yet. It is left in any case: of a request whose client went away, without a status.
#[derive(Debug)]
pub(super) struct Trail {
    pulp: Pulp,
    note: Option<Note>,
}

impl Trail {
    /// Begins one; there is none of a request that changes nothing, or that nobody in particular sent.
    pub(super) fn begin(request: &Request, route: &Route, method: &Method, from: Option<RemoteAddress>) -> Option<Self> {
        let (user, by) = (request.cx.user()?, request.by?);
        if is_safe(method) {
            return None;
        }
        let pulp = request.cx.pulp().clone();
        let about_one = !request.parameters.is_empty();
        let note = Note {
            at: pulp.now(),
            user: (user.id, user.username.clone()),
            authentication: by.name(),
            token: match by {
                By::Token { id, .. } => Some(id),
                _ => None,
            },
            remote_address: from.map(|RemoteAddress(address)| address.to_string()),
            forwarded_for: forwarded_for(&request.headers),
            correlation_id: request.cx.correlation_id().unwrap_or_default().to_owned(),
            method: method.to_string(),
            operation: route.path.clone(),
            path: bounded(&request.path),
            object: about_one.then(|| object_of(request, route)),
            status: None,
            task: None,
        };
        Some(Self { pulp, note: Some(note) })
    }

    /// Leaves the note, with what was answered.
    pub(super) fn end(mut self, answer: &Response<Body>) {
        let Some(note) = &mut self.note else { return };
        let made = answer.headers().get(LOCATION).and_then(|href| href.to_str().ok()).map(bounded);
        note.object = made.or(note.object.take());
        note.status = Some(answer.status().as_u16());
        note.task = answer.extensions().get::<Dispatched>().map(|Dispatched(href)| href.clone());
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if let Some(note) = self.note.take() {
            self.pulp.audit().note(&self.pulp, note);
        }
    }
}

/// The href of the object that a path is about: all up to its last key.
fn object_of(request: &Request, route: &Route) -> String {
    let below = route.path.rsplit('/').take_while(|segment| !segment.starts_with('{')).count();
    let upto = request.path.rsplitn(below + 1, '/').last().unwrap_or_default();
    bounded(&format!("{upto}/"))
}

fn forwarded_for(headers: &HeaderMap) -> Option<String> {
    headers.get("x-forwarded-for").and_then(|value| value.to_str().ok()).map(bounded)
}

/// A text from outside, cut where it is longer than anybody needs.
fn bounded(text: &str) -> String {
    text.chars().take(LONGEST).filter(|c| !c.is_control()).collect()
}
