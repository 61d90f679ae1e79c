//! A whole run as its checkers see it: what passed at the server's door, each message read once,
//! and what became of the process.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use pharos_engine::{Instant, Span};

use crate::message::Sip;
use crate::wire::Wire;

/// Something that happened to the server and is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The process ended, in order or not.
    Died {
        /// It had stopped in order.
        clean: bool,
    },
    /// The wall clock was set by so many milliseconds.
    Jumped(i64),
    /// The server heard that this peer cannot be reached: by ICMP, or its connection is gone.
    Unreachable(SocketAddr),
}

/// One message at the server's door.
#[derive(Clone, Debug)]
pub struct Item {
    /// When.
    pub at: Instant,
    /// Received by the server; else sent by it.
    pub received: bool,
    /// The other side.
    pub peer: SocketAddr,
    /// The process has been started so many times before.
    pub life: u32,
    /// As bytes.
    pub bytes: Box<[u8]>,
    /// As a user agent reads it.
    pub sip: Sip,
}

/// All of it, in order.
#[derive(Clone, Debug)]
pub struct History {
    /// The messages.
    pub items: Vec<Item>,
    /// The rest.
    pub turns: Vec<(Instant, Turn)>,
    /// So much of what was acknowledged a crash may take: nothing in commit mode, `update_period`
    /// in periodic mode.
    pub loss: Span,
    /// What has expired may live so much longer: `expires_offset`, and while its presentity waits
    /// for a disk that hangs.
    pub offset: Span,
    /// Hosts that send what no user agent would; only the form of what they get is of interest.
    pub strangers: BTreeSet<IpAddr>,
    /// From here on nothing goes wrong any more.
    pub calm: Instant,
    /// The end of the run.
    pub end: Instant,
}

impl History {
    pub(crate) fn new(
        wire: &[Wire],
        turns: &[(Instant, Turn)],
        (loss, offset): (Span, Span),
        end: Instant,
    ) -> Self {
        let item = |wire: &Wire| Item {
            at: wire.at,
            received: wire.received,
            peer: wire.peer,
            life: wire.life,
            bytes: wire.bytes.clone(),
            sip: Sip::read(wire.at, wire.peer, wire.stream, &wire.bytes),
        };
        Self {
            items: wire.iter().map(item).collect(),
            turns: turns.to_vec(),
            loss,
            offset,
            strangers: BTreeSet::new(),
            calm: end,
            end,
        }
    }

    /// What the server sent.
    pub fn sent(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.received)
    }

    /// It came from a stranger or goes to one.
    pub fn strange(&self, item: &Item) -> bool {
        self.strangers.contains(&item.peer.ip())
    }

    /// The wall clock was set between these times.
    pub fn jumped(&self, from: Instant, to: Instant) -> bool {
        let jump = |(at, turn): &(Instant, Turn)| {
            matches!(turn, Turn::Jumped(_)) && (from..=to).contains(at)
        };
        self.turns.iter().any(jump)
    }

    /// By how much the wall clock was set forward between these times, all jumps together.
    pub fn set_ahead(&self, from: Instant, to: Instant) -> Span {
        let ahead = |(at, turn): &(Instant, Turn)| match turn {
            Turn::Jumped(milliseconds) if (from..=to).contains(at) => {
                u64::try_from(*milliseconds).map_or(0, |ahead| Span::millis(ahead).0)
            }
            _ => 0,
        };
        Span(self.turns.iter().map(ahead).sum())
    }
}
