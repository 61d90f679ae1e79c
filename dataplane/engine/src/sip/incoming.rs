//! A new request that passed every check, and one whose answer waits for a commit.

use alloc::boxed::Box;

use smallvec::SmallVec;

use super::Message;
use crate::net::Path;
use crate::wire::{Token, TxnKey};
use crate::{Core, Instant};

/// An AoR in normal form, `user@host` (row C92), without allocation up to 64 bytes.
pub type Aor = SmallVec<[u8; 64]>;

/// A new request: parsed, from a trusted source, for this shard, no repeat, not merged, with hops
/// left, its method served and nothing required that we lack.
#[derive(Debug)]
pub struct Incoming<'m> {
    /// The request.
    pub msg: &'m Message<'m>,
    /// How it came.
    pub path: Path,
    /// Names it and its retransmissions.
    pub txn: TxnKey,
    /// The AoR it is for, aliases resolved.
    pub aor: Aor,
    /// Hash of `aor`.
    pub hash: u64,
}

impl Incoming<'_> {
    /// The mark that a stored record keeps of this request.
    pub fn request_hash(&self, core: &Core) -> u64 {
        core.keys.request(self.hash, self.txn)
    }

    /// The tag that our answer puts into a To without one.
    pub fn local_tag(&self, core: &Core) -> Token {
        core.keys.tag(self.hash, self.txn)
    }

    /// The entity-tag that this PUBLISH makes.
    pub fn entity_tag(&self, core: &Core) -> Token {
        core.keys.entity_tag(self.hash, self.txn)
    }
}

/// A request whose answer waits; not answering it is a decision ([`super::Sip::drop_deferred`]).
#[derive(Debug)]
#[must_use]
pub struct Deferred {
    pub(super) bytes: Box<[u8]>,
    pub(super) path: Path,
    pub(super) txn: TxnKey,
    pub(super) hash: u64,
    pub(super) since: Instant,
}

impl Deferred {
    pub(super) fn of(incoming: &Incoming<'_>) -> Self {
        Self {
            bytes: incoming.msg.bytes.into(),
            path: incoming.path,
            txn: incoming.txn,
            hash: incoming.hash,
            since: Instant::default(),
        }
    }

    /// The whole request.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How it came.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Hash of the AoR it is for.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Names it and its retransmissions.
    pub fn txn(&self) -> TxnKey {
        self.txn
    }
}
