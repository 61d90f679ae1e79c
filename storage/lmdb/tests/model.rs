//! The lane on LMDB and the lane in memory do the same, whatever fails.
//!
//! Random requests go to both. A fault is put before a step of the LMDB commit; what the lane then
//! answers is what the twin is told to answer, and both must hold the same objects ever after,
//! restarts included. Forgotten objects may come back at a restart until the cleaner has passed.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Random, Running, behind, contents, forget, put, remove, request};
use pharos_storage::memory::{Faults, MemoryLane};
use pharos_storage::{Op, Request, StoreError, Token};
use pharos_storage_lmdb::{Fault, Lanes, Options, Probe, Step};

const IDS: u64 = 60;

/// Fails every transaction at the armed step.
struct Armed(Arc<Mutex<Option<(Step, Fault)>>>);

impl Probe for Armed {
    fn step(&mut self, _lane: u16, step: Step) -> Result<(), Fault> {
        match *self.0.lock().unwrap() {
            Some((armed, fault)) if armed == step => Err(fault),
            _ => Ok(()),
        }
    }
}

struct Both<'d> {
    dir: &'d Path,
    /// Always there but in the middle of a restart.
    lmdb: Option<Running>,
    twin: MemoryLane,
    now: u64,
    armed: Arc<Mutex<Option<(Step, Fault)>>>,
    /// What must be there, and what may come back at a restart.
    live: BTreeMap<u64, Vec<u8>>,
    forgotten: BTreeMap<u64, Vec<u8>>,
    tokens: u64,
}

fn options(armed: &Arc<Mutex<Option<(Step, Fault)>>>) -> Options {
    let armed = Arc::clone(armed);
    Options {
        slack: 4_096,
        map_size: 64 << 20,
        probe: Some(Arc::new(move |_| Box::new(Armed(Arc::clone(&armed))))),
        ..Options::default()
    }
}

impl<'d> Both<'d> {
    fn new(dir: &'d Path, seed: u64) -> Self {
        let armed = Arc::default();
        let lmdb = Some(Running::open(dir, options(&armed)));
        let twin = MemoryLane::new(seed, Faults::default());
        let (live, forgotten) = (BTreeMap::new(), BTreeMap::new());
        Self { dir, lmdb, twin, now: 0, armed, live, forgotten, tokens: 0 }
    }

    fn lmdb(&self) -> &Running {
        self.lmdb.as_ref().unwrap()
    }

    fn request(&mut self, random: &mut Random) -> Request {
        self.tokens += 1;
        let ops: Vec<Op> = (0..1 + random.below(3)).map(|_| self.op(random)).collect();
        request(self.tokens, 1, ops)
    }

    fn op(&self, random: &mut Random) -> Op {
        let id = 1 + random.below(IDS);
        match random.below(10) {
            0 => remove(id),
            1 => forget(id),
            _ => {
                let length = [0, 30, 700, 1_500, 5_000][random.below(5) as usize];
                put(id, &random.bytes(length))
            }
        }
    }

    fn apply(&mut self, request: &Request) {
        for op in &request.ops {
            let id = op.id().0;
            match op {
                Op::Put { bytes, .. } => {
                    self.forgotten.remove(&id);
                    self.live.insert(id, bytes.to_vec());
                }
                Op::Remove { .. } => {
                    self.forgotten.remove(&id);
                    self.live.remove(&id);
                }
                Op::Forget { .. } => {
                    if let Some(bytes) = self.live.remove(&id) {
                        self.forgotten.insert(id, bytes);
                    }
                }
            }
        }
    }

    /// Lets the twin answer everything it has, and compares.
    fn twin_answers(&mut self) -> Vec<(Token, Result<(), StoreError>)> {
        let mut answers = Vec::new();
        while let Some(due) = self.twin.next_deadline() {
            self.now = due;
            self.twin.advance(due, |_, reply| answers.push((reply.token, reply.result)));
        }
        answers
    }

    fn one(&mut self, random: &mut Random, fault: Option<(Step, Fault)>) {
        let request = self.request(random);
        *self.armed.lock().unwrap() = fault;
        let result = self.lmdb().store(request.clone());
        *self.armed.lock().unwrap() = None;
        if let Some((Step::Append | Step::Commit, fault)) = fault {
            let expected = if fault == Fault::Full { StoreError::Full } else { StoreError::Closed };
            assert_eq!(result, Err(expected));
        }
        self.twin.script(result);
        let token = request.token.unwrap();
        self.twin.submit(self.now, 0, request.clone()).unwrap();
        assert_eq!(self.twin_answers(), [(token, result)]);
        if result.is_ok() {
            self.apply(&request);
        }
        // A cleaning of its own may have met the fault just after a commit that did not: whoever
        // asks next is told.
        let broken = matches!(fault, Some((_, Fault::Broken)));
        let nothing = common::request(token.0, 1, [forget(IDS + 1)]);
        if broken && self.lmdb().store(nothing) == Err(StoreError::Closed) {
            self.restart(false);
        }
    }

    fn burst(&mut self, random: &mut Random) {
        let requests: Vec<_> = (0..random.below(200)).map(|_| self.request(random)).collect();
        for request in &requests {
            let request = match random.below(8) {
                0 => behind(request.hash, request.ops.clone()),
                _ => request.clone(),
            };
            let promised = request.token.is_some();
            self.lmdb().submit(request.clone()).unwrap();
            self.twin.submit(self.now, 0, request.clone()).unwrap();
            self.apply(&request);
            if promised && random.below(4) == 0 {
                self.lmdb().settle();
            }
        }
        self.lmdb().settle();
        let answers: Vec<_> =
            self.lmdb().replies.try_iter().map(|it| (it.reply.token, it.reply.result)).collect();
        assert_eq!(answers, self.twin_answers());
    }

    fn restart(&mut self, clean: bool) {
        assert_eq!(self.lmdb.take().unwrap().close(), clean);
        self.twin.crash(false);
        let opened = Lanes::open(self.dir, options(&self.armed)).unwrap();
        assert_eq!((opened.clean(), opened.damaged()), (clean, 0));
        assert!(opened.highest_id() >= self.live.keys().copied().max().unwrap_or(0));
        let lmdb = contents(&opened);
        let twin: BTreeMap<_, _> =
            self.twin.objects().map(|object| (object.id.0, object.bytes.to_vec())).collect();
        for holds in [&lmdb, &twin] {
            for (id, bytes) in &self.live {
                assert_eq!(holds.get(id), Some(bytes), "object {id}");
            }
            for (id, bytes) in holds.iter().filter(|(id, _)| !self.live.contains_key(id)) {
                assert_eq!(self.forgotten.get(id), Some(bytes), "object {id}");
            }
        }
        self.lmdb = Some(Running::start(opened, common::RealClock::shared()));
        // Whoever restarted finds them expired and forgets them again.
        for id in self.forgotten.clone().into_keys() {
            self.tokens += 1;
            let again = request(self.tokens, 1, [forget(id)]);
            self.lmdb().store(again.clone()).unwrap();
            self.twin.submit(self.now, 0, again).unwrap();
        }
        self.twin_answers();
    }
}

#[test]
fn both_lanes_do_the_same_whatever_fails() {
    for seed in 1..=3 {
        let dir = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let mut both = Both::new(dir.path(), seed);
        for _ in 0..120 {
            let steps = [Step::Append, Step::Move, Step::Delete, Step::Commit];
            let step = steps[random.below(4) as usize];
            match random.below(20) {
                0..=6 => both.one(&mut random, None),
                7..=14 => both.one(&mut random, Some((step, Fault::Full))),
                15 => both.one(&mut random, Some((step, Fault::Broken))),
                16..=18 => both.burst(&mut random),
                _ => both.restart(true),
            }
        }
        both.burst(&mut random);
        both.restart(true);
        assert!(both.lmdb.unwrap().close());
    }
}
