//! SUBSCRIBE (RFC 6665 4.2, rows C90-C103): the checks, then what each outcome does to memory.

use alloc::boxed::Box;

use pharos_parser::Message;
use pharos_parser::message::Essential;
use pharos_storage::{ObjectId, Op};
use smallvec::smallvec;

use super::authorize::{Asked as Question, Decision};
use super::package::{BodyError, PackageId, WatcherEvent};
use super::publish::brief;
use super::queue::{After, Change as Any, Decided};
use super::read::{self, Event};
use super::refusal::{Refusal, refuse};
use super::subscription::{Delivery, Rare, Reserved, Status, Subscription};
use super::tables::{PresentityId, SubscriptionId, TopicId};
use super::{Presence, PresenceTimer, records};
use crate::net::Path;
use crate::reject::Reject;
use crate::sip::{Answer, Detail, Incoming, Sip};
use crate::{Core, Span, Timer, Wall, limits};

/// A valid SUBSCRIBE with its effect.
#[derive(Debug)]
pub(super) enum Change {
    /// A new dialog.
    Initial(Box<Subscription>),
    /// One NOTIFY and nothing kept (row C96).
    Fetch(Box<Subscription>),
    /// A new end, and perhaps a new target.
    Refresh(SubscriptionId, Box<Refresh>),
}

/// What a SUBSCRIBE within its dialog changes.
#[derive(Debug)]
pub(super) struct Refresh {
    /// New end.
    pub(super) expires: Wall,
    /// Seconds granted; 0 = the subscription ends (row C95).
    pub(super) answered: u32,
    /// Its CSeq.
    pub(super) remote_cseq: u32,
    /// Mark of the request.
    pub(super) last_request: u64,
    /// What the watcher may see from now on.
    pub(super) status: Status,
    /// How it came to that.
    pub(super) event: WatcherEvent,
    /// New remote target.
    pub(super) target: Option<Box<[u8]>>,
    /// How it came.
    pub(super) path: Path,
    /// What the record that is stored for it reserves.
    pub(super) reserved: Reserved,
}

/// What initial and later requests have in common.
struct Asked {
    package: PackageId,
    /// Seconds granted.
    expires: u32,
    accept: Box<str>,
}

impl Presence {
    /// The subscription whose dialog a request belongs to (row C93).
    pub(super) fn dialog_of(&self, head: &Essential<'_>) -> Option<SubscriptionId> {
        let (call_id, local_tag, remote_tag) = read::dialog(head)?;
        self.tables.dialog(call_id, local_tag, remote_tag)
    }

    /// What a SUBSCRIBE leads to.
    pub(super) fn subscribe(
        &mut self,
        core: &mut Core,
        request: &Incoming<'_>,
    ) -> Result<Decided, Refusal> {
        let event = read::event(request.msg)?;
        if request.head.to.tag().is_some() {
            let id = self.dialog_of(&request.head).ok_or(Reject::NoSubscription)?;
            return self.resubscribe(core, request, id, &event);
        }
        let last_request = request.request_hash(core);
        let tag = request.local_tag(core);
        let head = &request.head;
        let remote_tag = head.from.tag().unwrap_or_default();
        if let Some(known) = self.tables.dialog(head.call_id, tag.as_bytes(), remote_tag) {
            // After a crash a repeat looks new; the tag it derives does not.
            let known = &self.tables.subscriptions[known];
            return Ok(Decided::Answer(subscribed(core, known.status, known.answered)));
        }
        self.subscribe_new(core, request, &event, last_request)
    }

    fn subscribe_new(
        &mut self,
        core: &mut Core,
        request: &Incoming<'_>,
        event: &Event<'_>,
        last_request: u64,
    ) -> Result<Decided, Refusal> {
        let asked = asked(core, request.msg, event)?;
        let aor = read::aor(request)?;
        let watcher = read::watcher(core, &request.head)?;
        let (status, why) = match self.decide(aor, &watcher, asked.package) {
            Decision::Rejected => return Err(Reject::Forbidden.into()),
            Decision::Active => (Status::Active, WatcherEvent::Subscribe),
            Decision::Pending => (Status::Pending, WatcherEvent::Subscribe),
        };
        let presentity =
            self.tables.make_presentity(aor, request.hash).ok_or(Reject::PresentitiesFull)?;
        let topic =
            self.tables.make_topic(presentity, asked.package).ok_or(Reject::PresentitiesFull)?;
        self.room_for_watcher(core, topic)?;
        let dialog = read::new_dialog(core, request)?;
        let mut subscription = Subscription {
            dialog,
            topic,
            previous: None,
            next: None,
            object: ObjectId(0),
            watcher,
            expires: core.now.wall + Span::seconds(u64::from(asked.expires)),
            since: core.now.wall,
            last_request,
            shown: 0,
            answered: asked.expires,
            version: 0,
            reserved: Reserved::default(),
            timer: None,
            package: asked.package,
            status,
            event: why,
            delivery: Delivery::Idle,
            whole: false,
            owed: true,
            linked: false,
            gone: false,
            dirty: false,
            rare: None,
        };
        if event.id.is_some() || !asked.accept.is_empty() {
            let event_id = event.id.map(Box::from);
            subscription.rare =
                Some(Box::new(Rare { event_id, accept: asked.accept, ..Rare::default() }));
        }
        if asked.expires == 0 {
            let change = Any::Subscribe(Change::Fetch(Box::new(subscription)));
            return Ok(Decided::Change { presentity, change });
        }
        subscription.object = core.new_object();
        let change = Any::Subscribe(Change::Initial(Box::new(subscription)));
        Ok(Decided::Change { presentity, change })
    }

    /// What the watcher may have.
    fn decide(&self, aor: &str, watcher: &str, package: PackageId) -> Decision {
        self.authorize.decide(Question { aor, watcher, package: package.info() })
    }

    /// The limits: of this presentity's watchers, and of all.
    fn room_for_watcher(&self, core: &Core, topic: TopicId) -> Result<(), Refusal> {
        let known = &self.tables.topics[topic];
        if known.watchers + known.row_count >= core.config.presence.max_watchers_per_presentity {
            return Err(Reject::TooManyWatchers.into());
        }
        if self.tables.subscriptions.len() + self.under_way >= limits::SUBSCRIPTIONS_MAX {
            return Err(Reject::SubscriptionsFull.into());
        }
        Ok(())
    }

    /// A SUBSCRIBE within a dialog: refresh, new state of mind of the presentity, or the end.
    fn resubscribe(
        &mut self,
        core: &mut Core,
        request: &Incoming<'_>,
        id: SubscriptionId,
        event: &Event<'_>,
    ) -> Result<Decided, Refusal> {
        let known = &self.tables.subscriptions[id];
        let last_request = request.request_hash(core);
        if known.last_request == last_request {
            let answer = subscribed(core, known.status, known.answered);
            return Ok(Decided::Answer(answer));
        }
        let same = known.package == event.package && known.event_id() == event.id;
        if !known.linked || !same {
            return Err(Reject::NoSubscription.into());
        }
        let remote_cseq = request.head.cseq.number;
        if remote_cseq <= known.dialog.remote_cseq {
            return Err(Reject::CseqTooLow.into());
        }
        let asked = asked(core, request.msg, event)?;
        let presentity = self.tables.topics[known.topic].presentity;
        let aor = &self.tables.presentities[presentity].aor;
        let decision = self.decide(aor, &known.watcher, known.package);
        let (status, why) = match (decision, known.status) {
            _ if asked.expires == 0 => (Status::Terminated, WatcherEvent::Timeout),
            (Decision::Rejected, _) => (Status::Terminated, WatcherEvent::Rejected),
            (Decision::Active, Status::Active) => (Status::Active, known.event),
            (Decision::Active, _) => (Status::Active, WatcherEvent::Approved),
            (Decision::Pending, _) => (Status::Pending, WatcherEvent::Subscribe),
        };
        let over = status == Status::Terminated;
        let kept = match over {
            // For so long a repeat may come (RFC 3261 17.2.2, timer J).
            true => Span::millis(limits::TRANSACTION_MS),
            false => Span::seconds(u64::from(asked.expires)),
        };
        let refresh = Refresh {
            expires: core.now.wall + kept,
            answered: if over { 0 } else { asked.expires },
            remote_cseq,
            last_request,
            status,
            event: why,
            target: read::contact(request.msg).map(Box::from),
            path: request.path,
            reserved: records::head_room(known),
        };
        let change = Any::Subscribe(Change::Refresh(id, Box::new(refresh)));
        Ok(Decided::Change { presentity, change })
    }

    /// Put a change into memory; says the answer and what follows it.
    pub(super) fn apply_subscribe(
        &mut self,
        core: &mut Core,
        presentity: PresentityId,
        change: Change,
        stored: bool,
    ) -> (Answer, After) {
        match change {
            Change::Fetch(subscription) => self.apply_fetch(core, *subscription),
            Change::Initial(subscription) => {
                let (status, answered) = (subscription.status, subscription.answered);
                let (object, reserved) = (subscription.object, records::head_room(&subscription));
                let Some(id) = self.tables.add_subscription(*subscription) else {
                    let hash = self.tables.presentities[presentity].hash;
                    self.discard(core, hash, smallvec![Op::Remove { id: object }]);
                    let refusal = Refusal::from(Reject::SubscriptionsFull);
                    return (refusal.answer(core), After::Nothing);
                };
                self.tables.link_subscription(id);
                self.set_subscription_timer(core, id);
                match stored {
                    true => self.tables.subscriptions[id].reserved = reserved,
                    false => self.note_subscription(core, id),
                }
                self.stop_waiting(core, id);
                self.tell_watcher(id);
                (subscribed(core, status, answered), After::Notify(id))
            }
            Change::Refresh(id, refresh) => {
                let answer = subscribed(core, refresh.status, refresh.answered);
                if !self.tables.subscriptions.get(id).is_some_and(|known| known.linked) {
                    // A NOTIFY in flight found the subscriber gone while this was being stored.
                    return (Refusal::from(Reject::NoSubscription).answer(core), After::Nothing);
                }
                self.apply_refresh(core, id, *refresh, stored);
                (answer, After::Notify(id))
            }
        }
    }

    /// One NOTIFY with the state, and the end (RFC 6665 4.4.3). Who may not see it gets none of it,
    /// but the presentity learns that somebody asked.
    fn apply_fetch(&mut self, core: &mut Core, mut new: Subscription) -> (Answer, After) {
        let (status, topic) = (new.status, new.topic);
        if status == Status::Active {
            self.look_closely(core, topic);
            let view = match &self.tables.topics[topic].view {
                Some(view) => (**view).clone(),
                None => self.composed(core, topic),
            };
            let package = new.package.package();
            let document = package.subscribe_body(&view, core.now.wall);
            new.rare.get_or_insert_default().fetched = Some(document);
        }
        new.status = Status::Terminated;
        new.event = WatcherEvent::Timeout;
        let Some(id) = self.tables.add_subscription(new) else {
            return (Refusal::from(Reject::SubscriptionsFull).answer(core), After::Nothing);
        };
        if status == Status::Pending {
            self.wait_on(core, id, WatcherEvent::Subscribe);
        }
        (subscribed(core, status, 0), After::Notify(id))
    }

    fn apply_refresh(
        &mut self,
        core: &mut Core,
        id: SubscriptionId,
        refresh: Refresh,
        stored: bool,
    ) {
        let known = &mut self.tables.subscriptions[id];
        let before = known.status;
        known.expires = refresh.expires;
        known.answered = refresh.answered;
        known.last_request = refresh.last_request;
        known.owed = true;
        if let Some(rare) = known.rare.as_mut() {
            // The subscriber is there: what failed before is tried again now.
            rare.not_before = crate::Instant::default();
            rare.failures = 0;
        }
        let Path { listener, flow, local, peer } = refresh.path;
        let dialog = &mut known.dialog;
        dialog.remote_cseq = refresh.remote_cseq;
        if let Some(target) = refresh.target {
            dialog.target = target;
        }
        (dialog.listener, dialog.flow, dialog.local, dialog.source) = (listener, flow, local, peer);
        if refresh.status == Status::Terminated {
            self.retire(core, id, refresh.event);
            if before == Status::Pending && refresh.event == WatcherEvent::Timeout {
                self.wait_on(core, id, refresh.event);
            }
        } else {
            let known = &mut self.tables.subscriptions[id];
            known.status = refresh.status;
            known.event = refresh.event;
            match before == refresh.status {
                true => self.note_watcher(id),
                false => self.tell_watcher(id),
            }
        }
        self.set_subscription_timer(core, id);
        match stored {
            true => self.note_reserved(id, refresh.reserved),
            false => self.note_subscription(core, id),
        }
    }

    /// A subscription is over: no watcher any more, and the presentity learns it. Its last NOTIFY
    /// is still to be sent.
    pub(super) fn retire(&mut self, core: &mut Core, id: SubscriptionId, event: WatcherEvent) {
        let pending = self.tables.subscriptions[id].status == Status::Pending;
        self.leave_fan(id);
        let known = &mut self.tables.subscriptions[id];
        known.status = Status::Terminated;
        known.event = event;
        known.owed = true;
        if let Some(rare) = known.rare.as_mut() {
            // The end is told at once, whatever the pace.
            rare.not_before = crate::Instant::default();
        }
        if let Some(timer) = known.timer.take() {
            core.cancel_timer(timer);
        }
        // A pending one goes on to wait, which is told instead (RFC 3857 4.7.1).
        if !(pending && event == WatcherEvent::Timeout) {
            self.tell_watcher(id);
        }
        self.tables.unlink_subscription(id);
    }

    /// Put the stored record back to what memory says.
    pub(super) fn undo_subscribe(&mut self, core: &mut Core, hash: u64, change: &Change) {
        match change {
            Change::Fetch(_) => {}
            Change::Initial(new) => {
                self.discard(core, hash, smallvec![Op::Remove { id: new.object }]);
            }
            Change::Refresh(id, _) => {
                if self.tables.subscriptions.get(*id).is_some_and(|known| known.linked) {
                    self.store_subscription(core, *id);
                }
            }
        }
    }

    /// Set the timer of its end anew.
    pub(super) fn set_subscription_timer(&mut self, core: &mut Core, id: SubscriptionId) {
        let known = &mut self.tables.subscriptions[id];
        let at = core.now.instant + known.expires.since(core.now.wall);
        let timer = Timer::Presence(PresenceTimer::SubscriptionEnd(id));
        known.timer = core.postpone_timer(known.timer, at, timer);
    }

    /// A subscription has reached its end (row C120), or a finished one need not answer repeats any
    /// more.
    pub(super) fn end_subscription(&mut self, core: &mut Core, sip: &mut Sip, id: SubscriptionId) {
        let Some(known) = self.tables.subscriptions.get_mut(id) else { return };
        if known.expires > core.now.wall {
            self.set_subscription_timer(core, id);
            return;
        }
        known.timer = None;
        let pending = known.status == Status::Pending;
        if known.linked {
            self.retire(core, id, WatcherEvent::Timeout);
            if pending {
                self.wait_on(core, id, WatcherEvent::Timeout);
            }
            let told = self.tables.subscriptions[id].package.info();
            if told.mandatory_timeout_notification {
                self.deliver(core, sip, id);
            } else {
                self.tables.subscriptions[id].gone = true;
                self.release(core, id);
            }
        } else if known.gone {
            self.release(core, id);
        }
    }
}

/// Accept, body and expiration of a SUBSCRIBE.
fn asked(core: &Core, message: &Message<'_>, event: &Event<'_>) -> Result<Asked, Refusal> {
    let info = event.package.info();
    let types = Detail::Accept(event.package);
    if !read::accepts(message, info.notify_type)? {
        return Err(refuse(Reject::NotAcceptable, types));
    }
    let body = read::body(message)?;
    if !body.identity {
        return Err(Reject::BodyEncoding.into());
    }
    if body.bytes.len() > limits::BODY_MAX {
        return Err(Reject::BodyTooLarge.into());
    }
    event.package.package().validate_subscribe(body.content_type, body.bytes).map_err(|error| {
        match error {
            BodyError::MediaType => refuse(Reject::BodyType, types),
            BodyError::NotUnderstood => refuse(Reject::BodyNotUnderstood, types),
            BodyError::Invalid | BodyError::Missing => Reject::BodyInvalid.into(),
            BodyError::TooLarge => Reject::BodyTooLarge.into(),
        }
    })?;
    let most = core.config.presence.max_expires_subscribe;
    let expires = read::expires(message)?.unwrap_or(info.default_expires).min(most);
    brief(core, event.package, expires)?;
    Ok(Asked { package: event.package, expires, accept: read::accept_list(message) })
}

/// Rows C90, C91: 200, or 202 for a pending one where that is wanted.
fn subscribed(core: &Core, status: Status, expires: u32) -> Answer {
    let accepted = core.config.presence.subs_respond_202 && status == Status::Pending;
    Answer::with(if accepted { 202 } else { 200 }, Detail::Subscription(expires))
}
