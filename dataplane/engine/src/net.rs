//! Names for the outside world: listeners, flows, and the path a message came by.

use core::net::{IpAddr, SocketAddr};

/// A configured listener, by its place in [`crate::Config::listeners`]. Every shard has all of
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

/// One shard of this process, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// The shard that owns the AoRs of this hash: its top `hash_size` bits are the slot, and slots map
/// to shards by range. The runtime hands stored objects out by it, the engine routes by it.
pub const fn shard_of(hash: u64, hash_size: u8, shards: u16) -> ShardId {
    let slot = hash >> (64 - hash_size as u32);
    ShardId(((slot * shards as u64) >> hash_size) as u16)
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams framed by Content-Length.
    Tcp,
}

/// One connection, for ever: the shard that holds it in the top 16 bits, then a serial number that
/// this shard never gives twice. Accepted connections are numbered by the runtime (bit 47 clear),
/// those the engine asks for by the engine (bit 47 set).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId(pub u64);

impl FlowId {
    const OURS: u64 = 1 << 47;

    /// Number `serial` of the connections that `shard` accepted.
    pub const fn accepted(shard: ShardId, serial: u64) -> Self {
        Self((shard.0 as u64) << 48 | (serial & (Self::OURS - 1)))
    }

    /// Number `serial` of the connections that `shard` opened.
    pub const fn opened(shard: ShardId, serial: u64) -> Self {
        Self((shard.0 as u64) << 48 | Self::OURS | (serial & (Self::OURS - 1)))
    }

    /// The shard that holds the connection.
    pub const fn shard(self) -> ShardId {
        ShardId((self.0 >> 48) as u16)
    }
}

/// How a message reached us, and so where an answer goes (RFC 3261 18.2.2, RFC 3581).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The listener it came by; of an outgoing connection the one whose address it advertises.
    pub listener: ListenerId,
    /// The connection; `None` = datagram.
    pub flow: Option<FlowId>,
    /// The address of ours it was sent to (also under an unspecified listener).
    pub local: IpAddr,
    /// The source.
    pub peer: SocketAddr,
}
