//! What a user's schedule must be.

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::sync;
use crate::api::error::ApiError;
use crate::db::Tx;
use crate::model::{TaskSchedule, Turn};
use crate::resource::{Context, Hooks, Input, Record};
use crate::tasks::{Cron, interval_from_wire};
use crate::{Error, Result};

const SECOND: i64 = 1_000_000;
/// Who wants less wants something else than a schedule.
const SHORTEST: i64 = 60 * SECOND;
const LONGEST: i64 = 3_660 * 86_400 * SECOND;

pub(super) struct Rules;

/// When there are turns.
#[derive(Debug, PartialEq, Eq)]
struct Rhythm {
    interval: Option<i64>,
    cron: Option<Cron>,
    jitter: i64,
    enabled: bool,
}

impl Rhythm {
    /// What a schedule has, and what a body says of it. An interval takes the place of a cron expression, and the other way round.
    fn of(input: &Input, current: Option<&Record>) -> Result<Self> {
        let given = |field: &str| input.text(field).is_some();
        if given("cron") && given("dispatch_interval") {
            return Err(Error::field("cron", "Give an interval or a cron expression, not both."));
        }
        let text = |field: &str, instead: &str, kept: Option<String>| match input.get(field) {
            Some(value) => value.as_str().map(str::to_owned),
            None if given(instead) => None,
            None => kept,
        };
        let kept = |column: &str| current.and_then(|row| row.text(column)).map(str::to_owned);
        let cron = text("cron", "dispatch_interval", kept("cron"));
        let cron = cron.map(|text| text.parse::<Cron>().map_err(|error| Error::field("cron", error.to_string()))).transpose()?;
        let interval = match input.get("dispatch_interval") {
            Some(value) => value.as_str().map(interval).transpose()?,
            None if given("cron") => None,
            None => current.and_then(|row| row.integer("dispatch_interval")),
        };
        if cron.is_none() && interval.is_none() {
            return Err(Error::field("dispatch_interval", "Give an interval or a cron expression."));
        }
        let jitter = input.integer("jitter").or_else(|| current?.integer("jitter")).unwrap_or(0);
        if interval.is_some_and(|interval| jitter * SECOND >= interval) {
            return Err(Error::field("jitter", "It must be shorter than the interval."));
        }
        let enabled = input.boolean("enabled").or_else(|| current?.boolean("enabled")).unwrap_or(true);
        Ok(Self { interval, cron, jitter, enabled })
    }

    /// The first turn from now on.
    fn first(&self, cx: &Context) -> Option<Turn> {
        let now = cx.pulp().now();
        Turn::next(now, now, self.interval, self.cron.as_ref(), self.jitter).filter(|_| self.enabled)
    }
}

fn interval(text: &str) -> Result<i64> {
    let interval = interval_from_wire(text).ok_or_else(|| {
        Error::field("dispatch_interval", "Duration has wrong format. Use one of these formats instead: [DD] [HH:[MM:]]ss[.uuuuuu].")
    })?;
    if (SHORTEST..=LONGEST).contains(&interval) {
        Ok(interval)
    } else {
        Err(Error::field("dispatch_interval", "It must be a minute at least, and ten years at most."))
    }
}

/// The server's own are not for users.
fn of_a_user(row: &Record) -> Result<()> {
    match row.uuid("repository_id") {
        Some(_) => Ok(()),
        None => Err(Error::Conflict("This schedule is the server's own: its settings say whether there is one, and when.".to_owned())),
    }
}

/// Whether whoever asks may have the sync done.
async fn check_sync(cx: &Context, input: &Input, current: Option<&Record>) -> Result<()> {
    let repository = current.and_then(|row| row.uuid("repository_id")).or_else(|| input.id("repository"));
    let repository = repository.ok_or_else(|| Error::field("repository", "This field is required."))?;
    let options = input.get("options").or_else(|| current?.json("options")).cloned().unwrap_or_else(|| json!({}));
    match sync::plan(cx, repository, &options).await {
        Ok(_) => Ok(()),
        Err(error) => Err(told(error)),
    }
}

fn told(error: ApiError) -> Error {
    match error.status() {
        StatusCode::FORBIDDEN => Error::Denied("You do not have permission to sync this repository so.".to_owned()),
        StatusCode::NOT_FOUND => Error::field("repository", "Invalid hyperlink - Object does not exist."),
        StatusCode::BAD_REQUEST => {
            let body = error.into_body();
            Error::Refused(if body.get("repository").is_some() { body } else { json!({ "options": body }) })
        }
        _ => Error::Internal(format!("a sync could not be worked out: {}", error.message())),
    }
}

#[async_trait]
impl Hooks for Rules {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        current.map(of_a_user).transpose()?;
        if cx.is_limited() {
            // It would be done with all that the user may.
            return Err(Error::Denied("This cannot be done with a token that has some permissions only.".to_owned()));
        }
        Rhythm::of(input, current)?;
        if input.text("dispatch_interval").is_some() {
            input.set("cron", Json::Null);
        }
        check_sync(cx, input, current).await
    }

    async fn created(&self, cx: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        let rhythm = Rhythm::of(input, None)?;
        Ok(TaskSchedule::settle(tx, id, cx.creator(), rhythm.interval, rhythm.first(cx)).await?)
    }

    async fn updated(&self, cx: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        let rhythm = Rhythm::of(input, Some(before))?;
        let kept = before.time("turn").zip(before.time("next_dispatch")).map(|(moment, at)| Turn { moment, at });
        let same = Rhythm::of(&Input::default(), Some(before)).is_ok_and(|old| old == rhythm);
        let turn = if same && kept.is_some() { kept } else { rhythm.first(cx) };
        Ok(TaskSchedule::settle(tx, before.id(), cx.creator(), rhythm.interval, turn).await?)
    }

    async fn may_delete(&self, _: &Context, current: &Record) -> Result<()> {
        of_a_user(current)
    }
}
