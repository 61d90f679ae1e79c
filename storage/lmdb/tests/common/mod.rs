//! A running set of lanes for the tests: real clock, replies on a channel.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, Sender, unbounded};
use pharos_storage::{Kind, ObjectId, Op, Reply, Request, StoreError, Token};
use pharos_storage_lmdb::{
    Clock, Delivery, Found, Lanes, Opened, Options, ReadSink, ReplySink, Submitter,
};

/// Long enough for any commit of a test on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The machine's clocks.
pub(crate) struct RealClock(Instant);

impl RealClock {
    #[expect(clippy::disallowed_methods, reason = "these tests run against the real disk")]
    pub(crate) fn shared() -> Arc<dyn Clock> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for RealClock {
    fn nanos(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    #[expect(clippy::disallowed_methods, reason = "these tests run against the real disk")]
    fn wall(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        since.as_millis() as u64
    }
}

struct Replies(Sender<Delivery>);

impl ReplySink for Replies {
    fn deliver(&mut self, replies: &[Delivery]) {
        for &reply in replies {
            let _ = self.0.send(reply);
        }
    }
}

struct Bodies(Sender<Found>);

impl ReadSink for Bodies {
    fn deliver(&mut self, found: Vec<Found>) {
        for one in found {
            let _ = self.0.send(one);
        }
    }
}

/// Lanes at work.
pub(crate) struct Running {
    pub(crate) lanes: Lanes,
    pub(crate) submitter: Submitter,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) replies: Receiver<Delivery>,
    pub(crate) bodies: Receiver<Found>,
}

impl Running {
    pub(crate) fn open(dir: &Path, options: Options) -> Self {
        Self::start(Lanes::open(dir, options).unwrap(), RealClock::shared())
    }

    pub(crate) fn start(opened: Opened, clock: Arc<dyn Clock>) -> Self {
        let (reply, replies) = unbounded();
        let (body, bodies) = unbounded();
        let lanes = opened
            .start(&clock, &mut |_| {
                (Box::new(Replies(reply.clone())), Box::new(Bodies(body.clone())))
            })
            .unwrap();
        Self { submitter: lanes.submitter(), lanes, clock, replies, bodies }
    }

    pub(crate) fn submit(&self, request: Request) -> Result<(), StoreError> {
        self.submitter.submit(self.clock.nanos(), 5, request).map_err(|refused| refused.error)
    }

    /// Submits and waits for the answer; an error may come from either.
    pub(crate) fn store(&self, request: Request) -> Result<(), StoreError> {
        let token = request.token;
        self.submit(request)?;
        let reply = self.reply();
        assert_eq!(Some(reply.token), token);
        reply.result
    }

    pub(crate) fn reply(&self) -> Reply {
        let delivery = self.replies.recv_timeout(PATIENCE).expect("a reply in time");
        assert_eq!(delivery.origin, 5);
        delivery.reply
    }

    /// Waits until nothing is queued.
    pub(crate) fn settle(&self) {
        for _ in 0..60_000 {
            let now = self.clock.nanos();
            if self.submitter.stats().all(|stats| stats.snapshot(now).queued_ops == 0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("the lanes do not settle");
    }

    pub(crate) fn close(self) -> bool {
        drop(self.submitter);
        self.lanes.close(PATIENCE).unwrap()
    }
}

/// One request for one AoR hash.
pub(crate) fn request(token: u64, hash: u64, ops: impl IntoIterator<Item = Op>) -> Request {
    Request { token: Some(Token(token)), hash, ops: ops.into_iter().collect() }
}

/// The same that promises nothing.
pub(crate) fn behind(hash: u64, ops: impl IntoIterator<Item = Op>) -> Request {
    Request { token: None, ..request(0, hash, ops) }
}

pub(crate) fn put(id: u64, bytes: &[u8]) -> Op {
    Op::Put { id: ObjectId(id), kind: Kind::Body, bytes: bytes.into() }
}

pub(crate) fn remove(id: u64) -> Op {
    Op::Remove { id: ObjectId(id) }
}

pub(crate) fn forget(id: u64) -> Op {
    Op::Forget { id: ObjectId(id) }
}

/// What a directory holds: id to bytes.
pub(crate) fn contents(opened: &Opened) -> BTreeMap<u64, Vec<u8>> {
    let mut all = BTreeMap::new();
    opened
        .objects(|object| {
            let before = all.insert(object.id.0, object.bytes.to_vec());
            assert_eq!(before, None, "object {} twice", object.id.0);
        })
        .unwrap();
    all
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}
