//! The progress of a sync: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use pulp_core::sync::{Meter, Reading};

use crate::output;

/// How often the bar moves, and how often a line is written where there is no terminal.
const BAR: Duration = Duration::from_millis(150);
const LINE: Duration = Duration::from_secs(5);

/// The share that the latest moment has in the rate that is shown.
const WEIGHT: f64 = 0.15;

/// Awaits a sync and shows how far it is, on standard error.
pub(super) async fn watch<T>(meter: &Arc<Meter>, sync: impl Future<Output = T>) -> T {
    let bar = io::stderr().is_terminal().then(bar);
    let mut ticks = tokio::time::interval(if bar.is_some() { BAR } else { LINE });
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut rate = Rate::new(Instant::now());
    tokio::pin!(sync);
    let done = loop {
        tokio::select! {
            biased;
            done = &mut sync => break done,
            _ = ticks.tick() => {
                let reading = meter.read();
                rate.note(Instant::now(), reading.fetched.bytes);
                let line = line(&reading, rate.per_second);
                match &bar {
                    Some(bar) => {
                        let (done, all) = (reading.done(), reading.announced);
                        let (done, all) = if all.bytes > 0 { (done.bytes, all.bytes) } else { (done.files, all.files) };
                        bar.set_length(all.max(1));
                        bar.set_position(done);
                        bar.set_message(line);
                    }
                    None => output::note(&line),
                }
            }
        }
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    done
}

fn bar() -> ProgressBar {
    // The template is a constant; the default is shown should it be wrong.
    let style = ProgressStyle::with_template("[{bar:28}] {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style.progress_chars("=> "))
}

/// Bytes per second, smoothed.
#[derive(Debug)]
struct Rate {
    last: (Instant, u64),
    per_second: f64,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { last: (now, 0), per_second: 0.0 }
    }

    fn note(&mut self, now: Instant, bytes: u64) {
        let seconds = now.duration_since(self.last.0).as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let latest = bytes.saturating_sub(self.last.1) as f64 / seconds;
        // The first bytes set it; later ones only bend it.
        self.per_second = if self.per_second == 0.0 { latest } else { self.per_second + WEIGHT * (latest - self.per_second) };
        self.last = (now, bytes);
    }
}

/// Files, bytes, rate and time left.
fn line(reading: &Reading, per_second: f64) -> String {
    let (done, all) = (reading.done(), reading.announced);
    if all.files == 0 {
        return "reading what there is".to_owned();
    }
    let mut line = format!("{} of {} files", HumanCount(done.files), HumanCount(all.files));
    if all.bytes > 0 {
        line.push_str(&format!(", {} of {}", BinaryBytes(done.bytes), BinaryBytes(all.bytes)));
    }
    if per_second >= 1.0 {
        line.push_str(&format!(", {}/s", BinaryBytes(per_second as u64)));
        let left = (all.bytes - done.bytes) as f64 / per_second;
        // A century is no forecast.
        if left > 0.0 && left < 3e9 {
            line.push_str(&format!(", {} left", HumanDuration(Duration::from_secs_f64(left.ceil()))));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_files_bytes_rate_and_time_left() {
        let meter = Meter::default();
        assert_eq!(line(&meter.read(), 0.0), "reading what there is");
        meter.announce(1_200, 3 << 20);
        assert_eq!(line(&meter.read(), 0.0), "0 of 1,200 files, 0 B of 3.00 MiB");
        assert_eq!(line(&meter.read(), f64::from(1 << 20)), "0 of 1,200 files, 0 B of 3.00 MiB, 1.00 MiB/s, 3 seconds left");
        let empty = Meter::default();
        empty.announce(2, 0);
        assert_eq!(line(&empty.read(), 0.0), "0 of 2 files");
    }

    #[test]
    fn the_rate_follows_what_comes() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        rate.note(start + Duration::from_secs(1), 100);
        assert_eq!(rate.per_second, 100.0);
        rate.note(start + Duration::from_secs(1), 200);
        assert_eq!(rate.per_second, 100.0, "no time, no rate");
        rate.note(start + Duration::from_secs(2), 100);
        assert!(rate.per_second < 100.0 && rate.per_second > 0.0);
    }
}
