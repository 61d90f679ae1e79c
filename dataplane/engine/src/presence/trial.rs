//! A shard's ground and a request on it, for the unit tests of this system.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use pharos_parser::Message;

use crate::config::{Config, Listener, PresenceConfig};
use crate::net::{ListenerId, Path, ShardId, Transport};
use crate::sip::Incoming;
use crate::{Core, Instant, Now, Wall};

/// The server's address.
pub(super) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// One shard with UDP and TCP at [`SERVER`] port 5060 and UDP on every address at 5062.
pub(super) fn core() -> Core {
    let listener = |transport, ip, port| Listener {
        transport,
        bound: SocketAddr::new(ip, port),
        advertise: None,
    };
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let config = Config {
        shard: ShardId(0),
        shards: 1,
        hash_size: 12,
        key: [7; 16],
        seed: [7; 32],
        first_object: 1,
        listeners: vec![
            listener(Transport::Udp, SERVER, 5060),
            listener(Transport::Tcp, SERVER, 5060),
            listener(Transport::Udp, any, 5062),
        ],
        domains: Vec::new(),
        domain_alias: Vec::new(),
        trusted: Vec::new(),
        commit: true,
        update_period: 30,
        udp_mtu: 1_300,
        nat_auto: true,
        server: String::new(),
        presence: PresenceConfig::default(),
    };
    Core::new(config, Now { instant: Instant(0), wall: Wall(1_767_225_600_000) })
}

/// Look at a request that came by the first listener from 192.0.2.9.
pub(super) fn with_request(text: &str, look: impl FnOnce(&mut Core, &Incoming<'_>)) {
    let mut core = core();
    let message = Message::parse(text.as_bytes()).expect("a message");
    let head = message.essential().expect("a whole one");
    let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 5060);
    let path = Path { listener: ListenerId(0), flow: None, local: SERVER, peer };
    let parts = [head.call_id, head.from.tag().unwrap_or_default(), b"SUBSCRIBE"];
    let branch = head.via.branch().unwrap_or_default();
    let txn = core.keys.transaction(parts, head.cseq.number, [branch, head.via.sent_by()]);
    let aor = b"alice@example.com";
    let hash = core.aor_hash(aor);
    let request = Incoming { msg: &message, head, path, txn, aor, hash, marks: Default::default() };
    look(&mut core, &request);
}
