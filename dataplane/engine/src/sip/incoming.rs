//! A new request that passed every check, and one whose answer waits for a commit.

use alloc::boxed::Box;
use core::cell::OnceCell;
use core::net::SocketAddr;

use pharos_parser::Message;
use pharos_parser::message::Essential;

use super::answer::{Asked, Echo};
use crate::limits::TRANSACTION_MS;
use crate::net::Path;
use crate::wire::{Keys, Token, TxnKey};
use crate::{Core, Instant};

/// A new request: parsed, from a trusted source, for this shard, no repeat, not merged, its method
/// served and nothing required that we lack.
#[derive(Debug)]
pub struct Incoming<'m> {
    /// The request.
    pub msg: &'m Message<'m>,
    /// Its mandatory headers, read.
    pub head: Essential<'m>,
    /// How it came.
    pub path: Path,
    /// Names it and its retransmissions.
    pub txn: TxnKey,
    /// The AoR it is for, in normal form `user@host` (row C92), aliases resolved. Empty for a
    /// request within a dialog of ours: its Request-URI is our Contact, and the dialog knows the
    /// AoR.
    pub aor: &'m [u8],
    /// Hash of `aor`; of a request within a dialog of ours only its top 32 bits.
    pub hash: u64,
    /// What was derived of it so far.
    pub marks: Marks,
}

/// The tokens that a request makes, each derived when it is first asked for.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    tag: OnceCell<Token>,
    entity: OnceCell<Token>,
}

impl Marks {
    pub(super) fn tag(&self, keys: &Keys, hash: u64, txn: TxnKey) -> Token {
        *self.tag.get_or_init(|| keys.tag(hash, txn))
    }

    pub(super) fn entity_tag(&self, keys: &Keys, hash: u64, txn: TxnKey) -> Token {
        *self.entity.get_or_init(|| keys.entity_tag(hash, txn))
    }
}

impl Incoming<'_> {
    /// The mark that a stored record keeps of this request.
    pub fn request_hash(&self, core: &Core) -> u64 {
        core.keys.request(self.hash, self.txn)
    }

    /// The tag that our answer puts into a To without one.
    pub fn local_tag(&self, core: &Core) -> Token {
        self.marks.tag(&core.keys, self.hash, self.txn)
    }

    /// The entity-tag that this PUBLISH makes.
    pub fn entity_tag(&self, core: &Core) -> Token {
        self.marks.entity_tag(&core.keys, self.hash, self.txn)
    }

    pub(super) fn asked(&self) -> Asked<'_> {
        let Self { msg, head, path, txn, hash, marks, .. } = self;
        Asked { msg, head: Some(head), path: *path, txn: *txn, hash: *hash, marks }
    }
}

/// A request whose answer waits; not answering it is a decision ([`super::Sip::drop_deferred`]).
#[derive(Debug)]
#[must_use]
pub struct Deferred {
    pub(super) bytes: Box<[u8]>,
    pub(super) echo: Echo,
    pub(super) peer: SocketAddr,
    pub(super) invite: bool,
    pub(super) path: Path,
    pub(super) txn: TxnKey,
    pub(super) hash: u64,
    pub(super) marks: Marks,
    pub(super) since: Instant,
}

impl Deferred {
    /// The whole request, which parses; empty after [`super::Sip::defer_answer`].
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its transaction has timed out: nobody waits for the answer any more (RFC 4320 4.2).
    pub fn is_late(&self, core: &Core) -> bool {
        (core.now.instant - self.since).as_millis() >= TRANSACTION_MS
    }

    /// How it came.
    pub fn path(&self) -> Path {
        self.path
    }

    /// As [`Incoming::hash`].
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Names it and its retransmissions.
    pub fn txn(&self) -> TxnKey {
        self.txn
    }

    /// As [`Incoming::request_hash`].
    pub fn request_hash(&self, core: &Core) -> u64 {
        core.keys.request(self.hash, self.txn)
    }

    /// As [`Incoming::local_tag`].
    pub fn local_tag(&self, core: &Core) -> Token {
        self.marks.tag(&core.keys, self.hash, self.txn)
    }

    /// As [`Incoming::entity_tag`].
    pub fn entity_tag(&self, core: &Core) -> Token {
        self.marks.entity_tag(&core.keys, self.hash, self.txn)
    }
}
