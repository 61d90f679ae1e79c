//! All that goes into a shard and all that comes out of it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use pharos_storage::{Object, Request, StoreError, Token};

use crate::counters::Snapshot;
use crate::net::{FlowId, ListenerId, Path, ShardId, Transport};

/// What can happen to a shard.
#[derive(Debug)]
pub enum Input<'a> {
    /// Time has passed, or [`crate::Shard::next_deadline`] was now: fire timers, go on with work
    /// lists.
    Tick,
    /// One datagram, or one message framed out of a stream; a keep-alive is CRLFCRLF or CRLF.
    Message {
        /// How it came.
        path: Path,
        /// The message, whole.
        bytes: &'a [u8],
    },
    /// A stream that cannot be framed any more: answer if the head allows, then close it.
    Unframed {
        /// How it came.
        path: Path,
        /// What is there of the message (at least its start).
        bytes: &'a [u8],
        /// Why no message can be cut out of it.
        error: pharos_parser::FrameError,
    },
    /// A datagram we sent was refused by its destination (ICMP) or the local stack.
    Unreachable {
        /// The listener it was sent from.
        listener: ListenerId,
        /// Its destination.
        peer: SocketAddr,
    },
    /// A connection that [`Output::Connect`] asked for is up.
    StreamOpened {
        /// Which.
        flow: FlowId,
    },
    /// A connection is gone, or one asked for could not be made. Unsent bytes are lost.
    StreamClosed {
        /// Which.
        flow: FlowId,
    },
    /// From another shard.
    Mesh(Mesh),
    /// A lane's answer to [`Output::Store`].
    Stored {
        /// The request's token.
        token: Token,
        /// Durable, or nothing of it is stored.
        result: Result<(), StoreError>,
    },
    /// An object read back at start; all of them come before [`Input::Recovered`].
    Object(Object<'a>),
    /// Recovery is over; `clean` when the last process stopped in order (no NOTIFY is owed then).
    Recovered {
        /// The last stop was a clean one.
        clean: bool,
    },
    /// The answer to [`Output::Resolve`].
    Resolved(Resolved),
    /// An operator asks; the answer is one [`Output::Reply`] with the same id.
    Command {
        /// Handed back.
        id: u64,
        /// What is asked.
        command: Command,
    },
    /// Stop in order: take nothing new, finish what is in flight, write back what is dirty.
    /// [`crate::Shard::is_drained`] tells when.
    Drain,
}

/// What a shard wants done. Order is part of behaviour.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send a datagram from a listener.
    Datagram {
        /// Send from this socket,
        listener: ListenerId,
        /// with this source address when the listener is bound to the unspecified one,
        local: core::net::IpAddr,
        /// to here.
        peer: SocketAddr,
        /// The whole message.
        bytes: &'a [u8],
    },
    /// Send on a connection that this shard holds; queued while it is being opened.
    Stream {
        /// Which.
        flow: FlowId,
        /// One whole message.
        bytes: &'a [u8],
    },
    /// Open a connection; [`Input::StreamOpened`] or [`Input::StreamClosed`] follows.
    Connect {
        /// Its name.
        flow: FlowId,
        /// From the address of this listener.
        listener: ListenerId,
        /// What to speak.
        transport: Transport,
        /// To whom.
        peer: SocketAddr,
    },
    /// Close a connection once what was written to it is sent.
    Close {
        /// Which.
        flow: FlowId,
    },
    /// For another shard.
    Mesh {
        /// Which.
        shard: ShardId,
        /// What.
        message: Mesh,
    },
    /// For the lane of the request's hash.
    Store(Request),
    /// Look names up; one [`Input::Resolved`] follows.
    Resolve(Query),
    /// The answer to a [`Input::Command`].
    Reply {
        /// The command's.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// Something a person should read; already rate-limited.
    Log(Log),
}

/// What shards tell each other. Between two shards, in order.
#[derive(Debug)]
pub enum Mesh {
    /// A message that belongs to the receiver.
    Message {
        /// How it came to us.
        path: Path,
        /// The message.
        bytes: Box<[u8]>,
    },
    /// Send this on a connection that the receiver holds.
    Send {
        /// Which.
        flow: FlowId,
        /// One whole message.
        bytes: Box<[u8]>,
    },
    /// A connection that you sent on is gone.
    FlowGone {
        /// Which.
        flow: FlowId,
    },
}

/// One DNS question (RFC 3263 is the engine's: it asks these one by one).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Name in lower case, no trailing dot.
    pub name: Box<str>,
    /// Record type.
    pub kind: QueryKind,
}

/// The record types that RFC 3263 needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryKind {
    /// Naming authority pointers.
    Naptr,
    /// Service locations.
    Srv,
    /// IPv4 and IPv6 addresses together.
    Address,
}

/// What the resolver found. An empty list with its TTL is a negative answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The question.
    pub query: Query,
    /// The records.
    pub records: Vec<Record>,
    /// Seconds they may be used.
    pub ttl: u32,
    /// The resolver could not answer (server failure, timeout): not a negative answer.
    pub failed: bool,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// NAPTR.
    Naptr {
        /// Order, lowest first.
        order: u16,
        /// Preference within an order, lowest first.
        preference: u16,
        /// Flags, such as `s`.
        flags: Box<str>,
        /// Service, such as `SIP+D2U`.
        service: Box<str>,
        /// Next name.
        replacement: Box<str>,
    },
    /// SRV.
    Srv {
        /// Lowest first.
        priority: u16,
        /// Share within a priority.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: Box<str>,
    },
    /// A or AAAA.
    Address(core::net::IpAddr),
}

/// What an operator may ask of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Counters and gauges as they are now.
    Metrics,
}

/// The answers to [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// See [`Command::Metrics`].
    Metrics(Box<Snapshot>),
}

/// How much a [`Log`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed that should not.
    Error,
    /// A peer or the configuration is wrong.
    Warn,
    /// Normal and rare.
    Info,
}

/// One line for people: what was wrong, where, and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How much it matters.
    pub level: Level,
    /// Which part of the engine speaks, such as `sip` or `presence`.
    pub target: &'static str,
    /// The line, in words, with method, Call-ID and source where there is a message.
    pub text: String,
}
