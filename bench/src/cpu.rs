//! CPU time, as the kernel accounts it.

use std::fs;
use std::io;

/// CPU time used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Nanoseconds on a processor, exact.
    pub total: u64,
    /// Seconds in user mode, in the kernel's ticks (usually 10 ms).
    pub user: f64,
    /// Seconds in the kernel, likewise.
    pub system: f64,
}

impl Cpu {
    /// Of all living threads of a process.
    ///
    /// # Errors
    /// There is no such process, or it is not ours to look at.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let mut all = Self::default();
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while we look.
            let Ok(one) = Self::read(&task?.path().to_string_lossy()) else { continue };
            all.total += one.total;
            all.user += one.user;
            all.system += one.system;
        }
        Ok(all)
    }

    /// Of the calling thread.
    ///
    /// # Errors
    /// The kernel does not account it (`CONFIG_SCHED_INFO`).
    pub fn of_this_thread() -> io::Result<Self> {
        Self::read("/proc/thread-self")
    }

    fn read(task: &str) -> io::Result<Self> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let schedstat = fs::read_to_string(format!("{task}/schedstat"))?;
        let total = schedstat.split_whitespace().next().and_then(|n| n.parse().ok());
        let stat = fs::read_to_string(format!("{task}/stat"))?;
        // The name in parentheses may hold anything; the fields after it are counted from 3.
        let fields = stat.rsplit_once(')').ok_or_else(bad)?.1;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let mut seconds = || ticks.next()?.ok().map(|ticks| ticks as f64 / TICKS_PER_SECOND);
        let user = seconds().ok_or_else(bad)?;
        let system = seconds().ok_or_else(bad)?;
        Ok(Self { total: total.ok_or_else(bad)?, user, system })
    }

    /// What was used since `earlier`, in microseconds for each of `count` things.
    pub fn micros_each(&self, earlier: &Self, count: u64) -> f64 {
        (self.total.saturating_sub(earlier.total)) as f64 / 1_000.0 / count.max(1) as f64
    }

    /// The share of user mode in what was used since `earlier`, 0 to 1.
    pub fn user_share(&self, earlier: &Self) -> f64 {
        let (user, system) = (self.user - earlier.user, self.system - earlier.system);
        if user + system > 0.0 { user / (user + system) } else { 0.0 }
    }
}

/// `USER_HZ`: the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen() {
        let before = Cpu::of_this_thread().expect("accounted");
        let process = Cpu::of_process(std::process::id()).expect("accounted");
        let mut x = 1_u64;
        for n in 0..20_000_000 {
            x = std::hint::black_box(x.rotate_left(7) ^ n);
        }
        let after = Cpu::of_this_thread().expect("accounted");
        assert!(after.micros_each(&before, 1) > 1_000.0, "{before:?} {after:?} {x}");
        assert!(process.total > 0);
    }
}
