//! What the runtime is told at start.

use std::path::PathBuf;

use pharos_engine::{Config, Span};

/// Everything [`crate::Runtime::start`] needs.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// The engine's configuration for all shards. `shard`, `shards`, `seed`, `first_object` and
    /// `key` are filled in for each shard, and the listeners' bound addresses once they are known.
    pub engine: Config,
    /// Number of shards, at least 1.
    pub shards: u16,
    /// Processors to run on: shard `i` is pinned to `cores[i % cores.len()]`; empty = not pinned.
    pub cores: Vec<usize>,
    /// Where state is kept.
    pub store: Store,
    /// Limits of connections.
    pub streams: StreamLimits,
    /// Longest time that [`crate::Handle::shutdown`] waits for work in flight (10 s).
    pub drain: Span,
    /// What is worth measuring on another machine.
    pub tuning: Tuning,
}

/// Sizes and times of a shard's loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How long a shard that was busy looks for more before it sleeps; 0 = not at all. It takes the
    /// processor from nobody only where shards leave some to lanes and control.
    pub spin: Span,
    /// How long the sleep of a shard goes on for more once something has come, while much comes;
    /// 0 = not at all. It is added to the latency of what came, and saves sleeps.
    pub gather: Span,
    /// Inputs of one kind taken in one turn, at least 1: no kind waits for another for long.
    pub batch: u32,
    /// Sizes of a shard's ring.
    pub ring: RingSize,
    /// Buffers of each datagram socket.
    pub sockets: SocketBuffers,
}

/// Sizes of a shard's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSize {
    /// Provided buffers, a power of two, at most 32 768.
    pub buffers: u16,
    /// Datagrams that wait for sockets that take no more.
    pub sends: u32,
    /// Submissions between two entries of the kernel.
    pub submissions: u32,
}

/// Bytes asked for in each direction of a datagram socket. The kernel gives at most
/// `net.core.rmem_max` and `net.core.wmem_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketBuffers {
    /// What waits to be read.
    pub receive: usize,
    /// What waits to be sent.
    pub send: usize,
}

/// Where state is kept.
#[derive(Clone, Debug)]
pub enum Store {
    /// Nowhere: every operation succeeds at once and nothing survives (`db_url = "memory"`).
    Memory,
    /// In the lanes of a data directory, which is made at the first start.
    Lanes {
        /// The data directory.
        directory: PathBuf,
        /// How its lanes are run.
        options: pharos_storage_lmdb::Options,
    },
}

/// Limits of connections, for each shard or each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Connections of one shard; one more is closed at once.
    pub connections: u32,
    /// A connection without any input for this long is closed.
    pub idle: Span,
    /// A message must be complete, and unsent bytes must move, within this.
    pub stalled: Span,
    /// Unsent bytes of a connection; one that reads more slowly is closed.
    pub unsent: usize,
    /// Time to make a connection.
    pub connect: Span,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            spin: Span(0),
            gather: Span(0),
            batch: 64,
            ring: RingSize::default(),
            sockets: SocketBuffers::default(),
        }
    }
}

impl Default for RingSize {
    /// 256 buffers are four batches; 1 024 datagrams are sixteen, and a fan-out that outruns the
    /// network is slowed by its transactions before that.
    fn default() -> Self {
        Self { buffers: 256, sends: 1_024, submissions: 512 }
    }
}

impl Default for SocketBuffers {
    /// About 4 000 messages of 1 KiB in each direction.
    fn default() -> Self {
        Self { receive: 4 << 20, send: 4 << 20 }
    }
}

impl Default for StreamLimits {
    /// 16 384 connections of 256 KiB are 4 GiB in the worst case, 100 MB in the usual one. Idle: a
    /// client that keeps its flow alive by RFC 5626 speaks every two minutes, one that only
    /// subscribes at least every hour. Stalled: 64*T1. Connect: the 2 s after which a request goes
    /// back to UDP.
    fn default() -> Self {
        Self {
            connections: 16_384,
            idle: Span::seconds(3_660),
            stalled: Span::seconds(32),
            unsent: 256 << 10,
            connect: Span::seconds(2),
        }
    }
}
