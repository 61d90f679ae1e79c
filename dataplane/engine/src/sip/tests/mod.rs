//! The SIP layer alone, driven by hand over virtual time: one shard's `Core` and `Sip`, the test in
//! the place of presence and of the network.

mod client;
mod intake;
mod places;
mod routes;
mod server;

use core::net::{IpAddr, SocketAddr};

use pharos_parser::{Message, Method};

use super::{ClientId, Dialog, Refused, Sip, SipEvent, User};
use crate::config::{Listener, PresenceConfig};
use crate::core::Timer;
use crate::io::{Mesh, Query, Record, Resolved};
use crate::net::{FlowId, ListenerId, Path, ShardId, Transport};
use crate::sip::Origin;
use crate::{Config, Core, Instant, Log, Now, Output, Span, Wall};

pub(super) const UDP: ListenerId = ListenerId(0);
pub(super) const TCP: ListenerId = ListenerId(1);

pub(crate) fn config() -> Config {
    let listener = |transport| Listener {
        transport,
        bound: "127.0.0.1:5060".parse().unwrap(),
        advertise: None,
    };
    Config {
        shard: ShardId(0),
        shards: 1,
        hash_size: 12,
        key: [3; 16],
        seed: [4; 32],
        first_object: 1,
        listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
        domains: Vec::new(),
        domain_alias: Vec::new(),
        trusted: Vec::new(),
        commit: true,
        update_period: 30,
        udp_mtu: 1300,
        nat_auto: true,
        server: String::new(),
        presence: PresenceConfig::default(),
    }
}

/// What came out, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    Datagram(SocketAddr, String),
    Stream(FlowId, String),
    Connect(FlowId, SocketAddr),
    Close(FlowId),
    Message(ShardId),
    Send(FlowId),
    FlowGone(ShardId, FlowId),
    Ask(Query),
    Log(String),
}

impl Out {
    /// The message, if one was sent.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Datagram(_, text) | Self::Stream(_, text) => text,
            other => panic!("{other:?} is no message"),
        }
    }
}

/// What the users were told: a status, or how it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Final(u16),
    Timeout,
    Unreachable,
}

pub(super) struct Bench {
    pub(super) core: Core,
    pub(super) sip: Sip,
    pub(super) told: Vec<Told>,
    /// Requests that passed, by method.
    pub(super) passed: Vec<String>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: Config) -> Self {
        let now = Now { instant: Instant(0), wall: Wall(1_000) };
        let mut core = Core::new(config, now);
        let sip = Sip::new(&mut core);
        Self { core, sip, told: Vec::new(), passed: Vec::new() }
    }

    /// Let time pass, firing what is due on the way; what was sent, and when.
    pub(super) fn wait_ms(&mut self, ms: u64) -> Vec<(u64, Out)> {
        let end = self.core.now.instant + Span::millis(ms);
        let mut all = Vec::new();
        while let Some(at) = self.core.next_timer().filter(|at| *at <= end) {
            self.core.now.instant = at.max(self.core.now.instant);
            self.core.advance_timers();
            while let Some(timer) = self.core.pop_timer() {
                match timer {
                    Timer::Sip(timer) => self.sip.on_timer(&mut self.core, timer),
                    Timer::Presence(timer) => panic!("no presence here: {timer:?}"),
                }
            }
            let at = self.core.now.instant.0 / 1_000_000;
            let out = self.out().into_iter().filter(|out| !matches!(out, Out::Log(_)));
            all.extend(out.map(|out| (at, out)));
        }
        self.core.now.instant = end;
        all
    }

    /// A message arrives; requests that pass are handed to `user`.
    pub(super) fn take(
        &mut self,
        path: Path,
        text: &str,
        user: impl FnOnce(&mut Core, &mut Sip, super::Incoming<'_>),
    ) -> Vec<Out> {
        self.take_from(Origin::Network, path, text, user)
    }

    pub(super) fn take_from(
        &mut self,
        from: Origin,
        path: Path,
        text: &str,
        user: impl FnOnce(&mut Core, &mut Sip, super::Incoming<'_>),
    ) -> Vec<Out> {
        let text = text.replace('\n', "\r\n");
        let mut aor = Vec::new();
        self.sip.seen(&mut self.core, &path);
        match Message::parse(text.as_bytes()) {
            Err(_) => self.sip.receive_other(&mut self.core, path, text.as_bytes()),
            Ok(msg) => match self.sip.receive(&mut self.core, path, from, &msg, &mut aor) {
                None => {}
                Some(SipEvent::Request(incoming)) => {
                    self.passed.push(incoming.head.cseq.method.to_string());
                    user(&mut self.core, &mut self.sip, incoming);
                }
                Some(SipEvent::Outcome { outcome, .. }) => self.told.push(told(outcome)),
            },
        }
        self.out()
    }

    /// A message that must not reach a user.
    pub(super) fn refused(&mut self, path: Path, text: &str) -> Vec<Out> {
        self.take(path, text, |_, _, incoming| panic!("passed: {incoming:?}"))
    }

    pub(super) fn notify(&mut self, dialog: &mut Dialog, body: &[u8]) -> Result<ClientId, Refused> {
        let headers = b"Event: presence\r\nSubscription-State: active;expires=600\r\n";
        let (core, sip) = (&mut self.core, &mut self.sip);
        sip.request(core, dialog, Method::Notify, headers, body, User::Notify(1))
    }

    pub(super) fn resolve(&mut self, name: &str, kind: crate::io::QueryKind, records: Vec<Record>) {
        let query = Query { name: name.into(), kind };
        let resolved = Resolved { query, records, ttl: 60, failed: false };
        self.sip.resolved(&mut self.core, resolved);
    }

    pub(super) fn out(&mut self) -> Vec<Out> {
        while let Some((_, outcome)) = self.sip.poll_failure() {
            self.told.push(told(outcome));
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut all = Vec::new();
        while let Some(output) = self.core.poll_output() {
            all.push(match output {
                Output::Datagram { peer, bytes, .. } => Out::Datagram(peer, text(bytes)),
                Output::Stream { flow, bytes } => Out::Stream(flow, text(bytes)),
                Output::Connect { flow, peer, .. } => Out::Connect(flow, peer),
                Output::Close { flow } => Out::Close(flow),
                Output::Mesh { shard, message: Mesh::Message { .. } } => Out::Message(shard),
                Output::Mesh { message: Mesh::Send { flow, .. }, .. } => Out::Send(flow),
                Output::Mesh { shard, message: Mesh::FlowGone { flow } } => {
                    Out::FlowGone(shard, flow)
                }
                Output::Resolve(query) => Out::Ask(query),
                Output::Log(Log { text, .. }) => Out::Log(text),
                other => panic!("{other:?}"),
            });
        }
        all
    }
}

fn told(outcome: super::Outcome<'_>) -> Told {
    match outcome {
        super::Outcome::Final(msg) => Told::Final(msg.status().unwrap()),
        super::Outcome::Timeout => Told::Timeout,
        super::Outcome::Unreachable => Told::Unreachable,
    }
}

/// A datagram from this peer.
pub(super) fn by_udp(peer: &str) -> Path {
    let peer: SocketAddr = peer.parse().unwrap();
    Path { listener: UDP, flow: None, local: IpAddr::from([127, 0, 0, 1]), peer }
}

/// A stream message from this peer.
pub(super) fn by_tcp(peer: &str, flow: FlowId) -> Path {
    Path { listener: TCP, flow: Some(flow), ..by_udp(peer) }
}

/// A dialog whose peer is at this contact, seen at this source.
pub(super) fn dialog(contact: &str, source: &str) -> Dialog {
    Dialog {
        call_id: (*b"call-1").into(),
        local_tag: (*b"ours").into(),
        remote_tag: (*b"theirs").into(),
        local_uri: (*b"<sip:alice@example.com>").into(),
        remote_uri: (*b"<sip:bob@example.com>").into(),
        target: contact.as_bytes().into(),
        routes: Box::default(),
        local_cseq: 0,
        remote_cseq: 1,
        local_contact: (*b"<sip:presence@127.0.0.1:5060>").into(),
        hash: 0x1234_5678 << 32,
        listener: UDP,
        local: IpAddr::from([127, 0, 0, 1]),
        source: source.parse().unwrap(),
        flow: None,
    }
}

/// A response to a request of ours.
pub(super) fn respond(request: &str, status: u16) -> String {
    let line = |name: &str| {
        let found = request.lines().find(|line| line.starts_with(name)).unwrap();
        format!("{found}\n")
    };
    let head: String = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(line).concat();
    format!("SIP/2.0 {status} X\n{head}Content-Length: 0\n\n")
}

/// A header's value in a message.
pub(super) fn header<'t>(text: &'t str, name: &str) -> &'t str {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}
