//! `pulp task tail`

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::task::TASK;
use crate::client::{Event, Query};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lookup::{Lookup as _, UuidLookup, uuid};
use crate::progress::TaskProgress;
use crate::resource::text;
use crate::wait;

/// The pause before the connection is made again, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How often in a row the connection may fail before it is given up.
const FAILURES: u32 = 8;

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false)]
pub(crate) struct Tail {
    /// Href or PRN
    #[arg(long)]
    href: Option<String>,
    /// UUID
    #[arg(long, value_parser = uuid)]
    uuid: Option<String>,
    /// Name of the task, like pulp_file.app.tasks.synchronizing.synchronize: the latest that has not ended, or the latest
    #[arg(long)]
    name: Option<String>,
}

impl Tail {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        let href = match &self.name {
            Some(name) => latest(cx, name).await?,
            None => UuidLookup::of(self.href.clone(), self.uuid.clone()).href(cx, &TASK).await?,
        };
        let task = follow(cx, &href).await?;
        wait::completed(&href, &task)?;
        cx.print(&task)
    }
}

/// The task of this name that somebody would mean.
async fn latest(cx: &Context, name: &str) -> Result<String> {
    for states in [&["waiting", "running", "canceling"][..], &[]] {
        let states: Vec<String> = states.iter().map(|state| (*state).to_owned()).collect();
        let query = Query::new()
            .with("name", Some(name))
            .with_all("state__in", &states)
            .with("ordering", Some("-pulp_created"))
            .with("fields", Some("pulp_href"));
        let (found, _) = cx.list(TASK.path(), &query, 1, 0).await?;
        if let Some(task) = found.first() {
            return Ok(text(task, "pulp_href")?.to_owned());
        }
    }
    Err(Error::NotFound { noun: "task".to_owned(), criteria: format!("name '{name}'") })
}

/// Shows what happens to the task until it ends, and gives it.
async fn follow(cx: &Context, href: &str) -> Result<Value> {
    let deadline = cx.timeout.map(|limit| Instant::now() + limit);
    let late = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let mut shown = Shown::new(cx);
    let ended = tokio::select! {
        biased;
        () = crate::interrupted() => Err(Error::Detached { href: href.to_owned() }),
        ended = listen(cx, href, &mut shown) => ended,
        () = late => Err(Error::TimedOut { href: href.to_owned() }),
    };
    match ended {
        Err(error) => {
            shown.progress.end("");
            Err(error)
        }
        Ok(Some(task)) => {
            shown.progress.end(wait::last_word(&task));
            Ok(task)
        }
        // A Pulp that tells nothing by itself is asked again and again.
        Ok(None) => wait::ended_showing(cx, href, shown.progress).await,
    }
}

/// Listens until the task has ended; nothing if the server has no events.
async fn listen(cx: &Context, href: &str, shown: &mut Shown) -> Result<Option<Value>> {
    let path = format!("{href}events/");
    let (mut after, mut failures, mut pause) = (None::<String>, 0, PAUSES.0);
    loop {
        let heard = match cx.client.events(&path, after.as_deref()).await {
            Ok(None) => return Ok(None),
            Ok(Some(mut events)) => loop {
                match events.next().await {
                    Ok(Some(event)) => {
                        (failures, pause) = (0, PAUSES.0);
                        if let Some(id) = &event.id {
                            after = Some(id.clone());
                        }
                        if let Some(task) = shown.take(href, &event)? {
                            return Ok(Some(task));
                        }
                    }
                    // The server stops, or has talked for long enough.
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            },
            Err(error) => Err(error),
        };
        failures += 1;
        match heard {
            Err(error) if !wait::is_passing(&error) || failures > FAILURES => return Err(error),
            // Something answers, and says nothing: ask in the other way.
            Ok(()) if failures > FAILURES => return Ok(None),
            _ => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// The task as far as it was told of.
struct Shown {
    task: Value,
    progress: TaskProgress,
}

impl Shown {
    fn new(cx: &Context) -> Self {
        Self { task: json!({ "progress_reports": [] }), progress: TaskProgress::lines(cx.quiet) }
    }

    /// Shows what an event tells; the task, if that has ended.
    fn take(&mut self, href: &str, event: &Event) -> Result<Option<Value>> {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        match event.name.as_str() {
            "state" => self.task["state"] = data["state"].clone(),
            "progress" => {
                let same = |one: &&mut Value| one["code"] == data["code"] && one["message"] == data["message"];
                if let Some(reports) = self.task["progress_reports"].as_array_mut() {
                    match reports.iter_mut().find(same) {
                        Some(report) => *report = data,
                        None => reports.push(data),
                    }
                }
            }
            "log" => {
                self.progress.say(&data);
                return Ok(None);
            }
            "end" => {
                self.progress.show(&data);
                return Ok(Some(data));
            }
            "gone" => return Err(Error::usage(format!("task {href} was deleted while it was followed"))),
            _ => return Ok(None),
        }
        self.progress.show(&self.task);
        Ok(None)
    }
}
