//! Non-INVITE server transactions (RFC 3261 17.2.2).
//!
//! One that waits for its answer keeps its key; one that is answered keeps key and answer for Timer
//! J (64*T1, RFC 3261 17.2.2) when it came by datagrams, and nothing when it came by a stream. The
//! retransmission brings everything else that the answer needs.

use alloc::collections::VecDeque;

use hashbrown::HashTable;

use super::Answer;
use crate::limits::{COMPLETED_MAX, DEFERRED_MAX, TRANSACTION_MS};
use crate::wire::TxnKey;
use crate::{Instant, Span};

/// What a request is to the transactions there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// Nothing like it.
    New,
    /// A retransmission of one that waits for its answer: absorb it (17.2.2).
    Waiting,
    /// A retransmission of one that was answered: the same answer again (17.2.2).
    Answered(Answer),
    /// Call-ID, From tag and CSeq of a transaction, but another branch (8.2.2.2).
    Merged,
}

/// An answered transaction.
#[derive(Clone, Copy, Debug)]
struct Completed {
    key: TxnKey,
    answer: Answer,
    /// When it may be forgotten, milliseconds of the monotonic clock, low 32 bits.
    end: u32,
}

const _: () = assert!(size_of::<Completed>() <= 48);

/// The transactions of a shard. Answered ones are a queue, since all live equally long, with an
/// index of places by `merge`.
#[derive(Debug)]
pub(super) struct Servers {
    waiting: HashTable<TxnKey>,
    completed: VecDeque<Completed>,
    /// Serial number of the queue's front.
    base: u32,
    index: HashTable<u32>,
    max: usize,
}

impl Default for Servers {
    fn default() -> Self {
        Self::new(COMPLETED_MAX)
    }
}

impl Servers {
    fn new(max: usize) -> Self {
        Self {
            waiting: HashTable::new(),
            // All at once: growing would copy tens of megabytes in the middle of the traffic. What
            // is not used yet is address space alone.
            completed: VecDeque::with_capacity(max),
            base: 0,
            index: HashTable::with_capacity(max),
            max,
        }
    }

    /// Number of transactions.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.completed.len()
    }

    /// Number of transactions without an answer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// No further transaction can be taken on.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= DEFERRED_MAX || self.len() >= self.max
    }

    /// The index has one entry for each answered transaction, which leads to it.
    pub(super) fn check(&self) {
        assert_eq!(self.index.len(), self.completed.len());
        assert!(self.completed.len() <= self.max);
        for (place, entry) in self.completed.iter().enumerate() {
            let serial = self.base.wrapping_add(place as u32);
            assert!(self.index.find(entry.key.merge, |it| *it == serial).is_some());
        }
    }

    /// What this request is.
    pub(super) fn find(&mut self, now: Instant, key: TxnKey) -> Match {
        self.expire(now);
        let hash = key.merge;
        if self.waiting.find(hash, |waiting| *waiting == key).is_some() {
            return Match::Waiting;
        }
        let (base, completed) = (self.base, &self.completed);
        let at = |serial: &u32| completed.get(serial.wrapping_sub(base) as usize);
        let same = |serial: &u32| at(serial).is_some_and(|entry| entry.key == key);
        if let Some(entry) = self.index.find(hash, same).and_then(at) {
            return Match::Answered(entry.answer);
        }
        let merged = |serial: &u32| at(serial).is_some_and(|entry| entry.key.merge == hash);
        if self.waiting.find(hash, |waiting| waiting.merge == hash).is_some()
            || self.index.find(hash, merged).is_some()
        {
            return Match::Merged;
        }
        Match::New
    }

    /// The request waits for its answer.
    pub(super) fn wait(&mut self, key: TxnKey) {
        self.waiting.insert_unique(key.merge, key, |key| key.merge);
    }

    /// The request waits no more. Whether it did.
    pub(super) fn forget(&mut self, key: TxnKey) -> bool {
        self.waiting
            .find_entry(key.merge, |waiting| *waiting == key)
            .map(|entry| entry.remove())
            .is_ok()
    }

    /// The request was answered over datagrams: keep the answer.
    pub(super) fn complete(&mut self, now: Instant, key: TxnKey, answer: Answer) {
        let end = (now + Span::millis(TRANSACTION_MS)).0 / 1_000_000;
        let serial = self.base.wrapping_add(self.completed.len() as u32);
        self.completed.push_back(Completed { key, answer, end: end as u32 });
        let (base, completed) = (self.base, &self.completed);
        self.index.insert_unique(key.merge, serial, |serial| {
            let entry = completed.get(serial.wrapping_sub(base) as usize);
            entry.map_or(0, |entry| entry.key.merge)
        });
    }

    fn expire(&mut self, now: Instant) {
        let now = (now.0 / 1_000_000) as u32;
        // Serial arithmetic: ends are at most 32 s away from now.
        let over = |entry: &Completed| (now.wrapping_sub(entry.end) as i32) >= 0;
        while let Some(entry) = self.completed.front().copied().filter(over) {
            let base = self.base;
            if let Ok(found) = self.index.find_entry(entry.key.merge, |serial| *serial == base) {
                found.remove();
            }
            self.completed.pop_front();
            self.base = base.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(merge: u64, branch: u64) -> TxnKey {
        TxnKey { merge, branch }
    }

    fn at(ms: u64) -> Instant {
        Instant::default() + Span::millis(ms)
    }

    #[test]
    fn an_answer_is_kept_for_timer_j_and_not_longer() {
        let mut servers = Servers::default();
        let ok = Answer::status(200);
        servers.complete(at(5), key(1, 1), ok);
        assert_eq!(servers.find(at(5), key(1, 1)), Match::Answered(ok));
        assert_eq!(servers.find(at(32_004), key(1, 1)), Match::Answered(ok));
        assert_eq!(servers.find(at(32_005), key(1, 1)), Match::New);
        assert_eq!(servers.len(), 0);
    }

    /// RFC 3261 8.2.2.2
    #[test]
    fn another_branch_of_a_waiting_or_answered_request_is_merged() {
        let mut servers = Servers::default();
        servers.wait(key(1, 1));
        assert_eq!(servers.find(at(0), key(1, 1)), Match::Waiting);
        assert_eq!(servers.find(at(0), key(1, 2)), Match::Merged);
        assert!(servers.forget(key(1, 1)));
        assert!(!servers.forget(key(1, 1)));
        assert_eq!(servers.find(at(0), key(1, 2)), Match::New);
        servers.complete(at(0), key(1, 1), Answer::status(202));
        assert_eq!(servers.find(at(0), key(1, 2)), Match::Merged);
    }

    #[test]
    fn two_in_dialog_requests_may_share_the_merge_key() {
        let mut servers = Servers::default();
        servers.complete(at(0), key(1, 1), Answer::status(200));
        servers.complete(at(1), key(1, 2), Answer::status(481));
        assert_eq!(servers.find(at(1), key(1, 1)), Match::Answered(Answer::status(200)));
        assert_eq!(servers.find(at(1), key(1, 2)), Match::Answered(Answer::status(481)));
        assert_eq!(servers.find(at(32_000), key(1, 2)), Match::Answered(Answer::status(481)));
        assert_eq!(servers.find(at(32_000), key(1, 1)), Match::Merged);
    }

    #[test]
    fn a_full_table_says_so_until_time_frees_it() {
        let mut servers = Servers::new(1_000);
        for serial in 0..1_000 {
            servers.complete(at(serial), key(serial, 0), Answer::status(200));
        }
        assert!(servers.is_full());
        assert_eq!(servers.find(at(999), key(0, 0)), Match::Answered(Answer::status(200)));
        assert_eq!(servers.find(at(32_000), key(0, 0)), Match::New);
        assert!(!servers.is_full());
        assert_eq!(servers.find(at(32_000), key(999, 0)), Match::Answered(Answer::status(200)));
    }
}
