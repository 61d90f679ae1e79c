//! CPU time and memory of servers, and the state of the machine, as the kernel accounts them.

use std::fs;
use std::io;
use std::time::Duration;

use crate::net::process_time;

/// CPU time used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// On a processor, exact, of living and ended threads.
    pub total: Duration,
    /// Seconds in user mode, in the kernel's ticks (usually 10 ms).
    pub user: f64,
    /// Seconds in the kernel, likewise.
    pub system: f64,
}

impl Cpu {
    /// Of processes and all their descendants.
    ///
    /// # Errors
    /// A process is gone, or not ours to look at.
    pub fn of(roots: &[u32]) -> io::Result<Self> {
        let mut all = Self::default();
        for pid in family(roots) {
            let one = Self::of_one(pid)?;
            all.total += one.total;
            all.user += one.user;
            all.system += one.system;
        }
        Ok(all)
    }

    fn of_one(pid: u32) -> io::Result<Self> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; the fields after it are counted from 3.
        let fields = stat.rsplit_once(')').ok_or_else(bad)?.1;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let mut seconds = || ticks.next()?.ok().map(|ticks| ticks as f64 / TICKS_PER_SECOND);
        let user = seconds().ok_or_else(bad)?;
        let system = seconds().ok_or_else(bad)?;
        Ok(Self { total: process_time(pid)?, user, system })
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            total: self.total.saturating_sub(earlier.total),
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
    }

    /// Microseconds for each of `count` things.
    pub fn micros_each(&self, count: u64) -> f64 {
        self.total.as_secs_f64() * 1e6 / count.max(1) as f64
    }

    /// The share of user mode, 0 to 1.
    pub fn user_share(&self) -> f64 {
        let both = self.user + self.system;
        if both > 0.0 { self.user / both } else { 0.0 }
    }
}

/// CPU time of the calling thread.
///
/// # Errors
/// The kernel does not account it (`CONFIG_SCHED_INFO`).
pub fn thread_time() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().and_then(|n| n.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Processes and all their descendants.
pub fn family(roots: &[u32]) -> Vec<u32> {
    let mut all = roots.to_vec();
    let mut next = 0;
    while let Some(pid) = all.get(next) {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists =
            threads.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let found: Vec<u32> = lists
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|child| child.parse().ok())
            .collect();
        all.extend(found);
        next += 1;
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Memory that processes hold for themselves, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Anonymous pages (`RssAnon`).
    pub anonymous: u64,
    /// Touched pages of shared memory, each counted once.
    pub shared: u64,
}

impl Memory {
    /// Of processes and all their descendants.
    pub fn of(roots: &[u32]) -> Self {
        let mut all = Self::default();
        for pid in family(roots) {
            all.anonymous += field(&format!("/proc/{pid}/status"), "RssAnon:");
            all.shared += field(&format!("/proc/{pid}/smaps_rollup"), "Pss_Shmem:");
        }
        all
    }

    /// Both.
    pub fn total(&self) -> u64 {
        self.anonymous + self.shared
    }
}

/// A line such as "RssAnon:  12 kB", in bytes.
fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// What the machine did so far, in seconds over all cores.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// Doing something or nothing.
    all: f64,
    /// Doing something.
    busy: f64,
    /// Taken by the hypervisor for others.
    stolen: f64,
}

impl Machine {
    /// Until now.
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<f64> =
            line.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).take(8).collect();
        let at = |place: usize| ticks.get(place).copied().unwrap_or_default() / TICKS_PER_SECOND;
        let all = ticks.iter().sum::<f64>() / TICKS_PER_SECOND;
        // user nice system idle iowait irq softirq steal
        Self { all, busy: all - at(3) - at(4) - at(7), stolen: at(7) }
    }

    /// Shares since `earlier`, 0 to 1: busy, and stolen by the hypervisor.
    pub fn since(&self, earlier: &Self) -> (f64, f64) {
        let all = (self.all - earlier.all).max(f64::EPSILON);
        ((self.busy - earlier.busy) / all, (self.stolen - earlier.stolen) / all)
    }
}

/// `USER_HZ`: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_also_that_of_threads_that_ended() {
        let me = [std::process::id()];
        let before = Cpu::of(&me).expect("accounted");
        let work = || (0..20_000_000_u64).fold(1, |x: u64, n| std::hint::black_box(x ^ n));
        std::thread::spawn(work).join().expect("done");
        let used = Cpu::of(&me).expect("accounted").since(&before);
        assert!(used.micros_each(1) > 1_000.0, "{used:?}");
        assert!(Memory::of(&me).anonymous > 0);
    }

    #[test]
    fn children_belong_to_the_family() {
        let mut child = std::process::Command::new("sleep").arg("5").spawn().expect("a child");
        assert!(family(&[std::process::id()]).contains(&child.id()));
        child.kill().and_then(|()| child.wait()).expect("ours to end");
    }
}
