//! What watchers see of a topic: composed once per change, kept only while there are watchers.

use alloc::boxed::Box;

use smallvec::SmallVec;

use super::Presence;
use super::package::{Document, Inputs, PackageId, Published, View};
use super::tables::TopicId;
use crate::{Core, Wall};

/// The document made last, for the next watcher that has seen the same.
pub(super) struct Memo {
    topic: TopicId,
    generation: u64,
    /// Generation that the watcher has seen; `None` = it gets everything.
    since: Option<u64>,
    wall: Wall,
    pub(super) document: Document,
}

impl Presence {
    /// See to it that the topic's view shows the state as it is before a change, so that the change
    /// can be told from it. Without watchers there is none and no need.
    pub(super) fn look(&mut self, core: &Core, topic: TopicId) {
        for topic in self.touched(core, topic) {
            if self.tables.topics[topic].watchers > 0 && self.tables.topics[topic].view.is_none() {
                self.tables.topics[topic].view = Some(Box::new(self.composed(core, topic)));
                // Generations of a new view begin anew.
                self.memo = None;
            }
        }
    }

    /// A view of the topic as it is now.
    pub(super) fn composed(&self, core: &Core, topic: TopicId) -> View {
        let package = self.tables.topics[topic].package;
        let mut view = View::new(package, &self.tables.owner(topic).aor);
        if package.watched().is_some() {
            self.fill_watchers(topic, &mut view);
        } else {
            self.compose(core, topic, &mut view);
        }
        view
    }

    /// The state of a topic has changed: where watchers can see it, they will be told.
    pub(super) fn state_changed(&mut self, core: &Core, topic: TopicId) {
        for topic in self.recompose(core, topic) {
            self.start_fan(topic);
        }
    }

    /// Bring the views that a change of this topic concerns up to date; says in which of them a
    /// watcher could see a difference (old and new equal: no NOTIFY).
    pub(super) fn recompose(&mut self, core: &Core, topic: TopicId) -> SmallVec<[TopicId; 2]> {
        let mut topics = self.touched(core, topic);
        topics.retain(|topic| {
            let topic = *topic;
            let Some(mut view) = self.tables.topics[topic].view.take() else { return false };
            let visible = self.compose(core, topic, &mut view);
            self.tables.topics[topic].view = Some(view);
            visible
        });
        topics
    }

    /// The topics whose view a change of this one concerns: itself, and the presence of somebody on
    /// the phone (rows C14, C82).
    fn touched(&self, core: &Core, topic: TopicId) -> SmallVec<[TopicId; 2]> {
        let mut touched = SmallVec::new();
        touched.push(topic);
        let Some(changed) = self.tables.topics.get(topic) else { return SmallVec::new() };
        if core.config.presence.mix_dialog_presence && changed.package == PackageId::DIALOG {
            touched.extend(self.tables.topic(changed.presentity, PackageId::PRESENCE));
        }
        touched
    }

    /// Bring a view up to the publications; true when a watcher could see a difference.
    fn compose(&self, core: &Core, topic: TopicId, view: &mut View) -> bool {
        let Some(package) = self.tables.topics.get(topic).map(|topic| topic.package) else {
            return false;
        };
        let presentity = self.tables.topics[topic].presentity;
        let mixes = core.config.presence.mix_dialog_presence && package == PackageId::PRESENCE;
        let dialogs = self.tables.topic(presentity, PackageId::DIALOG).filter(|_| mixes);
        let inputs = Inputs {
            aor: &self.tables.presentities[presentity].aor,
            publications: &self.published(topic),
            dialogs: &dialogs.map(|dialogs| self.published(dialogs)).unwrap_or_default(),
            config: &core.config.presence,
        };
        package.package().aggregate(&inputs, view)
    }

    /// The live publications of a topic, newest first.
    fn published(&self, topic: TopicId) -> SmallVec<[Published<'_>; 4]> {
        let all = self.tables.publications(topic).map(|id| &self.tables.publications[id]);
        let live = all.filter(|publication| !publication.state.removed);
        live.map(|publication| Published {
            id: publication.object.0,
            body: &publication.body,
            headers: publication.headers(),
        })
        .collect()
    }

    /// The document for a watcher that has seen generation `since`, or the whole state. `None` when
    /// there is nothing new. Goes back by [`Presence::keep_memo`].
    pub(super) fn document(
        &mut self,
        topic: TopicId,
        since: Option<u64>,
        wall: Wall,
    ) -> Option<Memo> {
        let view = self.tables.topics.get(topic)?.view.as_ref()?;
        let generation = view.generation();
        if let Some(memo) = self.memo.take()
            && (memo.topic, memo.generation, memo.since, memo.wall)
                == (topic, generation, since, wall)
        {
            return Some(memo);
        }
        let package = self.tables.topics[topic].package.package();
        let document = match since {
            None => package.subscribe_body(view, wall),
            Some(since) => package.change_body(view, since, wall)?,
        };
        Some(Memo { topic, generation, since, wall, document })
    }

    /// Keep a document for the next watcher.
    pub(super) fn keep_memo(&mut self, memo: Memo) {
        self.memo = Some(memo);
    }

    /// The generation that the topic's view is at; 0 when there is no view.
    pub(super) fn generation(&self, topic: TopicId) -> u64 {
        let topic = self.tables.topics.get(topic);
        topic.and_then(|topic| topic.view.as_ref()).map_or(0, |view| view.generation())
    }
}
