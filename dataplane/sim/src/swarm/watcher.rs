//! A watcher: it subscribes, refreshes, fetches, ends and begins anew, and answers NOTIFY well,
//! badly, late or not at all.

use pharos_engine::{Instant, Span};

use super::client::{Client, Mood, Scene};
use crate::message::Request;
use crate::phone::Phone;
use crate::subscription::Subscription;

/// Wait so long for an answer: a transaction lives 32 s.
const PATIENCE: Span = Span::millis(32_500);
/// A deliberate repeat comes no later than this after the request (RFC 3261 17.2.2, timer J), and
/// only as a datagram: over a stream nothing is ever sent again.
const REPEAT: Span = Span::seconds(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Watcher {
    phone: Phone,
    events: &'static [&'static str],
    /// It watches this user alone.
    target: Option<u64>,
    dialog: Option<Subscription>,
    until: Instant,
    waiting: Option<(Request, Instant)>,
    last: Option<(Request, Instant)>,
    /// It never answers a NOTIFY.
    dead: bool,
}

impl Watcher {
    pub(crate) fn new(phone: Phone, events: &'static [&'static str], dead: bool) -> Self {
        if dead {
            phone.falls_silent();
        }
        let (target, dialog, waiting, last) = (None, None, None, None);
        Self { phone, events, target, dialog, until: Instant(0), waiting, last, dead }
    }

    /// One that watches its own watchers (RFC 3857).
    pub(crate) fn of_watchers(phone: Phone, user: u64) -> Self {
        Self { target: Some(user), ..Self::new(phone, &["presence.winfo"], false) }
    }

    fn send(&mut self, scene: &mut Scene<'_>, request: Request) -> Instant {
        self.phone.post(&request);
        self.waiting = Some((request, scene.now));
        scene.now + Span::millis(scene.random.between(100, 400))
    }

    fn begin(&mut self, scene: &mut Scene<'_>, expires: u64) -> Instant {
        let event = *scene.random.pick(self.events);
        let user = self.target.unwrap_or_else(|| scene.random.below(scene.users));
        let request = self.phone.subscribe_request(&format!("p{user}"), event);
        self.send(scene, request.set("Expires", expires))
    }

    fn within(&mut self, scene: &mut Scene<'_>, expires: u64) -> Instant {
        let Some(dialog) = &self.dialog else { return scene.now };
        let request = dialog.request(expires as u32);
        self.send(scene, request)
    }

    /// See what has become of the last request; when to look again.
    fn wait(&mut self, scene: &mut Scene<'_>) -> Option<Instant> {
        let (request, since) = self.waiting.as_ref()?;
        let initial = !request.header("To").contains("tag=");
        if let Some(answer) = self.phone.answer(request) {
            let over = request.header("Expires") == "0";
            match answer.status() {
                200 | 202 if over && initial => {}
                200 | 202 if over => self.dialog = None,
                200 | 202 => {
                    if initial {
                        self.dialog = Some(self.phone.subscribe_by(request));
                    }
                    let life = u64::from(answer.expires().unwrap_or(0));
                    self.until = scene.now + Span::seconds(life);
                }
                481 => self.dialog = None,
                _ => {}
            }
            self.last = Some((request.clone(), *since));
        } else if scene.now - *since < PATIENCE {
            return Some(scene.now + Span::millis(scene.random.between(200, 900)));
        } else if initial {
            // It never learned of the dialog that may be there.
            self.phone.forgets(request.header("Call-ID"));
        } else {
            self.forget();
        }
        self.waiting = None;
        Some(scene.now + Span::millis(scene.random.between(100, scene.pause)))
    }

    fn forget(&mut self) {
        if let Some(dialog) = self.dialog.take() {
            self.phone.forgets(dialog.call_id());
        }
    }

    /// How it answers from now on.
    fn misbehave(&mut self, scene: &mut Scene<'_>) {
        match scene.random.below(8) {
            0 => self.phone.falls_silent(),
            1 => self.phone.answers("503 Service Unavailable"),
            2 => self.phone.answers_with("503 Service Unavailable", "Retry-After", 5),
            3 => self.phone.answers("500 Server Internal Error"),
            4 => self.phone.thinks(Span::millis(scene.random.below(6_000))),
            5 => self.phone.closes_socket(true),
            _ => self.behave(),
        }
    }

    fn storm(&mut self, scene: &mut Scene<'_>) -> Instant {
        if scene.manners && !self.dead && scene.random.chance(12) {
            self.misbehave(scene);
        }
        if scene.random.chance(12)
            && let Some((request, sent)) = &self.last
            && scene.now - *sent < REPEAT
            && !self.phone.is_tcp()
        {
            self.phone.tell(&request.bytes());
            return scene.now + Span::millis(scene.random.between(500, 3_000));
        }
        if self.dialog.is_none() {
            let expires = if scene.random.chance(15) { 0 } else { scene.expires() };
            return self.begin(scene, expires);
        }
        match scene.random.below(20) {
            0..8 => {
                let expires = scene.expires();
                self.within(scene, expires)
            }
            8..10 => self.within(scene, 0),
            10 => {
                // A restart without memory: what comes for the old dialog is refused.
                self.forget();
                scene.now + Span::millis(100)
            }
            _ => scene.now + Span::millis(scene.random.between(100, scene.pause)),
        }
    }

    fn calm(&mut self, scene: &mut Scene<'_>) -> Instant {
        let expires = scene.expires();
        if self.dialog.is_none() {
            return self.begin(scene, expires);
        }
        if self.until - scene.now < Span::seconds(25) {
            return self.within(scene, expires);
        }
        scene.now + Span::seconds(5)
    }
}

impl Client for Watcher {
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

    fn behave(&mut self) {
        self.phone.closes_socket(false);
        if !self.dead {
            self.phone.thinks(Span(0));
            self.phone.answers("200 OK");
        }
    }
}
