//! How much memory a process uses at most, looked at again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The greatest that was seen, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All pages, also those of files that the kernel could take back at any time.
    pub resident: u64,
    /// What is the process's alone.
    pub own: u64,
}

/// Looks until it is asked what was seen.
pub struct Watch {
    ended: Arc<AtomicBool>,
    seen: Arc<[AtomicU64; 2]>,
}

impl Watch {
    /// Looks at this process from now on.
    pub fn start(pid: u32) -> Self {
        let watch = Self { ended: Arc::default(), seen: Arc::default() };
        let (ended, seen) = (Arc::clone(&watch.ended), Arc::clone(&watch.seen));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let now = memory(pid);
                seen[0].fetch_max(now.resident, Ordering::Relaxed);
                seen[1].fetch_max(now.own, Ordering::Relaxed);
                std::thread::sleep(PAUSE);
            }
        });
        watch
    }

    /// Stops looking.
    pub fn peak(self) -> Memory {
        self.ended.store(true, Ordering::Relaxed);
        Memory { resident: self.seen[0].load(Ordering::Relaxed), own: self.seen[1].load(Ordering::Relaxed) }
    }
}

/// What a process uses now; nothing where the system does not tell.
pub fn memory(pid: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
    };
    Memory { resident: field("VmRSS:"), own: field("RssAnon:") }
}
