//! `GET tasks/{id}/events/`: what happens to a task, as server-sent events. Pulp has none.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::api::crud;
use crate::api::request::Request;
use crate::api::response;
use crate::api::router::Answer;
use crate::body::Body;
use crate::clock::{Timestamp, to_wire};
use crate::model::{LogLine, ProgressRow, TaskRow};
use crate::resource::{Context, Resource};
use crate::tasks::{Follow, News};

/// A comment is sent when nothing has happened for so long: whoever is in between learns that the connection is in use.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream ends after this, and is asked for again: by then the asker may have lost the permission.
const LONGEST: Duration = Duration::from_secs(1_800);

/// Milliseconds after which a client asks again.
const RETRY: u32 = 2_000;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What follows the moment in the id of the last event of a task.
const END: &str = "end";

/// Streams the events.
pub(crate) async fn events(request: Request) -> Answer {
    let tasks = super::resource(&request.cx, "tasks")?;
    let id = crud::find(&request, &tasks).await?.id();
    let resumed = Resumed::of(&request.headers);
    if resumed.ended {
        // A browser would ask for ever.
        return Ok(response::empty(StatusCode::NO_CONTENT));
    }
    let follow = request.cx.pulp().tasks().follow(id, resumed.since)?;
    let stream = Stream { cx: request.cx, tasks, id, follow, until: Instant::now() + LONGEST, ended: false, first: true };
    let mut response = Response::new(Body::stream(stream::unfold(stream, Stream::next)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep events until it has a whole buffer of them.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Where a client wants to go on.
#[derive(Debug, PartialEq, Eq)]
struct Resumed {
    since: Option<Timestamp>,
    ended: bool,
}

impl Resumed {
    /// An id that is none of ours begins anew.
    fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (moment, rest) = text.split_once('-').unwrap_or((text, ""));
        let since = moment.parse().ok().and_then(Timestamp::from_timestamp_micros);
        Self { ended: rest == END, since }
    }
}

struct Stream {
    cx: Context,
    tasks: Arc<Resource>,
    id: Uuid,
    follow: Follow,
    until: Instant,
    ended: bool,
    first: bool,
}

impl Stream {
    /// The next piece of the body.
    async fn next(mut self) -> Option<(Result<Bytes, std::io::Error>, Self)> {
        if self.ended {
            return None;
        }
        if std::mem::take(&mut self.first) {
            // At once, so that the client knows that it is connected.
            return Some((Ok(format!("retry: {RETRY}\n\n").into()), self));
        }
        let wait = tokio::time::timeout(HEARTBEAT, self.follow.next());
        let news = tokio::select! {
            news = wait => news,
            () = tokio::time::sleep_until(self.until) => Ok(None),
        };
        let text = match news {
            Ok(Some(news)) => self.told(news).await,
            Ok(None) => return None,
            Err(_) => ": nothing new\n\n".to_owned(),
        };
        Some((Ok(text.into()), self))
    }

    async fn told(&mut self, news: News) -> String {
        let moment = self.follow.since().map(|since| since.timestamp_micros().to_string());
        match news {
            // Without an id: progress of an earlier moment may be about to follow.
            News::State(row) => event(None, "state", &self.state(&row)),
            News::Progress(report) => {
                let moment = report.pulp_last_updated.unwrap_or(report.pulp_created).timestamp_micros().to_string();
                event(Some(&moment), "progress", &progress(&report))
            }
            News::Line(line) => event(Some(&line.pulp_created.timestamp_micros().to_string()), "log", &logged(&line)),
            News::Ended(row) => {
                self.ended = true;
                let shown = match self.whole().await {
                    Some(shown) => shown,
                    None => self.state(&row),
                };
                event(Some(&format!("{}-{END}", moment.unwrap_or_default())), "end", &shown)
            }
            _ => {
                self.ended = true;
                event(Some(&format!("{}-{END}", moment.unwrap_or_default())), "gone", &json!({}))
            }
        }
    }

    fn state(&self, row: &TaskRow) -> Json {
        let moment = |moment: Option<Timestamp>| moment.map(to_wire);
        json!({
            "pulp_href": self.cx.pulp().hrefs().object(&self.cx.domain().name, "tasks", row.pulp_id),
            "name": row.name,
            "state": row.state,
            "unblocked_at": moment(row.unblocked_at),
            "started_at": moment(row.started_at),
            "finished_at": moment(row.finished_at),
        })
    }

    /// The task as its own path shows it; nothing if the database is away or the task was deleted a moment ago.
    async fn whole(&self) -> Option<Json> {
        let found = self.tasks.find(&self.cx.of_nobody(), self.cx.pulp().db(), self.id).await.ok()??;
        self.tasks.to_json(&self.cx, found).await.ok()
    }
}

fn progress(report: &ProgressRow) -> Json {
    json!({
        "message": report.message,
        "code": report.code,
        "state": report.state,
        "total": report.total,
        "done": report.done,
        "suffix": report.suffix,
    })
}

fn logged(line: &LogLine) -> Json {
    json!({ "at": to_wire(line.pulp_created), "level": line.level, "message": line.message })
}

/// An event. JSON has no line ends of its own.
fn event(id: Option<&str>, name: &str, data: &Json) -> String {
    let mut text = String::new();
    if let Some(id) = id {
        // Writing to a text does not fail.
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {name}\ndata: {data}\n\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_client_goes_on() {
        let resumed = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LAST_EVENT_ID, HeaderValue::from_str(id).unwrap());
            Resumed::of(&headers)
        };
        let moment = Timestamp::from_timestamp_micros(1_700_000_000_000_005);
        assert_eq!(resumed("1700000000000005"), Resumed { since: moment, ended: false });
        assert_eq!(resumed("1700000000000005-end"), Resumed { since: moment, ended: true });
        assert_eq!(resumed("-end"), Resumed { since: None, ended: true });
        for other in ["", "nonsense", "99999999999999999999", "1-2-3"] {
            assert!(!resumed(other).ended, "{other}");
        }
        assert_eq!(Resumed::of(&HeaderMap::new()), Resumed { since: None, ended: false });
    }

    #[test]
    fn an_event_is_one_whatever_it_says() {
        let text = event(Some("5"), "progress", &json!({"message": "a\n\nevent: end\r\nb"}));
        assert_eq!(text, "id: 5\nevent: progress\ndata: {\"message\":\"a\\n\\nevent: end\\r\\nb\"}\n\n");
    }
}
