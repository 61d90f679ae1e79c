//! Client transactions (RFC 3261 17.1, RFC 6026 7.2, RFC 4320 4.1): retransmission, time-outs, and
//! the next place to try when one fails (RFC 3263 4.3).
//!
//! A transaction has one timer: whatever is due next. Timer K of the non-INVITE machine needs none:
//! the branch of a repeated response names a transaction that is gone, which is all it takes to
//! absorb it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};

use pharos_parser::{Message, Name};

use super::request::{Aim, compose};
use super::{ClientId, Outcome, Sip, SipTimer, User};
use crate::core::Timer;
use crate::counters::{Count, Way};
use crate::io::Level;
use crate::limits::{
    CLIENTS_PER_DESTINATION_MAX, NO_TCP_MAX, NO_TCP_MS, T1_MS, T2_MS, TCP_WAIT_MS, TRANSACTION_MS,
};
use crate::map::{Hashing, Map};
use crate::net::{FlowId, ListenerId, Transport};
use crate::pool::{Handle, Pool};
use crate::reject::Reject;
use crate::timer::TimerId;
use crate::{Core, Instant, Span};

/// Places tried for one request, at the most: each may take 64*T1.
const ATTEMPTS_MAX: u8 = 4;
/// An INVITE that rings may take as long as Timer C gives it (RFC 3261 16.6 item 11).
const RINGING_MS: u64 = 180_000;

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) transport: Transport,
    pub(super) peer: SocketAddr,
    pub(super) listener: ListenerId,
    pub(super) local: IpAddr,
    pub(super) flow: Option<FlowId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No place yet: a name is being resolved.
    Resolving,
    /// Sent, nothing heard ("Calling" for an INVITE).
    Trying,
    /// A provisional response came.
    Proceeding,
    /// An INVITE was refused; the ACK is repeated for each repeat of the answer (Timer D).
    Completed,
    /// An INVITE was accepted; repeats of the 2xx go to the user (Timer M, RFC 6026).
    Accepted,
}

/// One client transaction.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) user: User,
    pub(super) invite: bool,
    /// Hash in the branch.
    pub(super) hash: u64,
    /// The request without its Via: start line first, then the rest from `start`.
    pub(super) text: Box<[u8]>,
    pub(super) start: usize,
    pub(super) aim: Aim,
    pub(super) hop: Option<Hop>,
    pub(super) attempt: u8,
    /// TCP was taken for the size of the request alone (18.1.1).
    pub(super) oversize: bool,
    /// The connection was there before: that it closes says little about the peer.
    pub(super) reused: bool,
    state: State,
    interval: Span,
    give_up: Instant,
    timer: Option<TimerId>,
    ack: Option<Box<[u8]>>,
}

impl Client {
    pub(super) fn new(
        user: User,
        invite: bool,
        hash: u64,
        text: Box<[u8]>,
        start: usize,
        aim: Aim,
    ) -> Self {
        Self {
            user,
            invite,
            hash,
            text,
            start,
            aim,
            hop: None,
            attempt: 0,
            oversize: false,
            reused: false,
            state: State::Resolving,
            interval: Span::millis(T1_MS),
            give_up: Instant::default(),
            timer: None,
            ack: None,
        }
    }
}

/// All client transactions, and how many go where.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) pool: Pool<Client>,
    windows: Map<SocketAddr, u32>,
    /// Destinations whose full window has a place again, until somebody asks.
    opened: VecDeque<SocketAddr>,
    /// Destinations that do not take TCP, and until when.
    no_tcp: Map<SocketAddr, Instant>,
}

impl Clients {
    pub(super) fn new(hashing: Hashing, capacity: usize, generation: u32) -> Self {
        Self {
            pool: Pool::new(capacity, generation),
            windows: Map::with_hasher(hashing),
            opened: VecDeque::new(),
            no_tcp: Map::with_hasher(hashing),
        }
    }

    pub(super) fn has_room_for(&self, peer: SocketAddr) -> bool {
        let used = self.windows.get(&peer).copied().unwrap_or(0);
        (used as usize) < CLIENTS_PER_DESTINATION_MAX
    }

    /// The next destination whose window was full and is not any more.
    pub(super) fn pop_opened(&mut self) -> Option<SocketAddr> {
        self.opened.pop_front()
    }

    pub(super) fn no_tcp_len(&self) -> usize {
        self.no_tcp.len()
    }

    /// The windows count exactly the transactions that wait for an answer, and each of those has
    /// its timer.
    pub(super) fn check(&self) {
        let mut total = 0;
        for (_, client) in self.pool.iter() {
            assert!(client.timer.is_some(), "a transaction ends by itself");
            if matches!(client.state, State::Trying | State::Proceeding) {
                assert!(client.hop.is_some_and(|hop| self.windows.contains_key(&hop.peer)));
                total += 1;
            }
        }
        assert_eq!(self.windows.values().sum::<u32>(), total);
    }

    /// A request takes its place in the window of its destination.
    pub(super) fn enter(&mut self, peer: SocketAddr) {
        *self.windows.entry(peer).or_insert(0) += 1;
    }

    fn leave(&mut self, peer: SocketAddr) {
        let Some(used) = self.windows.get_mut(&peer) else { return };
        if *used as usize == CLIENTS_PER_DESTINATION_MAX {
            self.opened.push_back(peer);
        }
        *used -= 1;
        if *used == 0 {
            self.windows.remove(&peer);
        }
    }

    pub(super) fn takes_tcp(&self, now: Instant, peer: SocketAddr) -> bool {
        self.no_tcp.get(&peer).is_none_or(|end| *end <= now)
    }

    fn refuses_tcp(&mut self, now: Instant, peer: SocketAddr) {
        if self.no_tcp.len() >= NO_TCP_MAX {
            self.no_tcp.retain(|_, end| *end > now);
            if self.no_tcp.len() >= NO_TCP_MAX {
                // Forgetting costs one more attempt at TCP for each.
                self.no_tcp.clear();
            }
        }
        self.no_tcp.insert(peer, now + Span::millis(NO_TCP_MS));
    }
}

/// The handle and attempt in a branch: the index of a handle leaves its top byte free.
pub(super) fn branch_bits(id: ClientId, attempt: u8) -> u64 {
    id.0.to_bits() | u64::from(attempt) << 24
}

impl Sip {
    /// The request has a hop and its first transmission is out: start its timers.
    pub(super) fn started(&mut self, core: &mut Core, id: ClientId) {
        let now = core.now.instant;
        let up = |flow: Option<FlowId>| {
            flow.and_then(|flow| self.flows.get(flow)).is_none_or(|flow| flow.up)
        };
        let Some(client) = self.clients.pool.get_mut(id.0) else { return };
        client.state = State::Trying;
        client.interval = Span::millis(T1_MS);
        client.give_up = now + Span::millis(TRANSACTION_MS);
        let next = match client.hop {
            Some(Hop { transport: Transport::Udp, .. }) => now + client.interval,
            Some(hop) if client.oversize && !up(hop.flow) => now + Span::millis(TCP_WAIT_MS),
            _ => client.give_up,
        };
        self.arm(core, id, next);
    }

    /// The transaction's one timer goes to `at`.
    pub(super) fn arm(&mut self, core: &mut Core, id: ClientId, at: Instant) {
        let Some(client) = self.clients.pool.get_mut(id.0) else { return };
        if let Some(timer) = client.timer.take() {
            core.cancel_timer(timer);
        }
        client.timer = core.set_timer(at, Timer::Sip(SipTimer::Client(id)));
    }

    pub(super) fn client_timer(&mut self, core: &mut Core, id: ClientId) {
        let now = core.now.instant;
        let Some(client) = self.clients.pool.get_mut(id.0) else { return };
        client.timer = None;
        match client.state {
            State::Completed | State::Accepted => {
                self.clients.pool.remove(id.0);
            }
            State::Resolving => {
                self.unpark(id);
                self.fail(core, id, Outcome::Unreachable);
            }
            _ if now >= client.give_up => {
                self.next_place(core, id, Outcome::Timeout);
            }
            State::Trying | State::Proceeding => {
                let Some(hop) = client.hop else { return };
                if hop.transport == Transport::Udp {
                    self.retransmit(core, id);
                } else if hop.flow.and_then(|flow| self.flows.get(flow)).is_some_and(|flow| flow.up)
                {
                    let at = client.give_up;
                    self.arm(core, id, at);
                } else {
                    self.fall_back(core, id);
                }
            }
        }
    }

    /// Timers A and E (17.1.1.2, 17.1.2.2).
    fn retransmit(&mut self, core: &mut Core, id: ClientId) {
        let Some(client) = self.clients.pool.get_mut(id.0) else { return };
        if client.invite && client.state == State::Proceeding {
            let at = client.give_up;
            return self.arm(core, id, at);
        }
        let doubled = client.interval.as_millis() * 2;
        client.interval = Span::millis(match (client.invite, client.state) {
            (true, _) => doubled,
            (false, State::Proceeding) => T2_MS,
            (false, _) => doubled.min(T2_MS),
        });
        let at = (core.now.instant + client.interval).min(client.give_up);
        let Some(hop) = client.hop else { return };
        core.counters.add(Count::Resent);
        let piece = compose(core, client, &hop, id);
        core.emit_datagram(hop.listener, hop.local, hop.peer, piece);
        self.arm(core, id, at);
    }

    /// A response whose branch names this transaction. `None`: nothing for its user.
    pub(super) fn client_response<'m>(
        &mut self,
        core: &mut Core,
        bits: u64,
        msg: &'m Message<'m>,
    ) -> Option<(User, Outcome<'m>)> {
        let id = ClientId(Handle::from_bits(bits & !(0xff << 24)));
        let status = msg.status()?;
        let attempt = (bits >> 24) as u8;
        let Some(client) = self.clients.pool.get_mut(id.0).filter(|it| it.attempt == attempt)
        else {
            core.counters.reject(Reject::StaleResponse);
            return None;
        };
        if !matches(client, msg) {
            core.counters.reject(Reject::BadResponse);
            return None;
        }
        let (invite, state, user) = (client.invite, client.state, client.user);
        match (state, status) {
            (State::Resolving, _) => None,
            (State::Trying | State::Proceeding, 100..200) => {
                client.state = State::Proceeding;
                if invite {
                    client.give_up = core.now.instant + Span::millis(RINGING_MS);
                    let at = client.give_up;
                    self.arm(core, id, at);
                }
                None
            }
            (State::Trying | State::Proceeding, 503)
                if !invite && self.try_next_place(core, id) =>
            {
                None
            }
            (State::Trying | State::Proceeding, _) if !invite => {
                self.end(core, id);
                Some((user, Outcome::Final(msg)))
            }
            (State::Trying | State::Proceeding, _) => {
                self.invite_answered(core, id, status, msg);
                Some((user, Outcome::Final(msg)))
            }
            (State::Completed, 300..) => {
                self.acknowledge(core, id);
                None
            }
            (State::Accepted, 200..300) => Some((user, Outcome::Final(msg))),
            _ => {
                core.counters.reject(Reject::StaleResponse);
                None
            }
        }
    }

    /// 17.1.1.2 and RFC 6026 7.2: ACK a refusal, keep what is needed for its repeats.
    fn invite_answered(&mut self, core: &mut Core, id: ClientId, status: u16, msg: &Message<'_>) {
        self.leave_window(id);
        let Some(client) = self.clients.pool.get_mut(id.0) else { return };
        let mut keep = Span::millis(TRANSACTION_MS);
        if status < 300 {
            client.state = State::Accepted;
        } else {
            client.state = State::Completed;
            client.ack = super::request::write_ack(core, client, id, msg);
            if client.hop.is_none_or(|hop| hop.transport != Transport::Udp) {
                keep = Span::default();
            }
            self.acknowledge(core, id);
        }
        let at = core.now.instant + keep;
        self.arm(core, id, at);
    }

    fn acknowledge(&mut self, core: &mut Core, id: ClientId) {
        let Some(client) = self.clients.pool.get(id.0) else { return };
        let (Some(ack), Some(hop)) = (&client.ack, client.hop) else { return };
        core.counters.request(Way::Out, b"ACK");
        let piece = core.compose(|_, out| out.extend_from_slice(ack));
        match hop.flow {
            Some(flow) => core.emit_stream(flow, piece),
            None => core.emit_datagram(hop.listener, hop.local, hop.peer, piece),
        }
    }

    /// This place failed: the next one, else the end.
    pub(super) fn next_place(&mut self, core: &mut Core, id: ClientId, why: Outcome<'static>) {
        if !self.try_next_place(core, id) {
            self.fail(core, id, why);
        }
    }

    /// RFC 3263 4.3. Whether there was a place left to try.
    fn try_next_place(&mut self, core: &mut Core, id: ClientId) -> bool {
        let Some(client) = self.clients.pool.get_mut(id.0) else { return false };
        if client.attempt + 1 >= ATTEMPTS_MAX || client.state == State::Proceeding && client.invite
        {
            return false;
        }
        if let Some(hop) = client.hop {
            client.aim.failed(&hop, client.oversize);
        }
        self.leave_window(id);
        self.send(core, id).is_ok()
    }

    /// The connection is gone or does not come about. One that was there before is made anew; a
    /// request that only its size sent to TCP goes by UDP (18.1.1); else the next place.
    fn fall_back(&mut self, core: &mut Core, id: ClientId) {
        let Some(client) = self.clients.pool.get_mut(id.0) else { return };
        let again = client.reused && client.attempt + 1 < ATTEMPTS_MAX;
        let Some(hop) = client.hop.filter(|_| client.oversize || again) else {
            return self.next_place(core, id, Outcome::Unreachable);
        };
        if !again {
            core.counters.add(Count::TcpFallbacks);
            self.clients.refuses_tcp(core.now.instant, hop.peer);
        }
        self.leave_window(id);
        if self.send(core, id).is_err() {
            self.fail(core, id, Outcome::Unreachable);
        }
    }

    /// The connection is gone, and with it whatever waited for an answer on it.
    pub(super) fn flow_gone(&mut self, core: &mut Core, flow: FlowId) {
        self.flows.gone(core, flow);
        let on_it = |client: &Client| client.hop.is_some_and(|hop| hop.flow == Some(flow));
        for id in self.running(on_it) {
            self.fall_back(core, id);
        }
    }

    /// The destination refused a datagram (18.4).
    pub(super) fn unreachable(&mut self, core: &mut Core, listener: ListenerId, peer: SocketAddr) {
        let there = |client: &Client| {
            client.hop.is_some_and(|hop| {
                hop.transport == Transport::Udp && hop.peer == peer && hop.listener == listener
            })
        };
        for id in self.running(there) {
            self.next_place(core, id, Outcome::Unreachable);
        }
    }

    /// Transactions that still wait for an answer, by a condition.
    fn running(&self, of: impl Fn(&Client) -> bool) -> Vec<ClientId> {
        let waits = |client: &Client| matches!(client.state, State::Trying | State::Proceeding);
        let found = self.clients.pool.iter().filter(|(_, client)| waits(client) && of(client));
        found.map(|(handle, _)| ClientId(handle)).collect()
    }

    /// The end without a response.
    pub(super) fn fail(&mut self, core: &mut Core, id: ClientId, why: Outcome<'static>) {
        let Some(client) = self.end(core, id) else { return };
        core.counters.add(match why {
            Outcome::Timeout => Count::Timeouts,
            _ => Count::Unreachable,
        });
        log_failure(core, &client, why);
        self.failures.push_back((client.user, why));
    }

    fn end(&mut self, core: &mut Core, id: ClientId) -> Option<Client> {
        self.leave_window(id);
        let client = self.clients.pool.remove(id.0)?;
        if let Some(timer) = client.timer {
            core.cancel_timer(timer);
        }
        Some(client)
    }

    fn leave_window(&mut self, id: ClientId) {
        let Some(client) = self.clients.pool.get_mut(id.0) else { return };
        if let Some(hop) = client.hop
            && matches!(client.state, State::Trying | State::Proceeding)
        {
            client.state = State::Resolving;
            self.clients.leave(hop.peer);
        }
    }
}

fn log_failure(core: &mut Core, client: &Client, why: Outcome<'static>) {
    core.log(Level::Warn, "sip", |line| {
        let request = Message::parse(&client.text).ok();
        let value = |name| request.as_ref().and_then(|it| it.value(name)).unwrap_or(b"?");
        let method = client.text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let _ = write!(
            line,
            "{} to {}, Call-ID {}: ",
            method.escape_ascii(),
            value(Name::To).escape_ascii(),
            value(Name::CallId).escape_ascii(),
        );
        let _ = match (client.hop, why) {
            (None, _) => write!(line, "no way there"),
            (Some(hop), Outcome::Timeout) => write!(line, "no answer from {}", hop.peer),
            (Some(hop), _) => write!(line, "{} cannot be reached", hop.peer),
        };
    });
}

/// The response answers this request: one Via (8.1.3.3) and the method in its CSeq (17.1.3).
fn matches(client: &Client, msg: &Message<'_>) -> bool {
    let method = client.text.split(|byte| *byte == b' ').next().unwrap_or_default();
    msg.items(Name::Via).nth(1).is_none()
        && msg.cseq().is_ok_and(|cseq| cseq.method.as_bytes() == method)
}
