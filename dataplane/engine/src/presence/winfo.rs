//! Watcher information (RFC 3857): who watches a topic, told to the presentity, and the watchers
//! that wait for permission without a subscription (rows C13, C62, C116).

use alloc::boxed::Box;
use alloc::string::String;

use pharos_parser::address::Address;
use pharos_storage::{ObjectId, Op};
use smallvec::smallvec;

use super::package::{View, Watcher, WatcherEvent, WatcherStatus};
use super::subscription::{Row, Status, Subscription};
use super::tables::{RowId, SubscriptionId, TopicId};
use super::{Presence, PresenceTimer};
use crate::{Core, Span, Timer, Wall};

impl Presence {
    /// The watchers of the topic that this winfo topic is about.
    pub(super) fn fill_watchers(&self, winfo: TopicId, view: &mut View) {
        let about = &self.tables.topics[winfo];
        let Some(package) = about.package.watched() else { return };
        let Some(topic) = self.tables.topic(about.presentity, package) else { return };
        for id in self.tables.rows(topic) {
            let row = &self.tables.rows[id];
            view.set_watcher(row.name, waiting(row));
        }
        for id in self.tables.subscriptions(topic) {
            let subscription = &self.tables.subscriptions[id];
            view.set_watcher(subscription.object.0, watcher(subscription));
        }
    }

    /// Tell the presentity about a watcher of `topic`, if it listens.
    fn tell_winfo(&mut self, topic: TopicId, name: u64, watcher: Watcher) {
        let Some(winfo) = self.winfo_of(topic) else { return };
        if self.tables.topics[winfo].watchers == 0 {
            return;
        }
        // Nobody has looked since the start: a new view shows all, the change among it.
        let mut view = self.tables.topics[winfo].view.take().unwrap_or_else(|| {
            let mut view =
                View::new(self.tables.topics[winfo].package, &self.tables.owner(winfo).aor);
            self.fill_watchers(winfo, &mut view);
            Box::new(view)
        });
        self.memo = None;
        view.set_watcher(name, watcher);
        self.tables.topics[winfo].view = Some(view);
        self.start_fan(winfo);
    }

    fn winfo_of(&self, topic: TopicId) -> Option<TopicId> {
        let topic = self.tables.topics.get(topic)?;
        self.tables.topic(topic.presentity, topic.package.winfo()?)
    }

    /// A subscription appeared, or its state changed.
    pub(super) fn tell_watcher(&mut self, id: SubscriptionId) {
        let subscription = &self.tables.subscriptions[id];
        let (topic, name) = (subscription.topic, subscription.object.0);
        if self.winfo_of(topic).is_some() {
            self.tell_winfo(topic, name, watcher(&self.tables.subscriptions[id]));
        }
    }

    /// Only its end moved: the next document says so, nobody is told for it.
    pub(super) fn note_watcher(&mut self, id: SubscriptionId) {
        let subscription = &self.tables.subscriptions[id];
        let (name, expires) = (subscription.object.0, subscription.expires);
        let Some(winfo) = self.winfo_of(subscription.topic) else { return };
        if let Some(view) = self.tables.topics[winfo].view.as_mut() {
            view.refresh_watcher(name, expires);
        }
    }

    /// A subscription that nobody had decided about has ended: the watcher waits on, for
    /// `waiting_subs_daysno` days (row C13), so that the presentity learns of it.
    pub(super) fn wait_on(&mut self, core: &mut Core, id: SubscriptionId, event: WatcherEvent) {
        let subscription = &self.tables.subscriptions[id];
        let topic = subscription.topic;
        // A fetch never was a subscription that winfo told of.
        let name = Some(subscription.object).filter(|object| *object != ObjectId(0));
        let known = self.row_of(topic, &subscription.watcher).is_some();
        if known || core.config.presence.waiting_subs_daysno == 0 {
            if let Some(name) = name {
                let status = WatcherStatus::Terminated;
                let event = WatcherEvent::Giveup;
                let gone = Watcher { status, event, ..watcher(subscription) };
                self.tell_winfo(topic, name.0, gone);
            }
            return;
        }
        let object = core.new_object();
        let row = Row {
            topic,
            next: None,
            object,
            name: name.unwrap_or(object).0,
            watcher: subscription.watcher.clone(),
            since: subscription.since,
            inserted: core.now.wall,
            event,
        };
        if let Some(row) = self.tables.add_row(row) {
            self.store_row(core, row);
            self.set_row_timer(core, row);
            let row = &self.tables.rows[row];
            let (name, watcher) = (row.name, waiting(row));
            self.tell_winfo(topic, name, watcher);
        }
    }

    fn row_of(&self, topic: TopicId, watcher: &str) -> Option<RowId> {
        self.tables.rows(topic).find(|id| *self.tables.rows[*id].watcher == *watcher)
    }

    /// The watcher has a subscription again (or an answer): its waiting row goes.
    pub(super) fn stop_waiting(&mut self, core: &mut Core, id: SubscriptionId) {
        let subscription = &self.tables.subscriptions[id];
        let topic = subscription.topic;
        let Some(row) = self.row_of(topic, &subscription.watcher) else { return };
        self.end_row(core, row, WatcherEvent::Giveup);
    }

    /// Set the timer of a row's end.
    pub(super) fn set_row_timer(&mut self, core: &mut Core, id: RowId) {
        let end = row_end(core, self.tables.rows[id].inserted);
        let at = core.now.instant + end.since(core.now.wall);
        core.set_timer(at, Timer::Presence(PresenceTimer::RowEnd(id)));
    }

    /// A row has waited long enough.
    pub(super) fn on_row_end(&mut self, core: &mut Core, id: RowId) {
        let Some(row) = self.tables.rows.get(id) else { return };
        let presentity = self.tables.topics[row.topic].presentity;
        self.end_row(core, id, WatcherEvent::Giveup);
        self.tables.tidy(presentity);
    }

    fn end_row(&mut self, core: &mut Core, id: RowId, event: WatcherEvent) {
        let Some(row) = self.tables.remove_row(id) else { return };
        let hash = self.tables.owner(row.topic).hash;
        self.discard(core, hash, smallvec![Op::Remove { id: row.object }]);
        let gone = Watcher { status: WatcherStatus::Terminated, event, ..waiting(&row) };
        self.tell_winfo(row.topic, row.name, gone);
    }

    /// A stored row, at start; `false` when its time is over.
    pub(super) fn recover_row(&mut self, core: &mut Core, row: Row) -> bool {
        if row_end(core, row.inserted) <= core.now.wall {
            return false;
        }
        if let Some(id) = self.tables.add_row(row) {
            self.set_row_timer(core, id);
        }
        true
    }
}

/// Row C13.
fn row_end(core: &Core, inserted: Wall) -> Wall {
    inserted + Span::seconds(u64::from(core.config.presence.waiting_subs_daysno) * 86_400)
}

/// A subscription as winfo shows it.
fn watcher(subscription: &Subscription) -> Watcher {
    let from = Address::parse(&subscription.dialog.remote_uri).ok();
    let display = from.map(|from| String::from_utf8_lossy(&from.display()).into_owned());
    Watcher {
        aor: String::from(&*subscription.watcher),
        display_name: display.unwrap_or_default(),
        status: match subscription.status {
            Status::Active => WatcherStatus::Active,
            Status::Pending => WatcherStatus::Pending,
            Status::Terminated => WatcherStatus::Terminated,
            Status::Waiting => WatcherStatus::Waiting,
        },
        event: subscription.event,
        since: subscription.since,
        expires: subscription.expires,
    }
}

/// A row as winfo shows it.
fn waiting(row: &Row) -> Watcher {
    Watcher {
        aor: String::from(&*row.watcher),
        display_name: String::new(),
        status: WatcherStatus::Waiting,
        event: row.event,
        since: row.since,
        expires: row.since,
    }
}

/// A row out of its record.
pub(super) fn stored_row(
    topic: TopicId,
    object: ObjectId,
    record: &pharos_storage::record::Watcher,
) -> Row {
    Row {
        topic,
        next: None,
        object,
        name: object.0,
        watcher: Box::from(record.watcher.as_str()),
        since: Wall(record.inserted),
        inserted: Wall(record.inserted),
        event: super::subscription::stored_event(&record.reason),
    }
}
