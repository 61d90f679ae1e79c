//! One published document and its life.

use alloc::boxed::Box;
use core::fmt;

use pharos_storage::ObjectId;

use super::tables::{PublicationId, TopicId};
use crate::Wall;
use crate::timer::TimerId;
use crate::wire::{TOKEN_LEN, Token};

/// An entity-tag: one of ours, or one that was imported (row C65) and is kept as it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum EntityTag {
    /// Made by us.
    Ours(Token),
    /// Made by another server.
    Foreign(Box<str>),
}

impl EntityTag {
    /// As it is written.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Ours(token) => token.as_str(),
            Self::Foreign(text) => text,
        }
    }

    /// From a stored record.
    pub(super) fn stored(text: &str) -> Self {
        Token::from_text(text).map_or_else(|| Self::Foreign(text.into()), Self::Ours)
    }
}

impl fmt::Debug for EntityTag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

const _: () = assert!(size_of::<EntityTag>() <= TOKEN_LEN + 8);

/// What few publications have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rare {
    /// Publisher, when it is not the presentity.
    pub(super) sender: Box<str>,
    /// Media type, when it is not the package's first.
    pub(super) content_type: Box<str>,
    /// Header lines that NOTIFY repeats (row C60 `extra_hdrs`).
    pub(super) headers: Box<str>,
}

impl Rare {
    /// Nothing unusual takes no memory.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// What a refresh changes, and all that its record holds beside names.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// Current entity-tag.
    pub(super) etag: EntityTag,
    /// End.
    pub(super) expires: Wall,
    /// Mark of the last request applied.
    pub(super) last_request: u64,
    /// Expires of its 2xx, seconds.
    pub(super) answered: u32,
    /// Removed; kept only to answer repeats of the removal.
    pub(super) removed: bool,
    /// See [`Rare`].
    pub(super) rare: Option<Box<Rare>>,
}

/// A publication in memory.
#[derive(Debug)]
pub struct Publication {
    /// Its presentity and package.
    pub(super) topic: TopicId,
    /// The next older of the topic.
    pub(super) next: Option<PublicationId>,
    /// The small object.
    pub(super) object: ObjectId,
    /// The object with the body; 0 = none.
    pub(super) body_object: ObjectId,
    /// The document's last change: the newest comes first in what is composed.
    pub(super) received: Wall,
    /// What a refresh changes.
    pub(super) state: State,
    /// The document.
    pub(super) body: Box<[u8]>,
    /// Fires at its end.
    pub(super) timer: Option<TimerId>,
    /// Memory is ahead of the store (periodic mode), and it waits in the list of such.
    pub(super) dirty: bool,
    /// The body is, too.
    pub(super) body_dirty: bool,
    /// A version of it is in the store, or on the way there.
    pub(super) stored: bool,
}

impl Publication {
    /// Header lines that NOTIFY repeats.
    pub(super) fn headers(&self) -> &[u8] {
        self.state.rare.as_ref().map_or(b"", |rare| rare.headers.as_bytes())
    }
}
