//! A message comes in: what it is, whether we take it, whose it is.
//!
//! On the shard that received it: keep-alive, parse, source, route. On the shard that owns it: the
//! transaction it repeats or starts, then the checks of RFC 3261 8.2. What can be answered from the
//! request alone is answered without state (8.2.7): the same request gets the same answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use pharos_parser::message::Essential;
use pharos_parser::{FrameError, Message, Method, Name, Reason};

use super::answer::{Answer, Asked, Detail};
use super::incoming::{Incoming, Marks};
use super::server::Match;
use super::{Sip, SipEvent};
use crate::Core;
use crate::config::Cidr;
use crate::counters::{Count, Way};
use crate::io::{Level, Mesh};
use crate::limits::RETRY_AFTER_S;
use crate::net::Path;
use crate::reject::Reject;
use crate::route::{Route, route};
use crate::wire::TxnKey;

/// Where a message was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// On the network.
    Network,
    /// At another shard, which has checked where it came from.
    Shard,
}

impl Sip {
    /// Take a message. `msg` is what the bytes parse to, `aor` room for the AoR it is for.
    pub(crate) fn receive<'m>(
        &mut self,
        core: &mut Core,
        path: Path,
        from: Origin,
        msg: &'m Message<'m>,
        aor: &'m mut Vec<u8>,
    ) -> Option<SipEvent<'m>> {
        match msg.status() {
            Some(status) => self.receive_response(core, path, from, status, msg),
            None => self.receive_request(core, path, from, msg, aor),
        }
    }

    /// Bytes that are no message: a keep-alive (RFC 5626 4.4.1, answered on streams), or junk.
    pub(crate) fn receive_other(&mut self, core: &mut Core, path: Path, bytes: &[u8]) {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            core.counters.add(Count::KeepAlives);
            if let Some(flow) = path.flow.filter(|_| bytes == b"\r\n\r\n") {
                let piece = core.compose(|_, out| out.extend_from_slice(b"\r\n"));
                core.emit_stream(flow, piece);
            }
            return;
        }
        core.counters.reject(Reject::Unreadable);
        core.log(Level::Warn, "sip", |line| {
            let _ = write!(line, "{} bytes from {} are not SIP", bytes.len(), path.peer);
        });
    }

    /// The start of a message that a stream could not be cut at: answer it, then close (18.3).
    pub(crate) fn receive_unframed(
        &mut self,
        core: &mut Core,
        path: Path,
        bytes: &[u8],
        error: FrameError,
    ) {
        let reject = match error {
            FrameError::HeadersTooLong | FrameError::BodyTooLong => Reject::TooLarge,
            FrameError::Malformed => Reject::Malformed,
        };
        // It may be the first that is heard on this connection, and the answer goes back on it.
        self.flows.seen(core, &path);
        match Message::parse(bytes) {
            Ok(msg) if msg.method().is_some() && is_trusted(core, &path) => {
                self.refuse(core, path, &msg, reject);
            }
            _ => core.counters.reject(reject),
        }
        if let Some(flow) = path.flow {
            core.emit_close(flow);
        }
    }

    fn receive_response<'m>(
        &mut self,
        core: &mut Core,
        path: Path,
        from: Origin,
        status: u16,
        msg: &'m Message<'m>,
    ) -> Option<SipEvent<'m>> {
        if from == Origin::Network {
            core.counters.response(Way::In, status);
        }
        let branch = msg.via().ok().and_then(|via| via.branch());
        let Some((hash, bits)) = branch.and_then(|branch| core.keys.read_branch(branch)) else {
            core.counters.reject(Reject::ForeignBranch);
            return None;
        };
        if !core.owns(hash) {
            self.hand_over(core, path, hash, msg);
            return None;
        }
        let (user, outcome) = self.client_response(core, bits, msg)?;
        Some(SipEvent::Outcome { user, outcome })
    }

    fn receive_request<'m>(
        &mut self,
        core: &mut Core,
        path: Path,
        from: Origin,
        msg: &'m Message<'m>,
        aor: &'m mut Vec<u8>,
    ) -> Option<SipEvent<'m>> {
        let method = msg.method()?;
        if from == Origin::Network {
            core.counters.request(Way::In, method.as_bytes());
            if !is_trusted(core, &path) {
                self.refuse(core, path, msg, Reject::Untrusted);
                return None;
            }
        }
        let head = match readable(msg) {
            Ok(head) => head,
            Err(reject) => {
                self.refuse(core, path, msg, reject);
                return None;
            }
        };
        let key = transaction_key(core, msg, &head);
        match route(core, msg, &head, aor) {
            Route::Owner(hash) if core.owns(hash) => {
                let (txn, aor) = (key, &**aor);
                let marks = Marks::default();
                self.own_request(core, Incoming { msg, head, path, txn, aor, hash, marks })
            }
            Route::Owner(hash) => {
                self.hand_over(core, path, hash, msg);
                None
            }
            Route::Anyone => {
                let (head, marks) = (Some(&head), &Marks::default());
                let asked = Asked { msg, head, path, txn: key, hash: 0, marks };
                let answer = self.capabilities(core, &asked);
                self.send_answer(core, &asked, answer);
                None
            }
            Route::Refuse(reject) => {
                let (head, marks) = (Some(&head), &Marks::default());
                let asked = Asked { msg, head, path, txn: key, hash: 0, marks };
                self.refuse_asked(core, &asked, reject);
                None
            }
        }
    }

    /// The answer to OPTIONS (11.2). While we drain, who pings us shall go elsewhere.
    fn capabilities(&mut self, core: &mut Core, asked: &Asked<'_>) -> Answer {
        if self.draining {
            self.rejected(core, asked, Reject::Draining)
        } else if unsupported(asked.msg) {
            self.rejected(core, asked, Reject::BadExtension)
        } else {
            Answer::with(200, Detail::Capabilities)
        }
    }

    /// A request for an AoR or dialog of this shard.
    fn own_request<'m>(&mut self, core: &mut Core, incoming: Incoming<'m>) -> Option<SipEvent<'m>> {
        match incoming.head.cseq.method {
            Method::Invite => {
                self.own_invite(core, &incoming);
                return None;
            }
            Method::Ack => {
                if !self.invite_acked(core, incoming.txn) {
                    core.counters.reject(Reject::StrayAck);
                }
                return None;
            }
            Method::Cancel => {
                self.own_cancel(core, &incoming);
                return None;
            }
            _ => {}
        }
        let asked = incoming.asked();
        let fresh = incoming.head.to.tag().is_none();
        match self.servers.find(core.now.instant, incoming.txn) {
            Match::Waiting => {
                core.counters.add(Count::Retransmissions);
                return None;
            }
            Match::Answered(answer) => {
                core.counters.add(Count::Retransmissions);
                self.send_answer(core, &asked, answer);
                return None;
            }
            Match::Merged if fresh => {
                self.refuse_asked(core, &asked, Reject::Merged);
                return None;
            }
            Match::Merged | Match::New => {}
        }
        if let Some(reject) = self.objection(&incoming) {
            self.refuse_asked(core, &asked, reject);
            return None;
        }
        Some(SipEvent::Request(incoming))
    }

    /// What a new request is refused for before anybody looks into it.
    fn objection(&self, incoming: &Incoming<'_>) -> Option<Reject> {
        if self.draining {
            Some(Reject::Draining)
        } else if self.servers.is_full() {
            Some(Reject::TransactionsFull)
        } else if unsupported(incoming.msg) {
            Some(Reject::BadExtension)
        } else {
            None
        }
    }

    /// INVITE is refused for now, by a transaction of its own kind.
    fn own_invite(&mut self, core: &mut Core, incoming: &Incoming<'_>) {
        if self.invites.has(incoming.txn) {
            return self.invite_again(core, incoming.txn);
        }
        let asked = incoming.asked();
        if self.invites.is_full() {
            return self.refuse_asked(core, &asked, Reject::TransactionsFull);
        }
        let answer = self.rejected(core, &asked, Reject::MethodNotAllowed);
        self.answer_invite(core, &asked, answer);
    }

    /// RFC 3261 9.2.
    fn own_cancel(&mut self, core: &mut Core, incoming: &Incoming<'_>) {
        let asked = incoming.asked();
        if !self.invites.has(incoming.txn) {
            return self.refuse_asked(core, &asked, Reject::NoDialog);
        }
        self.send_answer(core, &asked, Answer::status(200));
        self.invite_cancelled(core, incoming.txn);
    }

    /// To the shard that owns this hash.
    fn hand_over(&mut self, core: &mut Core, path: Path, hash: u64, msg: &Message<'_>) {
        let shard = core.shard_of(hash);
        core.counters.add(Count::Forwarded);
        if let Some(flow) = path.flow {
            self.flows.told(flow, shard);
        }
        core.emit_mesh(shard, Mesh::Message { path, bytes: msg.as_bytes().into() });
    }

    /// Answer with a reason and no state, whether the headers can be read or not.
    fn refuse(&mut self, core: &mut Core, path: Path, msg: &Message<'_>, why: Reject) {
        let head = msg.essential();
        let txn = match &head {
            Ok(head) => transaction_key(core, msg, head),
            // The tag has to be the same for a repeat, and that has the same bytes.
            Err(_) => TxnKey { merge: core.keys.aor(msg.as_bytes()), branch: 0 },
        };
        // A stranger's answer goes to where it is, not to where its Via says: it might not be its
        // own.
        let head = head.as_ref().ok().filter(|_| why != Reject::Untrusted);
        let marks = &Marks::default();
        self.refuse_asked(core, &Asked { msg, head, path, txn, hash: 0, marks }, why);
    }

    fn refuse_asked(&mut self, core: &mut Core, asked: &Asked<'_>, why: Reject) {
        let answer = self.rejected(core, asked, why);
        let answerable = asked.msg.has(Name::Via) && asked.msg.method() != Some(Method::Ack);
        if answer.status == 0 || !answerable {
            return;
        }
        self.send_answer(core, asked, answer);
    }

    /// Count and log a rejection; its answer.
    fn rejected(&mut self, core: &mut Core, asked: &Asked<'_>, why: Reject) -> Answer {
        core.counters.reject(why);
        log_reject(core, asked, why);
        let detail = match why {
            Reject::MethodNotAllowed => Detail::Allow,
            Reject::BadExtension => Detail::Unsupported,
            Reject::Draining | Reject::TransactionsFull => {
                Detail::RetryAfter(core.random_in(RETRY_AFTER_S))
            }
            _ => Detail::None,
        };
        Answer::with(why.status(), detail)
    }
}

/// The mandatory headers, or what the request is refused for.
fn readable<'m>(msg: &Message<'m>) -> Result<Essential<'m>, Reject> {
    match msg.fault() {
        Some(fault) if fault.reason == Reason::SipVersion => return Err(Reject::Version),
        Some(_) => return Err(Reject::Malformed),
        None => {}
    }
    let head = msg.essential().map_err(|error| match (error.reason, msg.method()) {
        // Whatever CSeq says: a method that nobody knows.
        (Reason::CSeqMethod, Some(Method::Other(_))) => Reject::UnknownMethod,
        _ => Reject::Malformed,
    })?;
    // A datagram that ends before its body does (18.3).
    msg.body().map_err(|_| Reject::Malformed)?;
    Ok(head)
}

/// RFC 3261 17.2.3. A branch without the cookie (RFC 2543) is told apart by the whole top Via and
/// the Request-URI.
fn transaction_key(core: &Core, msg: &Message<'_>, head: &Essential<'_>) -> TxnKey {
    let method = match head.cseq.method {
        Method::Ack | Method::Cancel => Method::Invite,
        method => method,
    };
    let parts = [head.call_id, head.from.tag().unwrap_or_default(), method.as_bytes()];
    let via = match head.via.rfc3261_branch() {
        Some(branch) => [branch, head.via.sent_by()],
        None => [msg.request_uri().unwrap_or_default(), head.via.as_bytes()],
    };
    core.keys.transaction(parts, head.cseq.number, via)
}

/// RFC 3261 8.2.2.3: we have no extension that one could require.
fn unsupported(msg: &Message<'_>) -> bool {
    msg.has(Name::Require)
}

/// Loopback and what the configuration trusts.
fn is_trusted(core: &Core, path: &Path) -> bool {
    let source = path.peer.ip().to_canonical();
    source.is_loopback() || core.config.trusted.iter().any(|cidr| contains(cidr, source))
}

fn contains(cidr: &Cidr, address: core::net::IpAddr) -> bool {
    use core::net::IpAddr::{V4, V6};
    let bits = u32::from(cidr.prefix);
    match (cidr.network.to_canonical(), address) {
        (V4(network), V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
            (u32::from(network) ^ u32::from(address)) & mask == 0
        }
        (V6(network), V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
            (u128::from(network) ^ u128::from(address)) & mask == 0
        }
        _ => false,
    }
}

/// What a person may have to mend: a wrong or unknown peer, a table that is full.
fn log_reject(core: &mut Core, asked: &Asked<'_>, why: Reject) {
    let notable = [
        Reject::Malformed,
        Reject::Untrusted,
        Reject::TooLarge,
        Reject::TransactionsFull,
        Reject::Version,
        Reject::Looped,
    ];
    if !notable.contains(&why) {
        return;
    }
    let (msg, peer) = (asked.msg, asked.path.peer);
    core.log(Level::Warn, "sip", |line: &mut String| {
        let method = msg.method();
        let method = method.as_ref().map_or(&b"?"[..], |method| method.as_bytes());
        let call_id = msg.value(Name::CallId).unwrap_or(b"?");
        let _ = write!(
            line,
            "{} from {peer}, Call-ID {}: {}",
            method.escape_ascii(),
            call_id.get(..call_id.len().min(128)).unwrap_or_default().escape_ascii(),
            why.name(),
        );
        if why == Reject::Malformed
            && let Some(fault) =
                msg.fault().or_else(|| msg.essential().err()).or_else(|| msg.body().err())
        {
            let _ = write!(line, ", {fault}");
        }
    });
}
