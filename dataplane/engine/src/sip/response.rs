//! Where an answer goes (RFC 3261 18.2.2, RFC 3581 4), and sending it.

use core::net::SocketAddr;

use pharos_parser::via::{Rport, Via};
use pharos_parser::{Host, Message};

use super::Sip;
use super::answer::{Answer, Asked, write_answer};
use super::resolve::SIP_PORT;
use crate::Core;
use crate::core::Piece;
use crate::counters::Way;
use crate::net::{FlowId, Path, Transport};
use crate::reject::Reject;

/// Where the answer to a datagram goes: `maddr`, else the source, at its port when `rport` asks for
/// that, else at the port of sent-by.
pub(super) fn destination(via: &Via<'_>, source: SocketAddr) -> SocketAddr {
    let port = via.port().filter(|port| *port != 0).unwrap_or(SIP_PORT);
    let maddr = via.params().value("maddr").and_then(|maddr| Host::parse(maddr).ok()?.address());
    match (maddr, via.rport()) {
        (Some(address), _) => SocketAddr::new(address, port),
        (None, Rport::Absent) => SocketAddr::new(source.ip(), port),
        (None, Rport::Asked | Rport::Port(_)) => source,
    }
}

impl Sip {
    /// Send an answer made from the request.
    pub(super) fn send_answer(&mut self, core: &mut Core, asked: &Asked<'_>, answer: Answer) {
        let keys = core.keys.clone();
        let piece = core.compose(|config, out| write_answer(config, &keys, asked, answer, out));
        core.counters.response(Way::Out, answer.status);
        self.send_response(core, &asked.path, asked.destination(), piece);
    }

    /// Send a written response the way its request came: on its connection, else to `peer`.
    pub(super) fn send_response(
        &mut self,
        core: &mut Core,
        path: &Path,
        peer: SocketAddr,
        piece: Piece,
    ) {
        match path.flow {
            Some(flow) => self.send_on_flow(core, flow, piece),
            None => core.emit_datagram(path.listener, path.local, peer, piece),
        }
    }

    /// Send on a connection, or hand to the shard that holds it. A response whose connection is
    /// gone goes to the address in its Via by a new one (18.2.2).
    pub(super) fn send_on_flow(&mut self, core: &mut Core, flow: FlowId, piece: Piece) {
        let ours = flow.shard() == core.config.shard;
        if !ours || self.flows.get(flow).is_some() || self.flows.is_full() {
            return core.emit_stream(flow, piece);
        }
        let back = Message::parse(core.piece(piece)).ok().and_then(|response| {
            response.status()?;
            let via = response.via().ok()?;
            let address = via.received().or_else(|| via.host().address())?;
            Some(SocketAddr::new(address, via.port().unwrap_or(SIP_PORT)))
        });
        let listener = core.config.listeners.iter();
        let Some((place, peer)) = back.and_then(|peer| {
            let fits = |it: &crate::config::Listener| {
                it.transport == Transport::Tcp && it.bound.is_ipv4() == peer.is_ipv4()
            };
            Some((listener.into_iter().position(fits)?, peer))
        }) else {
            return core.counters.reject(Reject::FlowGone);
        };
        let listener = crate::net::ListenerId(place as u16);
        match self.flows.connect(core, listener, Transport::Tcp, peer) {
            Some(flow) => core.emit_stream(flow, piece),
            None => core.counters.reject(Reject::FlowGone),
        }
    }
}
