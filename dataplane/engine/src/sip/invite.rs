//! INVITE server transactions (RFC 3261 17.2.1 with RFC 6026 7.1).

use alloc::boxed::Box;
use alloc::vec::Vec;

use pharos_parser::Message;
use pharos_parser::write::{ResponseHead, response};

use super::answer::{Answer, Asked, reason_phrase, write_answer};
use super::{Marks, Sip, SipTimer};
use crate::core::{Piece, Timer};
use crate::counters::{Count, Way};
use crate::limits::{INVITE_SERVER_MAX, T1_MS, T2_MS, T4_MS, TRANSACTION_MS};
use crate::map::{Hashing, Map};
use crate::net::Path;
use crate::pool::{Handle, Pool};
use crate::reject::Reject;
use crate::timer::TimerId;
use crate::wire::TxnKey;
use crate::{Core, Instant, Span};

/// Names an INVITE server transaction while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InviteId(Handle);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final answer yet.
    Proceeding,
    /// Refused: the answer is repeated (Timer G) until the ACK comes or Timer H ends it.
    Completed,
    /// The ACK came: repeats of it are absorbed (Timer I).
    Confirmed,
    /// Accepted: repeats of the INVITE are absorbed (Timer L); the user repeats the 2xx.
    Accepted,
}

#[derive(Debug)]
struct Invite {
    key: TxnKey,
    state: State,
    path: Path,
    /// Where datagrams of it go.
    peer: core::net::SocketAddr,
    /// The last answer, to be repeated.
    answer: Box<[u8]>,
    /// What a 487 is made of while no final answer went out.
    request: Box<[u8]>,
    hash: u64,
    interval: Span,
    end: Instant,
    timer: Option<TimerId>,
}

/// All INVITE server transactions.
#[derive(Debug)]
pub(super) struct Invites {
    pool: Pool<Invite>,
    by_key: Map<TxnKey, Handle>,
}

impl Invites {
    pub(super) fn new(hashing: Hashing, generation: u32) -> Self {
        Self { pool: Pool::new(INVITE_SERVER_MAX, generation), by_key: Map::with_hasher(hashing) }
    }

    pub(super) fn len(&self) -> usize {
        self.pool.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.pool.is_full()
    }

    pub(super) fn has(&self, key: TxnKey) -> bool {
        self.by_key.contains_key(&key)
    }

    fn state(&self, key: TxnKey) -> Option<State> {
        self.by_key.get(&key).and_then(|at| self.pool.get(*at)).map(|invite| invite.state)
    }

    /// Its user will not answer it.
    pub(super) fn forget(&mut self, core: &mut Core, key: TxnKey) {
        if self.state(key) == Some(State::Proceeding)
            && let Some(handle) = self.by_key.get(&key).copied()
        {
            self.remove(core, handle);
        }
    }

    fn remove(&mut self, core: &mut Core, handle: Handle) {
        let Some(invite) = self.pool.remove(handle) else { return };
        self.by_key.remove(&invite.key);
        if let Some(timer) = invite.timer {
            core.cancel_timer(timer);
        }
    }
}

impl Sip {
    /// A repeated INVITE: the last answer again, if there is one to repeat.
    pub(super) fn invite_again(&mut self, core: &mut Core, key: TxnKey) {
        core.counters.add(Count::Retransmissions);
        let Some(invite) = self.invites.by_key.get(&key).and_then(|at| self.invites.pool.get(*at))
        else {
            return;
        };
        if matches!(invite.state, State::Proceeding | State::Completed) {
            self.repeat(core, key);
        }
    }

    /// Take an INVITE on without a final answer: 100 (17.2.1).
    pub(super) fn invite_proceeds(&mut self, core: &mut Core, asked: &Asked<'_>) {
        let mut trying = Vec::new();
        let head = ResponseHead {
            status: 100,
            reason: reason_phrase(100),
            to_tag: None,
            source: asked.path.peer,
            record_route: false,
        };
        response(asked.msg, &head, &mut trying).end();
        core.counters.response(Way::Out, 100);
        self.insert_invite(core, asked, trying);
        self.repeat(core, asked.txn);
    }

    /// The final answer to an INVITE, new or not.
    pub(super) fn answer_invite(&mut self, core: &mut Core, asked: &Asked<'_>, answer: Answer) {
        if self.invites.state(asked.txn).is_none() {
            self.insert_invite(core, asked, Vec::new());
        }
        let mut bytes = Vec::new();
        write_answer(&core.config, &core.keys, asked, answer, &mut bytes);
        self.invite_final(core, asked.txn, answer.status, bytes);
    }

    /// The final answer to an INVITE that has none yet: send it, and again (Timer G).
    pub(super) fn invite_final(
        &mut self,
        core: &mut Core,
        key: TxnKey,
        status: u16,
        bytes: Vec<u8>,
    ) {
        let now = core.now.instant;
        let Some(handle) = self.invites.by_key.get(&key).copied() else { return };
        let Some(invite) = self.invites.pool.get_mut(handle) else { return };
        if invite.state != State::Proceeding {
            return;
        }
        invite.state = if status < 300 { State::Accepted } else { State::Completed };
        invite.answer = bytes.into_boxed_slice();
        invite.request = Box::default();
        invite.end = now + Span::millis(TRANSACTION_MS);
        invite.interval = Span::millis(T1_MS);
        let repeats = invite.state == State::Completed && invite.path.flow.is_none();
        let next = if repeats { now + invite.interval } else { invite.end };
        core.counters.response(Way::Out, status);
        self.arm_invite(core, handle, next);
        self.repeat(core, key);
    }

    /// An ACK to a refusal (17.2.1). Whether it belongs to one.
    pub(super) fn invite_acked(&mut self, core: &mut Core, key: TxnKey) -> bool {
        let Some(handle) = self.invites.by_key.get(&key).copied() else { return false };
        let Some(invite) = self.invites.pool.get_mut(handle) else { return false };
        if invite.state != State::Completed {
            return true;
        }
        invite.state = State::Confirmed;
        invite.answer = Box::default();
        if invite.path.flow.is_some() {
            self.invites.remove(core, handle);
        } else {
            let at = core.now.instant + Span::millis(T4_MS);
            self.arm_invite(core, handle, at);
        }
        true
    }

    /// CANCEL of an INVITE (9.2): 487 if it has no final answer yet.
    pub(super) fn invite_cancelled(&mut self, core: &mut Core, key: TxnKey) {
        let Some(invite) = self.invites.by_key.get(&key).and_then(|at| self.invites.pool.get(*at))
        else {
            return;
        };
        if invite.state != State::Proceeding {
            return;
        }
        let (request, path, hash) = (invite.request.clone(), invite.path, invite.hash);
        let Ok(msg) = Message::parse(&request) else { return };
        let Ok(head) = msg.essential() else { return };
        let (head, marks) = (Some(&head), &Marks::default());
        let asked = Asked { msg: &msg, head, path, txn: key, hash, marks };
        self.answer_invite(core, &asked, Answer::status(487));
    }

    pub(super) fn invite_timer(&mut self, core: &mut Core, InviteId(handle): InviteId) {
        let now = core.now.instant;
        let Some(invite) = self.invites.pool.get_mut(handle) else { return };
        invite.timer = None;
        if invite.state != State::Completed || now >= invite.end {
            return self.invites.remove(core, handle);
        }
        invite.interval = Span::millis((invite.interval.as_millis() * 2).min(T2_MS));
        let (key, next) = (invite.key, (now + invite.interval).min(invite.end));
        core.counters.add(Count::Resent);
        self.repeat(core, key);
        self.arm_invite(core, handle, next);
    }

    /// A transaction that has no final answer.
    fn insert_invite(&mut self, core: &mut Core, asked: &Asked<'_>, answer: Vec<u8>) {
        let invite = Invite {
            key: asked.txn,
            state: State::Proceeding,
            path: asked.path,
            peer: asked.destination(),
            answer: answer.into_boxed_slice(),
            request: asked.msg.as_bytes().into(),
            hash: asked.hash,
            interval: Span::millis(T1_MS),
            end: core.now.instant + Span::millis(TRANSACTION_MS),
            timer: None,
        };
        match self.invites.pool.insert(invite) {
            Ok(handle) => {
                self.invites.by_key.insert(asked.txn, handle);
            }
            Err(_) => core.counters.reject(Reject::TransactionsFull),
        }
    }

    fn repeat(&mut self, core: &mut Core, key: TxnKey) {
        let Some(invite) = self.invites.by_key.get(&key).and_then(|at| self.invites.pool.get(*at))
        else {
            return;
        };
        let piece: Piece = core.compose(|_, out| out.extend_from_slice(&invite.answer));
        let (path, peer) = (invite.path, invite.peer);
        match path.flow {
            Some(flow) => self.send_on_flow(core, flow, piece),
            None => core.emit_datagram(path.listener, path.local, peer, piece),
        }
    }

    fn arm_invite(&mut self, core: &mut Core, handle: Handle, at: Instant) {
        let Some(invite) = self.invites.pool.get_mut(handle) else { return };
        if let Some(timer) = invite.timer.take() {
            core.cancel_timer(timer);
        }
        invite.timer = core.set_timer(at, Timer::Sip(SipTimer::Invite(InviteId(handle))));
    }
}
