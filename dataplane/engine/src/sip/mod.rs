//! SIP: transactions, dialogs, and where a message goes.
//!
//! | file | what |
//! | --- | --- |
//! | `intake` | a message comes in: the checks, whose it is |
//! | `incoming` | a new request that passed them, and one whose answer waits |
//! | `server` | non-INVITE server transactions (RFC 3261 17.2.2) |
//! | `invite` | INVITE server transactions (17.2.1, RFC 6026) |
//! | `answer`, `response` | what an answer says, where it goes |
//! | `dialog` | a dialog (12) |
//! | `target` | Request-URI, Route and next hop of a request within one (12.2.1.1) |
//! | `resolve` | from a name to places (RFC 3263) |
//! | `request` | writing and sending a request |
//! | `client` | client transactions (17.1, RFC 6026, RFC 4320) |
//! | `flow` | connections |
//! | `listen` | our own addresses |

pub mod answer;
mod client;
pub mod dialog;
mod flow;
pub mod incoming;
mod intake;
mod invariants;
mod invite;
pub mod listen;
mod request;
mod resolve;
mod response;
mod server;
mod target;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

use pharos_parser::{Message, Method};

use crate::core::{Piece, Timer};
use crate::counters::{Count, Sample, Way};
use crate::io::Query;
use crate::limits::{CLIENTS_MAX, TRANSACTION_MS};
use crate::map::{Hashing, Map};
use crate::net::{FlowId, Path};
use crate::pool::Handle;
use crate::wire::TxnKey;
use crate::{Config, Core, Span};

pub use crate::presence::package::PackageId;
use answer::Echo;
pub use answer::{Answer, Detail};
use client::Clients;
pub use dialog::Dialog;
use flow::Flows;
pub use incoming::{Deferred, Incoming, Marks};
pub(crate) use intake::Origin;
pub use invite::InviteId;
use invite::Invites;
use request::Parked;
use resolve::Names;
use server::Servers;

/// The SIP layer's timers.
#[derive(Clone, Copy, Debug)]
pub enum SipTimer {
    /// A client transaction: send again, or give up.
    Client(ClientId),
    /// An INVITE server transaction: answer again, or forget.
    Invite(InviteId),
    /// A connection of ours: close it if nobody uses it.
    FlowIdle(FlowId),
    /// Server transactions: forget those that are over, though nothing comes in any more.
    Sweep,
}

/// Names a client transaction while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub(crate) Handle);

/// Who asked for a request, and is told its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// A NOTIFY of presence; the number is presence's own.
    Notify(u64),
}

/// What became of a request of ours.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'m> {
    /// A final response (200 to 699).
    Final(&'m Message<'m>),
    /// No final response in 64*T1: to be taken as a 408 (RFC 3261 8.1.3.1).
    Timeout,
    /// It could not be delivered: to be taken as a 503 (RFC 3261 8.1.3.1).
    Unreachable,
}

/// What the SIP layer has for the systems above it.
#[derive(Debug)]
pub enum SipEvent<'m> {
    /// A new request to answer: [`Sip::answer`], or [`Sip::defer`] and later
    /// [`Sip::answer_deferred`].
    Request(Incoming<'m>),
    /// The outcome of a request of ours.
    Outcome {
        /// Whose.
        user: User,
        /// What.
        outcome: Outcome<'m>,
    },
}

/// Why a request cannot be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much is under way to this destination: try again when [`Sip::has_room_for`] says so.
    DestinationFull(SocketAddr),
    /// Too much is under way in this shard: try again after any outcome.
    ShardFull,
    /// The URI cannot be sent to: not sip, without a usable host, or none of our listeners reaches
    /// it.
    BadTarget,
    /// The request would not fit a datagram.
    TooLarge,
}

/// The SIP layer of a shard.
pub struct Sip {
    servers: Servers,
    invites: Invites,
    clients: Clients,
    flows: Flows,
    names: Names,
    /// Client transactions that wait for a name.
    waiting: Map<Query, Parked>,
    resolving: usize,
    /// The timer of the next [`SipTimer::Sweep`] is set.
    sweeping: bool,
    failures: VecDeque<(User, Outcome<'static>)>,
    draining: bool,
    scratch: Vec<u8>,
}

impl Sip {
    pub(crate) fn new(core: &mut Core) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&core.random().to_be_bytes());
        key[8..].copy_from_slice(&core.random().to_be_bytes());
        let hashing = Hashing::new(key);
        Self {
            servers: Servers::default(),
            invites: Invites::new(hashing, core.random() as u32),
            clients: Clients::new(hashing, CLIENTS_MAX, core.random() as u32),
            flows: Flows::new(hashing),
            names: Names::new(hashing),
            waiting: Map::with_hasher(hashing),
            resolving: 0,
            sweeping: false,
            failures: VecDeque::new(),
            draining: false,
            scratch: Vec::new(),
        }
    }

    /// Answer a request at once. Its retransmissions get the same answer, written anew.
    pub fn answer(&mut self, core: &mut Core, incoming: &Incoming<'_>, answer: &Answer) {
        let asked = incoming.asked();
        if incoming.head.cseq.method == Method::Invite {
            return self.answer_invite(core, &asked, *answer);
        }
        if incoming.path.flow.is_none() {
            self.complete(core, incoming.txn, *answer);
        }
        self.send_answer(core, &asked, *answer);
    }

    /// Answer later: takes a copy of the request; retransmissions are absorbed until then.
    pub fn defer(&mut self, core: &mut Core, incoming: &Incoming<'_>) -> Deferred {
        let bytes = incoming.msg.as_bytes().into();
        Deferred { bytes, ..self.defer_answer(core, incoming) }
    }

    /// As [`Sip::defer`], when nobody will read the request again: keeps what its answer needs.
    pub fn defer_answer(&mut self, core: &mut Core, incoming: &Incoming<'_>) -> Deferred {
        let asked = incoming.asked();
        let invite = incoming.head.cseq.method == Method::Invite;
        if invite {
            self.invite_proceeds(core, &asked);
        } else {
            self.servers.wait(incoming.txn);
        }
        Deferred {
            bytes: Box::default(),
            echo: Echo::of(&core.keys, &asked, &incoming.head),
            peer: asked.destination(),
            invite,
            path: incoming.path,
            txn: incoming.txn,
            hash: incoming.hash,
            marks: incoming.marks.clone(),
            since: core.now.instant,
        }
    }

    /// Answer a deferred request, unless its transaction has timed out (RFC 4320 4.2).
    pub fn answer_deferred(&mut self, core: &mut Core, deferred: Deferred, answer: &Answer) {
        let late = deferred.is_late(core);
        let Deferred { echo, peer, invite, path, txn, hash, marks, .. } = deferred;
        let keys = core.keys.clone();
        let write = |config: &Config, out: &mut Vec<u8>| {
            echo.write_answer(config, &keys, (path, txn, hash, &marks), *answer, out);
        };
        if invite {
            let mut bytes = Vec::new();
            write(&core.config, &mut bytes);
            return self.invite_final(core, txn, answer.status, bytes);
        }
        self.servers.forget(txn);
        if late {
            return core.counters.add(Count::LateAnswers);
        }
        if path.flow.is_none() {
            self.complete(core, txn, *answer);
        }
        core.counters.response(Way::Out, answer.status);
        let piece = core.compose(write);
        self.send_response(core, &path, peer, piece);
    }

    /// A request that came by datagrams is answered.
    fn complete(&mut self, core: &mut Core, txn: TxnKey, answer: Answer) {
        self.servers.complete(core.now.instant, txn, answer);
        self.sweep_later(core);
    }

    fn sweep_later(&mut self, core: &mut Core) {
        if !core::mem::replace(&mut self.sweeping, true) {
            let at = core.now.instant + Span::millis(TRANSACTION_MS);
            core.set_timer(at, Timer::Sip(SipTimer::Sweep));
        }
    }

    /// Never answer a deferred request. A later retransmission counts as a new request.
    pub fn drop_deferred(&mut self, core: &mut Core, deferred: Deferred) {
        self.servers.forget(deferred.txn);
        self.invites.forget(core, deferred.txn);
    }

    /// One more request to this destination fits.
    pub fn has_room_for(&self, destination: SocketAddr) -> bool {
        !self.clients.pool.is_full() && self.clients.has_room_for(destination)
    }

    /// The next destination whose full window has a place again. Each is named once.
    pub fn pop_opened(&mut self) -> Option<SocketAddr> {
        self.clients.pop_opened()
    }

    /// One more request fits, its destination aside.
    pub fn has_room(&self) -> bool {
        !self.clients.pool.is_full()
    }

    /// Requests of ours that have no outcome yet.
    pub fn under_way(&self) -> usize {
        self.clients.pool.len()
    }

    pub(crate) fn on_timer(&mut self, core: &mut Core, timer: SipTimer) {
        match timer {
            SipTimer::Client(id) => self.client_timer(core, id),
            SipTimer::Invite(id) => self.invite_timer(core, id),
            SipTimer::FlowIdle(flow) => self.flows.idle(core, flow),
            SipTimer::Sweep => {
                self.sweeping = false;
                if self.servers.expire(core.now.instant) {
                    self.sweep_later(core);
                }
            }
        }
    }

    pub(crate) fn poll_failure(&mut self) -> Option<(User, Outcome<'static>)> {
        self.failures.pop_front()
    }

    pub(crate) fn seen(&mut self, core: &mut Core, path: &Path) {
        self.flows.seen(core, path);
    }

    pub(crate) fn stream_opened(&mut self, flow: FlowId) {
        self.flows.opened(flow);
    }

    pub(crate) fn stream_closed(&mut self, core: &mut Core, flow: FlowId) {
        self.flow_gone(core, flow);
    }

    /// Another shard's message for a connection of ours.
    pub(crate) fn relay(&mut self, core: &mut Core, flow: FlowId, bytes: &[u8]) {
        let piece: Piece = core.compose(|_, out| out.extend_from_slice(bytes));
        self.send_on_flow(core, flow, piece);
    }

    pub(crate) fn datagram_refused(
        &mut self,
        core: &mut Core,
        listener: crate::net::ListenerId,
        peer: SocketAddr,
    ) {
        self.unreachable(core, listener, peer);
    }

    /// New requests get 503 from now on.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    /// Every request taken has its answer, and every request sent its outcome.
    pub(crate) fn is_drained(&self) -> bool {
        self.servers.waiting() == 0 && self.clients.pool.is_empty()
    }

    /// What there is, for metrics.
    pub(crate) fn gauges(&self, out: &mut Vec<Sample>) {
        let gauge = |name, help, value: usize| Sample {
            name,
            help,
            counter: false,
            label: None,
            value: value as u64,
        };
        out.push(gauge(
            "sip_server_transactions",
            "Server transactions, answered ones kept for repeats among them.",
            self.servers.len() + self.invites.len(),
        ));
        out.push(gauge(
            "sip_server_transactions_waiting",
            "Requests taken and not answered yet.",
            self.servers.waiting(),
        ));
        out.push(gauge(
            "sip_client_transactions",
            "Requests sent that have no outcome yet.",
            self.clients.pool.len(),
        ));
        out.push(gauge(
            "sip_client_transactions_resolving",
            "Requests that wait for a name.",
            self.resolving,
        ));
        out.push(gauge("sip_flows", "Connections known to the shard.", self.flows.len()));
    }
}

#[cfg(test)]
pub(crate) mod tests;
