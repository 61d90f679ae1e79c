//! The lane in memory: the same protocol with time as an argument and faults on demand.
//!
//! *Submit, then [`MemoryLane::advance`] to [`MemoryLane::next_deadline`].* What is submitted waits
//! for one commit, whose duration and outcome the faults decide; the same seed and calls give the
//! same replies. [`MemoryLane::crash`] keeps what was acknowledged and loses the rest, except a
//! commit that had reached the disk when the power went.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::limits::{BATCH_OPS, QUEUE_BYTES, QUEUE_OPS, SLOW_AGE};
use crate::{Kind, Object, ObjectId, Op, Refused, Reply, Request, StoreError};

/// What can go wrong, and how long a commit takes. The default is a lane without faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Shortest and longest commit, nanoseconds.
    pub delay: (u64, u64),
    /// Commits of a thousand that find no room.
    pub full_per_mille: u16,
    /// Commits of a thousand that close the lane.
    pub closed_per_mille: u16,
    /// Bytes of live objects from which new ones are refused.
    pub capacity: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            delay: (300_000, 1_000_000),
            full_per_mille: 0,
            closed_per_mille: 0,
            capacity: usize::MAX,
        }
    }
}

/// One lane in memory. Time is nanoseconds of any clock that does not go back.
#[derive(Clone, Debug)]
pub struct MemoryLane {
    /// The log without its dead records: sequence number to object.
    log: BTreeMap<u64, Stored>,
    /// Current version of each live object.
    index: BTreeMap<ObjectId, u64>,
    /// Forgotten objects that the log still has: a restart presents them once more.
    ghosts: BTreeMap<ObjectId, u64>,
    sequence: u64,
    live_bytes: usize,
    highest: u64,
    queue: VecDeque<Waiting>,
    queued: (usize, usize),
    /// The commit under way: how many of the queue's front it holds, and when it returns.
    commit: Option<(usize, u64)>,
    script: VecDeque<Result<(), StoreError>>,
    stalled_until: u64,
    closed: bool,
    faults: Faults,
    random: u64,
}

#[derive(Clone, Debug)]
struct Stored {
    id: ObjectId,
    hash: u64,
    kind: Kind,
    bytes: Box<[u8]>,
}

#[derive(Clone, Debug)]
struct Waiting {
    origin: u16,
    since: u64,
    request: Request,
}

impl MemoryLane {
    /// An empty lane; `seed` draws delays and failures.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            log: BTreeMap::new(),
            index: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            sequence: 0,
            live_bytes: 0,
            highest: 0,
            queue: VecDeque::new(),
            queued: (0, 0),
            commit: None,
            script: VecDeque::new(),
            stalled_until: 0,
            closed: false,
            faults,
            random: seed,
        }
    }

    /// From now on.
    pub const fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// The outcome of the next commit that nothing is said about yet, whatever the faults' chances.
    pub fn script(&mut self, outcome: Result<(), StoreError>) {
        self.script.push_back(outcome);
    }

    /// No commit returns before this time: a disk that hangs.
    pub fn stall(&mut self, until: u64) {
        self.stalled_until = until;
        if let Some((_, ready)) = &mut self.commit {
            *ready = until.max(*ready);
        }
    }

    /// Hands a request to the lane. `origin` comes back with its reply.
    ///
    /// # Errors
    /// The request was not queued, see [`Refused`]; it will never take effect.
    pub fn submit(&mut self, now: u64, origin: u16, request: Request) -> Result<(), Refused> {
        if let Err(error) = self.admit(now, &request) {
            return Err(Refused { request, error });
        }
        self.queued.0 += request.ops.len();
        self.queued.1 += request.weight();
        self.queue.push_back(Waiting { origin, since: now, request });
        self.begin(now);
        Ok(())
    }

    fn admit(&self, now: u64, request: &Request) -> Result<(), StoreError> {
        let slow = self.queue.front().is_some_and(|oldest| now - oldest.since > SLOW_AGE);
        if self.closed {
            Err(StoreError::Closed)
        } else if !request.fits() {
            Err(StoreError::TooLarge)
        } else if self.queued.0 + request.ops.len() > QUEUE_OPS
            || self.queued.1 + request.weight() > QUEUE_BYTES
            || (slow && request.stores())
        {
            Err(StoreError::Busy)
        } else if request.stores() && self.live_bytes + self.queued.1 > self.faults.capacity {
            Err(StoreError::Full)
        } else {
            Ok(())
        }
    }

    /// When [`MemoryLane::advance`] has something to do.
    pub fn next_deadline(&self) -> Option<u64> {
        self.commit.map(|(_, ready)| ready)
    }

    /// Lets time pass: finishes every commit that is due and hands out its replies, in order.
    pub fn advance(&mut self, now: u64, mut deliver: impl FnMut(u16, Reply)) {
        while let Some((count, ready)) = self.commit
            && ready <= now
        {
            self.commit = None;
            let outcome = self.outcome();
            for _ in 0..count {
                self.finish_one(outcome, &mut deliver);
            }
            if self.closed {
                while !self.queue.is_empty() {
                    self.finish_one(Err(StoreError::Closed), &mut deliver);
                }
            }
            self.clean(2 * count);
            self.begin(ready);
        }
    }

    /// The process dies and starts again: only what is on disk is left. `landed` says whether the
    /// commit under way had reached it; its replies are never given.
    pub fn crash(&mut self, landed: bool) {
        let count = self.commit.take().map_or(0, |(count, _)| if landed { count } else { 0 });
        for waiting in self.queue.drain(..).take(count).collect::<Vec<_>>() {
            waiting.request.ops.into_iter().for_each(|op| self.apply(waiting.request.hash, op));
        }
        for (id, sequence) in core::mem::take(&mut self.ghosts) {
            self.live_bytes += self.log.get(&sequence).map_or(0, |stored| stored.bytes.len());
            self.index.insert(id, sequence);
        }
        self.queued = (0, 0);
        self.closed = false;
        self.script.clear();
    }

    /// Every live object, in log order: what a restart hands to the shards.
    pub fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        let live = |(sequence, stored): &(&u64, &Stored)| {
            self.index.get(&stored.id).is_some_and(|current| current == *sequence)
        };
        self.log.iter().filter(live).map(|(_, stored)| Object {
            id: stored.id,
            hash: stored.hash,
            kind: stored.kind,
            bytes: &stored.bytes,
        })
    }

    /// One object as it is stored now.
    pub fn read(&self, id: ObjectId) -> Option<(Kind, &[u8])> {
        let stored = self.log.get(self.index.get(&id)?)?;
        Some((stored.kind, &stored.bytes))
    }

    /// The highest id that was ever stored or removed here; 0 when there was none.
    pub const fn highest_id(&self) -> u64 {
        self.highest
    }

    /// Operations and bytes that wait.
    pub const fn queued(&self) -> (usize, usize) {
        self.queued
    }

    /// A commit has failed for good: all answers are [`StoreError::Closed`] until a restart.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Starts a commit of what waits, unless one is under way.
    fn begin(&mut self, now: u64) {
        if self.commit.is_some() || self.queue.is_empty() {
            return;
        }
        let (mut ops, mut count) = (0, 0);
        for waiting in &self.queue {
            ops += waiting.request.ops.len();
            if count > 0 && ops > BATCH_OPS {
                break;
            }
            count += 1;
        }
        let (least, most) = self.faults.delay;
        let delay = least + self.draw() % (most.saturating_sub(least) + 1);
        self.commit = Some((count, self.stalled_until.max(now + delay)));
    }

    fn outcome(&mut self) -> Result<(), StoreError> {
        let roll = (self.draw() % 1_000) as u16;
        let chance = if roll < self.faults.closed_per_mille {
            Err(StoreError::Closed)
        } else if roll < self.faults.closed_per_mille + self.faults.full_per_mille {
            Err(StoreError::Full)
        } else {
            Ok(())
        };
        let outcome = self.script.pop_front().unwrap_or(chance);
        self.closed |= outcome == Err(StoreError::Closed);
        outcome
    }

    fn finish_one(&mut self, result: Result<(), StoreError>, deliver: &mut impl FnMut(u16, Reply)) {
        let Some(Waiting { origin, request, .. }) = self.queue.pop_front() else { return };
        self.queued.0 -= request.ops.len();
        self.queued.1 -= request.weight();
        if result.is_ok() {
            request.ops.into_iter().for_each(|op| self.apply(request.hash, op));
        }
        if let Some(token) = request.token {
            deliver(origin, Reply { token, result });
        }
    }

    fn apply(&mut self, hash: u64, op: Op) {
        let id = op.id();
        let before = self.index.remove(&id);
        match op {
            Op::Forget { .. } => {
                if let Some(sequence) = before {
                    self.live_bytes -= self.log.get(&sequence).map_or(0, |it| it.bytes.len());
                    self.ghosts.insert(id, sequence);
                }
                return;
            }
            Op::Put { kind, bytes, .. } => {
                self.sequence += 1;
                self.live_bytes += bytes.len();
                self.log.insert(self.sequence, Stored { id, hash, kind, bytes });
                self.index.insert(id, self.sequence);
            }
            Op::Remove { .. } => {}
        }
        self.highest = self.highest.max(id.0);
        if let Some(dead) = before {
            self.live_bytes -= self.log.remove(&dead).map_or(0, |stored| stored.bytes.len());
        }
        if let Some(dead) = self.ghosts.remove(&id) {
            self.log.remove(&dead);
        }
    }

    /// What the cleaner does that anyone can see: forgotten objects leave the log, oldest first.
    fn clean(&mut self, count: usize) {
        let mut oldest: Vec<_> =
            self.ghosts.iter().map(|(id, sequence)| (*sequence, *id)).collect();
        oldest.sort_unstable();
        for (sequence, id) in oldest.into_iter().take(count) {
            self.ghosts.remove(&id);
            self.log.remove(&sequence);
        }
    }

    /// SplitMix64: small, and the same for ever.
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
