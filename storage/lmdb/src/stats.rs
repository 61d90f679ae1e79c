//! What a lane says about itself: written by its thread and its submitters, read by anyone.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// How a lane does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// It commits in time.
    Good = 0,
    /// The last commit found no room; what stores fails, what removes may succeed.
    Full = 1,
    /// A commit failed: closed until a restart, its slots answer 503.
    Closed = 2,
}

/// Counters and gauges of one lane. Loads are not of one moment.
#[derive(Debug, Default)]
pub struct Stats {
    pub(crate) queued_ops: AtomicU64,
    pub(crate) queued_bytes: AtomicU64,
    /// Monotonic time of the oldest operation that waits, plus 1; 0 = none.
    pub(crate) oldest: AtomicU64,
    pub(crate) health: AtomicU8,
    pub(crate) commits: AtomicU64,
    pub(crate) failed_commits: AtomicU64,
    pub(crate) ops: AtomicU64,
    pub(crate) appended: AtomicU64,
    pub(crate) moved: AtomicU64,
    pub(crate) freed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) commit_nanos: AtomicU64,
    pub(crate) commit_nanos_max: AtomicU64,
    pub(crate) objects: AtomicU64,
    pub(crate) live: AtomicU64,
    pub(crate) log: AtomicU64,
    pub(crate) damaged: AtomicU64,
}

/// [`Stats`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Operations that wait or are being committed.
    pub queued_ops: u64,
    /// Bytes that they hold.
    pub queued_bytes: u64,
    /// Age of the oldest of them, nanoseconds; 0 when there is none.
    pub oldest_age: u64,
    /// How the lane does.
    pub health: Health,
    /// Commits that returned.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Operations made durable.
    pub ops: u64,
    /// Bytes appended for them.
    pub appended_bytes: u64,
    /// Records that the cleaner moved.
    pub moved_records: u64,
    /// Bytes that it gave back.
    pub freed_bytes: u64,
    /// Requests not taken.
    pub refused: u64,
    /// Requests taken whose commit failed.
    pub failed: u64,
    /// Time spent in commits, nanoseconds.
    pub commit_nanos: u64,
    /// The longest of them, nanoseconds.
    pub commit_nanos_max: u64,
    /// Live objects.
    pub objects: u64,
    /// Bytes of their records.
    pub live_bytes: u64,
    /// Bytes of all records; at most twice the live ones and 64 MiB.
    pub log_bytes: u64,
    /// Records that failed their checksum at start.
    pub damaged: u64,
}

impl Stats {
    /// What they are now; `now` is the time of the lane's [`crate::Clock`].
    pub fn snapshot(&self, now: u64) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Snapshot {
            queued_ops: get(&self.queued_ops),
            queued_bytes: get(&self.queued_bytes),
            oldest_age: self.oldest_age(now),
            health: self.health(),
            commits: get(&self.commits),
            failed_commits: get(&self.failed_commits),
            ops: get(&self.ops),
            appended_bytes: get(&self.appended),
            moved_records: get(&self.moved),
            freed_bytes: get(&self.freed),
            refused: get(&self.refused),
            failed: get(&self.failed),
            commit_nanos: get(&self.commit_nanos),
            commit_nanos_max: get(&self.commit_nanos_max),
            objects: get(&self.objects),
            live_bytes: get(&self.live),
            log_bytes: get(&self.log),
            damaged: get(&self.damaged),
        }
    }

    /// How the lane does.
    pub fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            0 => Health::Good,
            1 => Health::Full,
            _ => Health::Closed,
        }
    }

    pub(crate) fn set_health(&self, health: Health) {
        self.health.store(health as u8, Relaxed);
    }

    /// Nanoseconds that the oldest operation has waited.
    pub(crate) fn oldest_age(&self, now: u64) -> u64 {
        match self.oldest.load(Relaxed) {
            0 => 0,
            since => now.saturating_sub(since - 1),
        }
    }

    pub(crate) fn set_oldest(&self, since: Option<u64>) {
        self.oldest.store(since.map_or(0, |since| since + 1), Relaxed);
    }
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Relaxed);
}
