//! Sending a request within a dialog: how it is written, by which way it goes, what to do when that
//! way is not there yet.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use pharos_parser::write::{write_number, write_value};
use pharos_parser::{Message, Method, Name};
use smallvec::SmallVec;

use super::client::{Client, Hop, branch_bits};
use super::listen;
use super::resolve::{Goal, Place, Step, Tried};
use super::target::{NextHop, Routing, routing};
use super::{ClientId, Dialog, Outcome, Refused, Sip, User};
use crate::Core;
use crate::core::Piece;
use crate::counters::{Count, Way};
use crate::io::{Query, Resolved};
use crate::limits::{MESSAGE_MAX, RESOLVING_MAX, TRANSACTION_MS};
use crate::net::{FlowId, ListenerId, Transport};
use crate::wire::MAGIC_COOKIE;
use crate::{Instant, Span};

/// RFC 3261 8.1.1.6.
const MAX_FORWARDS: u64 = 70;

/// Where a request may go: what is left to try, in order.
#[derive(Debug)]
pub(super) struct Aim {
    /// The connection the dialog came by.
    flow: Option<FlowId>,
    /// The address the peer was seen at: NAT.
    source: Option<SocketAddr>,
    /// By RFC 3263, without `tried`.
    goal: Option<Goal>,
    tried: Tried,
    seed: u64,
    /// Sent from here where that can be.
    listener: ListenerId,
    local: IpAddr,
}

/// Client transactions that wait for one name.
#[derive(Debug)]
pub(super) struct Parked {
    /// When it was asked for.
    since: Instant,
    pub(super) clients: SmallVec<[ClientId; 2]>,
}

/// What comes next for a request.
enum Pick {
    Hop(Hop, Option<Place>),
    Ask(Query),
    Nowhere,
}

impl Aim {
    fn new(core: &mut Core, dialog: &Dialog, next: NextHop) -> Self {
        let (source, goal) = match next {
            NextHop::Source => (Some(dialog.source), None),
            NextHop::Goal(goal) => (None, Some(goal)),
        };
        Self {
            flow: dialog.flow.filter(|_| dialog.routes.is_empty()),
            source,
            goal,
            tried: Tried::new(),
            seed: core.random(),
            listener: dialog.listener,
            local: dialog.local,
        }
    }

    /// This hop is of no use.
    pub(super) fn failed(&mut self, hop: &Hop, oversize: bool) {
        if self.is_flow(hop) {
            self.flow = None;
        } else if self.source == Some(hop.peer) {
            self.source = None;
        } else {
            let transport = if oversize { Transport::Udp } else { hop.transport };
            self.tried.push((transport, hop.peer));
        }
    }

    /// The hop is the connection the dialog came by.
    fn is_flow(&self, hop: &Hop) -> bool {
        hop.flow.is_some() && hop.flow == self.flow
    }

    /// Only a request that may change its transport may go to TCP for its size (18.1.1).
    fn may_change_transport(&self) -> bool {
        self.source.is_none() && self.goal.as_ref().is_some_and(|goal| goal.transport.is_none())
    }
}

impl Sip {
    /// Send a request within a dialog. `headers` are whole lines ended by CRLF, beside those that
    /// the dialog and the transaction make (Via, Max-Forwards, Route, From, To, Call-ID, CSeq,
    /// Contact, Content-Length). Takes the next CSeq of the dialog. One
    /// [`super::SipEvent::Outcome`] follows; for an INVITE one for each 2xx.
    ///
    /// # Errors
    /// Nothing was sent and the CSeq was not used; see [`Refused`].
    pub fn request(
        &mut self,
        core: &mut Core,
        dialog: &mut Dialog,
        method: Method<'static>,
        headers: &[u8],
        body: &[u8],
        user: User,
    ) -> Result<ClientId, Refused> {
        if self.clients.pool.is_full() {
            core.counters.add(Count::WindowFull);
            return Err(Refused::ShardFull);
        }
        let routing = routing(&core.config, dialog).ok_or(Refused::BadTarget)?;
        let aim = Aim::new(core, dialog, routing.next.clone());
        self.admit(core, &aim)?;
        let mut text = core::mem::take(&mut self.scratch);
        text.clear();
        let start = write_request(dialog, &routing, method, headers, body, &mut text);
        let fits = text.len() <= MESSAGE_MAX;
        let invite = method == Method::Invite;
        let client = Client::new(user, invite, dialog.hash, (&*text).into(), start, aim);
        self.scratch = text;
        if !fits {
            return Err(Refused::TooLarge);
        }
        let handle = self.clients.pool.insert(client).map_err(|_| Refused::ShardFull)?;
        let id = ClientId(handle);
        dialog.local_cseq += 1;
        core.counters.request(Way::Out, method.as_bytes());
        if self.send(core, id).is_err() {
            self.fail(core, id, Outcome::Unreachable);
        }
        Ok(id)
    }

    /// The windows of the limits, as far as the destination is known.
    fn admit(&mut self, core: &mut Core, aim: &Aim) -> Result<(), Refused> {
        match self.pick(core, aim) {
            Pick::Hop(hop, _) if !self.clients.has_room_for(hop.peer) => {
                core.counters.add(Count::WindowFull);
                Err(Refused::DestinationFull(hop.peer))
            }
            Pick::Ask(_) if self.resolving >= RESOLVING_MAX => {
                core.counters.add(Count::LookUpsRefused);
                Err(Refused::ShardFull)
            }
            Pick::Hop(..) | Pick::Ask(_) => Ok(()),
            Pick::Nowhere => Err(Refused::BadTarget),
        }
    }

    /// Send a client transaction's request to its next place, or wait for the name. `Err` when
    /// there is none.
    pub(super) fn send(&mut self, core: &mut Core, id: ClientId) -> Result<(), ()> {
        let Some(client) = self.clients.pool.get(id.0) else { return Ok(()) };
        let (hop, place) = match self.pick(core, &client.aim) {
            Pick::Hop(hop, place) => (hop, place),
            Pick::Ask(query) => {
                self.wait_for(core, id, query);
                return Ok(());
            }
            Pick::Nowhere => return Err(()),
        };
        let Some(client) = self.clients.pool.get_mut(id.0) else { return Ok(()) };
        client.attempt = client.attempt.wrapping_add(u8::from(client.hop.is_some()));
        client.oversize = false;
        let mut hop = hop;
        let mut piece = compose(core, client, &hop, id);
        let large =
            core.config.udp_mtu != 0 && core.piece(piece).len() > usize::from(core.config.udp_mtu);
        let may_change = place.is_some() && client.aim.may_change_transport();
        if large
            && may_change
            && hop.transport == Transport::Udp
            && let Some(tcp) = self.tcp_instead(core, &hop)
            && let Some(client) = self.clients.pool.get_mut(id.0)
        {
            client.oversize = true;
            hop = tcp;
            piece = compose(core, client, &hop, id);
        }
        let up = hop.flow.and_then(|flow| self.flows.get(flow)).is_some_and(|flow| flow.up);
        let reused = up && place.is_some();
        if hop.transport == Transport::Tcp && hop.flow.is_none() {
            hop.flow = self.flows.connect(core, hop.listener, hop.transport, hop.peer);
            if hop.flow.is_none() {
                return Err(());
            }
        }
        match hop.flow {
            Some(flow) => {
                self.flows.used(core, flow);
                core.emit_stream(flow, piece);
            }
            None => core.emit_datagram(hop.listener, hop.local, hop.peer, piece),
        }
        self.clients.enter(hop.peer);
        if let Some(client) = self.clients.pool.get_mut(id.0) {
            client.hop = Some(hop);
            client.reused = reused;
        }
        self.started(core, id);
        Ok(())
    }

    /// TCP to the same place, where that can be and was not refused of late.
    fn tcp_instead(&self, core: &Core, hop: &Hop) -> Option<Hop> {
        if !self.clients.takes_tcp(core.now.instant, hop.peer) {
            return None;
        }
        let listener = listen::choose(&core.config, Transport::Tcp, hop.peer, hop.listener)?;
        let flow = self.flows.to_peer(hop.peer, Transport::Tcp);
        Some(Hop { transport: Transport::Tcp, listener, flow, ..*hop })
    }

    fn pick(&self, core: &Core, aim: &Aim) -> Pick {
        if let Some(id) = aim.flow
            && let Some(flow) = self.flows.get(id)
        {
            let (transport, peer, listener) = (flow.transport, flow.peer, flow.listener);
            return Pick::Hop(
                Hop { transport, peer, listener, local: aim.local, flow: Some(id) },
                None,
            );
        }
        if let Some(peer) = aim.source {
            return match listen::choose(&core.config, Transport::Udp, peer, aim.listener) {
                Some(listener) => {
                    let transport = Transport::Udp;
                    Pick::Hop(Hop { transport, peer, listener, local: aim.local, flow: None }, None)
                }
                None => Pick::Nowhere,
            };
        }
        let Some(goal) = &aim.goal else { return Pick::Nowhere };
        let mut tried = aim.tried.clone();
        loop {
            match self.names.next(core.now.instant, goal, aim.seed, &tried) {
                Step::Ask(query) => return Pick::Ask(query),
                Step::Nowhere => return Pick::Nowhere,
                Step::Send(place) => match self.hop(core, aim, place) {
                    Some(hop) => return Pick::Hop(hop, Some(place)),
                    // No listener of that transport and family.
                    None => tried.push(place),
                },
            }
        }
    }

    fn hop(&self, core: &Core, aim: &Aim, (transport, peer): Place) -> Option<Hop> {
        let listener = listen::choose(&core.config, transport, peer, aim.listener)?;
        let flow = match transport {
            Transport::Udp => None,
            Transport::Tcp => self.flows.to_peer(peer, transport),
        };
        Some(Hop { transport, peer, listener, local: local_for(peer, aim.local), flow })
    }

    /// Park the transaction until the resolver answers.
    fn wait_for(&mut self, core: &mut Core, id: ClientId, query: Query) {
        let now = core.now.instant;
        let patience = Span::millis(TRANSACTION_MS);
        let parked = self.waiting.entry(query.clone()).or_insert_with_key(|query| {
            core.emit_resolve(query.clone());
            Parked { since: now, clients: SmallVec::new() }
        });
        if now - parked.since >= patience {
            // The answer is lost: ask again, for those who still wait.
            parked.since = now;
            core.emit_resolve(query);
        }
        parked.clients.push(id);
        self.resolving += 1;
        self.arm(core, id, now + patience);
    }

    /// The transaction waits no longer, though no answer came.
    pub(super) fn unpark(&mut self, id: ClientId) {
        let before = self.resolving;
        self.waiting.retain(|_, parked| {
            let all = parked.clients.len();
            parked.clients.retain(|client| *client != id);
            self.resolving -= all - parked.clients.len();
            !parked.clients.is_empty()
        });
        debug_assert!(self.resolving + 1 == before, "parked once");
    }

    /// The resolver answered: go on with what waited for it, in the order it came.
    pub(crate) fn resolved(&mut self, core: &mut Core, resolved: Resolved) {
        let parked = self.waiting.remove(&resolved.query);
        self.names.learn(core.now.instant, resolved);
        for id in parked.map(|parked| parked.clients).unwrap_or_default() {
            self.resolving -= 1;
            if self.send(core, id).is_err() {
                self.fail(core, id, Outcome::Unreachable);
            }
        }
    }
}

/// The address of ours to send from: the one the dialog came by, if the families agree.
fn local_for(peer: SocketAddr, local: IpAddr) -> IpAddr {
    if local.is_ipv4() == peer.is_ipv4() {
        return local;
    }
    match peer {
        SocketAddr::V4(_) => core::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => core::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Write the request as it goes by this hop: the stored text with its Via after the start line.
pub(super) fn compose(core: &mut Core, client: &Client, hop: &Hop, id: ClientId) -> Piece {
    let branch = core.keys.branch(client.hash, branch_bits(id, client.attempt));
    let (start, rest) = client.text.split_at_checked(client.start).unwrap_or_default();
    core.compose(|config, out| {
        out.extend_from_slice(start);
        write_via(config, hop, branch.as_bytes(), out);
        out.extend_from_slice(rest);
    })
}

fn write_via(config: &crate::Config, hop: &Hop, token: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(match hop.transport {
        Transport::Udp => b"Via: SIP/2.0/UDP ",
        Transport::Tcp => b"Via: SIP/2.0/TCP ",
    });
    listen::write_sent_by(config, hop.listener, hop.local, out);
    // RFC 3581 3: the answer shall come back through the same NAT binding.
    out.extend_from_slice(b";rport;branch=");
    out.extend_from_slice(MAGIC_COOKIE);
    out.extend_from_slice(token);
    out.extend_from_slice(b"\r\n");
}

/// Appends the request but for its Via; returns the length of the start line.
fn write_request(
    dialog: &Dialog,
    routing: &Routing<'_>,
    method: Method<'static>,
    headers: &[u8],
    body: &[u8],
    out: &mut Vec<u8>,
) -> usize {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    write_value(routing.uri, out);
    out.extend_from_slice(b" SIP/2.0\r\n");
    let start = out.len();
    out.extend_from_slice(b"Max-Forwards: ");
    write_number(MAX_FORWARDS, out);
    for route in routing.routes {
        out.extend_from_slice(b"\r\nRoute: ");
        write_value(route, out);
    }
    if let Some(last) = routing.last {
        out.extend_from_slice(b"\r\nRoute: <");
        write_value(last, out);
        out.push(b'>');
    }
    write_end_point(b"\r\nFrom: ", &dialog.local_uri, &dialog.local_tag, out);
    write_end_point(b"\r\nTo: ", &dialog.remote_uri, &dialog.remote_tag, out);
    out.extend_from_slice(b"\r\nCall-ID: ");
    write_value(&dialog.call_id, out);
    out.extend_from_slice(b"\r\nCSeq: ");
    write_number(u64::from(dialog.local_cseq) + 1, out);
    out.push(b' ');
    out.extend_from_slice(method.as_bytes());
    if !dialog.local_contact.is_empty() {
        out.extend_from_slice(b"\r\nContact: ");
        write_value(&dialog.local_contact, out);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(headers);
    out.extend_from_slice(b"Content-Length: ");
    write_number(body.len() as u64, out);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
    start
}

fn write_end_point(name: &[u8], value: &[u8], tag: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    write_value(value, out);
    if !tag.is_empty() {
        out.extend_from_slice(b";tag=");
        write_value(tag, out);
    }
}

/// The ACK to a refused INVITE (17.1.1.3): its Request-URI, top Via, Route, From, Call-ID and CSeq
/// number, and the To of the response.
pub(super) fn write_ack(
    core: &mut Core,
    client: &Client,
    id: ClientId,
    response: &Message<'_>,
) -> Option<Box<[u8]>> {
    let request = Message::parse(&client.text).ok()?;
    let mut ack = Vec::new();
    ack.extend_from_slice(b"ACK ");
    write_value(request.request_uri()?, &mut ack);
    ack.extend_from_slice(b" SIP/2.0\r\n");
    let branch = core.keys.branch(client.hash, branch_bits(id, client.attempt));
    write_via(&core.config, client.hop.as_ref()?, branch.as_bytes(), &mut ack);
    ack.extend_from_slice(b"Max-Forwards: ");
    write_number(MAX_FORWARDS, &mut ack);
    for route in request.values(Name::Route) {
        ack.extend_from_slice(b"\r\nRoute: ");
        write_value(route, &mut ack);
    }
    for (name, value) in [
        (&b"\r\nFrom: "[..], request.value(Name::From)?),
        (b"\r\nTo: ", response.value(Name::To)?),
        (b"\r\nCall-ID: ", request.value(Name::CallId)?),
    ] {
        ack.extend_from_slice(name);
        write_value(value, &mut ack);
    }
    ack.extend_from_slice(b"\r\nCSeq: ");
    write_number(u64::from(request.cseq().ok()?.number), &mut ack);
    ack.extend_from_slice(b" ACK\r\nContent-Length: 0\r\n\r\n");
    Some(ack.into_boxed_slice())
}
