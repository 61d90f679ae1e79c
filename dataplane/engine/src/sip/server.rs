//! Non-INVITE server transactions (RFC 3261 17.2.2).
//!
//! One that waits for its answer keeps its key; one that is answered keeps key and answer for Timer
//! J (64*T1, RFC 3261 17.2.2) when it came by datagrams, and nothing when it came by a stream. The
//! retransmission brings everything else that the answer needs.

use hashbrown::HashTable;

use super::answer::{Answer, Packed};
use crate::chunks::Chunks;
use crate::index::Index;
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
    answer: Packed,
    /// When it may be forgotten, milliseconds of the monotonic clock, low 16 bits.
    end: u16,
}

const _: () = assert!(size_of::<Completed>() == 24);
// Ends are told from times passed by their difference.
const _: () = assert!(TRANSACTION_MS < 1 << 15);

/// The transactions of a shard. Answered ones are a queue, since all live equally long, with an
/// index of places by `merge`.
#[derive(Debug)]
pub(super) struct Servers {
    waiting: HashTable<TxnKey>,
    completed: Chunks<Completed>,
    /// When the last one was answered.
    last: Instant,
    /// Serial number of the queue's front.
    base: u32,
    index: Index,
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
            completed: Chunks::default(),
            last: Instant::default(),
            base: 0,
            index: Index::default(),
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
        for place in 0..self.completed.len() {
            let serial = self.base.wrapping_add(place as u32);
            assert!(self.index.find(self.merge_of(serial), |it| it == serial).is_some());
        }
    }

    /// What this request is.
    pub(super) fn find(&mut self, now: Instant, key: TxnKey) -> Match {
        self.expire(now);
        let hash = key.merge;
        if self.waiting.find(hash, |waiting| *waiting == key).is_some() {
            return Match::Waiting;
        }
        let same = |serial| self.entry(serial).is_some_and(|entry| entry.key == key);
        if let Some(entry) = self.index.find(hash, same).and_then(|serial| self.entry(serial)) {
            return Match::Answered(entry.answer.unpack());
        }
        let merged = |serial| self.entry(serial).is_some_and(|entry| entry.key.merge == hash);
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
        self.expire(now);
        self.last = now;
        let serial = self.base.wrapping_add(self.completed.len() as u32);
        let end = milliseconds(now + Span::millis(TRANSACTION_MS));
        self.completed.push_back(Completed { key, answer: Packed::of(answer), end });
        let Self { completed, index, base, .. } = self;
        index.insert(key.merge, serial, |serial| merge_of(completed, *base, serial));
    }

    /// Forget what has been kept long enough. Whether anything is left.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        if now - self.last >= Span::millis(TRANSACTION_MS) {
            // All of them: as after a flood that has ended.
            self.base = self.base.wrapping_add(self.completed.len() as u32);
            self.completed = Chunks::default();
            self.index.clear();
            return false;
        }
        // Serial arithmetic: ends are at most 32 s away from now.
        let over = |entry: &&Completed| milliseconds(now).wrapping_sub(entry.end) < 1 << 15;
        while let Some(entry) = self.completed.get(0).filter(over) {
            let merge = entry.key.merge;
            let Self { completed, index, base, .. } = self;
            index.remove(merge, *base, |serial| merge_of(completed, *base, serial));
            self.completed.pop_front();
            self.base = self.base.wrapping_add(1);
        }
        true
    }

    fn entry(&self, serial: u32) -> Option<&Completed> {
        self.completed.get(serial.wrapping_sub(self.base) as usize)
    }

    fn merge_of(&self, serial: u32) -> u64 {
        merge_of(&self.completed, self.base, serial)
    }
}

fn merge_of(completed: &Chunks<Completed>, base: u32, serial: u32) -> u64 {
    completed.get(serial.wrapping_sub(base) as usize).map_or(0, |entry| entry.key.merge)
}

/// Milliseconds of the monotonic clock, low 16 bits.
const fn milliseconds(at: Instant) -> u16 {
    (at.0 / 1_000_000) as u16
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

    /// The clock of ends wraps every 65 s.
    #[test]
    fn ends_are_told_apart_at_any_time() {
        let mut servers = Servers::default();
        for serial in 0..40_000_u64 {
            let now = at(serial * 7);
            servers.complete(now, key(serial, 0), Answer::status(200));
            let kept = 32_000_u64.div_ceil(7).min(serial + 1);
            assert_eq!(servers.len() as u64, kept, "{serial}");
        }
        servers.check();
        let end = 39_999 * 7;
        assert!(servers.expire(at(end + 31_999)));
        assert_eq!(servers.len(), 1);
        assert!(!servers.expire(at(end + 65_536)));
        assert_eq!((servers.len(), servers.index.len()), (0, 0));
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
        servers.check();
        assert_eq!(servers.find(at(32_000), key(999, 0)), Match::Answered(Answer::status(200)));
    }
}
