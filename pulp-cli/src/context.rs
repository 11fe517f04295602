//! What every command works with.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, Client, Started};
use crate::error::Result;
use crate::output::{self, Format};
use crate::size::Size;
use crate::wait;

/// The settings of one call of the program, ready for use.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) format: Format,
    /// Start tasks and do not wait for them.
    pub(crate) background: bool,
    /// How long to wait for a task; none for as long as it takes.
    pub(crate) timeout: Option<Duration>,
    /// Files above this size are uploaded in pieces of it.
    pub(crate) chunk_size: Option<Size>,
    /// Say nothing about single tasks and uploads: a command does many and shows the whole.
    pub(crate) quiet: bool,
}

impl Context {
    /// The context for one of many steps, that shows no progress of its own.
    pub(crate) fn quiet(&self) -> Self {
        Self { quiet: true, ..self.clone() }
    }

    /// Prints an answer.
    pub(crate) fn print(&self, value: &Value) -> Result<()> {
        output::print(self.format, value)
    }

    /// Follows the task or group of tasks that the answer began, if it began one, to its end: `Ended` has what it became.
    ///
    /// With `--background` it prints `{"task": href}`, or `{"task_group": href}`, and does not wait.
    ///
    /// # Errors
    /// When a task fails, is canceled, or the wait times out or is interrupted.
    pub(crate) async fn follow(&self, answer: &Answer) -> Result<Followed> {
        let Some(started) = answer.started() else {
            return Ok(Followed::NoTask);
        };
        wait::announce(self, started);
        if self.background {
            output::note("Not waiting for the task because of --background.");
            self.print(&match started {
                Started::Task(href) => json!({ "task": href }),
                Started::Group(href) => json!({ "task_group": href }),
            })?;
            return Ok(Followed::Background);
        }
        Ok(Followed::Ended(wait::started(self, started).await?))
    }
}

/// What became of the task of a call.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The server did it at once.
    NoTask,
    /// It runs on; the user was told.
    Background,
    /// It completed; this is the task, or the group of tasks.
    Ended(Value),
}
