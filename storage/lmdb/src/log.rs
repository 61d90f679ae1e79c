//! The log of one lane: append, clean the tail and commit in one transaction, scan at start.
//!
//! Index, tail and counts are changed only after the commit has returned; a transaction that fails
//! leaves everything, here and on disk, as it was before.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use hashbrown::HashMap;
use heed::{PutFlags, ReservedSpace, RwTxn};
use pharos_storage::{Object, ObjectId, Op, Request, StoreError};

use crate::ahead::Ahead;
use crate::entry::{Entry, footprint, object_id};
use crate::env::{LaneEnv, may_be_cut_short, meaning};
use crate::index::{Index, Mix, Place};
use crate::probe::{Fault, Probe, Step};
use crate::scan::{self, Scan};

/// Most records that one commit cleans.
const CLEAN_RECORDS: usize = 2_048;

/// Bytes that every commit may clean beside twice its own.
const CLEAN_BYTES: u64 = 256 << 10;

/// What a commit writes at most beside its records: branch pages, the list of free pages.
const COMMIT_BYTES: u64 = 1 << 20;

/// The current records of a lane, shared with its reader.
pub(crate) type SharedIndex = Arc<RwLock<Index>>;

/// What one commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Bytes appended for the requests, as they lie in the file.
    pub(crate) appended: u64,
    /// Records moved from the tail to the head.
    pub(crate) moved: u64,
    /// Bytes given back at the tail.
    pub(crate) freed: u64,
}

/// Why a commit failed: what it means to the operations, and what LMDB or the probe said.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: StoreError,
    pub(crate) detail: String,
}

impl From<heed::Error> for Failure {
    fn from(error: heed::Error) -> Self {
        Self { error: meaning(&error), detail: error.to_string() }
    }
}

/// The writer's side of a lane.
pub(crate) struct Log {
    lane: u16,
    env: LaneEnv,
    index: SharedIndex,
    /// Everything below this key has been cleaned.
    tail: u64,
    /// The next key.
    head: u64,
    /// Bytes of all records between them.
    bytes: u64,
    highest: u64,
    wall: u64,
    map_size: u64,
    slack: u64,
    probe: Option<Box<dyn Probe>>,
    ahead: Ahead,
    /// Records being moved, and what a transaction changes: kept to be used again.
    moving: Vec<u8>,
    moved: Vec<(ObjectId, usize)>,
    changes: Changes,
}

/// Objects that a transaction changes, and their place after it; `None`: no longer there.
type Changes = HashMap<u64, Option<Place>, Mix>;

/// What will be true once the transaction has committed.
#[derive(Default)]
struct Draft {
    head: u64,
    tail: u64,
    added: u64,
    highest: u64,
    changes: Changes,
    done: Done,
}

impl Log {
    /// Opens a lane and reads its whole log, in order: the last version of each object wins.
    pub(crate) fn open(
        lane: u16,
        folder: &Path,
        map_size: u64,
        slack: u64,
    ) -> heed::Result<(Self, Scan)> {
        let env = LaneEnv::open(folder, map_size as usize)?;
        let (index, scan) = scan::read(&env)?;
        let log = Self {
            lane,
            env,
            index: Arc::new(RwLock::new(index)),
            tail: scan.tail,
            head: scan.head,
            bytes: scan.bytes,
            highest: scan.highest,
            wall: scan.wall,
            map_size,
            slack,
            probe: None,
            ahead: Ahead::new(&folder.join("data.mdb"), map_size),
            moving: Vec::new(),
            moved: Vec::new(),
            changes: Changes::default(),
        };
        Ok((log, scan))
    }

    /// Closes the environment and waits until it is.
    pub(crate) fn close(self) {
        self.env.close();
    }

    pub(crate) fn set_probe(&mut self, probe: Option<Box<dyn Probe>>) {
        self.probe = probe;
    }

    pub(crate) fn env(&self) -> &LaneEnv {
        &self.env
    }

    pub(crate) fn shared_index(&self) -> SharedIndex {
        Arc::clone(&self.index)
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room ahead of the next commit, when it is time: half a millisecond, once a mebibyte.
    pub(crate) fn make_room(&mut self) {
        self.ahead.keep(self.env.used());
    }

    /// Bytes of all records, dead ones included.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// There is enough dead weight to be worth moving what lives: half of what the bound allows, so
    /// that cleaning is ahead of it, or a map more than 60 % full of which 5 % can be won.
    pub(crate) fn wants_cleaning(&self) -> bool {
        let live = self.index().live();
        let dead = self.bytes.saturating_sub(live);
        dead > live / 2 + self.slack / 2
            || (self.bytes > self.map_size / 10 * 6 && dead > self.map_size / 20)
    }

    /// Makes all of the requests durable, or nothing of any, and cleans a part of the tail. `wall`
    /// is stored with them. Without `clean` it takes as little room as it can.
    pub(crate) fn commit<'r>(
        &mut self,
        requests: impl Iterator<Item = &'r Request>,
        wall: u64,
        clean: bool,
    ) -> Result<Done, Failure> {
        let wall = wall.max(self.wall);
        let env = self.env.clone();
        let mut txn = env.write()?;
        let mut changes = core::mem::take(&mut self.changes);
        changes.clear();
        let (head, tail, highest) = (self.head, self.tail, self.highest);
        let mut draft = Draft { head, tail, highest, changes, ..Draft::default() };
        for request in requests {
            for op in &request.ops {
                self.append_op(&mut txn, &mut draft, request.hash, op)?;
            }
        }
        draft.done.appended = draft.added;
        if clean && self.wants_cleaning() {
            self.clean(&mut txn, &mut draft)?;
        }
        let (mark, rest) = Entry::Mark { wall, highest: draft.highest }.parts();
        self.append(&mut txn, &mut draft, None, [&mark, rest])?;
        self.step(Step::Commit)?;
        txn.commit().map_err(|error| self.commit_failure(error, draft.added))?;
        self.apply(&draft, wall);
        self.changes = draft.changes;
        // The commit stands whatever the probe says now.
        let _ = self.step(Step::Synced);
        Ok(draft.done)
    }

    /// A full disk may look like an I/O error: then the file system is asked for as much as the
    /// commit may have needed.
    fn commit_failure(&self, error: heed::Error, added: u64) -> Failure {
        let full = may_be_cut_short(&error) && !self.env.has_room(2 * added + COMMIT_BYTES);
        let failure = Failure::from(error);
        if full { Failure { error: StoreError::Full, ..failure } } else { failure }
    }

    fn append_op(
        &mut self,
        txn: &mut RwTxn<'_>,
        draft: &mut Draft,
        hash: u64,
        op: &Op,
    ) -> Result<(), Failure> {
        let id = op.id();
        draft.highest = draft.highest.max(id.0);
        match op {
            Op::Put { kind, bytes, .. } => {
                let (head, bytes) = Entry::Object(Object { id, hash, kind: *kind, bytes }).parts();
                self.append(txn, draft, Some(id), [&head, bytes])
            }
            Op::Remove { .. } => {
                let (head, rest) = Entry::Tombstone { id, hash }.parts();
                self.append(txn, draft, None, [&head, rest])?;
                draft.changes.insert(id.0, None);
                Ok(())
            }
            Op::Forget { .. } => {
                draft.changes.insert(id.0, None);
                Ok(())
            }
        }
    }

    /// Appends a record, given in two parts; `id` when it is the current version of an object.
    fn append(
        &mut self,
        txn: &mut RwTxn<'_>,
        draft: &mut Draft,
        id: Option<ObjectId>,
        [first, second]: [&[u8]; 2],
    ) -> Result<(), Failure> {
        self.step(Step::Append)?;
        let length = first.len() + second.len();
        let place = Place { sequence: draft.head, length: length as u32 };
        let append = PutFlags::APPEND;
        let write = |page: &mut ReservedSpace<'_>| {
            page.write_all(first)?;
            page.write_all(second)
        };
        let log = &self.env.log;
        let there = log.get_or_put_reserved_with_flags(txn, append, &draft.head, length, write)?;
        assert!(there.is_none(), "keys only grow");
        draft.head += 1;
        draft.added += footprint(length);
        if let Some(id) = id {
            draft.changes.insert(id.0, Some(place));
        }
        Ok(())
    }

    /// Moves what is current at the tail to the head and deletes the range it lay in, within the
    /// quota. Never looks at what this transaction appended.
    fn clean(&mut self, txn: &mut RwTxn<'_>, draft: &mut Draft) -> Result<(), Failure> {
        // What one commit moves is twice in the map until the one after the next: a small map must
        // not be filled by that.
        let quota = (2 * draft.added + CLEAN_BYTES).min(self.map_size / 64);
        let mut moving = core::mem::take(&mut self.moving);
        let mut moved = core::mem::take(&mut self.moved);
        moving.clear();
        moved.clear();
        let mut last = None;
        {
            let index = self.index();
            let current = |id: ObjectId| match draft.changes.get(&id.0) {
                Some(change) => *change,
                None => index.get(id),
            };
            for record in self.env.log.range(txn, &(draft.tail..self.head))?.take(CLEAN_RECORDS) {
                let (sequence, value) = record?;
                last = Some(sequence);
                draft.done.freed += footprint(value.len());
                if let Some(id) = object_id(value)
                    && current(id).is_some_and(|place| place.sequence == sequence)
                {
                    moved.push((id, value.len()));
                    moving.extend_from_slice(value);
                }
                if draft.done.freed >= quota {
                    break;
                }
            }
        }
        let mut rest = &moving[..];
        for &(id, length) in &moved {
            self.step(Step::Move)?;
            let (record, after) = rest.split_at(length);
            rest = after;
            self.append(txn, draft, Some(id), [record, &[]])?;
            draft.done.moved += 1;
        }
        (self.moving, self.moved) = (moving, moved);
        if let Some(last) = last {
            self.step(Step::Delete)?;
            self.env.log.delete_range(txn, &(draft.tail..=last))?;
            draft.tail = last + 1;
        }
        Ok(())
    }

    fn apply(&mut self, draft: &Draft, wall: u64) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for (&id, &place) in &draft.changes {
            index.set(ObjectId(id), place);
        }
        drop(index);
        self.head = draft.head;
        self.tail = draft.tail;
        self.bytes = self.bytes + draft.added - draft.done.freed;
        self.highest = draft.highest;
        self.wall = wall;
    }

    fn step(&mut self, step: Step) -> Result<(), Failure> {
        let Some(probe) = &mut self.probe else { return Ok(()) };
        probe.step(self.lane, step).map_err(|fault| Failure {
            error: match fault {
                Fault::Full => StoreError::Full,
                Fault::Broken => StoreError::Closed,
            },
            detail: format!("a fault put in place of {step:?}"),
        })
    }
}
