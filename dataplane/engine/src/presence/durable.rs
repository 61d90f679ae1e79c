//! What makes a change durable: the objects that are stored for it. In periodic mode nobody asks
//! before the change is written behind.

use alloc::boxed::Box;

use pharos_storage::{Kind, ObjectId, Op};
use smallvec::{SmallVec, smallvec};

use super::publication::State;
use super::queue::Change;
use super::subscribe::{Change as Subscribe, Refresh};
use super::tables::{PublicationId, SubscriptionId, TopicId};
use super::{Presence, publish, records};
use crate::{Core, Wall};

impl Presence {
    /// The operations that store what this change will put into memory.
    pub(super) fn durable(&self, core: &Core, change: &Change) -> SmallVec<[Op; 2]> {
        match change {
            Change::Publish(change) => self.durable_publication(core, change),
            Change::Subscribe(Subscribe::Fetch(_)) => SmallVec::new(),
            Change::Subscribe(Subscribe::Initial(new)) => {
                let aor = &self.tables.owner(new.topic).aor;
                let bytes = records::subscription(&core.config, aor, new, None);
                smallvec![Op::Put { id: new.object, kind: Kind::Subscription, bytes }]
            }
            Change::Subscribe(Subscribe::Refresh(id, refresh)) => {
                smallvec![self.put_subscription(core, *id, Some(refresh))]
            }
        }
    }

    fn durable_publication(&self, core: &Core, change: &publish::Change) -> SmallVec<[Op; 2]> {
        let now = core.now.wall;
        let known = |id: &PublicationId| &self.tables.publications[*id];
        let (record, body_object, body, old_body) = match change {
            publish::Change::Initial { topic, state, object, body_object, body } => {
                let bytes = self.publication_record(*topic, state, "", now, *body_object);
                let put = Op::Put { id: *object, kind: Kind::Publication, bytes };
                (put, *body_object, &**body, ObjectId(0))
            }
            publish::Change::Refresh(id, state) => {
                let (body, received) = (known(id).body_object, known(id).received);
                return smallvec![self.put_publication(*id, state, body, received)];
            }
            publish::Change::Modify { id, state, body_object, body } => {
                let put = self.put_publication(*id, state, *body_object, now);
                (put, *body_object, &**body, known(id).body_object)
            }
            publish::Change::Remove(id, state) => {
                let put = self.put_publication(*id, state, ObjectId(0), known(id).received);
                (put, ObjectId(0), &b""[..], known(id).body_object)
            }
        };
        let mut ops = smallvec![record];
        if body_object != ObjectId(0) {
            ops.push(Op::Put { id: body_object, kind: Kind::Body, bytes: body.into() });
        } else if old_body != ObjectId(0) {
            ops.push(Op::Remove { id: old_body });
        }
        ops
    }

    /// The small object of a publication with a new state.
    pub(super) fn put_publication(
        &self,
        id: PublicationId,
        state: &State,
        body: ObjectId,
        received: Wall,
    ) -> Op {
        let known = &self.tables.publications[id];
        let before = known.state.etag.as_str();
        let bytes = self.publication_record(known.topic, state, before, received, body);
        Op::Put { id: known.object, kind: Kind::Publication, bytes }
    }

    fn publication_record(
        &self,
        topic: TopicId,
        state: &State,
        previous_etag: &str,
        received: Wall,
        body: ObjectId,
    ) -> Box<[u8]> {
        let package = self.tables.topics[topic].package;
        let aor = &self.tables.owner(topic).aor;
        let of = records::OfPublication { aor, package, state, previous_etag, received, body };
        records::publication(&of)
    }

    /// Its record as it is now, or as a refresh will make it.
    pub(super) fn put_subscription(
        &self,
        core: &Core,
        id: SubscriptionId,
        refresh: Option<&Refresh>,
    ) -> Op {
        let subscription = &self.tables.subscriptions[id];
        let aor = &self.tables.owner(subscription.topic).aor;
        let bytes = records::subscription(&core.config, aor, subscription, refresh);
        Op::Put { id: subscription.object, kind: Kind::Subscription, bytes }
    }
}
