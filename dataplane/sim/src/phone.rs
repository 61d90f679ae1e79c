//! User agents: a phone that sends what it is told, and the handles on what it has begun.

use std::fmt::Display;
use std::net::SocketAddr;

use pharos_engine::{Instant, Span};
use pharos_parser::FrameError;

use crate::agent::{Door, Habit, TIMER_F};
use crate::message::{Request, Sip};
use crate::publication::Publication;
use crate::subscription::Subscription;
use crate::world::World;

/// A handle on one user agent. It answers what it is asked with 200 unless told otherwise.
#[derive(Clone, Debug)]
pub struct Phone {
    pub(crate) world: World,
    pub(crate) index: usize,
}

impl Phone {
    fn agent<T>(&self, f: impl FnOnce(&mut crate::agent::Agent) -> T) -> T {
        f(&mut self.world.0.borrow_mut().agents[self.index])
    }

    /// Speak TCP, over one connection that is opened with the first request.
    #[must_use]
    pub fn tcp(self) -> Self {
        self.agent(|agent| {
            agent.tcp = true;
            agent.contact = format!("{};transport=tcp", agent.contact);
        });
        self
    }

    /// It speaks TCP.
    pub fn is_tcp(&self) -> bool {
        self.agent(|agent| agent.tcp)
    }

    /// Belong to this domain.
    #[must_use]
    pub fn of(self, domain: &str) -> Self {
        self.agent(|agent| domain.clone_into(&mut agent.domain));
        self
    }

    /// Give this URI as Contact.
    #[must_use]
    pub fn reached_at(self, contact: &str) -> Self {
        self.agent(|agent| contact.clone_into(&mut agent.contact));
        self
    }

    /// Send to this listener of the server.
    #[must_use]
    pub fn to_listener(self, server: SocketAddr) -> Self {
        self.agent(|agent| agent.server = server);
        self
    }

    /// Change the address, as a phone on a new network or behind a new NAT binding does.
    pub fn moves_to(&self, address: SocketAddr) {
        self.agent(|agent| agent.address = address);
    }

    /// Its own address-of-record as a SIP URI.
    pub fn aor(&self) -> String {
        self.agent(|agent| format!("sip:{}@{}", agent.user, agent.domain))
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.agent(|agent| agent.address)
    }

    /// Answer requests with this status line from now on, such as `"481 Gone"`.
    pub fn answers(&self, status: &str) {
        self.agent(|agent| agent.habit = Habit::Answer(status.into(), Vec::new()));
    }

    /// Answer requests with this status line and one more header from now on.
    pub fn answers_with(&self, status: &str, name: &str, value: impl Display) {
        let lines = vec![(name.to_owned(), value.to_string())];
        self.agent(|agent| agent.habit = Habit::Answer(status.into(), lines));
    }

    /// Answer nothing from now on.
    pub fn falls_silent(&self) {
        self.agent(|agent| agent.habit = Habit::Silent);
    }

    /// Think so long about every answer from now on.
    pub fn thinks(&self, span: Span) {
        self.agent(|agent| agent.slow = span);
    }

    /// Know nothing of the dialogs with this Call-ID any more, as after a restart.
    pub fn forgets(&self, call_id: &str) {
        self.agent(|agent| agent.forgotten.extend([call_id.to_owned()]));
    }

    /// Take no connections from now on.
    pub fn refuses_connections(&self) {
        self.agent(|agent| agent.door = Door::Closed);
    }

    /// Connections to it neither come up nor fail from now on.
    pub fn swallows_connections(&self) {
        self.agent(|agent| agent.door = Door::Walled);
    }

    /// Its socket is closed: datagrams to it come back as unreachable, or are lost no more.
    pub fn closes_socket(&self, closed: bool) {
        self.agent(|agent| agent.refuses = closed);
    }

    /// Close the connection to the server.
    pub fn hangs_up(&self) {
        let Some(flow) = self.agent(|agent| agent.flow.take()) else { return };
        let mut inner = self.world.0.borrow_mut();
        let at = inner.air.now + Span::millis(2);
        inner.air.at(at, crate::air::Event::Hangup { flow });
    }

    /// A new name for a tag, branch or Call-ID that no other has.
    pub fn fresh(&self, what: &str) -> String {
        self.agent(|agent| agent.fresh(what))
    }

    /// A request outside any dialog to `target`, a user of its own domain or a whole URI, complete
    /// as RFC 3261 8.1.1 wants it.
    pub fn request(&self, method: &str, target: &str) -> Request {
        self.agent(|agent| {
            let uri = if target.contains(':') {
                target.to_owned()
            } else {
                format!("sip:{target}@{}", agent.domain)
            };
            let transport = if agent.tcp { "TCP" } else { "UDP" };
            let branch = agent.fresh("z9hG4bK");
            let (user, domain, address) = (&agent.user, &agent.domain, agent.address);
            let from = format!("<sip:{user}@{domain}>");
            let contact = agent.contact.clone();
            Request::bare(method, &uri)
                .set("Via", format!("SIP/2.0/{transport} {address};rport;branch={branch}"))
                .set("Max-Forwards", 70)
                .set("From", format!("{from};tag={}", agent.fresh("from")))
                .set("To", format!("<{uri}>"))
                .set("Call-ID", agent.fresh("call"))
                .set("CSeq", format!("1 {method}"))
                .set("Contact", format!("<{contact}>"))
        })
    }

    /// The same request again as a new transaction: another branch.
    pub fn again(&self, request: &Request) -> Request {
        let branch = self.fresh("z9hG4bK");
        let transport = if self.agent(|agent| agent.tcp) { "TCP" } else { "UDP" };
        let via = format!("SIP/2.0/{transport} {};rport;branch={branch}", self.address());
        request.clone().set("Via", via)
    }

    /// Send it, retransmit as RFC 3261 17.1.2 says, and go on; see [`Phone::answer`].
    pub fn post(&self, request: &Request) {
        let mut inner = self.world.0.borrow_mut();
        inner.post(self.index, request.branch(), request.method(), request.bytes());
    }

    /// Send these bytes once, as they are.
    pub fn tell(&self, bytes: &[u8]) {
        let mut inner = self.world.0.borrow_mut();
        let flow = inner.line(self.index);
        let agent = &inner.agents[self.index];
        let (address, server) = (agent.address, agent.server);
        inner.air.send(address, server, flow, bytes.to_vec());
    }

    /// Send bytes on the connection that no message can be cut from.
    ///
    /// # Panics
    /// When the phone does not speak TCP.
    pub fn garbles(&self, bytes: &[u8], error: FrameError) {
        let mut inner = self.world.0.borrow_mut();
        let flow = inner.line(self.index).expect("a phone with a connection");
        let agent = &inner.agents[self.index];
        let (address, server) = (agent.address, agent.server);
        inner.air.unframed(address, server, flow, bytes.to_vec(), error);
    }

    /// The final answer to a request sent before, if it has come.
    pub fn answer(&self, request: &Request) -> Option<Sip> {
        self.agent(|agent| agent.final_answer(request.branch(), request.method()).cloned())
    }

    /// Send it and wait for the final answer, as long as a transaction lives.
    pub fn try_send(&self, request: &Request) -> Option<Sip> {
        self.post(request);
        self.world.drive_until(TIMER_F, || self.answer(request).is_some());
        self.answer(request)
    }

    /// Send it and wait for the final answer.
    ///
    /// # Panics
    /// When none comes within 32 s.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Sip {
        let Some(answer) = self.try_send(request) else {
            panic!("no answer to\n{}", String::from_utf8_lossy(&request.bytes()))
        };
        answer
    }

    /// Everything received since `after`, copies too.
    pub fn seen_since(&self, after: Instant) -> Vec<Sip> {
        self.agent(|agent| agent.seen.iter().filter(|sip| sip.at > after).cloned().collect())
    }

    /// Everything received, copies too.
    pub fn seen(&self) -> Vec<Sip> {
        self.agent(|agent| agent.seen.clone())
    }

    /// The requests received, each once.
    pub fn requests(&self) -> Vec<Sip> {
        self.agent(|agent| agent.requests.clone())
    }

    /// The initial PUBLISH of a document about itself (RFC 3903 4.1), not yet sent.
    pub fn publish_request(&self, event: &str, content_type: &str, body: &str) -> Request {
        let aor = self.aor();
        let request = self.request("PUBLISH", &aor).set("Event", event).set("Expires", 3600);
        if body.is_empty() { request } else { request.body(content_type, body) }
    }

    /// Publish a presence document about itself.
    ///
    /// # Panics
    /// When the server does not take it.
    #[track_caller]
    pub fn publish(&self, body: &str) -> Publication {
        self.publish_as("presence", "application/pidf+xml", body)
    }

    /// Publish any document about itself.
    ///
    /// # Panics
    /// When the server does not take it.
    #[track_caller]
    pub fn publish_as(&self, event: &str, content_type: &str, body: &str) -> Publication {
        let request = self.publish_request(event, content_type, body);
        Publication::begin(self.clone(), event, content_type, &request)
    }

    /// The initial SUBSCRIBE to `target` (RFC 6665 4.1.2), not yet sent.
    pub fn subscribe_request(&self, target: &str, event: &str) -> Request {
        self.request("SUBSCRIBE", target).set("Event", event).set("Expires", 3600)
    }

    /// Subscribe to `target` and wait for the 2xx.
    ///
    /// # Panics
    /// When the server does not take it.
    #[track_caller]
    pub fn subscribe(&self, target: &str, event: &str) -> Subscription {
        self.subscribe_by(&self.subscribe_request(target, event))
    }

    /// Subscribe by this request and wait for the 2xx.
    ///
    /// # Panics
    /// When the server does not take it.
    #[track_caller]
    pub fn subscribe_by(&self, request: &Request) -> Subscription {
        Subscription::begin(self.clone(), request)
    }
}
