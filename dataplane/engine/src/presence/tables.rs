//! Where everything is: presentities by AoR, their topics (one for each package in use), and the
//! publications and subscriptions of a topic. Links and look-ups only; no rule of any RFC is here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::package::{PackageId, View};
use super::publication::Publication;
use super::queue::Busy;
use super::slab::{Id, Slab};
use super::subscription::{Row, Subscription};
use crate::index::Index;
use crate::limits;
use crate::wire::Keys;

/// Names a presentity.
pub(super) type PresentityId = Id<Presentity>;
/// Names a topic.
pub(super) type TopicId = Id<Topic>;
/// Names a publication.
pub(super) type PublicationId = Id<Publication>;
/// Names a subscription.
pub(super) type SubscriptionId = Id<Subscription>;
/// Names a waiting watcher.
pub(super) type RowId = Id<Row>;

/// An address-of-record with state, and the change of it that is under way.
#[derive(Debug)]
pub struct Presentity {
    /// In normal form (row C92).
    pub(super) aor: Box<str>,
    /// Its keyed hash.
    pub(super) hash: u64,
    topics: Option<TopicId>,
    /// A change waits for its commit; others wait for it.
    pub(super) busy: Option<Box<Busy>>,
    /// Its queue is being worked off: it stays though it may be empty.
    pub(super) held: bool,
}

/// A presentity's state in one event package, and who watches it.
#[derive(Debug)]
pub(super) struct Topic {
    /// Whose.
    pub(super) presentity: PresentityId,
    /// Which package.
    pub(super) package: PackageId,
    /// It stands in the list of fan-outs.
    pub(super) fanning: bool,
    /// Publications, removed ones too.
    publication_count: u16,
    /// Subscriptions of the topic, ended ones that still have something to say among them.
    dialogs: u32,
    /// Subscriptions that are linked.
    pub(super) watchers: u32,
    /// Watchers that wait without a subscription.
    pub(super) row_count: u32,
    next: Option<TopicId>,
    publications: Option<PublicationId>,
    subscriptions: Option<SubscriptionId>,
    rows: Option<RowId>,
    /// What watchers see; kept only while there are some.
    pub(super) view: Option<Box<View>>,
}

/// All of it.
pub(super) struct Tables {
    keys: Keys,
    pub(super) presentities: Slab<Presentity>,
    pub(super) topics: Slab<Topic>,
    pub(super) publications: Slab<Publication>,
    pub(super) subscriptions: Slab<Subscription>,
    pub(super) rows: Slab<Row>,
    by_aor: Index,
    by_dialog: Index,
}

impl Tables {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            presentities: Slab::new(limits::PRESENTITIES_MAX),
            topics: Slab::new(limits::TOPICS_MAX),
            publications: Slab::new(limits::PUBLICATIONS_MAX),
            subscriptions: Slab::new(limits::SUBSCRIPTIONS_MAX),
            rows: Slab::new(limits::SUBSCRIPTIONS_MAX),
            by_aor: Index::default(),
            by_dialog: Index::default(),
        }
    }

    /// The presentity with this AoR.
    pub(super) fn presentity(&self, aor: &str, hash: u64) -> Option<PresentityId> {
        let is = |place| self.presentities.at(place).is_some_and(|(_, one)| *one.aor == *aor);
        let place = self.by_aor.find(hash, is)?;
        self.presentities.at(place).map(|(id, _)| id)
    }

    /// The presentity with this AoR, made if need be; `None` at the limit.
    pub(super) fn make_presentity(&mut self, aor: &str, hash: u64) -> Option<PresentityId> {
        if let Some(known) = self.presentity(aor, hash) {
            return Some(known);
        }
        let new = Presentity { aor: aor.into(), hash, topics: None, busy: None, held: false };
        let id = self.presentities.insert(new)?;
        let Self { by_aor, presentities, .. } = self;
        by_aor.insert(hash, id.index(), |place| aor_hash(presentities, place));
        Some(id)
    }

    /// The topics of a presentity, newest first.
    pub(super) fn topics(&self, presentity: PresentityId) -> impl Iterator<Item = TopicId> {
        let first = self.presentities[presentity].topics;
        core::iter::successors(first, |topic| self.topics[*topic].next)
    }

    /// The presentity's topic of this package.
    pub(super) fn topic(&self, presentity: PresentityId, package: PackageId) -> Option<TopicId> {
        self.topics(presentity).find(|topic| self.topics[*topic].package == package)
    }

    /// The presentity's topic of this package, made if need be; `None` at the limit.
    pub(super) fn make_topic(
        &mut self,
        presentity: PresentityId,
        package: PackageId,
    ) -> Option<TopicId> {
        if let Some(known) = self.topic(presentity, package) {
            return Some(known);
        }
        let id = self.topics.insert(Topic {
            presentity,
            package,
            fanning: false,
            publication_count: 0,
            dialogs: 0,
            watchers: 0,
            row_count: 0,
            rows: None,
            next: self.presentities[presentity].topics,
            publications: None,
            subscriptions: None,
            view: None,
        })?;
        self.presentities[presentity].topics = Some(id);
        Some(id)
    }

    /// The presentity of a topic.
    pub(super) fn owner(&self, topic: TopicId) -> &Presentity {
        &self.presentities[self.topics[topic].presentity]
    }

    /// The publications of a topic, the one changed last first; removed ones too.
    pub(super) fn publications(&self, topic: TopicId) -> impl Iterator<Item = PublicationId> {
        let first = self.topics[topic].publications;
        core::iter::successors(first, |id| self.publications[*id].next)
    }

    /// How many publications a topic has, removed ones too.
    pub(super) fn publication_count(&self, topic: TopicId) -> usize {
        usize::from(self.topics[topic].publication_count)
    }

    /// Put a publication first in its topic; `None` at the limit.
    pub(super) fn add_publication(&mut self, publication: Publication) -> Option<PublicationId> {
        let topic = publication.topic;
        let id = self.publications.insert(publication)?;
        self.publications[id].next = self.topics[topic].publications;
        self.topics[topic].publications = Some(id);
        self.topics[topic].publication_count += 1;
        Some(id)
    }

    fn unlink_publication(&mut self, id: PublicationId) {
        let Publication { topic, next, .. } = self.publications[id];
        let before =
            self.publications(topic).find(|other| self.publications[*other].next == Some(id));
        match before {
            Some(before) => self.publications[before].next = next,
            None => self.topics[topic].publications = next,
        }
    }

    /// Its state changed: it is the newest now.
    pub(super) fn move_to_front(&mut self, id: PublicationId) {
        self.unlink_publication(id);
        let topic = self.publications[id].topic;
        self.publications[id].next = self.topics[topic].publications;
        self.topics[topic].publications = Some(id);
    }

    /// Bring the publications of a topic into their order, as after a restart: the log they come
    /// from has another.
    pub(super) fn sort_publications(&mut self, topic: TopicId) {
        let mut ids: Vec<PublicationId> = self.publications(topic).collect();
        let age = |id: &PublicationId| {
            let publication = &self.publications[*id];
            (publication.received, publication.object)
        };
        ids.sort_by_key(age);
        let mut newer = None;
        for id in ids {
            self.publications[id].next = newer.replace(id);
        }
        self.topics[topic].publications = newer;
    }

    /// Take a publication out. The topic stays until [`Tables::tidy`].
    pub(super) fn remove_publication(&mut self, id: PublicationId) -> Option<Publication> {
        self.publications.get(id)?;
        self.unlink_publication(id);
        let publication = self.publications.remove(id)?;
        self.topics[publication.topic].publication_count -= 1;
        Some(publication)
    }

    /// The subscriptions of a topic, newest first.
    pub(super) fn subscriptions(&self, topic: TopicId) -> impl Iterator<Item = SubscriptionId> {
        let first = self.topics[topic].subscriptions;
        core::iter::successors(first, |id| self.subscriptions[*id].next)
    }

    /// The first subscription of a topic.
    pub(super) fn first_subscription(&self, topic: TopicId) -> Option<SubscriptionId> {
        self.topics[topic].subscriptions
    }

    /// Keep a subscription, findable by its dialog but not linked to its topic; `None` at the
    /// limit.
    pub(super) fn add_subscription(&mut self, new: Subscription) -> Option<SubscriptionId> {
        let hash = self.keys.aor(&new.dialog.local_tag);
        let topic = new.topic;
        let id = self.subscriptions.insert(new)?;
        self.topics[topic].dialogs += 1;
        let Self { keys, subscriptions, by_dialog, .. } = self;
        by_dialog.insert(hash, id.index(), |place| dialog_hash(keys, subscriptions, place));
        Some(id)
    }

    /// Make a subscription a watcher of its topic.
    pub(super) fn link_subscription(&mut self, id: SubscriptionId) {
        let topic = self.subscriptions[id].topic;
        let first = self.topics[topic].subscriptions;
        self.subscriptions[id].previous = None;
        self.subscriptions[id].next = first;
        self.subscriptions[id].linked = true;
        if let Some(first) = first {
            self.subscriptions[first].previous = Some(id);
        }
        self.topics[topic].subscriptions = Some(id);
        self.topics[topic].watchers += 1;
    }

    /// It is no watcher any more; the subscription stays.
    pub(super) fn unlink_subscription(&mut self, id: SubscriptionId) {
        let subscription = &mut self.subscriptions[id];
        if !core::mem::take(&mut subscription.linked) {
            return;
        }
        let (previous, next) = (subscription.previous.take(), subscription.next.take());
        let topic = subscription.topic;
        match previous {
            Some(previous) => self.subscriptions[previous].next = next,
            None => self.topics[topic].subscriptions = next,
        }
        if let Some(next) = next {
            self.subscriptions[next].previous = previous;
        }
        self.topics[topic].watchers -= 1;
        if self.topics[topic].watchers == 0 {
            self.topics[topic].view = None;
        }
    }

    /// Forget a subscription that is not linked.
    pub(super) fn remove_subscription(&mut self, id: SubscriptionId) -> Option<Subscription> {
        assert!(!self.subscriptions.get(id)?.linked, "a watcher is unlinked first");
        let hash = self.keys.aor(&self.subscriptions[id].dialog.local_tag);
        let Self { keys, subscriptions, by_dialog, .. } = self;
        by_dialog.remove(hash, id.index(), |place| dialog_hash(keys, subscriptions, place));
        let gone = self.subscriptions.remove(id)?;
        self.topics[gone.topic].dialogs -= 1;
        Some(gone)
    }

    /// The subscription of a dialog (RFC 3261 12.2.2; row C93). Tags of ours tell dialogs apart
    /// alone; imported ones may not, so all three parts count.
    pub(super) fn dialog(
        &self,
        call_id: &[u8],
        local_tag: &[u8],
        remote_tag: &[u8],
    ) -> Option<SubscriptionId> {
        let same = |place| {
            self.subscriptions.at(place).is_some_and(|(_, known)| {
                let dialog = &known.dialog;
                *dialog.local_tag == *local_tag
                    && *dialog.remote_tag == *remote_tag
                    && *dialog.call_id == *call_id
            })
        };
        let place = self.by_dialog.find(self.keys.aor(local_tag), same)?;
        self.subscriptions.at(place).map(|(id, _)| id)
    }

    /// The waiting watchers of a topic, newest first.
    pub(super) fn rows(&self, topic: TopicId) -> impl Iterator<Item = RowId> {
        core::iter::successors(self.topics[topic].rows, |id| self.rows[*id].next)
    }

    /// Add a waiting watcher; `None` at the limit.
    pub(super) fn add_row(&mut self, row: Row) -> Option<RowId> {
        let topic = row.topic;
        let id = self.rows.insert(row)?;
        self.rows[id].next = self.topics[topic].rows;
        self.topics[topic].rows = Some(id);
        self.topics[topic].row_count += 1;
        Some(id)
    }

    /// Take a waiting watcher out.
    pub(super) fn remove_row(&mut self, id: RowId) -> Option<Row> {
        let Row { topic, next, .. } = *self.rows.get(id)?;
        let before = self.rows(topic).find(|other| self.rows[*other].next == Some(id));
        match before {
            Some(before) => self.rows[before].next = next,
            None => self.topics[topic].rows = next,
        }
        self.topics[topic].row_count -= 1;
        self.rows.remove(id)
    }

    /// Drop a topic without content and then a presentity without topics.
    pub(super) fn tidy(&mut self, presentity: PresentityId) {
        let Some(owner) = self.presentities.get(presentity) else { return };
        if owner.busy.is_some() || owner.held {
            // The change under way may be the first content of its topic.
            return;
        }
        let (mut previous, mut at) = (None, owner.topics);
        while let Some(id) = at {
            let topic = &self.topics[id];
            at = topic.next;
            let used = topic.publications.is_some() || topic.dialogs > 0;
            if used || topic.rows.is_some() || topic.fanning {
                previous = Some(id);
                continue;
            }
            match previous {
                Some(previous) => self.topics[previous].next = at,
                None => self.presentities[presentity].topics = at,
            }
            self.topics.remove(id);
        }
        let owner = &self.presentities[presentity];
        if owner.topics.is_none() {
            let hash = owner.hash;
            let Self { by_aor, presentities, .. } = self;
            by_aor.remove(hash, presentity.index(), |place| aor_hash(presentities, place));
            self.presentities.remove(presentity);
        }
    }
}

/// The hash that a presentity is found by.
fn aor_hash(presentities: &Slab<Presentity>, place: u32) -> u64 {
    presentities.at(place).map_or(0, |(_, one)| one.hash)
}

/// The hash that a subscription is found by.
fn dialog_hash(keys: &Keys, subscriptions: &Slab<Subscription>, place: u32) -> u64 {
    subscriptions.at(place).map_or(0, |(_, one)| keys.aor(&one.dialog.local_tag))
}
