//! One change of an AoR at a time: validate, store, and on `Stored` apply, answer, notify
//!. The next change waits, so nothing is visible before it is durable
//! and a failed commit has nothing to undo.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use pharos_storage::StoreError;

use super::refusal::Refusal;
use super::tables::{PresentityId, PublicationId, SubscriptionId, TopicId};
use super::{Presence, StoreOwner, publish, read, subscribe};
use crate::reject::Reject;
use crate::sip::{Answer, Deferred, Detail, Incoming, Marks, Sip};
use crate::{Core, limits};

/// What waits its turn.
#[derive(Debug)]
pub(super) enum Job {
    /// A request.
    Request(Deferred),
    /// The end of a publication.
    PublicationEnd(PublicationId),
    /// The end of a subscription.
    SubscriptionEnd(SubscriptionId),
}

/// A change that is being stored, and what waits for it.
#[derive(Debug)]
pub(super) struct Busy {
    change: Change,
    request: Deferred,
    waiting: VecDeque<Job>,
    /// Requests among the waiting.
    requests: usize,
}

/// A valid change with all that it will put into memory.
#[derive(Debug)]
pub(super) enum Change {
    /// Of a publication.
    Publish(publish::Change),
    /// Of a subscription.
    Subscribe(subscribe::Change),
}

impl Change {
    /// Nothing of it is stored: it is over with its answer.
    const fn is_of_memory(&self) -> bool {
        matches!(self, Self::Subscribe(subscribe::Change::Fetch(_)))
    }
}

/// What a request leads to.
pub(super) enum Decided {
    /// Nothing changes.
    Answer(Answer),
    /// This, once it is stored.
    Change {
        /// Whose state.
        presentity: PresentityId,
        /// What.
        change: Change,
    },
}

/// What follows once a change is applied and answered.
#[derive(Debug)]
pub(super) enum After {
    /// Nothing to be told.
    Nothing,
    /// Watchers of the topic learn the new state.
    Changed(TopicId),
    /// This subscriber gets a NOTIFY.
    Notify(SubscriptionId),
}

/// How a request is answered: at once, or out of its copy.
pub(super) enum Reply<'r, 'm> {
    /// It just came in.
    Now(&'r Incoming<'m>),
    /// It waited.
    Later(Deferred),
}

impl Reply<'_, '_> {
    fn answer(self, core: &mut Core, sip: &mut Sip, answer: &Answer) {
        match self {
            Self::Now(incoming) => sip.answer(core, incoming, answer),
            Self::Later(deferred) => sip.answer_deferred(core, deferred, answer),
        }
    }

    fn defer(self, core: &mut Core, sip: &mut Sip) -> Deferred {
        match self {
            Self::Now(incoming) => sip.defer_answer(core, incoming),
            Self::Later(deferred) => deferred,
        }
    }
}

impl Presence {
    /// Take a request: at once, or behind the change that is under way.
    pub(super) fn admit(&mut self, core: &mut Core, sip: &mut Sip, incoming: &Incoming<'_>) {
        let target = self.target(incoming);
        let Some(busy) = target.and_then(|target| self.tables.presentities[target].busy.as_mut())
        else {
            self.run(core, sip, incoming, target, Reply::Now(incoming));
            return;
        };
        if busy.requests >= limits::CHANGES_WAITING_MAX {
            let answer = Refusal::from(Reject::QueueFull).answer(core);
            sip.answer(core, incoming, &answer);
            return;
        }
        busy.requests += 1;
        let request = sip.defer(core, incoming);
        busy.waiting.push_back(Job::Request(request));
    }

    /// The presentity whose state the request is about, if it has any.
    fn target(&self, incoming: &Incoming<'_>) -> Option<PresentityId> {
        if let Some(subscription) = self.dialog_of(&incoming.head) {
            let subscription = self.tables.subscriptions.get(subscription)?;
            return self.tables.topics.get(subscription.topic).map(|topic| topic.presentity);
        }
        let aor = core::str::from_utf8(incoming.aor).ok()?;
        self.tables.presentity(aor, incoming.hash)
    }

    /// Decide a request whose turn it is.
    fn run(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        request: &Incoming<'_>,
        target: Option<PresentityId>,
        reply: Reply<'_, '_>,
    ) {
        let decided = if read::is_publish(request.msg) {
            self.publish(core, request, target)
        } else {
            self.subscribe(core, request)
        };
        let made = match &decided {
            Ok(Decided::Change { presentity, .. }) => Some(*presentity),
            // A refused request may have been the first about its presentity.
            _ => target.or_else(|| self.target(request)),
        };
        match decided {
            Err(refusal) => {
                let answer = refusal.answer(core);
                reply.answer(core, sip, &answer);
            }
            Ok(Decided::Answer(answer)) => reply.answer(core, sip, &answer),
            Ok(Decided::Change { presentity, change }) => {
                self.commit(core, sip, (presentity, change), reply);
            }
        }
        if let Some(presentity) = made {
            self.tables.tidy(presentity);
        }
    }

    /// Make a change durable, or, where that waits or needs nothing, apply it.
    fn commit(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        (presentity, change): (PresentityId, Change),
        reply: Reply<'_, '_>,
    ) {
        if !core.config.commit || change.is_of_memory() {
            let (answer, after) = self.apply(core, presentity, change, false);
            reply.answer(core, sip, &answer);
            self.follow_up(core, sip, after);
            return;
        }
        if core.store_refused() {
            let answer = Refusal::from(Reject::StoreBusy).answer(core);
            reply.answer(core, sip, &answer);
            return;
        }
        let ops = self.durable(core, &change);
        let request = reply.defer(core, sip);
        let owner = &mut self.tables.presentities[presentity];
        assert!(owner.busy.is_none(), "one change at a time");
        core.store(owner.hash, ops, StoreOwner::Change(presentity));
        let waiting = VecDeque::new();
        owner.busy = Some(Box::new(Busy { change, request, waiting, requests: 0 }));
        self.under_way += 1;
    }

    /// The lane's word about the change under way.
    pub(super) fn on_change_stored(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        presentity: PresentityId,
        result: Result<(), StoreError>,
    ) {
        let owner = &mut self.tables.presentities[presentity];
        let Busy { change, request, waiting, .. } =
            *owner.busy.take().expect("only a busy presentity waits for a lane");
        owner.held = true;
        self.under_way -= 1;
        let late = request.is_late(core);
        match result {
            Ok(()) if late => {
                // Nobody waits for the answer any more: the client has taken it for a failure.
                self.undo(core, presentity, &change);
                sip.drop_deferred(core, request);
            }
            Ok(()) => {
                let (answer, after) = self.apply(core, presentity, change, true);
                sip.answer_deferred(core, request, &answer);
                self.follow_up(core, sip, after);
            }
            Err(_) if late => sip.drop_deferred(core, request),
            Err(_) => {
                let answer = Refusal::from(Reject::StoreFailed).answer(core);
                sip.answer_deferred(core, request, &answer);
            }
        }
        self.work_off(core, sip, presentity, waiting);
        self.tables.presentities[presentity].held = false;
        self.tables.tidy(presentity);
    }

    /// Jobs in their order, until one of them waits for a lane again.
    fn work_off(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        presentity: PresentityId,
        mut waiting: VecDeque<Job>,
    ) {
        while let Some(job) = waiting.pop_front() {
            match job {
                Job::Request(request) if request.is_late(core) => sip.drop_deferred(core, request),
                Job::Request(request) => self.rerun(core, sip, presentity, request),
                Job::PublicationEnd(id) => self.end_publication(core, sip, id),
                Job::SubscriptionEnd(id) => self.end_subscription(core, sip, id),
            }
            if let Some(busy) = self.tables.presentities[presentity].busy.as_mut() {
                let requests = waiting.iter().filter(|job| matches!(job, Job::Request(_)));
                busy.requests = requests.count();
                busy.waiting = waiting;
                return;
            }
        }
    }

    /// A request that waited: read it again out of its copy.
    fn rerun(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        presentity: PresentityId,
        request: Deferred,
    ) {
        let bytes: Box<[u8]> = request.bytes().into();
        let message = read::message(&bytes).expect("it was readable when it came");
        let head = message.essential().expect("it was whole when it came");
        let aor = self.tables.presentities[presentity].aor.clone();
        let incoming = Incoming {
            msg: &message,
            head,
            path: request.path(),
            txn: request.txn(),
            aor: aor.as_bytes(),
            hash: request.hash(),
            marks: Marks::default(),
        };
        self.run(core, sip, &incoming, Some(presentity), Reply::Later(request));
    }

    /// Put a change into memory. `stored`: the lane has it; else write-behind will bring it there.
    fn apply(
        &mut self,
        core: &mut Core,
        presentity: PresentityId,
        change: Change,
        stored: bool,
    ) -> (Answer, After) {
        match change {
            Change::Publish(change) => self.apply_publish(core, presentity, change, stored),
            Change::Subscribe(change) => self.apply_subscribe(core, presentity, change, stored),
        }
    }

    /// Take a stored change that was never answered back out of the store.
    fn undo(&mut self, core: &mut Core, presentity: PresentityId, change: &Change) {
        let hash = self.tables.presentities[presentity].hash;
        match change {
            Change::Publish(change) => self.undo_publish(core, hash, change),
            Change::Subscribe(change) => self.undo_subscribe(core, hash, change),
        }
    }

    /// Tell whom a change concerns, after its answer.
    pub(super) fn follow_up(&mut self, core: &mut Core, sip: &mut Sip, after: After) {
        match after {
            After::Nothing => {}
            After::Changed(topic) => self.state_changed(core, topic),
            After::Notify(subscription) => {
                self.deliver(core, sip, subscription);
            }
        }
    }

    /// Run `job` now, or after the change under way.
    pub(super) fn in_turn(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        owner: PresentityId,
        job: Job,
    ) {
        match (self.tables.presentities[owner].busy.as_mut(), job) {
            (Some(busy), job) => busy.waiting.push_back(job),
            (None, Job::PublicationEnd(id)) => self.end_publication(core, sip, id),
            (None, Job::SubscriptionEnd(id)) => self.end_subscription(core, sip, id),
            (None, Job::Request(_)) => unreachable!("requests are admitted"),
        }
    }
}

/// The answer of a 2xx to PUBLISH.
pub(super) const fn published(expires: u32) -> Answer {
    Answer::with(200, Detail::Publication(expires))
}
