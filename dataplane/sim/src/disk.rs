//! The disk: storage lanes in memory, with the faults that [`pharos_storage::memory`] knows.

use pharos_engine::{Instant, Span};
use pharos_storage::memory::{Faults, MemoryLane};
use pharos_storage::{Kind, Object, ObjectId, Op, Reply, Request, StoreError, lane_of};

use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::setup::Setup;

/// All lanes of the data directory.
#[derive(Debug)]
pub struct Disk {
    lanes: Vec<MemoryLane>,
    faults: Faults,
    /// Replies that come at once.
    refused: Vec<(usize, Reply)>,
    /// A commit to come is to close its lane.
    closing: bool,
    pub(crate) now: Instant,
    random: Random,
    sabotage: Option<Sabotage>,
    /// The lanes before the last commit, where that is going to be lost.
    before: Vec<MemoryLane>,
}

/// An object as it is read back at start.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    id: ObjectId,
    pub(crate) hash: u64,
    kind: Kind,
    bytes: Box<[u8]>,
}

impl Kept {
    pub(crate) fn as_ref(&self) -> Object<'_> {
        Object { id: self.id, hash: self.hash, kind: self.kind, bytes: &self.bytes }
    }
}

impl Disk {
    pub(crate) fn new(setup: &Setup, seed: u64) -> Self {
        let delay = (setup.commit_time.0 / 2, setup.commit_time.0);
        let faults = Faults { delay, ..Faults::default() };
        let lane = |index| MemoryLane::new(seed.wrapping_add(index), faults);
        let lanes = (0..setup.lanes as u64).map(lane).collect();
        Self {
            lanes,
            faults,
            refused: Vec::new(),
            closing: false,
            now: Instant(0),
            random: Random::new(!seed),
            sabotage: setup.sabotage,
            before: Vec::new(),
        }
    }

    /// The next commit of every lane ends so.
    pub fn next_commit(&mut self, outcome: Result<(), StoreError>) {
        self.closing |= outcome == Err(StoreError::Closed);
        self.lanes.iter_mut().for_each(|lane| lane.script(outcome));
    }

    /// No commit returns before `span` has passed.
    pub fn stall(&mut self, span: Span) {
        let until = self.now + span;
        self.lanes.iter_mut().for_each(|lane| lane.stall(until.0));
    }

    /// Of 1000 commits so many find no room.
    pub fn full_per_mille(&mut self, full_per_mille: u16) {
        self.faults = Faults { full_per_mille, ..self.faults };
        self.lanes.iter_mut().for_each(|lane| lane.set_faults(self.faults));
    }

    /// A lane has failed for good and answers only after the next start, or its next commit is to
    /// fail so.
    pub fn is_closed(&self) -> bool {
        self.closing || self.lanes.iter().any(MemoryLane::is_closed)
    }

    /// How many objects of a kind it holds.
    pub fn count(&self, kind: Kind) -> usize {
        self.objects().iter().filter(|object| object.kind == kind).count()
    }

    pub(crate) fn submit(&mut self, now: Instant, shard: usize, request: Request) {
        self.now = now;
        let Some(request) = self.sabotaged(shard, request) else { return };
        let lanes = u16::try_from(self.lanes.len()).expect("few lanes");
        let lane = usize::from(lane_of(request.hash, lanes));
        let origin = u16::try_from(shard).expect("few shards");
        if let Err(refused) = self.lanes[lane].submit(now.0, origin, request)
            && let Some(token) = refused.request.token
        {
            self.refused.push((shard, Reply { token, result: Err(refused.error) }));
        }
    }

    /// When the next commit returns.
    pub(crate) fn next(&self) -> Option<Instant> {
        let refused = (!self.refused.is_empty()).then_some(self.now);
        let commits = self.lanes.iter().filter_map(MemoryLane::next_deadline).map(Instant);
        commits.chain(refused).min()
    }

    /// The replies that are due.
    pub(crate) fn replies(&mut self, now: Instant) -> Vec<(usize, Reply)> {
        self.now = now;
        if self.sabotage == Some(Sabotage::LoseAcknowledged) {
            self.before.clone_from(&self.lanes);
        }
        let mut due = std::mem::take(&mut self.refused);
        for lane in &mut self.lanes {
            lane.advance(now.0, |shard, reply| due.push((shard.into(), reply)));
        }
        due
    }

    /// Finish what was submitted, as a stop in order does.
    pub(crate) fn sync(&mut self) {
        for lane in &mut self.lanes {
            while let Some(ready) = lane.next_deadline() {
                lane.advance(ready, |_, _| {});
            }
        }
    }

    /// The process dies. In one of two cases the commit under way had reached the disk.
    pub(crate) fn crash(&mut self) {
        self.refused.clear();
        self.closing = false;
        if !self.before.is_empty() {
            self.lanes = std::mem::take(&mut self.before);
        }
        for lane in &mut self.lanes {
            lane.crash(self.random.chance(50));
        }
    }

    /// The request as the lanes get it, when the world breaks a promise of theirs.
    fn sabotaged(&mut self, shard: usize, mut request: Request) -> Option<Request> {
        match self.sabotage {
            Some(Sabotage::AnswerBeforeCommit) => {
                let token = request.token.take();
                self.refused.extend(token.map(|token| (shard, Reply { token, result: Ok(()) })));
            }
            Some(Sabotage::NeverWrite) => {
                let token = request.token.take();
                self.refused.extend(token.map(|token| (shard, Reply { token, result: Ok(()) })));
                return None;
            }
            Some(Sabotage::KeepForgotten) => {
                let forgets = |op: &Op| matches!(op, Op::Forget { .. } | Op::Remove { .. });
                if request.ops.iter().all(forgets) {
                    let token = request.token.take();
                    let done = token.map(|token| (shard, Reply { token, result: Ok(()) }));
                    self.refused.extend(done);
                    return None;
                }
            }
            _ => {}
        }
        Some(request)
    }

    pub(crate) fn objects(&self) -> Vec<Kept> {
        let keep = |object: Object<'_>| Kept {
            id: object.id,
            hash: object.hash,
            kind: object.kind,
            bytes: object.bytes.into(),
        };
        self.lanes.iter().flat_map(MemoryLane::objects).map(keep).collect()
    }

    pub(crate) fn highest(&self) -> u64 {
        self.lanes.iter().map(MemoryLane::highest_id).max().unwrap_or(0)
    }
}
