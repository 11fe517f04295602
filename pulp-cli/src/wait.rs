//! Waiting for tasks.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use crate::client::{Query, Started};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::note;
use crate::progress::TaskProgress;

/// The pause before the second look at a task, and the longest one. Most tasks are short; a server may take most of a second
/// of processor time to check a password.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How many looks in a row may fail because the server is away, before the wait is given up.
const FAILED_LOOKS: u32 = 8;

/// Tells the user of what was started. Scripts find the href in this line.
pub(crate) fn announce(cx: &Context, started: Started<'_>) {
    if !cx.quiet {
        note(&match started {
            Started::Task(href) => format!("Started background task {href}"),
            Started::Group(href) => format!("Started background task group {href}"),
        });
    }
}

/// Waits for what was started to end, and gives it.
///
/// # Errors
/// As [`task`] and [`group`].
pub(crate) async fn started(cx: &Context, started: Started<'_>) -> Result<Value> {
    match started {
        Started::Task(href) => task(cx, href).await,
        Started::Group(href) => group(cx, href).await,
    }
}

/// Waits for the task to end and gives the completed task.
///
/// # Errors
/// [`Error::Task`] when it failed or was canceled, [`Error::TimedOut`] after the time limit of the settings,
/// [`Error::Detached`] on Ctrl-C.
pub(crate) async fn task(cx: &Context, href: &str) -> Result<Value> {
    let task = ended(cx, href).await?;
    completed(href, &task)?;
    Ok(task)
}

/// Whether a task that has ended has done so well.
///
/// # Errors
/// [`Error::Task`] if it has not.
pub(crate) fn completed(href: &str, task: &Value) -> Result<()> {
    match state(task) {
        "completed" => Ok(()),
        other => Err(Error::Task { href: href.to_owned(), state: other.to_owned(), description: describe(task) }),
    }
}

/// Waits for the task to end, well or not, and gives it.
///
/// # Errors
/// As [`task`], but for [`Error::Task`].
pub(crate) async fn ended(cx: &Context, href: &str) -> Result<Value> {
    ended_showing(cx, href, TaskProgress::new(cx.quiet)).await
}

/// The same, shown in another way.
///
/// # Errors
/// As [`ended`].
pub(crate) async fn ended_showing(cx: &Context, href: &str, progress: TaskProgress) -> Result<Value> {
    until(cx, href, progress, |task| !matches!(state(task), "waiting" | "running" | "canceling")).await
}

/// What is said when it has ended.
pub(crate) fn last_word(task: &Value) -> &'static str {
    match state(task) {
        "completed" | "" => "Done.",
        "canceled" => "Canceled.",
        _ => "Failed.",
    }
}

/// Waits until no task of the group is left to run, and gives the group.
///
/// # Errors
/// [`Error::TaskGroup`] when tasks failed or were canceled; else as [`ended`].
pub(crate) async fn group(cx: &Context, href: &str) -> Result<Value> {
    let count = |group: &Value, state: &str| group.get(state).and_then(Value::as_u64).unwrap_or(0);
    let none_in = |group: &Value, states: &[&str]| states.iter().all(|state| count(group, state) == 0);
    let group = until(cx, href, TaskProgress::new(cx.quiet), |group| {
        // A task that starts others does so before it ends. Pulp does not always say that all were dispatched.
        let begun = group.get("all_tasks_dispatched") == Some(&Value::Bool(true))
            || !none_in(group, &["completed", "failed", "canceled", "skipped"]);
        begun && none_in(group, &["waiting", "running", "canceling"])
    })
    .await?;
    match (count(&group, "failed"), count(&group, "canceled")) {
        (0, 0) => Ok(group),
        (failed, canceled) => Err(Error::TaskGroup { href: href.to_owned(), failed, canceled }),
    }
}

async fn until(cx: &Context, href: &str, mut progress: TaskProgress, done: impl Fn(&Value) -> bool) -> Result<Value> {
    let deadline = cx.timeout.map(|limit| Instant::now() + limit);
    let mut pause = PAUSES.0;
    let mut failed_looks = 0;
    let interrupt = crate::interrupted();
    tokio::pin!(interrupt);
    loop {
        let look = async {
            let answer = cx.client.get(href, &Query::new()).await;
            if !matches!(&answer, Ok(value) if done(value)) {
                tokio::time::sleep(pause).await;
            }
            answer
        };
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            biased;
            () = &mut interrupt => {
                progress.end("");
                return Err(Error::Detached { href: href.to_owned() });
            }
            answer = look => answer,
            () = late => {
                progress.end("");
                return Err(Error::TimedOut { href: href.to_owned() });
            }
        };
        match answer {
            Ok(value) if done(&value) => {
                progress.show(&value);
                progress.end(last_word(&value));
                return Ok(value);
            }
            Ok(value) => {
                progress.show(&value);
                failed_looks = 0;
            }
            // The task does not end because a proxy or the network hiccups.
            Err(error) if is_passing(&error) && failed_looks < FAILED_LOOKS => {
                failed_looks += 1;
            }
            Err(error) => {
                progress.end("");
                return Err(error);
            }
        }
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}

/// Whether an error may be gone in a moment.
pub(crate) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Transport { .. } => true,
        Error::Server { status, .. } => {
            matches!(*status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
        }
        _ => false,
    }
}

/// The state of a task.
pub(crate) fn state(task: &Value) -> &str {
    task.get("state").and_then(Value::as_str).unwrap_or_default()
}

/// Why the task failed, in the server's words.
fn describe(task: &Value) -> String {
    let error = task.get("error").filter(|error| !error.is_null());
    let description = error.and_then(|error| error.get("description")).and_then(Value::as_str);
    match (description, error) {
        (Some(text), _) => text.to_owned(),
        (None, Some(error)) => error.to_string(),
        (None, None) => "the server gives no reason".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failed_task_says_why() {
        assert_eq!(describe(&json!({"error": {"description": "no such host", "traceback": "…"}})), "no such host");
        assert_eq!(describe(&json!({"error": {"error_code": "PLP0000"}})), r#"{"error_code":"PLP0000"}"#);
        assert!(describe(&json!({"error": null})).contains("no reason"));
    }

    #[test]
    fn what_passes() {
        let answered = |status| Error::Server { status, message: String::new() };
        assert!(is_passing(&answered(StatusCode::BAD_GATEWAY)));
        assert!(!is_passing(&answered(StatusCode::NOT_FOUND)));
    }
}
