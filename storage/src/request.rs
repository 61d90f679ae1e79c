//! What is asked of a lane and what it answers: the only storage types the engine sees.

use alloc::boxed::Box;
use smallvec::SmallVec;

use crate::StoreError;
use crate::limits::{OBJECT_BYTES, RECORD_OVERHEAD, REQUEST_BYTES, REQUEST_OPS, REQUEST_OVERHEAD};

/// Names one stored object, for ever. Handed out in rising order and never given twice: a restart
/// goes on after the highest id that any lane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u64);

/// The asker's mark on a request, handed back in the [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// What an object is; one byte in the log, so numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`crate::record::Publication`]: the small state of a publication.
    Publication = 1,
    /// The body of a publication, as it came: opaque bytes.
    Body = 2,
    /// [`crate::record::Subscription`].
    Subscription = 3,
    /// [`crate::record::Watcher`]: an authorization state kept without a subscription.
    Watcher = 4,
}

impl Kind {
    /// All kinds, by rising number.
    pub const ALL: [Self; 4] = [Self::Publication, Self::Body, Self::Subscription, Self::Watcher];

    /// The kind of a number in the log; `None` when no version of Pharos gave it out.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Publication),
            2 => Some(Self::Body),
            3 => Some(Self::Subscription),
            4 => Some(Self::Watcher),
            _ => None,
        }
    }

    /// The name in dumps and statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publication => "publication",
            Self::Body => "body",
            Self::Subscription => "subscription",
            Self::Watcher => "watcher",
        }
    }
}

/// One change. All operations of a [`Request`] concern one AoR and so one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Store this version of the object, instead of any earlier one.
    Put {
        /// Which object.
        id: ObjectId,
        /// What it is.
        kind: Kind,
        /// The whole object, encoded by [`crate::codec`] (of a [`Kind::Body`] the bytes
        /// themselves).
        bytes: Box<[u8]>,
    },
    /// The object is gone: a tombstone is written, no restart brings it back.
    Remove {
        /// Which object.
        id: ObjectId,
    },
    /// The object has expired by its own record: only the lane's index entry goes. A restart before
    /// the cleaner passed it may present it once more, expired.
    Forget {
        /// Which object.
        id: ObjectId,
    },
}

/// Operations that take effect together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Comes back in the [`Reply`]; `None` asks for no reply (write-behind, [`Op::Forget`]).
    pub token: Option<Token>,
    /// Keyed hash of the AoR: it chooses the lane now and the shard after a restart.
    pub hash: u64,
    /// What to do, in order.
    pub ops: SmallVec<[Op; 2]>,
}

impl Request {
    /// Bytes that the request holds while it waits: what the queue limit counts.
    pub fn weight(&self) -> usize {
        let bodies = self.ops.iter().map(Op::weight).sum::<usize>();
        bodies + REQUEST_OVERHEAD
    }

    /// A lane takes it: neither an object nor the whole is larger than [`crate::limits`] allows.
    pub fn fits(&self) -> bool {
        let object = |op: &Op| !matches!(op, Op::Put { bytes, .. } if bytes.len() > OBJECT_BYTES);
        self.ops.len() <= REQUEST_OPS
            && self.weight() <= REQUEST_BYTES
            && self.ops.iter().all(object)
    }

    /// It stores something; what only removes is taken even by a lane that has no room.
    pub fn stores(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Put { .. }))
    }
}

impl Op {
    /// The object it changes.
    pub const fn id(&self) -> ObjectId {
        match self {
            Self::Put { id, .. } | Self::Remove { id } | Self::Forget { id } => *id,
        }
    }

    /// Bytes it holds while it waits.
    fn weight(&self) -> usize {
        match self {
            Self::Put { bytes, .. } => bytes.len() + RECORD_OVERHEAD,
            Self::Remove { .. } | Self::Forget { .. } => RECORD_OVERHEAD,
        }
    }
}

/// A request that was not taken, handed back whole: nothing of it was queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As it was handed in.
    pub request: Request,
    /// Why.
    pub error: StoreError,
}

/// The outcome of a [`Request`] that carried a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The request's.
    pub token: Token,
    /// `Ok` when every operation is durable.
    pub result: Result<(), StoreError>,
}

/// An object read back at start. The last version of each id, no removed ones; in log order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// Which object.
    pub id: ObjectId,
    /// The AoR's hash it was stored under.
    pub hash: u64,
    /// What it is.
    pub kind: Kind,
    /// Its bytes as they were put.
    pub bytes: &'a [u8],
}
