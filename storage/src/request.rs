//! What is asked of a lane and what it answers: the only storage types the engine sees.

use alloc::boxed::Box;
use smallvec::SmallVec;

use crate::StoreError;

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

/// One change. All operations of a [`Request`] concern one AoR and so one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Store this version of the object, instead of any earlier one.
    Put {
        /// Which object.
        id: ObjectId,
        /// What it is.
        kind: Kind,
        /// The whole object, encoded by [`crate::record`] (for [`Kind::Body`] the bytes themselves).
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
