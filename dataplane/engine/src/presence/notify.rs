//! NOTIFY (RFC 6665 4.2.2, rows C110-C120): at most one on its way in each dialog. While it is, the
//! newest state waits; of partial documents the union of what changed waits, since a watcher's next
//! document starts at the generation it was shown last.

use alloc::vec::Vec;
use core::net::SocketAddr;

use pharos_parser::Method;
use pharos_parser::write::write_number;
use smallvec::smallvec;

use super::records;
use super::subscription::{Delivery, Reserved, Status, Subscription};
use super::tables::SubscriptionId;
use super::views::Memo;
use super::{Presence, PresenceTimer, StoreOwner};
use crate::counters::Count;
use crate::sip::{Refused, Sip, User};
use crate::{Core, Instant, Span, Timer, Wall, limits};

impl Presence {
    /// Send the subscription's next NOTIFY if one is due and may go now. True when one went out.
    pub(super) fn deliver(&mut self, core: &mut Core, sip: &mut Sip, id: SubscriptionId) -> bool {
        let Some(subscription) = self.tables.subscriptions.get(id) else { return false };
        if subscription.delivery != Delivery::Idle || subscription.gone || !self.is_due(id) {
            return false;
        }
        let subscription = &self.tables.subscriptions[id];
        if subscription.not_before() > core.now.instant {
            self.wake_later(core, id);
            return false;
        }
        if is_exhausted(subscription) {
            self.reserve(core, id);
            return false;
        }
        self.send_notify(core, sip, id)
    }

    /// There is something to tell this watcher.
    fn is_due(&self, id: SubscriptionId) -> bool {
        let subscription = &self.tables.subscriptions[id];
        match subscription.status {
            Status::Terminated => true,
            Status::Active => {
                subscription.owed || self.generation(subscription.topic) > subscription.shown
            }
            Status::Pending | Status::Waiting => subscription.owed,
        }
    }

    /// What the next NOTIFY says of the state: nothing for those who may not see it and at the end
    /// (row C112), everything after a SUBSCRIBE or a failure, else what is new.
    fn next_document(&mut self, core: &Core, id: SubscriptionId) -> Option<Memo> {
        let subscription = &self.tables.subscriptions[id];
        let bare = subscription.rare.as_ref().is_some_and(|rare| rare.bare);
        if subscription.status != Status::Active || bare {
            return None;
        }
        let (topic, shown) = (subscription.topic, subscription.shown);
        let all = shown == 0 || subscription.owed || subscription.whole;
        let since = (!all).then_some(shown);
        self.document(core, topic, since)
    }

    fn send_notify(&mut self, core: &mut Core, sip: &mut Sip, id: SubscriptionId) -> bool {
        let subscription = &self.tables.subscriptions[id];
        let (topic, fresh) = (subscription.topic, subscription.owed);
        let memo = self.next_document(core, id);
        let generation = self.generation(self.tables.subscriptions[id].topic);
        let mut headers = core::mem::take(&mut self.headers);
        let mut body = core::mem::take(&mut self.body);
        headers.clear();
        body.clear();
        let subscription = &mut self.tables.subscriptions[id];
        write_headers(subscription, core.now.wall, &mut headers);
        let fetched = subscription.rare.as_ref().and_then(|rare| rare.fetched.as_deref());
        let document = memo.as_ref().map(|memo| &*memo.document).or(fetched);
        let mut versioned = false;
        if let Some(document) = document {
            headers.extend_from_slice(&document.headers);
            if document.has_body() {
                headers.extend_from_slice(b"Content-Type: ");
                headers.extend_from_slice(document.content_type.as_bytes());
                headers.extend_from_slice(b"\r\n");
                let package = subscription.package.package();
                package.patch(document, subscription.version, &mut body);
                versioned = document.version_at.is_some();
            }
        }
        let dialog = &mut subscription.dialog;
        let user = User::Notify(id.to_bits());
        let sent = sip.request(core, dialog, Method::Notify, &headers, &body, user);
        self.headers = headers;
        self.body = body;
        if let Some(memo) = memo {
            self.keep_memo(memo);
        }
        if fresh {
            self.rest(topic);
        }
        match sent {
            Ok(_) => self.note_sent(core, id, generation, versioned),
            Err(refused) => {
                self.hold_back(core, id, refused);
                return false;
            }
        }
        true
    }

    fn note_sent(&mut self, core: &mut Core, id: SubscriptionId, generation: u64, versioned: bool) {
        core.counters.add(Count::Notifies);
        let subscription = &mut self.tables.subscriptions[id];
        subscription.delivery = Delivery::InFlight;
        subscription.owed = false;
        subscription.gone = subscription.status == Status::Terminated;
        // After a document that could not be sent the next one does not follow on any.
        let rare = subscription.rare.as_mut();
        subscription.whole = rare.is_some_and(|rare| core::mem::take(&mut rare.bare));
        // Without a body a document of a partial package would not follow on the last one.
        subscription.shown = if subscription.status == Status::Active { generation } else { 0 };
        subscription.version = subscription.version.wrapping_add(u32::from(versioned));
        let interval = self.intervals[usize::from(subscription.package.0)];
        if interval > Span(0) {
            self.tables.subscriptions[id].rare().not_before = core.now.instant + interval;
        }
    }

    /// A window is full: wait in line. A target that nothing can be sent to ends the subscription.
    fn hold_back(&mut self, core: &mut Core, id: SubscriptionId, refused: Refused) {
        let towards: Option<SocketAddr> = match refused {
            Refused::DestinationFull(peer) => Some(peer),
            Refused::ShardFull => None,
            Refused::TooLarge
                if !core::mem::replace(&mut self.tables.subscriptions[id].rare().bare, true) =>
            {
                // Too many watchers for one watcherinfo document: better an empty NOTIFY than none.
                core.counters.add(Count::NotifiesTooLarge);
                self.blocked.ended();
                None
            }
            Refused::BadTarget | Refused::TooLarge => {
                self.give_up(core, id);
                return;
            }
        };
        self.tables.subscriptions[id].delivery = Delivery::Blocked;
        self.blocked.add(id, towards);
    }

    /// Come back when the subscription may be told again.
    fn wake_later(&mut self, core: &mut Core, id: SubscriptionId) {
        let subscription = &mut self.tables.subscriptions[id];
        let at = subscription.not_before();
        if !core::mem::replace(&mut subscription.rare().wake, true) {
            core.set_timer(at, Timer::Presence(PresenceTimer::Notify(id)));
        }
    }

    /// The time has come that [`Presence::wake_later`] waited for.
    pub(super) fn on_wake(&mut self, core: &mut Core, sip: &mut Sip, id: SubscriptionId) {
        let Some(subscription) = self.tables.subscriptions.get_mut(id) else { return };
        subscription.rare().wake = false;
        self.deliver(core, sip, id);
    }

    /// No NOTIFY to this watcher before then.
    pub(super) fn pause(&mut self, id: SubscriptionId, until: Instant) {
        self.tables.subscriptions[id].rare().not_before = until;
    }

    /// CSeq and version never go back, not even over a crash: what may be used is stored first.
    fn reserve(&mut self, core: &mut Core, id: SubscriptionId) {
        let subscription = &mut self.tables.subscriptions[id];
        subscription.delivery = Delivery::Reserving;
        let reserved = records::head_room(subscription);
        let put = self.put_subscription(core, id, None);
        let hash = self.tables.subscriptions[id].dialog.hash;
        core.store(hash, smallvec![put], StoreOwner::Reserve(id, reserved));
        self.under_way += 1;
    }

    /// The lane's word about a reservation. A failed one is tried again a little later.
    pub(super) fn on_reserved(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        id: SubscriptionId,
        reserved: Option<Reserved>,
    ) {
        self.under_way -= 1;
        let Some(subscription) = self.tables.subscriptions.get_mut(id) else { return };
        subscription.delivery = Delivery::Idle;
        if let Some(reserved) = reserved {
            self.note_reserved(id, reserved);
        } else {
            let pause = Span::millis(limits::RESERVE_AGAIN_MS);
            self.pause(id, core.now.instant + pause);
        }
        self.deliver(core, sip, id);
    }

    /// A stored record of this subscription reserved so much. Records are stored in their order, so
    /// a later one never says less.
    pub(super) fn note_reserved(&mut self, id: SubscriptionId, stored: Reserved) {
        let Some(subscription) = self.tables.subscriptions.get_mut(id) else { return };
        subscription.reserved = stored;
    }
}

/// The next CSeq or version is one that no stored record covers.
fn is_exhausted(subscription: &Subscription) -> bool {
    let Reserved { cseq, version } = subscription.reserved;
    cseq > 0 && (subscription.dialog.local_cseq >= cseq || subscription.version >= version)
}

/// Event and Subscription-State (rows C99, C110, C111).
fn write_headers(subscription: &Subscription, now: Wall, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Event: ");
    out.extend_from_slice(subscription.package.info().name.as_bytes());
    if let Some(id) = subscription.event_id() {
        out.extend_from_slice(b";id=");
        out.extend_from_slice(id.as_bytes());
    }
    out.extend_from_slice(b"\r\nSubscription-State: ");
    match subscription.status {
        Status::Active => out.extend_from_slice(b"active"),
        Status::Pending | Status::Waiting => out.extend_from_slice(b"pending"),
        Status::Terminated => {
            out.extend_from_slice(b"terminated;reason=");
            out.extend_from_slice(subscription.event.name().as_bytes());
            out.extend_from_slice(b"\r\n");
            return;
        }
    }
    // Rounded up: right after the 2xx both say the same.
    let left = subscription.expires.since(now).as_millis().div_ceil(1_000);
    out.extend_from_slice(b";expires=");
    write_number(left, out);
    out.extend_from_slice(b"\r\n");
}
