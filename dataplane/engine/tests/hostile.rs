//! A shard against input that means it no good: the messages of RFC 4475 and RFC 5118, and long
//! runs of random operations over several shards. Nothing panics, everything sent is SIP, and no
//! shard contradicts itself.

#![allow(clippy::unwrap_used)] // in a test

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::Path as FilePath;

use pharos_engine::config::{Listener, PresenceConfig};
use pharos_engine::io::{QueryKind, Record, Resolved};
use pharos_engine::net::{FlowId, ListenerId, Path, ShardId, Transport};
use pharos_engine::{Config, Input, Instant, Mesh, Now, Output, Shard, Span, Wall};
use pharos_parser::{FrameError, Message};
use pharos_storage::{StoreError, Token};

fn config(shard: u16, shards: u16, seed: u8) -> Config {
    let listener = |transport| Listener {
        transport,
        bound: "127.0.0.1:5060".parse().unwrap(),
        advertise: None,
    };
    Config {
        shard: ShardId(shard),
        shards,
        hash_size: 12,
        key: [9; 16],
        seed: [seed; 32],
        first_object: 1 + u64::from(shard),
        listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
        domains: Vec::new(),
        domain_alias: Vec::new(),
        trusted: Vec::new(),
        commit: true,
        update_period: 30,
        udp_mtu: 1300,
        nat_auto: true,
        server: "Pharos".into(),
        presence: PresenceConfig::default(),
    }
}

fn datagram(peer: &str) -> Path {
    let peer: SocketAddr = peer.parse().unwrap();
    Path { listener: ListenerId(0), flow: None, local: IpAddr::from([127, 0, 0, 1]), peer }
}

/// The status of the one answer to a datagram; 0 = none.
fn status_of(bytes: &[u8]) -> u16 {
    let now = Now { instant: Instant(0), wall: Wall(1) };
    let mut shard = Shard::new(config(0, 1, 1), now);
    shard.handle(now, Input::Recovered { clean: true });
    shard.handle(now, Input::Message { path: datagram("127.0.0.1:5070"), bytes });
    let mut status = 0;
    while let Some(output) = shard.poll_output() {
        if let Output::Datagram { bytes, .. } = output {
            assert_eq!(status, 0, "one answer");
            status = Message::parse(bytes).unwrap().status().unwrap();
        }
    }
    shard.check();
    status
}

fn files(rfc: &str) -> Vec<(String, Vec<u8>)> {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../parser/tests/torture");
    let mut all: Vec<_> = std::fs::read_dir(folder.join(rfc))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_string();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// What a presence server answers to each message of RFC 4475: INVITE and REGISTER are not served.
#[test]
fn rfc4475() {
    let good = |name: &str| match name {
        "intmeth" | "esc02" | "mismatch02" => 501,
        "badvers" => 505,
        "novelsc" | "unkscm" => 416,
        "bext01" => 420,
        "badbranch" | "lwsdisp" | "semiuri" | "transports" | "zeromf" => 200,
        "scalarlg" | "bigcode" | "bcast" | "noreason" | "unreason" => 0,
        "badinv01" | "clerr" | "ncl" | "scalar02" | "quotbal" | "ltgtruri" | "lwsruri"
        | "lwsstart" | "trws" | "badaspec" | "baddn" | "mismatch01" | "insuf" | "multi01"
        | "mcl01" => 400,
        _ => 405,
    };
    let all = files("rfc4475");
    assert_eq!(all.len(), 49);
    for (name, bytes) in all {
        assert_eq!(status_of(&bytes), good(&name), "{name}");
    }
}

#[test]
fn rfc5118() {
    let all = files("rfc5118");
    assert!(!all.is_empty());
    for (name, bytes) in all {
        let status = status_of(&bytes);
        assert!(matches!(status, 0 | 200 | 400 | 404 | 405 | 481 | 501), "{name}: {status}");
    }
}

/// A generator that repeats itself.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

/// A few shards, the mesh between them, and a network that answers what it likes.
struct World {
    shards: Vec<Shard>,
    now: Now,
    mesh: VecDeque<(usize, Mesh)>,
    /// Requests the shards sent, with who got them: something to answer.
    sent: VecDeque<(Path, Vec<u8>)>,
    tokens: Vec<(usize, Token)>,
    flows: Vec<FlowId>,
}

impl World {
    fn new(count: u16, seed: u8) -> Self {
        let now = Now { instant: Instant(0), wall: Wall(1_000_000) };
        let shards = (0..count).map(|shard| Shard::new(config(shard, count, seed), now)).collect();
        let mut world = Self {
            shards,
            now,
            mesh: VecDeque::new(),
            sent: VecDeque::new(),
            tokens: Vec::new(),
            flows: Vec::new(),
        };
        for shard in 0..usize::from(count) {
            world.hand(shard, Input::Recovered { clean: true });
        }
        world
    }

    fn hand(&mut self, to: usize, input: Input<'_>) {
        self.shards[to].handle(self.now, input);
        while let Some(output) = self.shards[to].poll_output() {
            match output {
                Output::Datagram { peer, bytes, .. } => {
                    let path = datagram(&peer.to_string());
                    keep(&mut self.sent, path, bytes);
                }
                Output::Stream { flow, bytes } => {
                    let path = datagram("127.0.0.1:5070");
                    let path = Path { listener: ListenerId(1), flow: Some(flow), ..path };
                    keep(&mut self.sent, path, bytes);
                }
                Output::Connect { flow, .. } => self.flows.push(flow),
                Output::Mesh { shard, message } => {
                    self.mesh.push_back((usize::from(shard.0), message));
                }
                Output::Store(request) => {
                    self.tokens.extend(request.token.map(|token| (to, token)));
                }
                Output::Resolve(_) | Output::Close { .. } | Output::Reply { .. } => {}
                Output::Log(_) => {}
            }
        }
        self.shards[to].check();
    }

    fn settle(&mut self) {
        while let Some((to, message)) = self.mesh.pop_front() {
            self.hand(to, Input::Mesh(message));
        }
    }

    fn tick(&mut self, span: Span) {
        self.now.instant = self.now.instant + span;
        self.now.wall = self.now.wall + span;
        for shard in 0..self.shards.len() {
            for _ in 0..50 {
                let due =
                    self.shards[shard].next_deadline().is_some_and(|at| at <= self.now.instant);
                if !due {
                    break;
                }
                self.hand(shard, Input::Tick);
            }
        }
    }
}

fn keep(sent: &mut VecDeque<(Path, Vec<u8>)>, path: Path, bytes: &[u8]) {
    assert!(bytes == b"\r\n" || Message::parse(bytes).is_ok_and(|msg| msg.fault().is_none()));
    sent.push_back((path, bytes.to_vec()));
    if sent.len() > 64 {
        sent.pop_front();
    }
}

const PIDF: &str = "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
    entity=\"sip:a@example.com\"><tuple id=\"t\"><status><basic>open</basic></status></tuple>\
    </presence>";

fn request(dice: &mut Dice) -> Vec<u8> {
    let user = ["a", "b", "c", "d"][dice.roll(4)];
    let method =
        ["PUBLISH", "PUBLISH", "SUBSCRIBE", "SUBSCRIBE", "INVITE", "ACK", "CANCEL"][dice.roll(7)];
    let contact = [
        "sip:w@127.0.0.1:5070",
        "sip:w@10.1.1.1",
        "sip:w@host.example",
        "sip:w@127.0.0.1:5070;transport=tcp",
    ][dice.roll(4)];
    let event = ["presence", "presence", "dialog", "presence.winfo", "nonsense"][dice.roll(5)];
    let expires = [0, 60, 600, 5][dice.roll(4)];
    let (serial, body) = (dice.roll(40), if method == "PUBLISH" { PIDF } else { "" });
    let type_line = if body.is_empty() { "" } else { "Content-Type: application/pidf+xml\r\n" };
    format!(
        "{method} sip:{user}@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{serial};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@example.com>;tag=f{serial}\r\n\
         To: <sip:{user}@example.com>\r\nCall-ID: c{serial}\r\nCSeq: 1 {method}\r\n\
         Contact: <{contact}>\r\nEvent: {event}\r\nExpires: {expires}\r\n\
         {type_line}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What the network says to something that was sent to it.
fn answer(dice: &mut Dice, bytes: &[u8]) -> Option<Vec<u8>> {
    let msg = Message::parse(bytes).ok().filter(|msg| msg.method().is_some())?;
    let status = [200, 200, 200, 100, 404, 481, 503][dice.roll(7)];
    let source = "127.0.0.1:5070".parse().unwrap();
    let head = pharos_parser::write::ResponseHead {
        status,
        reason: "X",
        to_tag: Some(b"t"),
        source,
        record_route: false,
    };
    let mut out = Vec::new();
    pharos_parser::write::response(&msg, &head, &mut out).end();
    Some(out)
}

fn step(world: &mut World, dice: &mut Dice) {
    let to = dice.roll(world.shards.len());
    let flow = FlowId::accepted(ShardId(to as u16), dice.roll(3) as u64);
    let mut path = datagram("127.0.0.1:5070");
    if dice.roll(3) == 0 {
        path = Path { listener: ListenerId(1), flow: Some(flow), ..path };
    }
    match dice.roll(20) {
        0..=7 => {
            let mut bytes = request(dice);
            for _ in 0..[0, 0, 0, 1, 4][dice.roll(5)] {
                let at = dice.roll(bytes.len());
                bytes[at] = b"\r\n :;,<>@=\"a0\0\xff"[dice.roll(15)];
            }
            if dice.roll(10) == 0 {
                bytes.truncate(dice.roll(bytes.len()));
            }
            world.hand(to, Input::Message { path, bytes: &bytes });
        }
        8..=11 => {
            if let Some((path, bytes)) = world.sent.pop_back()
                && let Some(bytes) = answer(dice, &bytes)
            {
                let to = path.flow.map_or(to, |flow| usize::from(flow.shard().0));
                world.hand(to, Input::Message { path, bytes: &bytes });
            }
        }
        12..=14 => {
            if !world.tokens.is_empty() {
                let (to, token) = world.tokens.swap_remove(dice.roll(world.tokens.len()));
                let result = if dice.roll(8) == 0 { Err(StoreError::Full) } else { Ok(()) };
                world.hand(to, Input::Stored { token, result });
            }
        }
        15 => {
            let flow = world.flows.pop().unwrap_or(flow);
            let to = usize::from(flow.shard().0);
            match dice.roll(2) {
                0 => world.hand(to, Input::StreamOpened { flow }),
                _ => world.hand(to, Input::StreamClosed { flow }),
            }
        }
        16 => {
            let peer = "127.0.0.1:5070".parse().unwrap();
            world.hand(to, Input::Unreachable { listener: ListenerId(0), peer });
        }
        17 => {
            let records = vec![Record::Address("127.0.0.1".parse().unwrap())];
            let kind = [QueryKind::Naptr, QueryKind::Srv, QueryKind::Address][dice.roll(3)];
            let query = pharos_engine::io::Query { name: "host.example".into(), kind };
            let resolved = Resolved { query, records, ttl: 1, failed: dice.roll(4) == 0 };
            world.hand(to, Input::Resolved(resolved));
        }
        18 => {
            let error = FrameError::BodyTooLong;
            let bytes = request(dice);
            world.hand(to, Input::Unframed { path, bytes: &bytes, error });
        }
        _ => world.tick(Span::millis([1, 100, 1_000, 40_000][dice.roll(4)])),
    }
    world.settle();
}

/// Random operations, the same for the same seed.
#[test]
fn random_operations_break_nothing() {
    for seed in 1..=20_u8 {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ u64::from(seed));
        let mut world = World::new(1 + u16::from(seed % 4), seed);
        for _ in 0..1_500 {
            step(&mut world, &mut dice);
        }
    }
}

/// Whatever happened, it ends: with an answering disk and time, every shard drains.
#[test]
fn every_shard_drains() {
    for seed in 1..=4_u8 {
        drains(seed);
    }
}

fn drains(seed: u8) {
    let mut dice = Dice(0x0123_4567_89ab_cdef ^ u64::from(seed));
    let mut world = World::new(2, seed);
    for _ in 0..1_000 {
        step(&mut world, &mut dice);
    }
    for shard in 0..world.shards.len() {
        world.hand(shard, Input::Drain);
    }
    for _ in 0..400 {
        while let Some((to, token)) = world.tokens.pop() {
            world.hand(to, Input::Stored { token, result: Ok(()) });
        }
        world.settle();
        world.tick(Span::seconds(1));
        if world.shards.iter().all(Shard::is_drained) {
            return;
        }
    }
    panic!("seed {seed} does not drain");
}
