//! The word to stop, and how each shard answers it.

use std::sync::atomic::{AtomicBool, Ordering};

use pharos_engine::net::ShardId;

/// Shared by the handle and all shards.
#[derive(Debug)]
pub(crate) struct Stop {
    draining: AtomicBool,
    finished: Vec<AtomicBool>,
}

impl Stop {
    /// Nobody has said anything.
    pub(crate) fn new(shards: u16) -> Self {
        let finished = (0..shards).map(|_| AtomicBool::new(false)).collect();
        Self { draining: AtomicBool::new(false), finished }
    }

    /// Every shard drains; ring their bells after this.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// True once somebody said so.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// A shard has nothing in flight, or has something again.
    pub(crate) fn set_finished(&self, shard: ShardId, finished: bool) {
        self.finished[usize::from(shard.0)].store(finished, Ordering::Release);
    }

    /// True when no shard has anything in flight.
    pub(crate) fn all_finished(&self) -> bool {
        self.finished.iter().all(|finished| finished.load(Ordering::Acquire))
    }
}

/// How the server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Everything in flight was finished within the time, and all of it is stored: the next start
    /// owes nobody a NOTIFY.
    pub clean: bool,
}
