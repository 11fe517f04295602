//! Lines that a task writes for whoever follows it: what it does, and what went wrong without failing it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::ids::new_id;

/// How many lines a task may write; one more says that there were others.
const MOST: usize = 1_000;

/// Longer lines are cut, in bytes.
const LONGEST: usize = 2_000;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What the task does.
    Info,
    /// What went wrong, and does not fail the task.
    Warning,
}

impl LogLevel {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
        }
    }
}

/// A line that is not written yet.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) id: Uuid,
    pub(super) level: LogLevel,
    pub(super) message: String,
}

impl Line {
    fn new(level: LogLevel, message: String) -> Self {
        Self { id: new_id(), level, message }
    }
}

/// The lines of one task.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    unwritten: Vec<Line>,
    count: usize,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, level: LogLevel, mut message: String) {
        let mut noted = self.lock();
        noted.count += 1;
        if noted.count > MOST {
            if noted.count == MOST + 1 {
                noted.unwritten.push(Line::new(LogLevel::Warning, "There is more to say; further lines are left out.".to_owned()));
            }
            return;
        }
        message.truncate(message.floor_char_boundary(LONGEST));
        noted.unwritten.push(Line::new(level, message));
    }

    pub(super) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.lock().unwritten)
    }

    /// Lines that could not be written come before those that were noted since.
    pub(super) fn give_back(&self, mut lines: Vec<Line>) {
        let mut noted = self.lock();
        lines.append(&mut noted.unwritten);
        noted.unwritten = lines;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_in_length_and_number_and_keep_their_order() {
        let lines = Lines::default();
        lines.add(LogLevel::Info, "ä".repeat(LONGEST));
        assert_eq!(lines.take()[0].message, "ä".repeat(LONGEST / 2));
        for number in 0..MOST + 5 {
            lines.add(LogLevel::Warning, number.to_string());
        }
        let some = lines.take();
        assert_eq!(some.len(), MOST);
        assert_eq!(some[0].message, "0");
        assert!(some[MOST - 1].message.contains("left out"));
        let first = some[0].id;
        lines.give_back(some);
        lines.add(LogLevel::Info, "never".to_owned());
        let again = lines.take();
        assert_eq!((again.len(), again[0].id), (MOST, first));
    }
}
