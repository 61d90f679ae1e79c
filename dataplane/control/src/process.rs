//! What the kernel says about this process.

use std::fs;

use crate::metrics::Metric;

/// Ticks a second in `/proc/self/stat`: fixed by Linux's interface to user space.
const TICKS: f64 = 100.0;

/// Memory, CPU time and descriptors; what cannot be read is left out.
pub(crate) fn metrics() -> Vec<Metric> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let descriptors = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    let cpu = cpu_seconds(&stat).map(|seconds| Metric {
        counter: true,
        ..Metric::gauge("process_cpu_seconds", "CPU time of all threads.", seconds)
    });
    let memory = resident_bytes(&status).map(|bytes| {
        Metric::gauge("process_resident_memory_bytes", "Memory in use, of any kind.", bytes)
    });
    let open =
        descriptors.map(|count| Metric::gauge("process_open_fds", "Open file descriptors.", count));
    [cpu, memory, open].into_iter().flatten().collect()
}

/// Fields 14 and 15 of `/proc/self/stat`; the name in field 2 may hold blanks and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

/// The `VmRSS` line of `/proc/self/status`, which counts in KiB.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_a_name_with_blanks() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(resident_bytes("VmPeak:\t9 kB\nVmRSS:\t   12 kB\n"), Some(12_288.0));
    }

    #[test]
    fn this_process_has_all_three() {
        assert_eq!(metrics().len(), 3);
        assert!(metrics().iter().all(|metric| metric.value >= 0.0));
    }
}
