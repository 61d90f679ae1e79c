//! What watchers see of a topic: composed once per change, kept only while there are watchers.

use alloc::boxed::Box;
use alloc::sync::Arc;

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
    pub(super) document: Arc<Document>,
}

/// So many watchers may keep a document in memory.
const MANY: u32 = 8;

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

    /// As [`Presence::look`], and its document can be read.
    pub(super) fn look_closely(&mut self, core: &Core, topic: TopicId) {
        self.look(core, topic);
        for topic in self.touched(core, topic) {
            let resting = |view: &mut Box<View>| view.rests();
            if let Some(mut view) = self.tables.topics[topic].view.take_if(resting) {
                let changed = self.compose(core, topic, &mut view);
                debug_assert!(!changed, "what is composed of the same is the same");
                self.tables.topics[topic].view = Some(view);
            }
        }
    }

    /// Nobody needs the document for a while. It is kept where many share it, and where it is not
    /// made of publications: the one that says that the last of them has ended.
    pub(super) fn rest(&mut self, topic: TopicId) {
        let known = &self.tables.topics[topic];
        if known.fanning || known.watchers > MANY {
            return;
        }
        let live = |id| !self.tables.publications[id].state.removed;
        let made = self.tables.publications(topic).any(live);
        if made && let Some(view) = self.tables.topics[topic].view.as_mut() {
            view.rest();
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
        core: &Core,
        topic: TopicId,
        since: Option<u64>,
    ) -> Option<Memo> {
        let package = self.tables.topics.get(topic)?.package.package();
        self.look(core, topic);
        let generation = self.generation(topic);
        // A whole state says nothing that goes by the clock.
        let wall = if package.info().full_state { Wall(0) } else { core.now.wall };
        let key = (topic, generation, since, wall);
        if let Some(memo) = self.memo.take()
            && (memo.topic, memo.generation, memo.since, memo.wall) == key
        {
            return Some(memo);
        }
        self.look_closely(core, topic);
        let view = self.tables.topics[topic].view.as_ref()?;
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
