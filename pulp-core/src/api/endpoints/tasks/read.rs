//! `GET tasks/{id}/`: a look at a task that has not ended waits for its end, for a moment. A client that finds a task running asks again
//! only after its pause, which is often longer than the task.

use std::time::Duration;

use http::HeaderMap;
use http::header::HeaderName;

use crate::api::crud;
use crate::api::request::Request;
use crate::api::router::Answer;
use crate::resource::Record;

/// [RFC 7240](https://www.rfc-editor.org/rfc/rfc7240): `wait=SECONDS` is what a client would wait itself.
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The longest for which an answer is kept back: proxies give up after a minute.
const LONGEST: Duration = Duration::from_secs(50);

/// One task. Whether it has ended is looked at again, if it has not, when it does or when the patience is at its end.
pub(crate) async fn read(request: Request) -> Answer {
    let tasks = super::resource(&request.cx, "tasks")?;
    let row = crud::find(&request, &tasks).await?;
    let pulp = request.cx.pulp();
    let patience = if has_ended(&row) { Duration::ZERO } else { patience(&request, &row) };
    if patience.is_zero() || !pulp.tasks().wait_at_most(row.id(), patience).await {
        return crud::show(&request, &tasks, row).await;
    }
    crud::read(request, tasks).await
}

fn has_ended(row: &Record) -> bool {
    row.text("state").and_then(|state| state.parse().ok()).is_none_or(crate::model::TaskState::is_final)
}

/// For how long to wait for the end of a task that has not ended: what the client would wait, or else until the task is of the age up to
/// which it is young. So whoever looks at many tasks that were made together waits for them together.
fn patience(request: &Request, row: &Record) -> Duration {
    if let Some(asked) = asked(&request.headers) {
        return asked.min(LONGEST);
    }
    let pulp = request.cx.pulp();
    let young = Duration::from_millis(pulp.settings().young_task_milliseconds).min(LONGEST);
    let Some(made) = row.time("pulp_created") else { return Duration::ZERO };
    // Of a task that another host will have made in a moment, by its clock, the age is none.
    let age = (pulp.now() - made).to_std().unwrap_or_default();
    young.saturating_sub(age)
}

/// The seconds of `Prefer: wait=SECONDS`, the first one that can be read.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let seconds = |preference: &str| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').parse().ok())?
    };
    preferences.filter_map(seconds).next().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_a_client_prefers() {
        let asked = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(PREFER, HeaderValue::from_static(value));
            }
            super::asked(&headers)
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["wait=30"]), seconds(30));
        assert_eq!(asked(&["respond-async, Wait = \"7\"; strict"]), seconds(7));
        assert_eq!(asked(&["return=minimal", "wait=0"]), seconds(0));
        for other in ["wait", "wait=", "wait=soon", "wait=-1", "wait=1.5", "await=3", "wait=99999999999999999999"] {
            assert_eq!(asked(&[other]), None, "{other}");
        }
    }
}
