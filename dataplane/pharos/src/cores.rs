//! Which processors shards run on.

use std::fs;
use std::num::NonZero;
use std::thread;

/// Shards that a slot number can name.
const SHARDS_MAX: usize = 1024;

/// Shards and the processors they are pinned to, one each; no processors = not pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Number of shards.
    pub(crate) shards: u16,
    /// Processor of each shard.
    pub(crate) cores: Vec<usize>,
}

impl Placement {
    /// From `shards` (0 = one for each core) and `cores` (empty = all this process may use).
    ///
    /// Without `cores`, a processor quota (a container's) counts: no more shards than it pays for.
    /// More shards than processors are spread round and left to the scheduler, not pinned.
    pub(crate) fn of(shards: usize, cores: &[usize]) -> Result<Self, String> {
        let allowed = allowed()?;
        if let Some(core) = cores.iter().find(|core| !allowed.contains(core)) {
            return Err(format!(
                "core {core} is not among those this process may use: {allowed:?}"
            ));
        }
        let quota = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self::choose(shards, cores, &allowed, quota))
    }

    fn choose(shards: usize, cores: &[usize], allowed: &[usize], quota: usize) -> Self {
        let (cores, most) = match cores {
            [] => (allowed, quota.min(allowed.len())),
            named => (named, named.len()),
        };
        let shards = if shards == 0 { most } else { shards }.clamp(1, SHARDS_MAX);
        let cores = if shards <= cores.len() { cores[..shards].to_vec() } else { Vec::new() };
        Self { shards: u16::try_from(shards).unwrap_or(u16::MAX), cores }
    }

    /// For the log: `2 shards on cores 0, 1`.
    pub(crate) fn describe(&self) -> String {
        let shards = match self.shards {
            1 => "1 shard".to_owned(),
            n => format!("{n} shards"),
        };
        let cores: Vec<_> = self.cores.iter().map(usize::to_string).collect();
        match cores.len() {
            0 => format!("{shards}, not pinned"),
            1 => format!("{shards} on core {}", cores[0]),
            _ => format!("{shards} on cores {}", cores.join(", ")),
        }
    }
}

/// The processors that the scheduler may put this process on.
fn allowed() -> Result<Vec<usize>, String> {
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("/proc/self/status cannot be read: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.and_then(parse_list).ok_or_else(|| "/proc/self/status names no processors".into())
}

/// The kernel's list form: `0-3,8`.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut cores = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    (!cores.is_empty()).then_some(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        assert_eq!(parse_list("\t0-2,8\n"), Some(vec![0, 1, 2, 8]));
        assert_eq!(parse_list("5"), Some(vec![5]));
        assert_eq!(parse_list(""), None);
        assert!(allowed().is_ok_and(|cores| !cores.is_empty()));
    }

    #[test]
    fn one_shard_for_each_core_unless_told() {
        let of = |shards, cores: &[usize], quota| {
            let Placement { shards, cores } =
                Placement::choose(shards, cores, &[0, 1, 2, 3], quota);
            (shards, cores)
        };
        assert_eq!(of(0, &[], 4), (4, vec![0, 1, 2, 3]));
        assert_eq!(of(0, &[], 2), (2, vec![0, 1]), "a quota counts");
        assert_eq!(of(0, &[3, 1], 1), (2, vec![3, 1]), "named cores count");
        assert_eq!(of(1, &[3, 1], 4), (1, vec![3]));
        assert_eq!(of(8, &[], 4), (8, vec![]), "more shards than cores are not pinned");
    }

    #[test]
    fn cores_of_others_are_refused() {
        assert!(Placement::of(0, &[100_000]).is_err_and(|why| why.contains("core 100000")));
    }
}
