//! What one user agent of the world holds: its address, its transactions and all it has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use pharos_engine::net::FlowId;
use pharos_engine::{Instant, Span};

use crate::message::Sip;

/// How a user agent answers requests, NOTIFY above all.
#[derive(Clone, Debug)]
pub(crate) enum Habit {
    /// With this status line and these headers.
    Answer(String, Vec<(String, String)>),
    /// Not at all; it still sees them.
    Silent,
}

/// What a user agent does with a connection that the server opens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// It takes it.
    Open,
    /// It refuses it at once.
    Closed,
    /// A firewall swallows the attempt: nothing ever comes back.
    Walled,
}

/// A request under way (RFC 3261 17.1.2).
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) branch: String,
    pub(crate) method: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) interval: Span,
    pub(crate) ends: Instant,
}

/// RFC 3261 17.1.1.2: the round trip that everybody assumes.
pub(crate) const T1: Span = Span::millis(500);
/// RFC 3261 17.1.2.2: the longest interval between retransmissions.
pub(crate) const T2: Span = Span::seconds(4);
/// RFC 3261 17.1.2.2, Timer F: a transaction without an answer ends.
pub(crate) const TIMER_F: Span = Span::seconds(32);

/// A user agent's state. [`crate::Phone`] is the handle on it.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) user: String,
    pub(crate) domain: String,
    pub(crate) address: SocketAddr,
    /// Where it sends.
    pub(crate) server: SocketAddr,
    pub(crate) contact: String,
    /// It sends over a connection; else by datagrams.
    pub(crate) tcp: bool,
    /// Its connection to the server, while one is open.
    pub(crate) flow: Option<FlowId>,
    /// What becomes of a connection to it.
    pub(crate) door: Door,
    /// Its socket is closed: the host answers datagrams by ICMP.
    pub(crate) refuses: bool,
    pub(crate) habit: Habit,
    /// Everything that arrived, copies too.
    pub(crate) seen: Vec<Sip>,
    /// Requests that arrived, each once.
    pub(crate) requests: Vec<Sip>,
    pub(crate) pending: Vec<Pending>,
    /// How long it thinks about an answer.
    pub(crate) slow: Span,
    /// Call-IDs of which it knows nothing any more: 481.
    pub(crate) forgotten: BTreeSet<String>,
    /// What it answered, by method and branch; nothing yet where it is still thinking.
    answered: BTreeMap<(String, String), Option<Vec<u8>>>,
    /// Where in `seen` the final answer to a request of its own is, by method and branch.
    finals: BTreeMap<(String, String), usize>,
    serial: u32,
    /// Where it began: two phones of one user give different names.
    host: SocketAddr,
}

impl Agent {
    pub(crate) fn new(user: &str, domain: &str, address: SocketAddr, server: SocketAddr) -> Self {
        Self {
            user: user.to_owned(),
            domain: domain.to_owned(),
            address,
            server,
            contact: format!("sip:{user}@{address}"),
            tcp: false,
            flow: None,
            door: Door::Open,
            refuses: false,
            habit: Habit::Answer("200 OK".into(), Vec::new()),
            seen: Vec::new(),
            requests: Vec::new(),
            pending: Vec::new(),
            slow: Span(0),
            forgotten: BTreeSet::new(),
            answered: BTreeMap::new(),
            finals: BTreeMap::new(),
            serial: 0,
            host: address,
        }
    }

    /// A new name for a tag, a branch or a Call-ID.
    pub(crate) fn fresh(&mut self, what: &str) -> String {
        self.serial += 1;
        format!("{what}{}{}at{}", self.user, self.serial, self.host.ip())
    }

    /// A message has arrived; what the agent answers after which time, if it does.
    pub(crate) fn receive(&mut self, sip: Sip) -> Option<(Span, Vec<u8>)> {
        let key = (sip.method().to_owned(), sip.branch().to_owned());
        if !sip.is_request() {
            if sip.status() >= 200 {
                self.pending.retain(|p| p.branch != key.1 || p.method != key.0);
                self.finals.entry(key).or_insert(self.seen.len());
            }
            self.seen.push(sip);
            return None;
        }
        self.seen.push(sip.clone());
        if let Some(answer) = self.answered.get(&key) {
            // While it thinks, copies change nothing.
            return answer.clone().map(|answer| (Span(0), answer)).filter(|_| self.slow == Span(0));
        }
        let answer = match &self.habit {
            _ if sip.method() == "ACK" => None,
            Habit::Silent => None,
            _ if self.forgotten.contains(sip.header("Call-ID")) => {
                Some(sip.answer("481 Subscription does not exist", &self.user, &[]))
            }
            Habit::Answer(status, lines) => Some(sip.answer(status, &self.user, lines)),
        };
        self.answered.insert(key, answer.clone());
        self.requests.push(sip);
        answer.map(|answer| (self.slow, answer))
    }

    /// The final answer to the request of this branch and method, if it has come.
    pub(crate) fn final_answer(&self, branch: &str, method: &str) -> Option<&Sip> {
        let at = self.finals.get(&(method.to_owned(), branch.to_owned()))?;
        self.seen.get(*at)
    }

    /// The timer of a request has fired: the bytes to send again, and when it fires next.
    pub(crate) fn retransmit(
        &mut self,
        now: Instant,
        branch: &str,
        method: &str,
    ) -> Option<(Vec<u8>, Instant)> {
        let at = self.pending.iter().position(|p| p.branch == branch && p.method == method)?;
        let pending = &mut self.pending[at];
        if now >= pending.ends {
            self.pending.remove(at);
            return None;
        }
        pending.interval = Span((pending.interval.0 * 2).min(T2.0));
        Some((pending.bytes.clone(), now + pending.interval))
    }
}
