//! The way into a lane: bounded in operations, bytes and age before anything takes memory.
//!
//! One short lock guards what waits, what it weighs and whether the lane sleeps: a submitter takes
//! it once a request to put the request down, the lane once a batch to take all of them away.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam::sync::{Parker, Unparker};
use pharos_storage::limits::{BATCH_BYTES, BATCH_OPS, QUEUE_BYTES, QUEUE_OPS, SLOW_AGE};
use pharos_storage::{Refused, Request, StoreError};

use crate::stats::{Health, Stats, add};

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The asker, handed back with the reply.
    pub(crate) origin: u16,
    /// When it came, nanoseconds of the lane's clock.
    pub(crate) since: u64,
    /// Its place in the order they came, given by the lane.
    pub(crate) place: u64,
    pub(crate) request: Request,
}

/// Requests that an empty queue keeps memory for; more is given back after a flood.
const KEPT: usize = 4_096;

/// What the lane's thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleep {
    /// It is at work and will look again before it sleeps.
    Awake,
    /// It sleeps until anything comes.
    Idle,
    /// It sleeps until its time is over or so many requests have come.
    Gathering(usize),
}

/// What submitters and the lane's thread share.
pub(crate) struct Queue {
    shared: Mutex<Shared>,
    pub(crate) stats: Stats,
    bell: Unparker,
    /// Log bytes beyond which nothing is stored any more.
    capacity: u64,
}

struct Shared {
    waiting: Vec<Queued>,
    /// Operations and bytes that wait here or in the lane's hands.
    ops: u64,
    bytes: u64,
    sleep: Sleep,
    closing: bool,
}

impl Queue {
    /// The queue and what its thread parks on.
    pub(crate) fn new(capacity: u64) -> (Arc<Self>, Parker) {
        let parker = Parker::new();
        let (waiting, sleep) = (Vec::new(), Sleep::Awake);
        let shared = Shared { waiting, ops: 0, bytes: 0, sleep, closing: false };
        let queue = Self {
            shared: Mutex::new(shared),
            stats: Stats::default(),
            bell: parker.unparker().clone(),
            capacity,
        };
        (Arc::new(queue), parker)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`crate::Submitter::submit`].
    pub(crate) fn submit(&self, now: u64, origin: u16, request: Request) -> Result<(), Refused> {
        let (ops, bytes) = (request.ops.len() as u64, request.weight() as u64);
        let mut shared = self.lock();
        if let Err(error) = self.admit(&shared, now, &request, ops, bytes) {
            drop(shared);
            add(&self.stats.refused, 1);
            return Err(Refused { request, error });
        }
        shared.ops += ops;
        shared.bytes += bytes;
        shared.waiting.push(Queued { origin, since: now, place: 0, request });
        self.show(&shared);
        let wake = shared.wakes();
        if wake {
            shared.sleep = Sleep::Awake;
        }
        drop(shared);
        if wake {
            self.bell.unpark();
        }
        Ok(())
    }

    fn admit(
        &self,
        shared: &Shared,
        now: u64,
        request: &Request,
        ops: u64,
        bytes: u64,
    ) -> Result<(), StoreError> {
        let stats = &self.stats;
        if shared.closing || stats.health() == Health::Closed {
            return Err(StoreError::Closed);
        }
        if !request.fits() {
            return Err(StoreError::TooLarge);
        }
        let stores = request.stores();
        let waiting = shared.bytes + bytes;
        if shared.ops + ops > QUEUE_OPS as u64
            || waiting > QUEUE_BYTES as u64
            || (stores && stats.oldest_age(now) > SLOW_AGE)
        {
            return Err(StoreError::Busy);
        }
        if stores && stats.log.load(Relaxed) + waiting > self.capacity {
            return Err(StoreError::Full);
        }
        Ok(())
    }

    /// Swaps everything that waits, in the order it came, for an empty list.
    pub(crate) fn take(&self, into: &mut Vec<Queued>) {
        debug_assert!(into.is_empty(), "what was taken before is still there");
        into.shrink_to(KEPT);
        std::mem::swap(&mut self.lock().waiting, into);
    }

    /// Requests have been answered: their places are free.
    pub(crate) fn release(&self, ops: u64, bytes: u64) {
        let mut shared = self.lock();
        shared.ops -= ops;
        shared.bytes -= bytes;
        self.show(&shared);
    }

    fn show(&self, shared: &Shared) {
        self.stats.queued_ops.store(shared.ops, Relaxed);
        self.stats.queued_bytes.store(shared.bytes, Relaxed);
    }

    /// Takes nothing new from now on; what waits is finished.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.bell.unpark();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Sleeps until something comes, the queue closes or the time is over.
    pub(crate) fn sleep_idle(&self, parker: &Parker, timeout: Option<Duration>) {
        let mut shared = self.lock();
        if shared.waiting.is_empty() && !shared.closing {
            shared.sleep = Sleep::Idle;
            drop(shared);
            match timeout {
                Some(timeout) => parker.park_timeout(timeout),
                None => parker.park(),
            }
            self.lock().sleep = Sleep::Awake;
        }
    }

    /// Sleeps until so many requests have come, a batch is full or the time is over.
    pub(crate) fn sleep_gathering(&self, parker: &Parker, enough: usize, timeout: Duration) {
        let mut shared = self.lock();
        shared.sleep = Sleep::Gathering(enough);
        if !shared.wakes() && !shared.closing {
            drop(shared);
            parker.park_timeout(timeout);
            shared = self.lock();
        }
        shared.sleep = Sleep::Awake;
    }
}

impl Shared {
    /// The lane sleeps and this is what it sleeps for.
    fn wakes(&self) -> bool {
        match self.sleep {
            Sleep::Awake => false,
            Sleep::Idle => true,
            Sleep::Gathering(enough) => {
                self.waiting.len() >= enough
                    || self.ops >= BATCH_OPS as u64
                    || self.bytes >= BATCH_BYTES as u64
            }
        }
    }
}
