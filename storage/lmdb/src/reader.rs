//! Reads objects for delivery on a thread of its own, so that the writer never waits for a page.

use std::sync::{Arc, PoisonError};

use crossbeam::channel::Receiver;
use heed::{RoTxn, WithoutTls};
use pharos_storage::{Kind, ObjectId, Token};

use crate::clock::Clock;
use crate::entry::Entry;
use crate::env::LaneEnv;
use crate::log::SharedIndex;

/// A read transaction keeps pages that the cleaner gives back; it ends after so many records,
pub(crate) const STEP_RECORDS: usize = 1_000;
/// or after so many nanoseconds.
pub(crate) const STEP_NANOS: u64 = 50_000_000;

/// How often a record that moves away is looked for again. Each time a commit fell between two
/// instructions, so a second time is already rare.
const TRIES: usize = 1_000;

/// Asks a lane for objects; each comes back on its own, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// The asker, handed back.
    pub origin: u16,
    /// Handed back with each object.
    pub token: Token,
    /// The objects' AoR hash: it chooses the lane.
    pub hash: u64,
    /// Which objects, at most [`crate::READ_OBJECTS`].
    pub ids: Vec<ObjectId>,
}

/// One object of a [`Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The asker.
    pub origin: u16,
    /// The read's.
    pub token: Token,
    /// Which object.
    pub id: ObjectId,
    /// Its newest durable version; `None` when it is gone or could not be read.
    pub object: Option<(Kind, Box<[u8]>)>,
}

/// Takes what was read, on the reader's thread.
pub trait ReadSink: Send {
    /// The objects of one step, in order; called once a step.
    fn deliver(&mut self, found: Vec<Found>);
}

pub(crate) struct Reader {
    pub(crate) env: LaneEnv,
    pub(crate) index: SharedIndex,
    pub(crate) asked: Receiver<Read>,
    /// Disconnected when the lanes stop.
    pub(crate) quit: Receiver<()>,
    pub(crate) sink: Box<dyn ReadSink>,
    pub(crate) clock: Arc<dyn Clock>,
}

enum Lookup {
    Here(Kind, Box<[u8]>),
    Gone,
    /// The index is a commit behind our transaction: the record has just moved.
    Moved,
}

impl Reader {
    /// Works until the lanes stop.
    pub(crate) fn run(mut self) {
        while let Some(read) = self.next() {
            let mut rest = &read.ids[..];
            while !rest.is_empty() {
                let (found, taken) = self.step(&read, rest);
                self.sink.deliver(found);
                rest = &rest[taken..];
            }
        }
    }

    fn next(&self) -> Option<Read> {
        crossbeam::select! {
            recv(self.asked) -> read => read.ok(),
            recv(self.quit) -> _ => None,
        }
    }

    /// One short transaction.
    fn step(&self, read: &Read, ids: &[ObjectId]) -> (Vec<Found>, usize) {
        let found = |id, object| Found { origin: read.origin, token: read.token, id, object };
        let start = self.clock.nanos();
        let mut objects = Vec::new();
        let Ok(mut txn) = self.env.read() else {
            return (vec![found(ids[0], None)], 1);
        };
        for &id in ids.iter().take(STEP_RECORDS) {
            let mut object = None;
            for _ in 0..TRIES {
                match self.lookup(&txn, id) {
                    Lookup::Here(kind, bytes) => object = Some((kind, bytes)),
                    Lookup::Gone => {}
                    Lookup::Moved => {
                        std::thread::yield_now();
                        drop(txn);
                        let Ok(again) = self.env.read() else {
                            objects.push(found(id, None));
                            let taken = objects.len();
                            return (objects, taken);
                        };
                        txn = again;
                        continue;
                    }
                }
                break;
            }
            objects.push(found(id, object));
            if self.clock.nanos().saturating_sub(start) >= STEP_NANOS {
                break;
            }
        }
        let taken = objects.len();
        (objects, taken)
    }

    fn lookup(&self, txn: &RoTxn<'_, WithoutTls>, id: ObjectId) -> Lookup {
        let place = self.index.read().unwrap_or_else(PoisonError::into_inner).get(id);
        let Some(place) = place else { return Lookup::Gone };
        let Ok(Some(value)) = self.env.log.get(txn, &place.sequence) else { return Lookup::Moved };
        match Entry::read(value) {
            Some(Entry::Object(object)) if object.id == id => {
                Lookup::Here(object.kind, object.bytes.into())
            }
            _ => Lookup::Gone,
        }
    }
}
