//! Reads a lane that another process may be writing: never long enough to keep its pages.

use std::path::Path;

use hashbrown::HashMap;
use heed::{RoTxn, WithoutTls};
use pharos_storage::{Object, ObjectId};

use super::ToolError;
use crate::directory::lane_folder;
use crate::entry::Entry;
use crate::env::LaneEnv;
use crate::error::OpenError;
use crate::index::Mix;
use crate::reader::STEP_RECORDS;

/// A read transaction ends after so many bytes too, whatever they are worth in time: copied out of
/// memory they take a few milliseconds, from a slow disk some fifty.
const STEP_BYTES: usize = 4 << 20;

/// A lane with what its log said so far.
pub(super) struct Follower {
    lane: LaneEnv,
    next: u64,
    current: HashMap<u64, u64, Mix>,
}

/// What [`Follower::step`] shows of a record: its key, its length, and what it says.
pub(super) type Seen<'s> = &'s mut dyn FnMut(u64, usize, Option<Entry<'_>>);

/// An object as it was at the moment of its step.
pub(super) struct Copied {
    pub(super) sequence: u64,
    pub(super) id: ObjectId,
    pub(super) hash: u64,
    pub(super) kind: pharos_storage::Kind,
    pub(super) bytes: Box<[u8]>,
    /// What the caller wanted beside it, of the same moment.
    pub(super) related: Option<Box<[u8]>>,
}

impl Follower {
    /// Opens a lane; `None` when nothing was ever stored in it.
    pub(super) fn open(dir: &Path, lane: u16) -> Result<Option<Self>, ToolError> {
        let folder = lane_folder(dir, lane);
        let opened = LaneEnv::open_read_only(&folder);
        let env = opened.map_err(|error| OpenError::lane(&folder, &error))?;
        Ok(env.map(|lane| Self { lane, next: 0, current: HashMap::default() }))
    }

    /// Reads on to the end of the log, step by step, and shows every record on the way.
    pub(super) fn catch_up(&mut self, seen: Seen<'_>) -> Result<(), ToolError> {
        let env = self.lane.env.clone();
        loop {
            let txn = env.read_txn()?;
            if !self.step(&txn, STEP_BYTES, seen)? {
                return Ok(());
            }
        }
    }

    /// Reads on within a transaction; `true` when there may be more.
    fn step(
        &mut self,
        txn: &RoTxn<'_, WithoutTls>,
        limit: usize,
        seen: Seen<'_>,
    ) -> Result<bool, ToolError> {
        let mut bytes = 0;
        for (count, record) in self.lane.log.range(txn, &(self.next..))?.enumerate() {
            if count == STEP_RECORDS || bytes >= limit {
                return Ok(true);
            }
            let (sequence, value) = record?;
            let entry = Entry::read(value);
            match entry {
                Some(Entry::Object(Object { id, .. })) => {
                    self.current.insert(id.0, sequence);
                }
                Some(Entry::Tombstone { id, .. }) => {
                    self.current.remove(&id.0);
                }
                Some(Entry::Mark { .. }) | None => {}
            }
            seen(sequence, value.len(), entry);
            bytes += value.len();
            self.next = sequence + 1;
        }
        Ok(false)
    }

    /// The objects that were there when this was called and still are, in log order, each as it is
    /// in the transaction that reads it. `related` may name another object to read in the same
    /// transaction. Nothing is open while `each` runs.
    pub(super) fn objects(
        &mut self,
        related: &dyn Fn(&Object<'_>) -> Option<ObjectId>,
        each: &mut dyn FnMut(&Self, Copied) -> Result<(), ToolError>,
    ) -> Result<(), ToolError> {
        self.catch_up(&mut |_, _, _| {})?;
        let mut ids: Vec<_> = self.current.iter().map(|(&id, &at)| (at, ObjectId(id))).collect();
        ids.sort_unstable();
        let mut rest = &ids[..];
        while !rest.is_empty() {
            let (copied, taken) = self.copy_step(rest, related)?;
            rest = &rest[taken..];
            for object in copied {
                each(self, object)?;
            }
        }
        Ok(())
    }

    fn copy_step(
        &mut self,
        ids: &[(u64, ObjectId)],
        related: &dyn Fn(&Object<'_>) -> Option<ObjectId>,
    ) -> Result<(Vec<Copied>, usize), ToolError> {
        let env = self.lane.env.clone();
        self.catch_up(&mut |_, _, _| {})?;
        let txn = env.read_txn()?;
        // What was committed between the two lines above: little, and this transaction's own truth.
        while self.step(&txn, usize::MAX, &mut |_, _, _| {})? {}
        let (mut copied, mut bytes, mut taken) = (Vec::new(), 0, 0);
        for &(_, id) in ids.iter().take(STEP_RECORDS) {
            if bytes >= STEP_BYTES {
                break;
            }
            taken += 1;
            let Some((sequence, object)) = self.lookup(&txn, id)? else { continue };
            let other: Option<Box<[u8]>> = match related(&object) {
                Some(other) => self.lookup(&txn, other)?.map(|(_, object)| object.bytes.into()),
                None => None,
            };
            bytes += object.bytes.len() + other.as_deref().map_or(0, <[u8]>::len);
            copied.push(Copied {
                sequence,
                id,
                hash: object.hash,
                kind: object.kind,
                bytes: object.bytes.into(),
                related: other,
            });
        }
        Ok((copied, taken))
    }

    fn lookup<'t>(
        &self,
        txn: &'t RoTxn<'_, WithoutTls>,
        id: ObjectId,
    ) -> Result<Option<(u64, Object<'t>)>, ToolError> {
        let Some(&sequence) = self.current.get(&id.0) else { return Ok(None) };
        Ok(match self.lane.log.get(txn, &sequence)?.and_then(Entry::read) {
            Some(Entry::Object(object)) if object.id == id => Some((sequence, object)),
            _ => None,
        })
    }

    /// The object is there as far as the log was read.
    pub(super) fn holds(&self, id: ObjectId) -> bool {
        self.current.contains_key(&id.0)
    }

    /// Ends it, so that the lane can be opened again in this process.
    pub(super) fn close(self) {
        self.lane.close();
    }
}
