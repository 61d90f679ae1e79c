//! Periodic mode (`durability = "periodic"`): memory first, the store within `update_period`. Dirty
//! objects are written by age and evenly, so that a burst of changes is no burst of writes.

use pharos_storage::{Kind, ObjectId, Op};
use smallvec::{SmallVec, smallvec};

use super::tables::{PublicationId, SubscriptionId};
use super::{Presence, PresenceTimer};
use crate::{Core, Instant, Span, Timer};

/// An object whose stored version is old.
pub(super) enum Dirty {
    /// A publication.
    Publication(PublicationId),
    /// A subscription.
    Subscription(SubscriptionId),
}

/// How often a share of the dirty objects is written.
const STEP: Span = Span::millis(100);

impl Presence {
    /// A publication changed. `stored`: the lane has the change already.
    pub(super) fn note_publication(
        &mut self,
        core: &mut Core,
        id: PublicationId,
        body: bool,
        stored: bool,
    ) {
        let publication = &mut self.tables.publications[id];
        if stored {
            publication.stored = true;
            return;
        }
        publication.body_dirty |= body;
        if !core::mem::replace(&mut publication.dirty, true) {
            self.enlist(core, Dirty::Publication(id));
        }
    }

    /// A subscription changed. `stored`: the lane has the change already.
    pub(super) fn note_subscription(&mut self, core: &mut Core, id: SubscriptionId, stored: bool) {
        if stored {
            self.note_reserved(id);
        } else if core.config.commit {
            // Nobody was promised this (a target moved): no reply is asked for.
            self.store_subscription(core, id);
        } else if !core::mem::replace(&mut self.tables.subscriptions[id].dirty, true) {
            self.enlist(core, Dirty::Subscription(id));
        }
    }

    fn enlist(&mut self, core: &mut Core, what: Dirty) {
        if self.dirty.is_empty() {
            core.set_timer(core.now.instant + STEP, Timer::Presence(PresenceTimer::WriteBehind));
        }
        self.dirty.push_back((core.now.instant, what));
    }

    /// A step's share: what keeps the pace, and whatever is older than the period.
    pub(super) fn on_write_behind(&mut self, core: &mut Core) {
        let period = Span::seconds(u64::from(core.config.update_period));
        let steps = (period.as_millis() / STEP.as_millis()).max(1) as usize;
        let even = self.dirty.len().div_ceil(steps);
        let old = |at: Instant| core.now.instant - at >= period;
        let overdue = self.dirty.iter().take_while(|(at, _)| old(*at)).count();
        self.quota = even.max(overdue);
        if !self.dirty.is_empty() {
            core.set_timer(core.now.instant + STEP, Timer::Presence(PresenceTimer::WriteBehind));
        }
    }

    /// Write of the share as much as this turn allows.
    pub(super) fn write_behind(&mut self, core: &mut Core, left: &mut usize) {
        while *left > 0 && self.quota > 0 {
            let Some((_, dirty)) = self.dirty.pop_front() else {
                self.quota = 0;
                return;
            };
            self.quota -= 1;
            match dirty {
                Dirty::Publication(id) => self.write_back(core, id),
                Dirty::Subscription(id) => self.store_subscription(core, id),
            }
            *left -= 1;
        }
    }

    fn write_back(&mut self, core: &mut Core, id: PublicationId) {
        // It may have been written at once meanwhile.
        if self.tables.publications.get(id).is_some_and(|publication| publication.dirty) {
            self.store_publication(core, id, ObjectId(0));
        }
    }

    /// There is a share to be written.
    pub(super) fn flush_waits(&self) -> bool {
        self.quota > 0 && !self.dirty.is_empty()
    }

    /// Write a publication back, and with it, whole or not at all, the end of a body it had.
    pub(super) fn store_publication(
        &mut self,
        core: &mut Core,
        id: PublicationId,
        old_body: ObjectId,
    ) {
        let Some(publication) = self.tables.publications.get(id) else { return };
        let body_object = publication.body_object;
        let mut ops: SmallVec<[Op; 2]> = SmallVec::new();
        // What was made and removed within a period never comes to the store.
        if publication.stored || !publication.state.removed {
            ops.push(self.put_publication(
                id,
                &publication.state,
                body_object,
                publication.received,
            ));
        }
        if publication.body_dirty && body_object != ObjectId(0) {
            let bytes = publication.body.clone();
            ops.push(Op::Put { id: body_object, kind: Kind::Body, bytes });
        }
        if publication.stored && old_body != ObjectId(0) && old_body != body_object {
            ops.push(Op::Remove { id: old_body });
        }
        let hash = self.tables.owner(publication.topic).hash;
        let publication = &mut self.tables.publications[id];
        publication.dirty = false;
        publication.body_dirty = false;
        if !ops.is_empty() {
            publication.stored = true;
            core.store_unasked(hash, ops);
        }
    }

    fn store_subscription(&mut self, core: &mut Core, id: SubscriptionId) {
        let Some(subscription) = self.tables.subscriptions.get_mut(id) else { return };
        subscription.dirty = false;
        let first = subscription.reserved_cseq == 0;
        if first && !subscription.linked {
            return;
        }
        let hash = subscription.dialog.hash;
        let put = self.put_subscription(core, id, None);
        core.store_unasked(hash, smallvec![put]);
        if first {
            // Later ones widen nothing: whether they are on disk nobody has said yet.
            self.note_reserved(id);
        }
    }

    /// How an object leaves the store: its record says that it is over, unless the stored version
    /// is not the last one.
    pub(super) const fn leaving(id: ObjectId, dirty: bool) -> Op {
        if dirty { Op::Remove { id } } else { Op::Forget { id } }
    }
}
