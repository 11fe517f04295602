//! What the scrub has looked at in this process, and what it has found.

use super::counter::Counter;
use super::snapshot::{Kind, Snapshot};
use crate::model::Problem;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ScrubMetrics {
    files: Counter,
    bytes: Counter,
    found: [Counter; Problem::ALL.len()],
    repaired: Counter,
}

impl ScrubMetrics {
    pub(crate) fn looked_at(&self, bytes: u64) {
        self.files.add(1);
        self.bytes.add(bytes);
    }

    pub(crate) fn found(&self, problem: Problem) {
        if let Some(at) = Problem::ALL.iter().position(|known| *known == problem) {
            self.found[at].add(1);
        }
    }

    pub(crate) fn repaired(&self) {
        self.repaired.add(1);
    }

    pub(super) fn write(&self, all: &mut Snapshot) {
        all.single("pulp_scrub_files_total", Kind::Counter, "Stored files that the scrub has looked at.", self.files.get());
        all.single("pulp_scrub_bytes_total", Kind::Counter, "Their bytes.", self.bytes.get());
        all.metric("pulp_scrub_findings_total", Kind::Counter, "Stored files that were wrong, by what was wrong.");
        for (problem, count) in Problem::ALL.iter().zip(&self.found) {
            all.sample(&[("problem", problem.as_str())], count.get());
        }
        all.single("pulp_scrub_repaired_total", Kind::Counter, "Those of them that a source gave again.", self.repaired.get());
    }
}
