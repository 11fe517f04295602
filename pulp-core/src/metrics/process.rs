//! What the system says of this process, under the names that every Prometheus client library uses.

use super::snapshot::{Kind, Snapshot};

/// Bytes of this process that are in memory; nothing where the system does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

pub(super) fn write(all: &mut Snapshot) {
    if let Some(bytes) = resident_bytes() {
        all.single("process_resident_memory_bytes", Kind::Gauge, "Resident memory size in bytes.", bytes);
    }
    if let Some(files) = open_files() {
        all.single("process_open_fds", Kind::Gauge, "Number of open file descriptors.", files);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(open_files().is_some_and(|files| files > 2));
    }
}
