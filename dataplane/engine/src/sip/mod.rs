//! SIP: transactions, dialogs, and where a message goes.
//!
//! | file | what |
//! | --- | --- |
//! | `answer` | what an answer says, and how it is written |
//! | `incoming` | a new request that passed all checks, and one whose answer waits |
//! | `dialog` | a dialog (RFC 3261 12) |

pub mod answer;
pub mod dialog;
pub mod incoming;

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use crate::Core;
use crate::pool::Handle;

pub use answer::{Answer, Detail, PackageId};
pub use dialog::Dialog;
pub use incoming::{Aor, Deferred, Incoming};

/// PLACEHOLDER until the parser's own lands.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// The bytes.
    pub bytes: &'m [u8],
}

/// PLACEHOLDER until the parser's own lands.
#[derive(Clone, Copy, Debug)]
pub enum Method<'m> {
    /// NOTIFY.
    Notify,
    /// Any.
    Other(&'m [u8]),
}

/// The SIP layer's timers.
#[derive(Clone, Copy, Debug)]
pub enum SipTimer {
    /// Send the request of a client transaction again, or give it up.
    Client(ClientId),
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
    /// The URI cannot be sent to: not sip or sips, or without a usable host.
    BadTarget,
}

/// The SIP layer of a shard.
pub struct Sip {
    failures: VecDeque<(User, Outcome<'static>)>,
}

impl Sip {
    pub(crate) fn new(_core: &mut Core) -> Self {
        Self { failures: VecDeque::new() }
    }

    /// Answer a request at once. Its retransmissions get the same answer, written anew.
    pub fn answer(&mut self, _core: &mut Core, _incoming: &Incoming<'_>, _answer: &Answer) {}

    /// Answer later: takes a copy of the request; retransmissions are absorbed until then.
    pub fn defer(&mut self, _core: &mut Core, incoming: &Incoming<'_>) -> Deferred {
        Deferred::of(incoming)
    }

    /// Answer a deferred request, unless its transaction has timed out (RFC 4320 4.2).
    pub fn answer_deferred(&mut self, _core: &mut Core, _deferred: Deferred, _answer: &Answer) {}

    /// Never answer a deferred request. A later retransmission counts as a new request.
    pub fn drop_deferred(&mut self, _core: &mut Core, _deferred: Deferred) {}

    /// Send a request within a dialog. `headers` are whole lines ended by CRLF, beside those that the
    /// dialog and the transaction make (Via, Max-Forwards, Route, From, To, Call-ID, CSeq, Contact,
    /// Content-Length). Takes the next CSeq of the dialog. One [`SipEvent::Outcome`] follows.
    ///
    /// # Errors
    /// Nothing was sent and the CSeq was not used; see [`Refused`].
    pub fn request(
        &mut self,
        _core: &mut Core,
        _dialog: &mut Dialog,
        _method: Method<'static>,
        _headers: &[u8],
        _body: &[u8],
        _user: User,
    ) -> Result<ClientId, Refused> {
        Err(Refused::ShardFull)
    }

    /// One more request to this destination fits.
    pub fn has_room_for(&self, _destination: SocketAddr) -> bool {
        true
    }

    pub(crate) fn on_timer(&mut self, _core: &mut Core, _timer: SipTimer) {}

    pub(crate) fn poll_failure(&mut self) -> Option<(User, Outcome<'static>)> {
        self.failures.pop_front()
    }
}
