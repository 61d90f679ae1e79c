//! From the store back into memory, and who is to be told what after a restart
//!.
//!
//! After an unclean stop nobody knows what the watchers have, so each gets the whole state. What
//! ended meanwhile gets its end told in either case: a publication by its offline document, a
//! subscription by `terminated;reason=timeout`. All of it jittered and paced.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt::Write as _;

use pharos_storage::{Kind, Object, ObjectId, Op, Record, decode, record};
use smallvec::smallvec;

use super::package::{PackageId, Packages, WatcherEvent};
use super::publication::Publication;
use super::subscription::Status;
use super::tables::{PublicationId, SubscriptionId, TopicId};
use super::{Presence, records, winfo};
use crate::counters::Count;
use crate::io::Level;
use crate::{Core, Wall, limits};

/// What is known while objects come in.
#[derive(Default)]
pub(super) struct Recovery {
    /// Bodies whose publication has not come yet, with their hash.
    bodies: BTreeMap<u64, (u64, Box<[u8]>)>,
    /// Publications whose body has not come yet.
    bodiless: BTreeMap<u64, PublicationId>,
    /// The former process was at work then: the latest time that any record tells of.
    alive: Wall,
}

impl Presence {
    /// A stored object, at start.
    pub(super) fn recover(&mut self, core: &mut Core, object: Object<'_>) {
        let recovered = match object.kind {
            Kind::Publication => self.recover_publication(core, object),
            Kind::Body => self.recover_body(object),
            Kind::Subscription => self.recover_subscription(core, object),
            Kind::Watcher => self.recover_watcher(core, object),
        };
        if recovered.is_none() {
            // It stays in the store: a newer version may know it.
            core.counters.add(Count::ObjectsUnknown);
            core.log(Level::Warn, "presence", |line| {
                let _ = write!(line, "stored object {} cannot be used", object.id.0);
            });
        }
    }

    fn place(&mut self, core: &Core, aor: &str, package: PackageId) -> Option<TopicId> {
        let presentity = self.tables.make_presentity(aor, core.aor_hash(aor.as_bytes()))?;
        self.tables.make_topic(presentity, package)
    }

    fn recover_publication(&mut self, core: &mut Core, object: Object<'_>) -> Option<()> {
        let record: record::Publication = decoded(object)?;
        let package = Packages::by_name(&record.event)?;
        let topic = self.place(core, &record.aor, package)?;
        let body = self.recovery.bodies.remove(&record.body).map(|(_, body)| body);
        let wanted = record.body != 0 && body.is_none();
        self.seen_alive(record.expires, record.answered_expires, core);
        let id = self.tables.add_publication(Publication {
            topic,
            next: None,
            object: object.id,
            body_object: ObjectId(record.body),
            received: Wall(record.received),
            state: records::stored_state(package, &record),
            body: body.unwrap_or_default(),
            timer: None,
            dirty: false,
            body_dirty: false,
            stored: true,
        })?;
        if wanted {
            self.recovery.bodiless.insert(record.body, id);
        }
        Some(())
    }

    fn recover_body(&mut self, object: Object<'_>) -> Option<()> {
        let body = Box::from(object.bytes);
        let wanted = self.recovery.bodiless.remove(&object.id.0);
        match wanted.and_then(|id| self.tables.publications.get_mut(id)) {
            Some(publication) => publication.body = body,
            None => {
                self.recovery.bodies.insert(object.id.0, (object.hash, body));
            }
        }
        Some(())
    }

    fn recover_subscription(&mut self, core: &mut Core, object: Object<'_>) -> Option<()> {
        let record: record::Subscription = decoded(object)?;
        let package = Packages::by_name(&record.event)?;
        let topic = self.place(core, &record.aor, package)?;
        let hash = self.tables.owner(topic).hash;
        let place = (topic, package, hash, object.id);
        let subscription = records::stored_subscription(&core.config, &record, place)?;
        self.seen_alive(record.expires, record.answered_expires, core);
        let ended = subscription.status == Status::Terminated;
        let id = self.tables.add_subscription(subscription)?;
        if !ended {
            self.tables.link_subscription(id);
        }
        Some(())
    }

    fn recover_watcher(&mut self, core: &mut Core, object: Object<'_>) -> Option<()> {
        let record: record::Watcher = decoded(object)?;
        let package = Packages::by_name(&record.event)?;
        if !matches!(Status::stored(record.status), Status::Pending | Status::Waiting) {
            // A decision that was imported (row C62): nobody waits, so no list shows it.
            return Some(());
        }
        let topic = self.place(core, &record.aor, package)?;
        let row = winfo::stored_row(topic, object.id, &record);
        if !self.recover_row(core, row) {
            let hash = self.tables.owner(topic).hash;
            self.discard(core, hash, smallvec![Op::Remove { id: object.id }]);
        }
        Some(())
    }

    /// A record was written when its time began.
    fn seen_alive(&mut self, expires: u64, answered: u32, core: &Core) {
        let offset = u64::from(core.config.presence.expires_offset);
        let written = expires.saturating_sub((u64::from(answered) + offset) * 1_000);
        self.recovery.alive = self.recovery.alive.max(Wall(written.min(core.now.wall.0)));
    }

    /// All objects are here.
    pub(super) fn recovered(&mut self, core: &mut Core, clean: bool) {
        let Recovery { alive, bodies, bodiless } = core::mem::take(&mut self.recovery);
        for (_, id) in bodiless {
            // Its removal was under way.
            self.tables.publications[id].dirty = true;
            self.drop_publication(core, id);
        }
        for (id, (hash, _)) in bodies {
            // Its publication is gone: the store shows what was forgotten once more.
            self.discard(core, hash, smallvec![Op::Remove { id: ObjectId(id) }]);
        }
        // What ended well before the former process stopped was told by it: the store may show such
        // records once more.
        let told = Wall(alive.0.saturating_sub(limits::TRANSACTION_MS));
        let mut place = 0;
        while let Some(topic) = self.tables.topics.next_from(place) {
            place = topic.index() + 1;
            self.tables.sort_publications(topic);
        }
        self.recover_publications(core, told);
        let mut place = 0;
        while let Some(id) = self.tables.subscriptions.next_from(place) {
            place = id.index() + 1;
            self.settle_subscription(core, id, told, clean);
        }
        self.settle_presentities();
        self.start_restart(core, !clean);
    }

    fn recover_publications(&mut self, core: &mut Core, told: Wall) {
        let mut ended = Vec::new();
        let mut place = 0;
        while let Some(id) = self.tables.publications.next_from(place) {
            place = id.index() + 1;
            let publication = &self.tables.publications[id];
            let (end, removed) = (publication.state.expires, publication.state.removed);
            if end > core.now.wall {
                self.set_publication_timer(core, id);
            } else if removed || end <= told {
                self.drop_publication(core, id);
            } else {
                ended.push((id, publication.topic));
            }
        }
        // Views as they were, then without what has ended: the difference is the offline document.
        for (_, topic) in &ended {
            self.look_closely(core, *topic);
        }
        for (id, _) in &ended {
            self.drop_publication(core, *id);
        }
        for (_, topic) in ended {
            for topic in self.recompose(core, topic) {
                let watchers: Vec<SubscriptionId> = self.tables.subscriptions(topic).collect();
                for watcher in watchers {
                    self.tables.subscriptions[watcher].owed = true;
                }
            }
        }
    }

    fn settle_subscription(
        &mut self,
        core: &mut Core,
        id: SubscriptionId,
        told: Wall,
        clean: bool,
    ) {
        let subscription = &mut self.tables.subscriptions[id];
        let end = subscription.expires;
        if subscription.linked && end > core.now.wall {
            self.set_subscription_timer(core, id);
            return;
        }
        let pending = subscription.status == Status::Pending;
        if subscription.linked {
            // It ended by time while nobody was here to say so.
            self.retire(core, id, WatcherEvent::Timeout);
            if pending {
                self.wait_on(core, id, WatcherEvent::Timeout);
            }
        } else {
            // Ended by its subscriber; the last NOTIFY may not have gone out before a crash.
            subscription.owed = !clean;
            subscription.gone = clean;
            if end > core.now.wall {
                self.set_subscription_timer(core, id);
                return;
            }
        }
        if end <= told || !self.tables.subscriptions[id].owed {
            self.tables.subscriptions[id].gone = true;
            self.release(core, id);
        }
    }

    /// Drop what recovery left without content.
    fn settle_presentities(&mut self) {
        let mut place = 0;
        while let Some(id) = self.tables.presentities.next_from(place) {
            place = id.index() + 1;
            self.tables.tidy(id);
        }
    }
}

fn decoded<T: Record>(object: Object<'_>) -> Option<T> {
    decode(object.bytes).ok()
}
