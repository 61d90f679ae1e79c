//! A shard's way to its storage lanes and back.
//!
//! Replies come from the lanes' threads, a batch for each commit, and ring the shard's bell once. A
//! refusal is answered at once. What asked for no answer (write-behind, forgotten objects) and was
//! refused because the lane is behind is kept, in order, and tried again; while anything is kept,
//! new promised work is refused as the lane would have done, so that no older version overtakes a
//! newer.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam::queue::SegQueue;
use pharos_engine::{Instant, Span};
use pharos_storage::{Reply, Request, StoreError};
use pharos_storage_lmdb::{Delivery, Found, ReadSink, ReplySink, Submitter};

use crate::clock::Clock;
use crate::counters::Counters;
use crate::doorbell::Bell;

/// Requests without an answer that wait for a lane that is behind: as many as a lane's queue holds.
const KEPT: usize = 65_536;
/// Time until they are tried again.
const AGAIN: Span = Span::millis(20);

/// Where the replies for one shard arrive. Its length is bounded by the tokens that the shard has
/// outstanding, which the lanes' queues bound.
pub(crate) type Replies = SegQueue<Reply>;

/// One shard's side.
pub(crate) struct LaneLink {
    shard: u16,
    /// `None`: nothing is kept, everything succeeds.
    lanes: Option<Submitter>,
    replies: Arc<Replies>,
    /// Answers that need no lane.
    at_once: VecDeque<Reply>,
    kept: VecDeque<Request>,
    again: Instant,
    counters: Arc<Counters>,
}

impl LaneLink {
    /// The link of `shard`; `lanes` is `None` for a store in memory.
    pub(crate) fn new(
        shard: u16,
        lanes: Option<Submitter>,
        replies: Arc<Replies>,
        counters: Arc<Counters>,
    ) -> Self {
        let (at_once, kept, again) = (VecDeque::new(), VecDeque::new(), Instant(0));
        Self { shard, lanes, replies, at_once, kept, again, counters }
    }

    /// Hand a request to the lane of its hash.
    pub(crate) fn submit(&mut self, now: Instant, request: Request) {
        let Some(lanes) = &self.lanes else {
            self.answer(&request, Ok(()));
            return;
        };
        if !self.kept.is_empty() {
            if request.token.is_some() {
                self.answer(&request, Err(StoreError::Busy));
            } else {
                self.keep(request);
            }
            return;
        }
        let Err(refused) = lanes.submit(now.0, self.shard, request) else { return };
        if refused.request.token.is_some() {
            self.answer(&refused.request, Err(refused.error));
        } else if refused.error == StoreError::Busy {
            self.again = now + AGAIN;
            self.keep(refused.request);
        } else {
            self.counters.stores_lost.add(1);
        }
    }

    fn answer(&mut self, request: &Request, result: Result<(), StoreError>) {
        if let Some(token) = request.token {
            self.at_once.push_back(Reply { token, result });
        }
    }

    fn keep(&mut self, request: Request) {
        if self.kept.len() < KEPT {
            self.kept.push_back(request);
        } else {
            self.counters.stores_lost.add(1);
        }
    }

    /// Try again what is kept, when it is time.
    pub(crate) fn retry(&mut self, now: Instant) {
        if self.kept.is_empty() || now < self.again {
            return;
        }
        let Some(lanes) = &self.lanes else { return };
        self.again = now + AGAIN;
        while let Some(request) = self.kept.pop_front() {
            let Err(refused) = lanes.submit(now.0, self.shard, request) else { continue };
            if refused.error == StoreError::Busy {
                self.kept.push_front(refused.request);
                return;
            }
            self.counters.stores_lost.add(1);
        }
    }

    /// When [`LaneLink::retry`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        (!self.kept.is_empty()).then_some(self.again)
    }

    /// The next reply.
    pub(crate) fn take(&mut self) -> Option<Reply> {
        self.at_once.pop_front().or_else(|| self.replies.pop())
    }

    /// True when [`LaneLink::take`] would find nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.at_once.is_empty() && self.replies.is_empty()
    }

    /// True when nothing waits to be handed to a lane.
    pub(crate) fn is_flushed(&self) -> bool {
        self.kept.is_empty()
    }
}

/// Takes the replies of one lane to the shards that asked.
pub(crate) struct Postman {
    /// Queue and bell by shard.
    shards: Vec<(Arc<Replies>, Arc<Bell>)>,
    touched: Vec<bool>,
}

impl Postman {
    /// One for each lane.
    pub(crate) fn new(shards: Vec<(Arc<Replies>, Arc<Bell>)>) -> Self {
        Self { touched: vec![false; shards.len()], shards }
    }
}

impl ReplySink for Postman {
    fn deliver(&mut self, replies: &[Delivery]) {
        for delivery in replies {
            let shard = usize::from(delivery.origin);
            self.shards[shard].0.push(delivery.reply);
            self.touched[shard] = true;
        }
        for (touched, (_, bell)) in self.touched.iter_mut().zip(&self.shards) {
            if std::mem::take(touched) {
                bell.ring();
            }
        }
    }
}

/// Nobody reads objects back while the server runs: every document lives in its shard's memory.
pub(crate) struct NoReads;

impl ReadSink for NoReads {
    fn deliver(&mut self, _: Vec<Found>) {}
}

impl pharos_storage_lmdb::Clock for Clock {
    fn nanos(&self) -> u64 {
        self.instant().0
    }

    fn wall(&self) -> u64 {
        Self::wall(self).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_engine::Wall;
    use pharos_storage::{Kind, ObjectId, Op, Token};
    use pharos_storage_lmdb::{Lanes, Options};

    fn request(token: Option<u64>, id: u64) -> Request {
        let bytes = vec![7; 100].into();
        let put = Op::Put { id: ObjectId(id), kind: Kind::Body, bytes };
        Request { token: token.map(Token), hash: id << 56, ops: [put].into_iter().collect() }
    }

    #[test]
    fn memory_answers_at_once_and_only_who_asked() {
        let mut link = LaneLink::new(0, None, Arc::default(), Arc::default());
        link.submit(Instant(0), request(Some(1), 1));
        link.submit(Instant(0), request(None, 2));
        assert_eq!(link.take(), Some(Reply { token: Token(1), result: Ok(()) }));
        assert!(link.take().is_none() && link.is_flushed());
    }

    /// Real lanes: the reply finds the shard that asked and rings its bell; after a close
    /// everything is refused, promised work with an answer.
    #[test]
    fn replies_find_their_shard_and_wake_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { lanes: Some(2), map_size: 64 << 20, ..Options::default() };
        let opened = Lanes::open(folder.path(), options).expect("opened");
        let shards: Vec<(Arc<Replies>, Arc<Bell>)> =
            (0..2).map(|_| (Arc::default(), Arc::new(Bell::new().expect("eventfd")))).collect();
        let clock: Arc<dyn pharos_storage_lmdb::Clock> = Arc::new(Clock::new(Wall(0)));
        let lanes = opened
            .start(&clock, &mut |_| (Box::new(Postman::new(shards.clone())), Box::new(NoReads)))
            .expect("started");
        let (replies, bell) = shards[1].clone();
        let mut link = LaneLink::new(1, Some(lanes.submitter()), replies, Arc::default());
        bell.lie_down();
        for n in 0..100 {
            link.submit(Instant(clock.nanos()), request(Some(n), n));
        }
        let mut seen = Vec::new();
        for _ in 0..2_000 {
            while let Some(reply) = link.take() {
                assert_eq!(reply.result, Ok(()));
                seen.push(reply.token.0);
            }
            if seen.len() == 100 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100), "each once");
        let mut count = [0; 8];
        let mut rung = std::fs::File::from(bell.fd().try_clone_to_owned().expect("a copy"));
        std::io::Read::read_exact(&mut rung, &mut count).expect("rung");
        assert!(shards[0].0.is_empty(), "nothing for the other shard");
        assert!(lanes.close(std::time::Duration::from_secs(5)).expect("closed"));
        link.submit(Instant(clock.nanos()), request(Some(7), 7));
        let refused = Reply { token: Token(7), result: Err(StoreError::Closed) };
        assert_eq!(link.take(), Some(refused));
        link.submit(Instant(clock.nanos()), request(None, 7));
        assert_eq!(link.counters.stores_lost.get(), 1);
    }
}
