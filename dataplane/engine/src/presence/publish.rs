//! PUBLISH (RFC 3903 section 6, rows C70-C83): the eight steps, then what each outcome does to
//! memory.

use alloc::boxed::Box;

use pharos_storage::{ObjectId, Op};
use smallvec::smallvec;

use super::package::{Accepted, BodyError, PackageId, Publish};
use super::publication::{EntityTag, Publication, Rare, State};
use super::queue::{After, Change as Any, Decided, published};
use super::read::{self, Body};
use super::refusal::{Refusal, refuse};
use super::tables::{PresentityId, PublicationId, TopicId};
use super::{Presence, PresenceTimer};
use crate::reject::Reject;
use crate::sip::{Answer, Detail, Incoming};
use crate::{Core, Span, Timer, limits};

/// A valid PUBLISH with its effect.
#[derive(Debug)]
pub(super) enum Change {
    /// A new publication (row C73).
    Initial {
        /// Of this presentity and package.
        topic: TopicId,
        /// Its state.
        state: State,
        /// The object of the state.
        object: ObjectId,
        /// The object of the body; 0 = none.
        body_object: ObjectId,
        /// The document.
        body: Box<[u8]>,
    },
    /// New entity-tag and end (row C75).
    Refresh(PublicationId, State),
    /// A new document too (row C76).
    Modify {
        /// Which.
        id: PublicationId,
        /// Its new state.
        state: State,
        /// The object of the new body.
        body_object: ObjectId,
        /// The new document.
        body: Box<[u8]>,
    },
    /// Taken back (row C77).
    Remove(PublicationId, State),
}

/// A PUBLISH in the terms of its package.
struct Asked<'m> {
    package: PackageId,
    topic: TopicId,
    aor: &'m str,
    /// Seconds granted; 0 = removal.
    expires: u32,
    body: Body<'m>,
    /// It brings a new document, or new headers for those packages that have none.
    changes: bool,
    rare: Option<Box<Rare>>,
    last_request: u64,
    etag: EntityTag,
}

impl Asked<'_> {
    /// The state that this request makes of a publication.
    fn state(&self, core: &Core) -> State {
        let kept = u64::from(self.expires) + u64::from(core.config.presence.expires_offset);
        State {
            etag: self.etag.clone(),
            expires: core.now.wall + Span::seconds(kept),
            last_request: self.last_request,
            answered: self.expires,
            removed: false,
            rare: self.rare.clone(),
        }
    }
}

impl Presence {
    /// What a PUBLISH leads to.
    pub(super) fn publish(
        &mut self,
        core: &mut Core,
        request: &Incoming<'_>,
        target: Option<PresentityId>,
    ) -> Result<Decided, Refusal> {
        // Step 1, the Request-URI, is the router's. Step 2: the event package.
        let event = read::event(request.msg)?;
        let package = event.package;
        if !package.info().publishable {
            return Err(Reject::BadEvent.into());
        }
        let aor = read::aor(request)?;
        let last_request = request.request_hash(core);
        let presentity = target
            .or_else(|| self.tables.make_presentity(aor, request.hash))
            .ok_or(Reject::PresentitiesFull)?;
        let topic = self.tables.make_topic(presentity, package).ok_or(Reject::PresentitiesFull)?;
        if let Some(repeated) = self.repeated(topic, last_request) {
            return Ok(Decided::Answer(repeated));
        }
        // Step 3: the entity-tag (rows C73, C74).
        let known = match read::if_match(request.msg)? {
            None => None,
            Some(tag) => Some(self.by_etag(topic, tag).ok_or(Reject::UnknownEntityTag)?),
        };
        // Step 4: the expiration (row C72).
        let expires = granted(core, package, read::expires(request.msg)?)?;
        let body = read::body(request.msg)?;
        let headers = package.info().extra_headers;
        let asked = Asked {
            package,
            topic,
            aor,
            expires,
            body,
            changes: !body.bytes.is_empty() || read::has_any(request.msg, headers),
            rare: None,
            last_request,
            etag: EntityTag::Ours(request.entity_tag(core)),
        };
        // Steps 5 to 8: the body, and what is to be done.
        match known {
            None => self.publish_new(core, request, presentity, asked),
            Some(id) if expires == 0 => Ok(self.publish_removal(core, presentity, id, &asked)),
            Some(id) if !asked.changes => Ok(self.publish_refresh(core, presentity, id, &asked)),
            Some(id) => self.publish_modified(core, request, presentity, id, asked),
        }
    }

    /// The answer that this very request got before; after a crash a repeat looks new.
    fn repeated(&self, topic: TopicId, last_request: u64) -> Option<Answer> {
        let id = self
            .tables
            .publications(topic)
            .find(|id| self.tables.publications[*id].state.last_request == last_request)?;
        let state = &self.tables.publications[id].state;
        Some(match state.removed {
            true => Answer::with(200, Detail::Removed),
            false => published(state.answered),
        })
    }

    fn by_etag(&self, topic: TopicId, tag: &[u8]) -> Option<PublicationId> {
        self.tables.publications(topic).find(|id| {
            let state = &self.tables.publications[*id].state;
            !state.removed && state.etag.as_str().as_bytes() == tag
        })
    }

    fn publish_new(
        &mut self,
        core: &mut Core,
        request: &Incoming<'_>,
        presentity: PresentityId,
        mut asked: Asked<'_>,
    ) -> Result<Decided, Refusal> {
        self.room_for_body(&asked, None)?;
        let body = valid_body(core, &asked, None)?;
        if asked.expires == 0 {
            // Over as soon as it is there: nothing to keep and nothing that anybody could see.
            return Ok(Decided::Answer(published(0)));
        }
        let most = core.config.presence.max_publications_per_presentity as usize;
        // Removed ones count too, at half: nobody makes and removes without end.
        let all = self.tables.publication_count(asked.topic);
        if self.live_publications(asked.topic) >= most || all >= 2 * most {
            return Err(Reject::TooManyPublications.into());
        }
        if self.tables.publications.len() + self.under_way >= limits::PUBLICATIONS_MAX {
            return Err(Reject::PublicationsFull.into());
        }
        asked.rare = rare(core, request, &asked);
        let state = asked.state(core);
        let object = core.new_object();
        let body_object = if body.is_empty() { ObjectId(0) } else { core.new_object() };
        let topic = asked.topic;
        let change = Change::Initial { topic, state, object, body_object, body };
        Ok(Decided::Change { presentity, change: Any::Publish(change) })
    }

    /// All bodies of the topic fit into one message, with this one instead of that of `replaced`.
    fn room_for_body(
        &self,
        asked: &Asked<'_>,
        replaced: Option<PublicationId>,
    ) -> Result<(), Refusal> {
        let others = self.tables.publications(asked.topic).filter(|id| Some(*id) != replaced);
        let others: usize = others.map(|id| self.tables.publications[id].body.len()).sum();
        match others + asked.body.bytes.len() <= limits::BODY_MAX {
            true => Ok(()),
            false => Err(Reject::BodyTooLarge.into()),
        }
    }

    /// Publications that are not removed.
    fn live_publications(&self, topic: TopicId) -> usize {
        let live = |id: &PublicationId| !self.tables.publications[*id].state.removed;
        self.tables.publications(topic).filter(live).count()
    }

    fn publish_refresh(
        &self,
        core: &Core,
        presentity: PresentityId,
        id: PublicationId,
        asked: &Asked<'_>,
    ) -> Decided {
        let publication = &self.tables.publications[id];
        let mut state = asked.state(core);
        state.rare.clone_from(&publication.state.rare);
        Decided::Change { presentity, change: Any::Publish(Change::Refresh(id, state)) }
    }

    fn publish_modified(
        &self,
        core: &mut Core,
        request: &Incoming<'_>,
        presentity: PresentityId,
        id: PublicationId,
        mut asked: Asked<'_>,
    ) -> Result<Decided, Refusal> {
        let publication = &self.tables.publications[id];
        self.room_for_body(&asked, Some(id))?;
        let body = valid_body(core, &asked, Some(&publication.body))?;
        asked.rare = rare(core, request, &asked);
        let state = asked.state(core);
        let body_object = match (publication.body_object, body.is_empty()) {
            (_, true) => ObjectId(0),
            (ObjectId(0), false) => core.new_object(),
            (known, false) => known,
        };
        let change = Change::Modify { id, state, body_object, body };
        Ok(Decided::Change { presentity, change: Any::Publish(change) })
    }

    fn publish_removal(
        &self,
        core: &Core,
        presentity: PresentityId,
        id: PublicationId,
        asked: &Asked<'_>,
    ) -> Decided {
        let publication = &self.tables.publications[id];
        let state = State {
            removed: true,
            etag: publication.state.etag.clone(),
            // For so long a repeat may come (RFC 3261 17.2.2, timer J).
            expires: core.now.wall + Span::millis(limits::TRANSACTION_MS),
            ..asked.state(core)
        };
        Decided::Change { presentity, change: Any::Publish(Change::Remove(id, state)) }
    }

    /// Put a change into memory; says the answer and what follows it.
    pub(super) fn apply_publish(
        &mut self,
        core: &mut Core,
        presentity: PresentityId,
        change: Change,
        stored: bool,
    ) -> (Answer, After) {
        match change {
            Change::Initial { topic, state, object, body_object, body } => {
                self.look(core, topic);
                let answer = published(state.answered);
                let new = Publication {
                    topic,
                    next: None,
                    object,
                    body_object,
                    received: core.now.wall,
                    state,
                    body,
                    timer: None,
                    dirty: false,
                    body_dirty: false,
                    stored,
                };
                let Some(id) = self.tables.add_publication(new) else {
                    let hash = self.tables.presentities[presentity].hash;
                    self.discard(core, hash, smallvec![Op::Remove { id: object }]);
                    return (Refusal::from(Reject::PublicationsFull).answer(core), After::Nothing);
                };
                self.set_publication_timer(core, id);
                self.note_publication(core, id, true, stored);
                (answer, After::Changed(topic))
            }
            Change::Refresh(id, state) => {
                let answer = published(state.answered);
                self.tables.publications[id].state = state;
                self.set_publication_timer(core, id);
                self.note_publication(core, id, false, stored);
                (answer, After::Nothing)
            }
            Change::Modify { id, state, body_object, body } => {
                let answer = published(state.answered);
                let topic = self.apply_modification(core, id, (state, body_object, body), stored);
                (answer, After::Changed(topic))
            }
            Change::Remove(id, state) => {
                let topic = self.tables.publications[id].topic;
                self.look_closely(core, topic);
                let answer = Answer::with(200, Detail::Removed);
                self.apply_removal(core, id, state, stored);
                (answer, After::Changed(topic))
            }
        }
    }

    /// A new document instead of the old one, which may lose its object.
    fn apply_modification(
        &mut self,
        core: &mut Core,
        id: PublicationId,
        (state, body_object, body): (State, ObjectId, Box<[u8]>),
        stored: bool,
    ) -> TopicId {
        let topic = self.tables.publications[id].topic;
        self.look(core, topic);
        let publication = &mut self.tables.publications[id];
        publication.state = state;
        publication.body = body;
        publication.received = core.now.wall;
        let old = core::mem::replace(&mut publication.body_object, body_object);
        self.tables.move_to_front(id);
        self.set_publication_timer(core, id);
        if stored || body_object == old {
            self.note_publication(core, id, true, stored);
        } else {
            self.tables.publications[id].body_dirty = true;
            self.store_publication(core, id, old);
        }
        topic
    }

    /// A removed publication keeps its small state for as long as repeats may come.
    fn apply_removal(&mut self, core: &mut Core, id: PublicationId, state: State, stored: bool) {
        let publication = &mut self.tables.publications[id];
        let body_object = core::mem::replace(&mut publication.body_object, ObjectId(0));
        publication.state = state;
        publication.body = Box::default();
        self.set_publication_timer(core, id);
        if stored {
            self.note_publication(core, id, false, true);
        } else {
            self.store_publication(core, id, body_object);
        }
    }

    /// Put the stored objects back to what memory says.
    pub(super) fn undo_publish(&mut self, core: &mut Core, hash: u64, change: &Change) {
        let (id, stored_body) = match change {
            Change::Initial { object, body_object, .. } => {
                let both = [*object, *body_object].into_iter().filter(|id| *id != ObjectId(0));
                self.discard(core, hash, both.map(|id| Op::Remove { id }).collect());
                return;
            }
            Change::Refresh(id, _) | Change::Remove(id, _) => (*id, ObjectId(0)),
            Change::Modify { id, body_object, .. } => (*id, *body_object),
        };
        self.tables.publications[id].body_dirty = !matches!(change, Change::Refresh(..));
        self.store_publication(core, id, stored_body);
    }

    /// Set the timer of its end anew.
    pub(super) fn set_publication_timer(&mut self, core: &mut Core, id: PublicationId) {
        let publication = &mut self.tables.publications[id];
        let at = core.now.instant + publication.state.expires.since(core.now.wall);
        let timer = Timer::Presence(PresenceTimer::PublicationEnd(id));
        publication.timer = core.postpone_timer(publication.timer, at, timer);
    }

    /// A publication has reached its end, or a removed one need not answer repeats any more
    /// (row C83: exact, not by scan).
    pub(super) fn end_publication(
        &mut self,
        core: &mut Core,
        sip: &mut crate::sip::Sip,
        id: PublicationId,
    ) {
        let Some(publication) = self.tables.publications.get(id) else { return };
        if publication.state.expires > core.now.wall {
            // Refreshed while this waited, or the wall clock was set back.
            self.set_publication_timer(core, id);
            return;
        }
        let (topic, removed) = (publication.topic, publication.state.removed);
        if !removed {
            self.look_closely(core, topic);
        }
        self.drop_publication(core, id);
        let presentity = self.tables.topics[topic].presentity;
        if !removed {
            self.follow_up(core, sip, After::Changed(topic));
        }
        self.tables.tidy(presentity);
    }

    /// Out of memory and out of the store, where its own record says that it is over.
    pub(super) fn drop_publication(&mut self, core: &mut Core, id: PublicationId) {
        let Some(gone) = self.tables.remove_publication(id) else { return };
        if let Some(timer) = gone.timer {
            core.cancel_timer(timer);
        }
        if gone.stored {
            let objects = [gone.object, gone.body_object].into_iter();
            let objects = objects.filter(|id| *id != ObjectId(0));
            let ops = objects.map(|id| Self::leaving(id, gone.dirty));
            let hash = self.tables.owner(gone.topic).hash;
            self.discard(core, hash, ops.collect());
        }
    }
}

/// Seconds granted (row C72): the package's default, at most the maximum; too little is refused,
/// but never an hour or more (RFC 6665 4.2.1.1).
pub(super) fn granted(core: &Core, package: PackageId, asked: Option<u32>) -> Result<u32, Refusal> {
    let presence = &core.config.presence;
    let expires = asked.unwrap_or_else(|| package.info().default_expires);
    let expires = expires.min(presence.max_expires_publish);
    brief(core, package, expires).map(|()| expires)
}

/// Row C10: 423 below `min_expires`, unless it is 0 or the package lives briefly by nature.
pub(super) fn brief(core: &Core, package: PackageId, expires: u32) -> Result<(), Refusal> {
    let least = core.config.presence.min_expires;
    let brief = expires < least && expires < limits::ALWAYS_ENOUGH_S;
    if expires > 0 && brief && !package.info().min_expires_exempt {
        return Err(refuse(Reject::ExpiresTooBrief, Detail::MinExpires(least)));
    }
    Ok(())
}

/// Step 5: the body is one that the package takes.
fn valid_body(
    core: &Core,
    asked: &Asked<'_>,
    previous: Option<&[u8]>,
) -> Result<Box<[u8]>, Refusal> {
    let Body { content_type, bytes, identity } = asked.body;
    if !identity {
        return Err(Reject::BodyEncoding.into());
    }
    let publish = Publish {
        aor: asked.aor,
        content_type,
        body: bytes,
        previous,
        config: &core.config.presence,
    };
    let accept = Detail::Accept(asked.package);
    match asked.package.package().validate_publish(&publish) {
        Ok(Accepted::AsIs) => Ok(bytes.into()),
        Ok(Accepted::Rewritten(body)) => Ok(body.into()),
        Err(BodyError::MediaType) => Err(refuse(Reject::BodyType, accept)),
        Err(BodyError::NotUnderstood) => Err(refuse(Reject::BodyNotUnderstood, accept)),
        Err(BodyError::Invalid) => Err(Reject::BodyInvalid.into()),
        Err(BodyError::Missing) => Err(Reject::BodyMissing.into()),
        Err(BodyError::TooLarge) => Err(Reject::BodyTooLarge.into()),
    }
}

/// What is unusual about a publication.
fn rare(core: &Core, request: &Incoming<'_>, asked: &Asked<'_>) -> Option<Box<Rare>> {
    let info = asked.package.info();
    let usual = info.publish_types.first().copied().unwrap_or_default();
    let sender = read::watcher(core, &request.head).ok().filter(|sender| **sender != *asked.aor);
    let content_type = asked.body.content_type;
    Rare {
        sender: sender.unwrap_or_default(),
        content_type: if content_type == usual { "".into() } else { content_type.into() },
        headers: read::header_lines(request.msg, info.extra_headers),
    }
    .boxed()
}
