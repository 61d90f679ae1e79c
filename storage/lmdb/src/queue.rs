//! The way into a lane: bounded in operations, bytes and age before anything takes memory.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU8, fence};
use std::time::Duration;

use crossbeam::queue::ArrayQueue;
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

/// The lane is at work and will look again before it sleeps.
const AWAKE: u8 = 0;
/// It sleeps until anything comes.
const IDLE: u8 = 1;
/// It sleeps until the window ends or a batch is full.
const GATHERING: u8 = 2;

/// What submitters and the lane's thread share.
pub(crate) struct Queue {
    waiting: ArrayQueue<Queued>,
    pub(crate) stats: Stats,
    sleep: AtomicU8,
    bell: Unparker,
    closing: AtomicBool,
    /// Log bytes beyond which nothing is stored any more.
    capacity: u64,
}

impl Queue {
    /// The queue and what its thread parks on.
    pub(crate) fn new(capacity: u64) -> (Arc<Self>, Parker) {
        let parker = Parker::new();
        let queue = Self {
            waiting: ArrayQueue::new(QUEUE_OPS),
            stats: Stats::default(),
            sleep: AtomicU8::new(AWAKE),
            bell: parker.unparker().clone(),
            closing: AtomicBool::new(false),
            capacity,
        };
        (Arc::new(queue), parker)
    }

    /// See [`crate::Submitter::submit`].
    pub(crate) fn submit(&self, now: u64, origin: u16, request: Request) -> Result<(), Refused> {
        let (ops, bytes) = (request.ops.len() as u64, request.weight() as u64);
        if let Err(error) = self.admit(now, &request, ops, bytes) {
            add(&self.stats.refused, 1);
            return Err(Refused { request, error });
        }
        let queued_ops = self.stats.queued_ops.fetch_add(ops, Relaxed) + ops;
        let queued_bytes = self.stats.queued_bytes.fetch_add(bytes, Relaxed) + bytes;
        if let Err(back) = self.waiting.push(Queued { origin, since: now, place: 0, request }) {
            self.release(ops, bytes);
            add(&self.stats.refused, 1);
            return Err(Refused { request: back.request, error: StoreError::Busy });
        }
        self.ring(queued_ops >= BATCH_OPS as u64 || queued_bytes >= BATCH_BYTES as u64);
        Ok(())
    }

    fn admit(&self, now: u64, request: &Request, ops: u64, bytes: u64) -> Result<(), StoreError> {
        let stats = &self.stats;
        if self.closing.load(Acquire) || stats.health() == Health::Closed {
            return Err(StoreError::Closed);
        }
        if !request.fits() {
            return Err(StoreError::TooLarge);
        }
        let stores = request.stores();
        let waiting = stats.queued_bytes.load(Relaxed) + bytes;
        if stats.queued_ops.load(Relaxed) + ops > QUEUE_OPS as u64
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

    /// The next request, in the order they came.
    pub(crate) fn pop(&self) -> Option<Queued> {
        self.waiting.pop()
    }

    /// A request has been answered: its place is free.
    pub(crate) fn release(&self, ops: u64, bytes: u64) {
        self.stats.queued_ops.fetch_sub(ops, Relaxed);
        self.stats.queued_bytes.fetch_sub(bytes, Relaxed);
    }

    /// Takes nothing new from now on; what waits is finished.
    pub(crate) fn close(&self) {
        self.closing.store(true, Release);
        self.bell.unpark();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Acquire)
    }

    /// Sleeps until something comes, the queue closes or the time is over.
    pub(crate) fn sleep_idle(&self, parker: &Parker, timeout: Option<Duration>) {
        self.sleep.store(IDLE, SeqCst);
        fence(SeqCst);
        if self.waiting.is_empty() && !self.is_closing() {
            match timeout {
                Some(timeout) => parker.park_timeout(timeout),
                None => parker.park(),
            }
        }
        self.sleep.store(AWAKE, Release);
    }

    /// Sleeps until a batch is full or the time is over.
    pub(crate) fn sleep_gathering(&self, parker: &Parker, timeout: Duration) {
        self.sleep.store(GATHERING, SeqCst);
        fence(SeqCst);
        let full = self.stats.queued_ops.load(Relaxed) >= BATCH_OPS as u64
            || self.stats.queued_bytes.load(Relaxed) >= BATCH_BYTES as u64;
        if !full && !self.is_closing() {
            parker.park_timeout(timeout);
        }
        self.sleep.store(AWAKE, Release);
    }

    /// Wakes the lane if it sleeps and this is what it sleeps for: one system call a batch.
    fn ring(&self, full: bool) {
        fence(SeqCst);
        let asleep = self.sleep.load(Relaxed);
        let wake = asleep == IDLE || (asleep == GATHERING && full);
        if wake && self.sleep.compare_exchange(asleep, AWAKE, AcqRel, Relaxed).is_ok() {
            self.bell.unpark();
        }
    }
}
