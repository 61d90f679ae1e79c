//! What the server's state must be, from the rules of RFC 3903 and RFC 6665 and from what passed at
//! its door; nothing of the engine is in it.
//!
//! Whoever looks from outside does not know everything: a request without an answer may have
//! happened, a crash may have come before or after a commit. So the model keeps for every
//! publication all states that it may be in, and each answer and each NOTIFY leaves fewer of them.
//! When none is left, the server has broken a promise. What a crash may take is given: nothing, or
//! what is younger than a period.

mod publication;
mod subscription;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;

use pharos_engine::{Instant, Span};

use crate::history::{History, Item, Turn};
use publication::{Publication, Wish};
pub use subscription::Subscription;
pub use view::{CALL_STATES, View, marks};

/// A transaction: who, and the branch.
type Key = (SocketAddr, String);

/// A server may take so long for a request (64*T1): later nobody waits for the answer.
const TRANSACTION: Span = Span::seconds(32);
/// Timers are exact, but for a turn of the loop,
const GRACE: Span = Span::millis(100);
/// and stored times are whole milliseconds.
const ROUNDED: u64 = 2_000_000;
/// Beyond its period, write-behind takes a step, and a commit its time.
const SLACK: Span = Span::seconds(2);

/// A request that has reached the server.
#[derive(Clone, Debug)]
struct Asked {
    wish: Wish,
    publication: Option<usize>,
    arrived: Instant,
    /// Answered in this life of the process,
    answered_in: Option<u32>,
    /// and at least once with 2xx.
    granted: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Model {
    publications: Vec<Publication>,
    by_tag: BTreeMap<String, usize>,
    by_mark: BTreeMap<String, usize>,
    asked: BTreeMap<Key, Asked>,
    /// By Call-ID.
    subscriptions: BTreeMap<String, Subscription>,
    notified: BTreeSet<String>,
    loss: Span,
    offset: Span,
    /// By how much the wall clock was ever set back: what is stored may live so much longer.
    back: Span,
}

impl Model {
    /// Replay a run.
    ///
    /// # Errors
    /// The server has contradicted itself: what, and when.
    pub fn replay(history: &History) -> Result<Self, String> {
        let mut model = Self { loss: history.loss, offset: history.offset, ..Self::default() };
        let mut turns = history.turns.iter().peekable();
        for item in &history.items {
            while let Some((at, turn)) = turns.next_if(|(at, _)| *at <= item.at) {
                model.turn(*at, *turn);
            }
            if !history.strange(item) {
                model.item(item).map_err(|what| {
                    format!("{what}, at {} ms in\n{}", item.at.0 / 1_000_000, item.sip)
                })?;
            }
        }
        model.pass(history.end);
        Ok(model)
    }

    /// All subscriptions that the server was ever asked for.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }

    /// What every watcher of this must see, and what one may see.
    pub fn visible(
        &self,
        aor: &str,
        event: &str,
        at: Instant,
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
        let mut newest: Option<(Instant, BTreeSet<String>)> = None;
        for publication in self.publications.iter().filter(|p| p.aor == aor && p.event == event) {
            let documents = publication.documents(at);
            for held in documents.iter().flatten() {
                may.extend(held.marks.iter().cloned());
                if newest.as_ref().is_none_or(|(written, _)| held.written > *written) {
                    newest = Some((held.written, (*held.marks).clone()));
                }
            }
            if let [Some(only)] = documents.as_slice() {
                must.extend(only.marks.iter().cloned());
            }
        }
        if event == "message-summary" {
            // RFC 3842 3: there is one summary, the newest.
            must.retain(|mark| newest.as_ref().is_some_and(|(_, marks)| marks.contains(mark)));
        }
        (must, may)
    }

    fn turn(&mut self, at: Instant, turn: Turn) {
        self.pass(at);
        match turn {
            Turn::Died { clean } => {
                let window = Span(if clean { 0 } else { self.loss.0 });
                let all = window == Span(0);
                let slack = if all { Span(0) } else { SLACK };
                let then = Instant(at.0.saturating_sub(window.0 + slack.0));
                if !all {
                    self.publications.iter_mut().for_each(|known| known.lost_since(then));
                }
                let then = if all { at } else { then };
                self.subscriptions.values_mut().for_each(|known| known.lost_since(then, at));
            }
            Turn::Unreachable(_) => {}
            Turn::Jumped(milliseconds) => {
                if milliseconds < 0 {
                    self.back = Span(self.back.0 + Span::millis(milliseconds.unsigned_abs()).0);
                }
                self.publications.iter_mut().for_each(|known| known.jumped(milliseconds));
                self.subscriptions.values_mut().for_each(|known| known.jumped(milliseconds));
            }
        }
    }

    fn pass(&mut self, at: Instant) {
        self.publications.iter_mut().for_each(|known| known.pass(at));
    }

    fn item(&mut self, item: &Item) -> Result<(), String> {
        let sip = &item.sip;
        self.pass(item.at);
        match (sip.method(), item.received, sip.is_request()) {
            ("PUBLISH", true, true) => self.publish(item),
            ("PUBLISH", false, false) if sip.status() >= 200 => return self.published(item),
            ("SUBSCRIBE", true, true) => self.subscribe(item),
            ("SUBSCRIBE", false, false) if sip.status() >= 200 => return self.subscribed(item),
            ("NOTIFY", false, true) => return self.notify(item),
            ("NOTIFY", true, false) if sip.status() >= 200 => {
                if let Some(known) = self.subscriptions.get_mut(sip.header("Call-ID")) {
                    known.answered(sip, item.at);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The latest end of something that a request makes by now.
    fn latest(&self, at: Instant) -> Instant {
        at + self.offset + self.back + GRACE
    }

    fn publish(&mut self, item: &Item) {
        let sip = &item.sip;
        let key = key(item);
        let latest = self.latest(item.at) + TRANSACTION;
        if let Some(asked) = self.asked.get(&key) {
            let known = asked.granted && self.loss == Span(0);
            if let Some(place) = asked.publication.filter(|_| !known)
                && asked.answered_in != Some(item.life)
            {
                self.publications[place].wish(&key, &asked.wish, item.at, latest);
            }
            return;
        }
        let event = sip.header("Event").to_owned();
        let tag = sip.has("SIP-If-Match").then(|| sip.header("SIP-If-Match").to_owned());
        let shown = (!sip.body.is_empty()).then(|| Rc::new(marks(&event, &sip.body)));
        let publication = match &tag {
            Some(tag) => self.by_tag.get(tag).copied(),
            None => {
                self.publications.push(Publication::new(sip.uri(), &event));
                Some(self.publications.len() - 1)
            }
        };
        let expires = u64::from(sip.expires().unwrap_or(3600));
        let wish = Wish { tag, marks: shown, expires };
        if let Some(place) = publication {
            for mark in wish.marks.iter().flat_map(|marks| marks.iter()) {
                self.by_mark.insert(mark.clone(), place);
            }
            self.publications[place].wish(&key, &wish, item.at, latest);
        }
        let (answered_in, granted) = (None, false);
        self.asked.insert(key, Asked { wish, publication, arrived: item.at, answered_in, granted });
    }

    fn published(&mut self, item: &Item) -> Result<(), String> {
        let sip = &item.sip;
        let (key, latest) = (key(item), self.latest(item.at));
        let Some(asked) = self.asked.get_mut(&key) else {
            return Err("an answer to what was not asked".into());
        };
        if asked.answered_in == Some(item.life) || asked.granted && self.loss == Span(0) {
            return Ok(());
        }
        // An answer without state is given anew each time.
        if sip.status() != 503 {
            asked.answered_in = Some(item.life);
        }
        let Some(place) = asked.publication else {
            return match sip.status() {
                412 | 503 => Ok(()),
                status => Err(format!("{status} to an unknown entity-tag")),
            };
        };
        let known = &mut self.publications[place];
        match (sip.status(), &asked.wish.tag) {
            (200, _) => {
                asked.granted = true;
                let end = latest + Span::seconds(sip.expires().unwrap_or(0).into());
                if !sip.etag().is_empty() {
                    self.by_tag.insert(sip.etag().to_owned(), place);
                }
                known.granted(&key, sip.etag(), item.at, end)
            }
            (412, Some(tag)) => known.unmatched(&key, tag, item.at),
            (503, _) if asked.granted => Ok(()),
            (503, _) => known.refused(&key, item.at),
            (status, _) => Err(format!("{status} to a good PUBLISH")),
        }
    }

    fn subscribe(&mut self, item: &Item) {
        let sip = &item.sip;
        let expires = u64::from(sip.expires().unwrap_or(3600));
        let latest = self.latest(item.at) + TRANSACTION;
        let (key, call) = (key(item), sip.header("Call-ID"));
        let first = !self.asked.contains_key(&key);
        let asked = self.asked.entry(key).or_insert_with(|| Asked {
            wish: Wish { tag: None, marks: None, expires },
            publication: None,
            arrived: item.at,
            answered_in: None,
            granted: false,
        });
        if asked.granted && (self.loss == Span(0) || asked.answered_in == Some(item.life)) {
            return;
        }
        let inside = sip.parameter("To", "tag").is_some();
        if !inside && first {
            let (aor, watcher) = (uri(sip.header("To")), uri(sip.header("From")));
            let new = Subscription::new(aor, sip.header("Event"), watcher);
            self.subscriptions.insert(call.to_owned(), new);
        }
        if let Some(known) = self.subscriptions.get_mut(call) {
            known.wish(expires, latest);
        }
    }

    fn subscribed(&mut self, item: &Item) -> Result<(), String> {
        let sip = &item.sip;
        let latest = self.latest(item.at);
        let Some(asked) = self.asked.get_mut(&key(item)) else {
            return Err("an answer to what was not asked".into());
        };
        let again = asked.granted && self.loss == Span(0) && sip.status() != 481;
        if asked.answered_in == Some(item.life) || again {
            return Ok(());
        }
        if sip.status() != 503 {
            asked.answered_in = Some(item.life);
        }
        let Some(known) = self.subscriptions.get_mut(sip.header("Call-ID")) else {
            return Err("an answer to no subscription".into());
        };
        match sip.status() {
            200 | 202 => {
                asked.granted = true;
                match u64::from(sip.expires().unwrap_or(0)) {
                    0 => known.over(),
                    granted => {
                        let life = Span::seconds(granted);
                        let early = (asked.arrived + life).0.saturating_sub(ROUNDED);
                        known.granted(item.at, Instant(early), latest + life);
                    }
                }
                Ok(())
            }
            481 if known.is_sure(item.at) => {
                Err(format!("481 to one that must be there: {known:?}"))
            }
            481 => {
                known.over();
                Ok(())
            }
            // A process that lost the last refresh in a crash may know a later CSeq of ours.
            500 if self.loss > Span(0) => Ok(()),
            503 => Ok(()),
            status => Err(format!("{status} to a good SUBSCRIBE")),
        }
    }

    fn notify(&mut self, item: &Item) -> Result<(), String> {
        let sip = &item.sip;
        if let Some(known) = self.subscriptions.get_mut(sip.header("Call-ID")) {
            known.told(sip, item.at);
        }
        let first = self.notified.insert(sip.branch().to_owned());
        // What goes over a connection may have waited for it, and what is too large for a datagram
        // and yet is one waited for a connection in vain (RFC 3261 18.1.1).
        let whole = sip.header("Event").split(';').next() == Some("presence");
        let open = sip.state() == "active" || !sip.body.is_empty();
        if !first || !whole || !open || sip.stream || item.bytes.len() > 1_300 {
            return Ok(());
        }
        let aor = uri(sip.header("From"));
        let mut there = BTreeSet::new();
        for mark in marks("presence", &sip.body) {
            let place = self.by_mark.get(&mark).ok_or_else(|| format!("{mark} was never there"))?;
            self.publications[*place].shown(&mark, item.at)?;
            there.insert(*place);
        }
        for (place, known) in self.publications.iter_mut().enumerate() {
            if known.event == "presence" && known.aor == aor && !there.contains(&place) {
                known.missing(item.at)?;
            }
        }
        Ok(())
    }
}

fn key(item: &Item) -> Key {
    (item.peer, item.sip.branch().to_owned())
}

/// What stands between the angle brackets.
fn uri(header: &str) -> String {
    let inside = header.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or(header, |(uri, _)| uri).to_owned()
}
