//! Which processors the threads run on: shards on one each, lanes and control on what is left.

use std::fs;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::config::settings::Settings;
use crate::config::values::Int;

/// One storage lane serves so many cores. Unless told otherwise the shards leave it one of them: a
/// shard whose core the lane takes at each commit costs more than that core brings.
const CORES_FOR_ONE_LANE: usize = 8;
/// Shards that a slot number can name.
const SHARDS_MAX: usize = 1024;

/// Which thread runs where. Processors are in the kernel's numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Number of shards.
    pub(crate) shards: u16,
    /// Processor of each shard; empty = not pinned.
    pub(crate) cores: Vec<usize>,
    /// Processors of the lanes; empty = all that this process may use.
    lanes: Vec<usize>,
    /// Processors of the control plane; empty = all that this process may use.
    control: Vec<usize>,
    /// Processors are left when every shard has one.
    leaves_cores: bool,
    /// All that this process may use.
    allowed: Vec<usize>,
}

/// What the configuration names; each may be empty.
#[derive(Clone, Debug, Default)]
struct Named {
    shards: usize,
    cores: Vec<usize>,
    lanes: Vec<usize>,
    control: Vec<usize>,
}

impl Placement {
    /// By the configuration: `shards` (0 = one for each core, of which every eighth is left to
    /// lanes and control when nothing says which), `cores` (empty = all this process may use but
    /// for those of lanes and control), and the cores of lanes and control.
    ///
    /// Without `cores`, a processor quota (a container's) counts: no more shards than it pays for.
    /// More shards than processors are spread round and left to the scheduler, not pinned.
    pub(crate) fn of(settings: &Settings) -> Result<Self, String> {
        let numbers = |list: &[Int<0, 4095>]| list.iter().map(|core| core.0 as usize).collect();
        let named = Named {
            shards: settings.server.shards.0 as usize,
            cores: numbers(&settings.server.cores),
            lanes: numbers(&settings.runtime.lane_cores),
            control: numbers(&settings.runtime.control_cores),
        };
        let allowed = allowed()?;
        let mut all = named.cores.iter().chain(&named.lanes).chain(&named.control);
        if let Some(core) = all.find(|core| !allowed.contains(core)) {
            return Err(format!(
                "core {core} is not among those this process may use: {allowed:?}"
            ));
        }
        let quota = thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self::choose(named, &allowed, quota))
    }

    fn choose(named: Named, allowed: &[usize], quota: usize) -> Self {
        let without = |taken: &[&[usize]]| -> Vec<usize> {
            let free = |core: &usize| !taken.iter().any(|taken| taken.contains(core));
            allowed.iter().copied().filter(free).collect()
        };
        let (cores, most) = if named.cores.is_empty() {
            let free = without(&[&named.lanes, &named.control]);
            let free = if free.is_empty() { allowed.to_vec() } else { free };
            let most = quota.min(free.len());
            (free, most)
        } else {
            (named.cores.clone(), named.cores.len())
        };
        let by_default = if named.cores.is_empty() && named.lanes.is_empty() {
            most - most.div_ceil(CORES_FOR_ONE_LANE)
        } else {
            most
        };
        let shards = if named.shards == 0 { by_default } else { named.shards };
        let shards = shards.clamp(1, SHARDS_MAX);
        let cores = if shards <= cores.len() { cores[..shards].to_vec() } else { Vec::new() };
        let left = if cores.is_empty() { Vec::new() } else { without(&[&cores]) };
        let or_left = |named: Vec<usize>| if named.is_empty() { left.clone() } else { named };
        Self {
            shards: u16::try_from(shards).unwrap_or(u16::MAX),
            leaves_cores: !left.is_empty() && quota > shards,
            lanes: or_left(named.lanes),
            control: or_left(named.control),
            cores,
            allowed: allowed.to_vec(),
        }
    }

    /// True when shards leave processors to the rest, so that one of them may wait awake.
    pub(crate) fn leaves_cores(&self) -> bool {
        self.leaves_cores
    }

    /// What each thread of a lane does first; `None` = nothing.
    pub(crate) fn pin_lanes(&self) -> Option<Arc<dyn Fn(u16) + Send + Sync>> {
        let cores = self.lanes.clone();
        (!cores.is_empty())
            .then(|| -> Arc<dyn Fn(u16) + Send + Sync> { Arc::new(move |_| pin(&cores, "a lane")) })
    }

    /// Does `start` so that the threads it makes stay on the control plane's processors.
    pub(crate) fn on_control<T>(&self, start: impl FnOnce() -> T) -> T {
        if self.control.is_empty() {
            return start();
        }
        pin(&self.control, "the control plane");
        let started = start();
        pin(&self.allowed, "the first thread");
        started
    }

    /// For the log: `2 shards on cores 0-1, lanes on 2-3, control on 3`.
    pub(crate) fn describe(&self) -> String {
        let shards = match self.shards {
            1 => "1 shard".to_owned(),
            n => format!("{n} shards"),
        };
        let shards = match self.cores.len() {
            0 => format!("{shards}, not pinned"),
            1 => format!("{shards} on core {}", self.cores[0]),
            _ => format!("{shards} on cores {}", list(&self.cores)),
        };
        let rest = match (&self.lanes[..], &self.control[..]) {
            ([], []) => "lanes and control not pinned".to_owned(),
            (lanes, control) if lanes == control => format!("lanes and control on {}", list(lanes)),
            ([], control) => format!("lanes not pinned, control on {}", list(control)),
            (lanes, []) => format!("lanes on {}, control not pinned", list(lanes)),
            (lanes, control) => format!("lanes on {}, control on {}", list(lanes), list(control)),
        };
        format!("{shards}, {rest}")
    }
}

/// Leaves the calling thread to these processors. Where the kernel refuses, it stays where it was:
/// that is slower, not wrong.
fn pin(cores: &[usize], whom: &str) {
    let mut set = CpuSet::new();
    for core in cores.iter().filter(|core| **core < CpuSet::MAX_CPU) {
        set.set(*core);
    }
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!("{whom} cannot be pinned to cores {}: {error}", list(cores));
    }
}

/// As the kernel writes lists, in the order given: `0-3,8`.
fn list(cores: &[usize]) -> String {
    let mut out = String::new();
    let mut rest = cores;
    while let [first, ..] = rest {
        let run = rest.iter().enumerate().take_while(|(at, core)| **core == first + at).count();
        let comma = if out.is_empty() { "" } else { "," };
        out.push_str(&format!("{comma}{first}"));
        if run > 1 {
            out.push_str(&format!("-{}", first + run - 1));
        }
        rest = &rest[run..];
    }
    out
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

    fn choose(shards: usize, named: [&[usize]; 3], quota: usize) -> Placement {
        let [cores, lanes, control] = named.map(<[usize]>::to_vec);
        Placement::choose(Named { shards, cores, lanes, control }, &[0, 1, 2, 3], quota)
    }

    #[test]
    fn one_shard_for_each_core_but_the_lanes_unless_told() {
        let of = |shards, cores: &[usize], quota| {
            let Placement { shards, cores, .. } = choose(shards, [cores, &[], &[]], quota);
            (shards, cores)
        };
        assert_eq!(of(0, &[], 4), (3, vec![0, 1, 2]));
        assert_eq!(of(0, &[], 2), (1, vec![0]), "a quota counts");
        assert_eq!(of(0, &[], 1), (1, vec![0]));
        assert_eq!(of(4, &[], 4), (4, vec![0, 1, 2, 3]));
        assert_eq!(of(0, &[3, 1], 1), (2, vec![3, 1]), "named cores count");
        assert_eq!(of(1, &[3, 1], 4), (1, vec![3]));
        assert_eq!(of(8, &[], 4), (8, vec![]), "more shards than cores are not pinned");
    }

    #[test]
    fn lanes_and_control_keep_off_the_shards() {
        let layout = |shards, named, quota| choose(shards, named, quota).describe();
        let all: [&[usize]; 3] = [&[], &[], &[]];
        assert_eq!(
            layout(4, all, 4),
            "4 shards on cores 0-3, lanes and control not pinned",
            "nothing is left for them alone"
        );
        assert_eq!(layout(0, all, 4), "3 shards on cores 0-2, lanes and control on 3");
        assert_eq!(layout(2, all, 4), "2 shards on cores 0-1, lanes and control on 2-3");
        assert_eq!(layout(8, all, 4), "8 shards, not pinned, lanes and control not pinned");
        let named: [&[usize]; 3] = [&[], &[3], &[2]];
        assert_eq!(layout(0, named, 4), "2 shards on cores 0-1, lanes on 3, control on 2");
        let named: [&[usize]; 3] = [&[3, 1], &[0], &[]];
        assert_eq!(layout(0, named, 4), "2 shards on cores 3,1, lanes on 0, control on 0,2");
        let named: [&[usize]; 3] = [&[], &[0, 1, 2, 3], &[]];
        assert_eq!(layout(1, named, 4), "1 shard on core 0, lanes on 0-3, control on 1-3");
    }

    /// One that waits awake where every core has a shard keeps the lanes from theirs.
    #[test]
    fn shards_wait_awake_only_where_cores_are_left() {
        assert!(choose(3, [&[], &[], &[]], 4).leaves_cores());
        assert!(!choose(4, [&[], &[], &[]], 4).leaves_cores());
        assert!(!choose(2, [&[], &[], &[]], 2).leaves_cores(), "the quota pays for no more");
        assert!(!choose(8, [&[], &[], &[]], 4).leaves_cores());
    }

    #[test]
    fn cores_of_others_are_refused() {
        let mut settings = Settings::default();
        settings.runtime.lane_cores = vec![Int(4_000)];
        assert!(Placement::of(&settings).is_err_and(|why| why.contains("core 4000")));
    }

    #[test]
    fn threads_of_the_control_plane_stay_on_its_cores() {
        let allowed = allowed().expect("a list");
        let control = vec![allowed[allowed.len() - 1]];
        let placement = Placement { control, allowed, ..Placement::default() };
        let mine = || {
            let status = fs::read_to_string("/proc/thread-self/status").expect("readable");
            let line = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
            line.and_then(parse_list).expect("a list")
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                let made = placement.on_control(|| scope.spawn(mine));
                assert_eq!(mine(), placement.allowed, "the one that starts them goes on anywhere");
                made.join().expect("it ends")
            });
            assert_eq!(first.join().expect("it ends"), placement.control);
        });
    }
}
