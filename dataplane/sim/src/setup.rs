//! What a world is made of: shards, seed, configuration, faults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pharos_engine::config::{Cidr, Config, Listener, PresenceConfig};
use pharos_engine::net::{ShardId, Transport};
use pharos_engine::{Span, Wall};

use crate::network::Faults;
use crate::random::Random;
use crate::sabotage::Sabotage;

/// The server's address; every host of the world lives in 192.0.2.0/24 (RFC 5737).
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// How a world begins. A scenario changes what it is about and leaves the rest.
#[derive(Clone, Debug)]
pub struct Setup {
    /// One seed is one run.
    pub seed: u64,
    /// Number of shards (1).
    pub shards: u16,
    /// Number of storage lanes, a power of two (1).
    pub lanes: usize,
    /// What the network does wrong (nothing).
    pub faults: Faults,
    /// How long a lane takes to commit (500 us).
    pub commit_time: Span,
    /// The longest that a message from shard to shard takes (50 us).
    pub mesh_time: Span,
    /// Print what passes while it passes.
    pub trace: bool,
    /// The promise that the surroundings break, for tests of the checkers (none).
    pub sabotage: Option<Sabotage>,
    /// What the shards are told. Shard, seed and first object are filled in at each start.
    pub config: Config,
    /// Wall clock at the begin.
    pub wall: Wall,
}

impl Default for Setup {
    fn default() -> Self {
        let listener = |transport| Listener {
            transport,
            bound: SocketAddr::new(SERVER, 5060),
            advertise: None,
        };
        let config = Config {
            shard: ShardId(0),
            shards: 1,
            hash_size: 12,
            key: *b"a key for trials",
            seed: [0; 32],
            first_object: 1,
            listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
            domains: Vec::new(),
            domain_alias: Vec::new(),
            trusted: vec![Cidr { network: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0)), prefix: 24 }],
            commit: true,
            update_period: 30,
            udp_mtu: 1300,
            nat_auto: true,
            server: "Pharos".into(),
            presence: PresenceConfig::default(),
        };
        Self {
            seed: 1,
            shards: 1,
            lanes: 1,
            faults: Faults::default(),
            commit_time: Span(500_000),
            mesh_time: Span(50_000),
            trace: false,
            sabotage: None,
            config,
            // 2026-01-01T00:00:00Z
            wall: Wall(1_767_225_600_000),
        }
    }
}

impl Setup {
    /// The configuration of one shard, as [`Config`] documents it.
    pub(crate) fn shard(&self, index: u16, random: &mut Random, highest_object: u64) -> Config {
        Config {
            shard: ShardId(index),
            shards: self.shards,
            seed: random.seed(),
            first_object: highest_object + 1 + u64::from(index),
            ..self.config.clone()
        }
    }
}
