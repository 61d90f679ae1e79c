//! The thread of a lane: gather, commit, reply.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crossbeam::sync::Parker;
use pharos_storage::limits::{BATCH_BYTES, BATCH_OPS};
use pharos_storage::{Reply, Request, StoreError};

use crate::behind::Behind;
use crate::clock::Clock;
use crate::gather::{Gather, Seen};
use crate::log::{Done, Failure, Log};
use crate::queue::{Queue, Queued};
use crate::stats::{Health, add};

/// A reply on its way to the shard that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// As it was handed to [`crate::Submitter::submit`].
    pub origin: u16,
    /// The answer.
    pub reply: Reply,
}

/// Takes the replies of a lane, on the lane's thread.
pub trait ReplySink: Send {
    /// The replies of one commit, in the order the requests came: once a batch, so that each
    /// receiver is woken once. Must not block for long: the lane waits.
    fn deliver(&mut self, replies: &[Delivery]);
}

/// Write-behind work waits this long for promised work to ride with, nanoseconds.
const BEHIND_WAIT: u64 = 50_000_000;

/// After a commit without room, write-behind work and idle cleaning wait this long, nanoseconds.
const FULL_PAUSE: u64 = 1_000_000_000;

pub(crate) struct Writer {
    pub(crate) lane: u16,
    pub(crate) queue: Arc<Queue>,
    pub(crate) parker: Parker,
    pub(crate) log: Log,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sink: Box<dyn ReplySink>,
    pub(crate) gather: Gather,
    pub(crate) work: Work,
}

/// What the thread holds between commits.
#[derive(Default)]
pub(crate) struct Work {
    /// What has just come out of the queue.
    taken: Vec<Queued>,
    promised: VecDeque<Queued>,
    behind: Behind,
    batch: Vec<Queued>,
    batch_ops: usize,
    batch_bytes: usize,
    answered: Answered,
    replies: Vec<Delivery>,
    paused_until: u64,
    places: u64,
}

/// What a commit has answered and its submitters have not been told yet.
#[derive(Default)]
struct Answered {
    /// Operations that are durable.
    stored: u64,
    /// Requests that failed.
    failed: u64,
    /// Operations and bytes of all of them.
    ops: u64,
    bytes: u64,
}

impl Writer {
    /// Works until the queue is closed and everything taken is answered. Gives the log back.
    pub(crate) fn run(mut self) -> Log {
        self.publish();
        loop {
            self.take_waiting();
            let now = self.clock.nanos();
            if self.is_due(now) {
                self.gather();
                self.fill_batch();
                self.commit();
                self.log.make_room();
            } else if self.is_finished() {
                return self.log;
            } else if self.may_clean(now) {
                self.commit();
            } else {
                self.sleep(now);
            }
        }
    }

    /// Moves what has come out of the shared queue, so that its order can be chosen.
    fn take_waiting(&mut self) {
        self.queue.take(&mut self.work.taken);
        for mut queued in self.work.taken.drain(..) {
            self.work.places += 1;
            queued.place = self.work.places;
            if queued.request.token.is_some() {
                self.work.promised.push_back(queued);
            } else {
                self.work.behind.push(queued);
            }
        }
        self.show_oldest();
    }

    /// Tells submitters how long the oldest of what was taken has waited.
    fn show_oldest(&mut self) {
        let behind = self.work.behind.oldest();
        let promised = self.work.promised.front().map(|queued| queued.since);
        let oldest = [behind, promised].into_iter().flatten().min();
        self.queue.stats.set_oldest(oldest);
    }

    /// There is something to commit now.
    fn is_due(&mut self, now: u64) -> bool {
        if !self.work.promised.is_empty() {
            return true;
        }
        let hurry = self.queue.is_closing() || self.is_closed();
        self.work.behind.oldest().is_some_and(|since| {
            hurry || (now.saturating_sub(since) >= BEHIND_WAIT && now >= self.work.paused_until)
        })
    }

    fn is_closed(&self) -> bool {
        self.queue.stats.health() == Health::Closed
    }

    fn is_finished(&mut self) -> bool {
        self.queue.is_closing() && self.work.behind.oldest().is_none()
    }

    fn may_clean(&self, now: u64) -> bool {
        !self.is_closed()
            && !self.queue.is_closing()
            && now >= self.work.paused_until
            && self.log.wants_cleaning()
    }

    fn sleep(&mut self, now: u64) {
        let due = self
            .work
            .behind
            .oldest()
            .map(|since| (since + BEHIND_WAIT).max(self.work.paused_until).saturating_sub(now));
        let clean = self.log.wants_cleaning() && !self.is_closed();
        let pause = clean.then(|| self.work.paused_until.saturating_sub(now));
        let timeout = [due, pause].into_iter().flatten().min();
        self.queue.sleep_idle(&self.parker, timeout.map(|nanos| Duration::from_nanos(nanos + 1)));
    }

    /// Lets the batch gather, as long as it is worth it.
    fn gather(&mut self) {
        let Some(first) = self.work.promised.front().map(|queued| queued.since) else { return };
        if self.queue.is_closing() || self.is_closed() {
            return;
        }
        let mut gather = self.gather;
        let seen = self.see();
        gather.gather(first, seen, BATCH_OPS, |more, nanos| {
            self.queue.sleep_gathering(&self.parker, more, Duration::from_nanos(nanos));
            self.take_waiting();
            self.see()
        });
        self.gather = gather;
    }

    fn see(&self) -> Seen {
        Seen { now: self.clock.nanos(), have: self.work.promised.len() }
    }

    /// Promised work first, each after what waited behind for the same AoR; then, when all of that
    /// is in, what is behind. Should promised work alone fill every batch, what is behind grows
    /// old, the lane counts as slow, and new work is refused until both are done.
    fn fill_batch(&mut self) {
        let waiting = self.work.promised.len();
        while !self.work.is_full()
            && let Some(queued) = self.work.promised.pop_front()
        {
            if !self.work.behind.is_empty() {
                let before = self.work.behind.take_before(queued.request.hash, queued.place);
                self.work.extend(before);
            }
            self.work.extend([queued]);
        }
        let now = self.clock.nanos();
        self.gather.closed(now, waiting - self.work.promised.len());
        let paused = now < self.work.paused_until && !self.queue.is_closing();
        while !paused && !self.work.is_full() && self.work.behind.oldest().is_some() {
            let oldest = self.work.behind.take_oldest();
            self.work.extend(oldest);
        }
    }

    fn commit(&mut self) {
        let clean = self.clock.nanos() >= self.work.paused_until;
        let result = if self.is_closed() {
            Err(StoreError::Closed)
        } else {
            self.try_commit(|_| true, clean)
        };
        match result {
            Ok(()) => self.answer(Ok(())),
            Err(StoreError::Full) => self.answer_full(),
            Err(error) => self.answer(Err(error)),
        }
        (self.work.batch_ops, self.work.batch_bytes) = (0, 0);
        self.publish();
    }

    /// No room: try without cleaning, which takes some for a while; then what only removes, since
    /// it makes room. What still fails is answered, but for write-behind work: that is tried later.
    fn answer_full(&mut self) {
        self.work.paused_until = self.clock.nanos() + FULL_PAUSE;
        if self.try_commit(|_| true, false).is_ok() {
            return self.answer(Ok(()));
        }
        let frees = |request: &Request| !request.stores();
        let some = self.work.batch.iter().any(|queued| frees(&queued.request));
        let freed = if some { self.try_commit(frees, false) } else { Err(StoreError::Full) };
        let closing = self.queue.is_closing();
        let mut kept = Vec::new();
        let mut batch = std::mem::take(&mut self.work.batch);
        for queued in batch.drain(..) {
            let result = if frees(&queued.request) { freed } else { Err(StoreError::Full) };
            let result = if self.is_closed() { Err(StoreError::Closed) } else { result };
            if queued.request.token.is_none() && result == Err(StoreError::Full) && !closing {
                kept.push(queued);
            } else {
                self.answer_one(&queued, result);
            }
        }
        self.work.batch = batch;
        self.work.behind.put_back(kept);
        self.deliver();
    }

    /// One transaction for the requests of the batch that are wanted.
    fn try_commit(
        &mut self,
        wanted: impl Fn(&Request) -> bool,
        clean: bool,
    ) -> Result<(), StoreError> {
        let stats = &self.queue.stats;
        let start = self.clock.nanos();
        let requests = self.work.batch.iter().map(|queued| &queued.request);
        let requests = requests.filter(|request| wanted(request));
        let result = self.log.commit(requests, self.clock.wall(), clean);
        let took = self.clock.nanos().saturating_sub(start);
        add(&stats.commit_nanos, took);
        stats.commit_nanos_max.fetch_max(took, Relaxed);
        match result {
            Ok(Done { appended, moved, freed }) => {
                add(&stats.commits, 1);
                add(&stats.appended, appended);
                add(&stats.moved, moved);
                add(&stats.freed, freed);
                if stats.health() == Health::Full {
                    tracing::info!(lane = self.lane, "the lane has room again");
                }
                stats.set_health(Health::Good);
                Ok(())
            }
            Err(failure) => Err(self.note(&failure)),
        }
    }

    fn note(&self, Failure { error, detail }: &Failure) -> StoreError {
        let stats = &self.queue.stats;
        add(&stats.failed_commits, 1);
        let before = stats.health();
        if *error == StoreError::Full {
            if before != Health::Full {
                tracing::warn!(lane = self.lane, %detail, "no room for a commit; it is undone");
            }
            stats.set_health(Health::Full);
            return StoreError::Full;
        }
        let lane = self.lane;
        tracing::error!(lane, %detail, "a commit failed; the lane is closed until restart");
        stats.set_health(Health::Closed);
        StoreError::Closed
    }

    fn answer(&mut self, result: Result<(), StoreError>) {
        let mut batch = std::mem::take(&mut self.work.batch);
        for queued in batch.drain(..) {
            self.answer_one(&queued, result);
        }
        self.work.batch = batch;
        self.deliver();
    }

    fn answer_one(&mut self, queued: &Queued, result: Result<(), StoreError>) {
        let request = &queued.request;
        let ops = request.ops.len() as u64;
        let done = &mut self.work.answered;
        match result {
            Ok(()) => done.stored += ops,
            Err(_) => done.failed += 1,
        }
        done.ops += ops;
        done.bytes += request.weight() as u64;
        if let Some(token) = request.token {
            let reply = Reply { token, result };
            self.work.replies.push(Delivery { origin: queued.origin, reply });
        }
    }

    /// The age goes first: who hears that the lane has caught up finds it so.
    fn deliver(&mut self) {
        let Answered { stored, failed, ops, bytes } = std::mem::take(&mut self.work.answered);
        add(&self.queue.stats.ops, stored);
        add(&self.queue.stats.failed, failed);
        self.queue.release(ops, bytes);
        self.show_oldest();
        if !self.work.replies.is_empty() {
            self.sink.deliver(&self.work.replies);
            self.work.replies.clear();
        }
    }

    /// Shows the sizes to whoever looks.
    fn publish(&self) {
        let stats = &self.queue.stats;
        let index = self.log.index();
        stats.objects.store(index.objects(), Relaxed);
        stats.live.store(index.live(), Relaxed);
        stats.log.store(self.log.bytes(), Relaxed);
    }
}

impl Work {
    fn is_full(&self) -> bool {
        self.batch_ops >= BATCH_OPS || self.batch_bytes >= BATCH_BYTES
    }

    fn extend(&mut self, requests: impl IntoIterator<Item = Queued>) {
        for queued in requests {
            self.batch_ops += queued.request.ops.len();
            self.batch_bytes += queued.request.weight();
            self.batch.push(queued);
        }
    }
}
