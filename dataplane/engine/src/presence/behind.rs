//! What goes to the store without anybody waiting for it: write-behind in periodic mode
//! (`durability = "periodic"`: memory first, the store within `update_period`), the end of what has
//! ended, and whatever a lane refused and that is tried again. Dirty objects are written by age and
//! evenly, so that a burst of changes is no burst of writes.

use alloc::boxed::Box;

use pharos_storage::{Kind, ObjectId, Op, StoreError};
use smallvec::{SmallVec, smallvec};

use super::records;
use super::subscription::Reserved;
use super::tables::{PublicationId, RowId, SubscriptionId};
use super::{Presence, PresenceTimer, StoreOwner};
use crate::counters::Count;
use crate::{Core, Instant, Span, Timer, limits};

/// An object whose stored version is old.
#[derive(Debug)]
pub(super) enum Dirty {
    /// A publication.
    Publication(PublicationId),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A waiting watcher.
    Row(RowId),
    /// Objects that memory does not have any more.
    Gone(Box<Gone>),
}

/// Objects to be taken out of the store.
#[derive(Clone, Debug)]
pub struct Gone {
    hash: u64,
    ops: SmallVec<[Op; 2]>,
}

/// What was written, for the lane's word about it.
#[derive(Debug)]
pub enum Written {
    /// A publication.
    Publication {
        /// Which.
        id: PublicationId,
        /// Its body too.
        body: bool,
        /// The object of a body that it has no more; 0 = none.
        old_body: ObjectId,
    },
    /// A subscription with what it reserves.
    Subscription(SubscriptionId, Reserved),
    /// A waiting watcher.
    Row(RowId),
    /// The end of objects.
    Gone(Box<Gone>),
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

    /// A subscription changed in memory alone.
    pub(super) fn note_subscription(&mut self, core: &mut Core, id: SubscriptionId) {
        if core.config.commit {
            // Nobody was promised this (a target moved), but it is not put off either.
            self.store_subscription(core, id);
        } else if !core::mem::replace(&mut self.tables.subscriptions[id].dirty, true) {
            self.enlist(core, Dirty::Subscription(id));
        }
    }

    fn enlist(&mut self, core: &mut Core, what: Dirty) {
        if self.dirty.len() >= limits::DIRTY_MAX {
            core.counters.add(Count::WritesDropped);
            return;
        }
        self.dirty.push_back((core.now.instant, what));
        self.wind(core);
    }

    /// See to it that the next step comes.
    fn wind(&mut self, core: &mut Core) {
        if !self.dirty.is_empty() && !core::mem::replace(&mut self.winding, true) {
            core.set_timer(core.now.instant + STEP, Timer::Presence(PresenceTimer::WriteBehind));
        }
    }

    /// A step's share: what keeps the pace, and whatever is older than the period.
    pub(super) fn on_write_behind(&mut self, core: &mut Core) {
        self.winding = false;
        let period = Span::seconds(u64::from(core.config.update_period));
        let steps = (period.as_millis() / STEP.as_millis()).max(1) as usize;
        let even = self.dirty.len().div_ceil(steps);
        let old = |at: Instant| core.now.instant - at >= period;
        let overdue = self.dirty.iter().take_while(|(at, _)| old(*at)).count();
        self.quota = if self.draining { self.dirty.len() } else { even.max(overdue) };
        self.wind(core);
    }

    /// Write of the share as much as this turn allows.
    pub(super) fn write_behind(&mut self, core: &mut Core, left: &mut usize) {
        while *left > 0 && self.quota > 0 {
            let Some((_, dirty)) = self.dirty.pop_front() else {
                self.quota = 0;
                return;
            };
            self.quota -= 1;
            *left -= 1;
            match dirty {
                // What was written at once meanwhile is not dirty any more.
                Dirty::Publication(id) => {
                    if self.tables.publications.get(id).is_some_and(|known| known.dirty) {
                        self.store_publication(core, id, ObjectId(0));
                    }
                }
                Dirty::Subscription(id) => {
                    if self.tables.subscriptions.get(id).is_some_and(|known| known.dirty) {
                        self.store_subscription(core, id);
                    }
                }
                Dirty::Row(id) => self.store_row(core, id),
                Dirty::Gone(gone) => self.discard(core, gone.hash, gone.ops),
            }
        }
    }

    /// There is a share to be written.
    pub(super) fn flush_waits(&self) -> bool {
        self.quota > 0 && !self.dirty.is_empty()
    }

    /// The lane's word about something nobody waits for. What failed is tried again.
    pub(super) fn on_written(
        &mut self,
        core: &mut Core,
        written: Written,
        result: Result<(), StoreError>,
    ) {
        match (written, result) {
            (Written::Subscription(id, reserved), Ok(())) => self.note_reserved(id, reserved),
            (_, Ok(()) | Err(StoreError::Closed | StoreError::TooLarge)) => {}
            (Written::Publication { id, body, old_body }, Err(_)) => {
                let Some(known) = self.tables.publications.get(id) else { return };
                let hash = self.tables.owner(known.topic).hash;
                self.note_publication(core, id, body, false);
                if old_body != ObjectId(0) {
                    // After the record, and so at worst a body too many.
                    let ops = smallvec![Op::Remove { id: old_body }];
                    self.enlist(core, Dirty::Gone(Box::new(Gone { hash, ops })));
                }
            }
            (Written::Subscription(id, _), Err(_)) => {
                let Some(known) = self.tables.subscriptions.get_mut(id) else { return };
                if !core::mem::replace(&mut known.dirty, true) {
                    self.enlist(core, Dirty::Subscription(id));
                }
            }
            (Written::Row(id), Err(_)) => self.enlist(core, Dirty::Row(id)),
            (Written::Gone(gone), Err(_)) => self.enlist(core, Dirty::Gone(gone)),
        }
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
            let received = publication.received;
            ops.push(self.put_publication(id, &publication.state, body_object, received));
        }
        let with_body = publication.body_dirty && body_object != ObjectId(0);
        if with_body {
            let bytes = publication.body.clone();
            ops.push(Op::Put { id: body_object, kind: Kind::Body, bytes });
        }
        let ends = publication.stored && old_body != body_object;
        let old_body = if ends { old_body } else { ObjectId(0) };
        if old_body != ObjectId(0) {
            ops.push(Op::Remove { id: old_body });
        }
        let hash = self.tables.owner(publication.topic).hash;
        let publication = &mut self.tables.publications[id];
        publication.dirty = false;
        publication.body_dirty = false;
        if !ops.is_empty() {
            publication.stored = true;
            let written = Written::Publication { id, body: with_body, old_body };
            core.store(hash, ops, StoreOwner::Behind(written));
        }
    }

    /// Write a subscription back.
    pub(super) fn store_subscription(&mut self, core: &mut Core, id: SubscriptionId) {
        let Some(subscription) = self.tables.subscriptions.get_mut(id) else { return };
        subscription.dirty = false;
        let first = subscription.reserved.cseq == 0;
        if first && !subscription.linked {
            return;
        }
        let reserved = records::head_room(subscription);
        if first {
            // Before this nothing was stored that a crash could take the numbers back to.
            subscription.reserved = reserved;
        }
        let hash = subscription.dialog.hash;
        let put = self.put_subscription(core, id, None);
        let written = Written::Subscription(id, reserved);
        core.store(hash, smallvec![put], StoreOwner::Behind(written));
    }

    /// Write a waiting watcher.
    pub(super) fn store_row(&mut self, core: &mut Core, id: RowId) {
        let Some(row) = self.tables.rows.get(id) else { return };
        let owner = self.tables.owner(row.topic);
        let package = self.tables.topics[row.topic].package;
        let bytes = records::row(&owner.aor, package, row);
        let put = Op::Put { id: row.object, kind: Kind::Watcher, bytes };
        core.store(owner.hash, smallvec![put], StoreOwner::Behind(Written::Row(id)));
    }

    /// Take objects out of the store that memory does not have any more.
    pub(super) fn discard(&mut self, core: &mut Core, hash: u64, ops: SmallVec<[Op; 2]>) {
        if !ops.is_empty() {
            let gone = Box::new(Gone { hash, ops: ops.clone() });
            core.store(hash, ops, StoreOwner::Behind(Written::Gone(gone)));
        }
    }

    /// How an object leaves the store: its record says that it is over, unless the stored version
    /// is not the last one.
    pub(super) const fn leaving(id: ObjectId, dirty: bool) -> Op {
        if dirty { Op::Remove { id } } else { Op::Forget { id } }
    }
}
