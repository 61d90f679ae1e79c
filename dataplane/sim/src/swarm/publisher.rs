//! A publisher: it publishes, refreshes, modifies and removes, repeats itself, and now and then
//! forgets all it knew.

use std::collections::BTreeMap;

use pharos_engine::{Instant, Span};

use super::client::{Client, Mood, Scene};
use crate::documents;
use crate::message::Request;
use crate::model::CALL_STATES;
use crate::phone::Phone;

/// Wait so long for an answer: a transaction lives 32 s.
const PATIENCE: Span = Span::millis(32_500);
/// A deliberate repeat comes no later than this after the request (RFC 3261 17.2.2, timer J), and
/// only as a datagram: over a stream nothing is ever sent again.
const REPEAT: Span = Span::seconds(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Publisher {
    phone: Phone,
    event: &'static str,
    etag: Option<String>,
    /// It has to be refreshed by then.
    until: Instant,
    waiting: Option<(Request, Instant)>,
    /// The last request that was answered, and when it was sent.
    last: Option<(Request, Instant)>,
    /// Its calls, where it publishes dialogs: place in [`CALL_STATES`] by number.
    calls: BTreeMap<u64, usize>,
    /// It has published once more since faults stopped.
    renewed: bool,
}

impl Publisher {
    pub(crate) fn new(phone: Phone, event: &'static str) -> Self {
        Self {
            phone,
            event,
            etag: None,
            until: Instant(0),
            waiting: None,
            last: None,
            calls: BTreeMap::new(),
            renewed: false,
        }
    }

    /// A document that no other is like.
    fn document(&mut self, scene: &mut Scene<'_>) -> (&'static str, String) {
        let number = scene.number();
        let user = self.phone.aor();
        let user = user.trim_start_matches("sip:").split('@').next().unwrap_or_default().to_owned();
        match self.event {
            "dialog" => {
                self.move_calls(scene);
                (documents::DIALOG_INFO, documents::dialogs(&user, &self.states()))
            }
            "message-summary" => {
                (documents::SUMMARY, documents::summary(number as u32, number as u32 % 7))
            }
            _ => {
                let tuple = format!("t{number}");
                let note = format!("n{number}");
                (documents::PIDF, documents::pidf_with_note(&user, &tuple, "open", &note))
            }
        }
    }

    /// A call begins, or one moves on; those that were told to be over are dropped.
    fn move_calls(&mut self, scene: &mut Scene<'_>) {
        let last = CALL_STATES.len() - 1;
        self.calls.retain(|_, state| *state < last);
        match self.calls.iter_mut().next_back() {
            Some((_, state)) if scene.random.chance(60) => {
                *state = (*state + 1 + scene.random.below(2) as usize).min(last);
            }
            _ => {
                let state = scene.random.below(3) as usize;
                self.calls.insert(scene.number(), state);
            }
        }
    }

    fn states(&self) -> Vec<(String, &'static str)> {
        self.calls.iter().map(|(id, state)| (format!("d{id}"), CALL_STATES[*state])).collect()
    }

    fn send(&mut self, scene: &mut Scene<'_>, request: Request) -> Instant {
        self.phone.post(&request);
        self.waiting = Some((request, scene.now));
        scene.now + Span::millis(scene.random.between(100, 400))
    }

    fn put(&mut self, scene: &mut Scene<'_>, what: Put) -> Instant {
        let (media_type, body) = match what {
            Put::New | Put::Change | Put::Guess => self.document(scene),
            Put::Refresh | Put::Remove => ("", String::new()),
        };
        let mut request = self.phone.publish_request(self.event, media_type, &body);
        let expires = if what == Put::Remove { 0 } else { scene.expires() };
        request = request.set("Expires", expires);
        request = match (what, &self.etag) {
            (Put::New, _) => request,
            (Put::Guess, _) | (_, None) => request.set("SIP-If-Match", "nobodygavethis"),
            (_, Some(etag)) => request.set("SIP-If-Match", etag),
        };
        self.send(scene, request)
    }

    /// See what has become of the last request; when to look again.
    fn wait(&mut self, scene: &mut Scene<'_>) -> Option<Instant> {
        let (request, since) = self.waiting.as_ref()?;
        if let Some(answer) = self.phone.answer(request) {
            let removed = request.header("Expires") == "0";
            match answer.status() {
                200 if removed => self.etag = None,
                200 => {
                    self.etag = Some(answer.etag().to_owned());
                    let life = u64::from(answer.expires().unwrap_or(0));
                    self.until = scene.now + Span::seconds(life);
                }
                412 if request.header("SIP-If-Match") != "nobodygavethis" => self.etag = None,
                _ => {}
            }
            self.last = Some((request.clone(), *since));
        } else if scene.now - *since < PATIENCE {
            return Some(scene.now + Span::millis(scene.random.between(200, 900)));
        } else if scene.random.chance(50) {
            // It may have happened or not: begin anew, or try with the tag that was good before.
            self.etag = None;
        }
        self.waiting = None;
        Some(scene.now + Span::millis(scene.random.between(100, scene.pause)))
    }

    fn storm(&mut self, scene: &mut Scene<'_>) -> Instant {
        if scene.random.chance(15)
            && let Some((request, sent)) = &self.last
            && scene.now - *sent < REPEAT
            && !self.phone.is_tcp()
        {
            self.phone.tell(&request.bytes());
            return scene.now + Span::millis(scene.random.between(500, 3_000));
        }
        if self.etag.is_none() {
            return self.put(scene, Put::New);
        }
        match scene.random.below(20) {
            0..9 => self.put(scene, Put::Change),
            9..14 => self.put(scene, Put::Refresh),
            14..16 => self.put(scene, Put::Remove),
            16 => self.put(scene, Put::Guess),
            17 => {
                // A restart without memory.
                self.etag = None;
                self.calls.clear();
                scene.now + Span::millis(100)
            }
            _ => scene.now + Span::millis(scene.random.between(100, scene.pause)),
        }
    }

    fn calm(&mut self, scene: &mut Scene<'_>) -> Instant {
        let half = Span::seconds(25);
        if self.etag.is_none() {
            return self.put(scene, Put::New);
        }
        if self.until - scene.now < half {
            return self.put(scene, Put::Refresh);
        }
        if !self.renewed && scene.now >= scene.renewal {
            self.renewed = true;
            return self.put(scene, Put::Change);
        }
        scene.now + Span::seconds(5)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    New,
    Change,
    Refresh,
    Remove,
    /// By an entity-tag that nobody gave.
    Guess,
}

impl Client for Publisher {
    fn act(&mut self, scene: &mut Scene<'_>) -> Instant {
        if let Some(next) = self.wait(scene) {
            return next;
        }
        match scene.mood {
            Mood::Storm => self.storm(scene),
            Mood::Calm => self.calm(scene),
        }
    }

    fn phone(&self) -> &Phone {
        &self.phone
    }
}
