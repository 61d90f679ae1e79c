//! One subscription with its dialog, and how far the delivery of its state has come.

use alloc::boxed::Box;
use alloc::sync::Arc;

use pharos_storage::ObjectId;

use super::package::{Document, PackageId, WatcherEvent};
use super::tables::{RowId, SubscriptionId, TopicId};
use crate::sip::Dialog;
use crate::timer::TimerId;
use crate::{Instant, Wall};

/// Row C64; the numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Status {
    /// Sees the state.
    Active = 1,
    /// Waits for permission.
    Pending = 2,
    /// Over.
    Terminated = 3,
    /// A pending subscription that ended without a decision (RFC 3857 4.7.1).
    Waiting = 4,
}

impl Status {
    /// From a stored number; an unknown one is over.
    pub(super) const fn stored(number: u8) -> Self {
        match number {
            1 => Self::Active,
            2 => Self::Pending,
            4 => Self::Waiting,
            _ => Self::Terminated,
        }
    }
}

/// The word of a winfo event or reason in a stored record.
pub(super) fn stored_event(word: &str) -> WatcherEvent {
    let all = [
        WatcherEvent::Approved,
        WatcherEvent::Deactivated,
        WatcherEvent::Probation,
        WatcherEvent::Rejected,
        WatcherEvent::Timeout,
        WatcherEvent::Giveup,
        WatcherEvent::NoResource,
    ];
    all.into_iter().find(|event| event.name() == word).unwrap_or(WatcherEvent::Subscribe)
}

/// What few subscriptions have, and only at times.
#[derive(Clone, Debug, Default)]
pub(super) struct Rare {
    /// Event `id` (row C99).
    pub(super) event_id: Option<Box<str>>,
    /// Accept of the SUBSCRIBE, when it had one.
    pub(super) accept: Box<str>,
    /// No NOTIFY before this: rate of the package, or back-off after a failure.
    pub(super) not_before: Instant,
    /// NOTIFYs in a row that failed for the time being.
    pub(super) failures: u8,
    /// A wake-up is set.
    pub(super) wake: bool,
    /// The document due is too large for a message: the next NOTIFY goes without it.
    pub(super) bare: bool,
    /// The document that a fetch is answered with (row C96): its one NOTIFY says terminated, but
    /// carries the state.
    pub(super) fetched: Option<Arc<Document>>,
}

/// Where the delivery stands. At most one NOTIFY is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Delivery {
    /// Nothing is on its way.
    #[default]
    Idle,
    /// A NOTIFY has no outcome yet.
    InFlight,
    /// A CSeq must be reserved first.
    Reserving,
    /// A window is full; it stands in the list of such.
    Blocked,
}

/// Numbers up to these may be used: the stored record says so. CSeq 0 = nothing is stored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reserved {
    /// CSeq of NOTIFY.
    pub(super) cseq: u32,
    /// Version of documents.
    pub(super) version: u32,
}

/// A subscription in memory.
#[derive(Debug)]
pub struct Subscription {
    /// The dialog; its CSeqs are the subscription's.
    pub(super) dialog: Dialog,
    /// Its presentity and package, while it is linked.
    pub(super) topic: TopicId,
    /// The newer one of the topic.
    pub(super) previous: Option<SubscriptionId>,
    /// The older one of the topic.
    pub(super) next: Option<SubscriptionId>,
    /// Its stored record; also names it in winfo documents.
    pub(super) object: ObjectId,
    /// Watcher AoR.
    pub(super) watcher: Box<str>,
    /// End.
    pub(super) expires: Wall,
    /// Start.
    pub(super) since: Wall,
    /// Mark of the last SUBSCRIBE applied.
    pub(super) last_request: u64,
    /// Generation of what the last NOTIFY showed, whatever became of it; 0 = none yet.
    pub(super) shown: u64,
    /// Expires of its 2xx, seconds.
    pub(super) answered: u32,
    /// Version of the next document.
    pub(super) version: u32,
    /// What may be used without storing first.
    pub(super) reserved: Reserved,
    /// Fires at its end.
    pub(super) timer: Option<TimerId>,
    /// Event package.
    pub(super) package: PackageId,
    /// Row C64.
    pub(super) status: Status,
    /// How it came to its state.
    pub(super) event: WatcherEvent,
    /// Where the delivery stands.
    pub(super) delivery: Delivery,
    /// The next document is the whole state: the last one may not have arrived.
    pub(super) whole: bool,
    /// A NOTIFY is due though the state may not have changed.
    pub(super) owed: bool,
    /// It is among the watchers of its topic.
    pub(super) linked: bool,
    /// The last NOTIFY has been sent; the record stays to answer repeats.
    pub(super) gone: bool,
    /// Memory is ahead of the store (periodic mode), and it waits in the list of such.
    pub(super) dirty: bool,
    /// See [`Rare`].
    pub(super) rare: Option<Box<Rare>>,
}

impl Subscription {
    /// The rare part, made if need be.
    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Event `id`.
    pub(super) fn event_id(&self) -> Option<&str> {
        self.rare.as_ref()?.event_id.as_deref()
    }

    /// No NOTIFY before this.
    pub(super) fn not_before(&self) -> Instant {
        self.rare.as_ref().map_or_else(Instant::default, |rare| rare.not_before)
    }
}

// With a dialog's strings (about 400 bytes) it stays under the 930 bytes that the budget gives.
const _: () = assert!(size_of::<Subscription>() <= 400);

/// A watcher that waits for permission without a subscription (row C62).
#[derive(Debug)]
pub struct Row {
    /// The package it asked for.
    pub(super) topic: TopicId,
    /// The next older row.
    pub(super) next: Option<RowId>,
    /// Its stored record.
    pub(super) object: ObjectId,
    /// Names it in winfo documents: the object of the subscription it was, so that a reader sees
    /// one watcher change its state (RFC 3858 4.3).
    pub(super) name: u64,
    /// Watcher AoR.
    pub(super) watcher: Box<str>,
    /// First subscribed.
    pub(super) since: Wall,
    /// Waits since.
    pub(super) inserted: Wall,
    /// How it came to wait.
    pub(super) event: WatcherEvent,
}
