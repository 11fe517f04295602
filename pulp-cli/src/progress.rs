//! Progress on standard error: bars on a terminal, dots elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

fn style(template: &str) -> ProgressStyle {
    // The templates are constants; the default is shown should one be wrong.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// Shows the progress reports of a task.
#[derive(Debug)]
pub(crate) enum TaskProgress {
    Hidden,
    Bars {
        all: MultiProgress,
        state: ProgressBar,
        /// By the code of the report, or its message.
        reports: HashMap<String, ProgressBar>,
    },
    Dots,
    /// A line for each that has changed, by its code and message, or nothing for the state.
    Lines(HashMap<String, String>),
}

impl TaskProgress {
    /// The show of one task; none if `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet {
            return Self::Hidden;
        }
        if !io::stderr().is_terminal() {
            return Self::Dots;
        }
        let all = MultiProgress::new();
        let state = all.add(ProgressBar::new_spinner());
        state.set_style(style("{spinner} {msg} {elapsed}"));
        state.enable_steady_tick(TICK);
        Self::Bars { all, state, reports: HashMap::new() }
    }

    /// The same, with a line for each change where there is no terminal.
    pub(crate) fn lines(quiet: bool) -> Self {
        match Self::new(quiet) {
            Self::Dots => Self::Lines(HashMap::new()),
            other => other,
        }
    }

    /// Shows the task as it is now.
    pub(crate) fn show(&mut self, task: &Value) {
        match self {
            Self::Hidden => {}
            Self::Dots => {
                let mut stderr = io::stderr();
                let _ = stderr.write_all(b".").and_then(|()| stderr.flush());
            }
            Self::Lines(last) => lines(last, task),
            Self::Bars { all, state, reports } => {
                if let Some(now) = task.get("state").and_then(Value::as_str) {
                    state.set_message(now.to_owned());
                }
                for report in task.get("progress_reports").and_then(Value::as_array).into_iter().flatten() {
                    show_report(all, reports, report);
                }
            }
        }
    }

    /// Shows a line of the task's log.
    pub(crate) fn say(&self, line: &Value) {
        let text = |field: &str| line.get(field).and_then(Value::as_str).unwrap_or_default();
        let said = if text("level") == "warning" { format!("Warning: {}", text("message")) } else { text("message").to_owned() };
        match self {
            Self::Hidden | Self::Dots => {}
            Self::Lines(_) => crate::output::note(&said),
            Self::Bars { all, .. } => {
                let _ = all.println(said);
            }
        }
    }

    /// Ends the show; `last` stands in its place.
    pub(crate) fn end(self, last: &str) {
        let mut stderr = io::stderr();
        let _ = match self {
            Self::Hidden => Ok(()),
            Self::Lines(_) if last.is_empty() => Ok(()),
            Self::Dots | Self::Lines(_) => writeln!(stderr, "{last}"),
            Self::Bars { state, reports, .. } => {
                state.finish_and_clear();
                for bar in reports.values() {
                    bar.abandon();
                }
                writeln!(stderr, "{last}")
            }
        };
    }
}

fn lines(last: &mut HashMap<String, String>, task: &Value) {
    let mut say = |key: String, line: String| {
        if last.get(&key) != Some(&line) {
            crate::output::note(&line);
            last.insert(key, line);
        }
    };
    let text = |of: &Value, field: &str| of.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(state) = task.get("state").and_then(Value::as_str) {
        say(String::new(), format!("The task is {state}."));
    }
    for report in task.get("progress_reports").and_then(Value::as_array).into_iter().flatten() {
        let (code, message) = (text(report, "code"), text(report, "message"));
        let done = report.get("done").and_then(Value::as_i64).unwrap_or(0);
        let of = report.get("total").and_then(Value::as_i64).map(|total| format!("/{total}")).unwrap_or_default();
        let state = text(report, "state");
        let state = if state == "running" || state.is_empty() { String::new() } else { format!(" ({state})") };
        say(format!("{code} {message}"), format!("{message}: {done}{of}{state}"));
    }
}

fn show_report(all: &MultiProgress, bars: &mut HashMap<String, ProgressBar>, report: &Value) {
    let text = |field: &str| report.get(field).and_then(Value::as_str).unwrap_or_default();
    let number = |field: &str| report.get(field).and_then(Value::as_u64);
    let key = Some(text("code")).filter(|code| !code.is_empty()).unwrap_or(text("message"));
    let bar = bars.entry(key.to_owned()).or_insert_with(|| {
        let bar = all.add(ProgressBar::no_length());
        bar.set_style(style("  {msg:36} {human_pos} {per_sec}"));
        bar
    });
    if let Some(total) = number("total")
        && bar.length() != Some(total)
    {
        bar.set_length(total);
        bar.set_style(style("  {msg:36} [{bar:28}] {human_pos}/{human_len} {per_sec} {eta}"));
    }
    bar.set_message(text("message").to_owned());
    bar.set_position(number("done").unwrap_or(0));
    if !matches!(text("state"), "running" | "waiting") && !bar.is_finished() {
        bar.abandon();
    }
}

/// Shows how much of something is done, in bytes; silent elsewhere than on a terminal.
pub(crate) fn bytes(quiet: bool, total: u64, message: &str) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    bar.set_style(style("{msg:24} [{bar:28}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"));
    bar.set_message(message.to_owned());
    bar
}

/// Shows how many of something are done; silent elsewhere than on a terminal.
pub(crate) fn count(total: u64, message: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    bar.set_style(style("{msg:24} [{bar:28}] {human_pos}/{human_len} {per_sec} {eta}"));
    bar.set_message(message.to_owned());
    bar
}
