//! Operations on a few shards, decoded from bytes: messages, answers of disk, network and resolver
//! in any order, time, crashes. Nothing panics, what is sent is SIP, no shard contradicts itself
//! or works for ever, and at the end all of them drain.

mod draw;
mod grammar;
mod store;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use pharos_engine::config::{Listener, PresenceConfig};
use pharos_engine::io::{Query, Record, Resolved};
use pharos_engine::net::{FlowId, ListenerId, Path, ShardId, Transport, shard_of};
use pharos_engine::{Command, Config, Input, Instant, Mesh, Now, Output, Reply, Shard, Span, Wall};
use pharos_parser::{FrameError, Message, write};
use pharos_storage::Object;

use draw::Draw;
use grammar::Agent;
use store::{Answer, Kept, Store};

/// Operations of one run: the fuzzer gains nothing by longer ones.
const STEPS: usize = 1_000;
/// Requests of the server that wait to be answered; older ones are forgotten.
const SENT: usize = 64;
/// Messages between shards on their way; then all are delivered.
const MESH: usize = 256;
/// Ticks without time passing after which a shard is taken to work for ever.
const TICKS: usize = 20_000;
/// Seconds in which an idle server with a healthy disk drains: every transaction ends in 32.
const DRAIN: usize = 200;
const HASH_SIZE: u8 = 8;

/// Where user agents are.
const PEERS: [&str; 4] = ["127.0.0.1:5070", "10.1.1.1:5060", "192.0.2.7:5060", "[::1]:5070"];

/// Runs the operations that the bytes say.
pub fn engine(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let mut world = World::new(&mut draw);
    let drains = draw.once_in(4);
    for _ in 0..STEPS {
        if draw.is_over() {
            break;
        }
        world.step(&mut draw);
    }
    if drains {
        world.drain();
    }
}

/// Shards, and all that they are in touch with.
struct World {
    config: Config,
    shards: Vec<Shard>,
    now: Now,
    mesh: VecDeque<(usize, usize, Mesh)>,
    sent: VecDeque<(Path, Vec<u8>)>,
    store: Store,
    agent: Agent,
    questions: Vec<(usize, Query)>,
    /// Connections that shards asked for, and accepted ones.
    flows: Vec<FlowId>,
    accepted: u64,
}

impl World {
    fn new(draw: &mut Draw<'_>) -> Self {
        let now = Now { instant: Instant(0), wall: Wall(1_700_000_000_000) };
        let config = config(draw);
        let mut world = Self {
            config,
            shards: Vec::new(),
            now,
            mesh: VecDeque::new(),
            sent: VecDeque::new(),
            store: Store::default(),
            agent: Agent::default(),
            questions: Vec::new(),
            flows: Vec::new(),
            accepted: 0,
        };
        world.start(1 + draw.below(3) as u16, true);
        world
    }

    /// All shards anew, from what is stored.
    fn start(&mut self, shards: u16, clean: bool) {
        self.mesh.clear();
        self.questions.clear();
        self.flows.clear();
        let first = self.store.highest() + 1;
        let config = |shard| Config {
            shard: ShardId(shard),
            shards,
            first_object: first + u64::from(shard),
            seed: [shard as u8 ^ first as u8; 32],
            ..self.config.clone()
        };
        self.shards = (0..shards).map(|shard| Shard::new(config(shard), self.now)).collect();
        for Kept { id, hash, kind, bytes } in self.store.objects() {
            let owner = shard_of(hash, HASH_SIZE, shards);
            let object = Object { id, hash, kind, bytes: &bytes };
            self.hand(usize::from(owner.0), Input::Object(object));
        }
        for shard in 0..usize::from(shards) {
            self.hand(shard, Input::Recovered { clean });
        }
    }

    /// Hand an input in, do what comes out, look at everything.
    fn hand(&mut self, to: usize, input: Input<'_>) {
        let asked = match &input {
            Input::Command { id, .. } => Some(*id),
            _ => None,
        };
        let mut replied = None;
        self.shards[to].handle(self.now, input);
        while let Some(output) = self.shards[to].poll_output() {
            match output {
                Output::Datagram { listener, peer, bytes, .. } => {
                    let path = Path { listener, flow: None, local: local(peer), peer };
                    keep(&mut self.sent, &mut self.agent, path, bytes);
                }
                Output::Stream { flow, bytes } => {
                    let path = Path { flow: Some(flow), ..path(0, 1) };
                    keep(&mut self.sent, &mut self.agent, path, bytes);
                }
                Output::Connect { flow, .. } => self.flows.push(flow),
                Output::Close { flow } => self.flows.retain(|other| *other != flow),
                Output::Mesh { shard, message } => {
                    self.mesh.push_back((to, usize::from(shard.0), message));
                }
                Output::Store(request) => self.store.submit(to, request),
                Output::Resolve(query) => self.questions.push((to, query)),
                Output::Reply { id, reply: Reply::Metrics(_) } => replied = Some(id),
                Output::Log(_) => {}
            }
        }
        assert_eq!(replied, asked, "one answer to a command");
        self.shards[to].check();
    }

    fn step(&mut self, draw: &mut Draw<'_>) {
        let to = draw.below(self.shards.len());
        match draw.below(24) {
            0..=8 => {
                let bytes = self.agent.request(draw);
                let path = self.source(to, draw);
                self.hand(to, Input::Message { path, bytes: &bytes });
            }
            9..=11 => self.reply(to, draw),
            12..=14 => {
                if let Some(answer) = self.store.answer(draw) {
                    self.stored(answer);
                }
            }
            15 => self.move_stream(to, draw),
            16 => {
                let peer = PEERS[draw.below(PEERS.len())].parse().expect("an address");
                self.hand(to, Input::Unreachable { listener: ListenerId(0), peer });
            }
            17 => self.resolve(to, draw),
            18 => {
                let reasons =
                    [FrameError::HeadersTooLong, FrameError::BodyTooLong, FrameError::Malformed];
                let (bytes, error) = (self.agent.request(draw), draw.of(&reasons));
                let path = Path { flow: Some(self.flow(to, draw)), ..path(0, 1) };
                self.hand(to, Input::Unframed { path, bytes: &bytes, error });
            }
            19 => self.hand(to, Input::Command { id: 7, command: Command::Metrics }),
            20 if draw.once_in(4) => {
                self.store.crash(draw.below(8));
                let shards = 1 + draw.below(3) as u16;
                self.start(shards, draw.once_in(4));
            }
            20 | 21 => return self.deliver(draw),
            22 => self.now.wall = self.now.wall + Span::seconds(draw.of(&[1, 3_600, 864_000])),
            _ => {
                let spans = [1, 100, 500, 1_000, 5_000, 40_000, 600_000, 4_000_000];
                self.pass(Span::millis(draw.of(&spans)));
            }
        }
        if !draw.once_in(4) || self.mesh.len() > MESH {
            self.settle();
        }
    }

    /// Where a request comes from.
    fn source(&mut self, to: usize, draw: &mut Draw<'_>) -> Path {
        let from = draw.below(16);
        match from {
            0..=3 => Path { flow: Some(self.flow(to, draw)), ..path(0, 1) },
            4..=6 => path(from - 3, 0),
            _ => path(0, 0),
        }
    }

    /// A connection of this shard: one that is there, or one that was just accepted.
    fn flow(&mut self, to: usize, draw: &mut Draw<'_>) -> FlowId {
        let mine: Vec<_> =
            self.flows.iter().copied().filter(|flow| usize::from(flow.shard().0) == to).collect();
        if let Some(index) = draw.index(mine.len()).filter(|_| !draw.once_in(4)) {
            return mine[index];
        }
        self.accepted += 1;
        let flow = FlowId::accepted(ShardId(to as u16), self.accepted);
        self.flows.push(flow);
        flow
    }

    /// The network answers something that was sent to it.
    fn reply(&mut self, to: usize, draw: &mut Draw<'_>) {
        let Some(index) = draw.index(self.sent.len()) else { return };
        let (path, bytes) = self.sent[index].clone();
        let Ok(msg) = Message::parse(&bytes) else { return };
        if msg.method().is_none() {
            return;
        }
        let head = write::ResponseHead {
            status: draw.of(&[200, 200, 200, 202, 100, 183, 302, 401, 404, 408, 481, 489, 503]),
            reason: "X",
            to_tag: Some(b"t"),
            source: path.peer,
            record_route: false,
        };
        let mut out = Vec::new();
        write::response(&msg, &head, &mut out).end();
        if draw.once_in(16) {
            let at = draw.below(out.len());
            out[at] = draw.byte();
        }
        let to = path.flow.map_or(to, |flow| usize::from(flow.shard().0));
        if to < self.shards.len() {
            self.hand(to, Input::Message { path, bytes: &out });
        }
    }

    fn stored(&mut self, answer: Answer) {
        let Answer { shard, token, result } = answer;
        self.hand(shard, Input::Stored { token, result });
    }

    fn move_stream(&mut self, to: usize, draw: &mut Draw<'_>) {
        let Some(index) = draw.index(self.flows.len()) else {
            let flow = FlowId::opened(ShardId(to as u16), u64::from(draw.byte()));
            return self.hand(to, Input::StreamClosed { flow });
        };
        let flow = self.flows[index];
        let to = usize::from(flow.shard().0);
        if draw.once_in(2) {
            self.hand(to, Input::StreamOpened { flow });
        } else {
            self.flows.swap_remove(index);
            self.hand(to, Input::StreamClosed { flow });
        }
    }

    fn resolve(&mut self, to: usize, draw: &mut Draw<'_>) {
        let asked = draw.index(self.questions.len()).map(|index| self.questions.swap_remove(index));
        let nobody = || Query { name: "nobody".into(), kind: pharos_engine::io::QueryKind::Srv };
        let (to, query) = asked.unwrap_or_else(|| (to, nobody()));
        let record = |draw: &mut Draw<'_>| match draw.below(4) {
            0 => Record::Naptr {
                order: draw.byte().into(),
                preference: draw.byte().into(),
                flags: draw.of(&["s", "S", "u", ""]).into(),
                service: draw.of(&["SIP+D2U", "SIP+D2T", "SIPS+D2T", "x"]).into(),
                replacement: draw.of(&["_sip._udp.host.example", "host.example", ""]).into(),
            },
            1 => Record::Srv {
                priority: draw.byte().into(),
                weight: draw.byte().into(),
                port: u16::from(draw.byte()) << 8,
                target: draw.of(&["host.example", "other.example", ""]).into(),
            },
            _ => Record::Address(draw.of(&PEERS).parse::<SocketAddr>().expect("an address").ip()),
        };
        let records = (0..draw.below(5)).map(|_| record(draw)).collect();
        let (ttl, failed) = (draw.of(&[0, 1, 600, u32::MAX]), draw.once_in(4));
        self.hand(to, Input::Resolved(Resolved { query, records, ttl, failed }));
    }

    /// One message between shards, or one about a connection that is not there.
    fn deliver(&mut self, draw: &mut Draw<'_>) {
        if let Some((_, to, message)) = self.mesh.pop_front() {
            return self.hand(to, Input::Mesh(message));
        }
        let to = draw.below(self.shards.len());
        let flow = FlowId::opened(ShardId(to as u16), u64::from(draw.byte()));
        let bytes = self.agent.request(draw).into_boxed_slice();
        let message = match draw.below(2) {
            0 => Mesh::FlowGone { flow },
            _ => Mesh::Send { flow, bytes },
        };
        self.hand(to, Input::Mesh(message));
    }

    fn settle(&mut self) {
        while let Some((_, to, message)) = self.mesh.pop_front() {
            self.hand(to, Input::Mesh(message));
        }
    }

    /// Time passes, and every shard does what is due until it rests.
    fn pass(&mut self, span: Span) {
        self.now.instant = self.now.instant + span;
        self.now.wall = self.now.wall + span;
        for shard in 0..self.shards.len() {
            let mut ticks = 0;
            while self.shards[shard].next_deadline().is_some_and(|at| at <= self.now.instant) {
                ticks += 1;
                assert!(ticks < TICKS, "a shard works for ever");
                self.hand(shard, Input::Tick);
            }
        }
    }

    /// With a disk that answers, every shard finishes what it has begun.
    fn drain(&mut self) {
        for shard in 0..self.shards.len() {
            self.hand(shard, Input::Drain);
        }
        for _ in 0..DRAIN {
            while let Some(answer) = self.store.succeed() {
                self.stored(answer);
            }
            self.settle();
            self.pass(Span::seconds(1));
            if self.shards.iter().all(Shard::is_drained) {
                return;
            }
        }
        panic!("a shard does not drain");
    }
}

/// Everything that is sent is a message without a fault.
fn keep(sent: &mut VecDeque<(Path, Vec<u8>)>, agent: &mut Agent, path: Path, bytes: &[u8]) {
    let good = bytes == b"\r\n" || Message::parse(bytes).is_ok_and(|msg| msg.fault().is_none());
    assert!(good, "{}", String::from_utf8_lossy(bytes));
    agent.hear(bytes);
    sent.push_back((path, bytes.to_vec()));
    if sent.len() > SENT {
        sent.pop_front();
    }
}

/// From one of the peers to a listener.
fn path(peer: usize, listener: u16) -> Path {
    let peer: SocketAddr = PEERS[peer].parse().expect("an address");
    Path { listener: ListenerId(listener), flow: None, local: local(peer), peer }
}

fn local(peer: SocketAddr) -> IpAddr {
    if peer.is_ipv4() {
        IpAddr::from([127, 0, 0, 1])
    } else {
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])
    }
}

fn config(draw: &mut Draw<'_>) -> Config {
    let listener = |transport| Listener {
        transport,
        bound: SocketAddr::from(([127, 0, 0, 1], 5060)),
        advertise: None,
    };
    let switches = draw.byte();
    let on = |bit: u8| switches & (1 << bit) != 0;
    let presence = PresenceConfig {
        mix_dialog_presence: on(0),
        notify_offline_body: on(1),
        end_sub_on_timeout: !on(2),
        force_active: !on(3),
        subs_respond_202: on(4),
        expires_offset: if on(5) { 30 } else { 0 },
        max_watchers_per_presentity: if on(6) { 2 } else { 20_000 },
        max_publications_per_presentity: if on(6) { 2 } else { 64 },
        notify_interval: if on(7) { vec![("presence".into(), 5_000)] } else { Vec::new() },
        ..PresenceConfig::default()
    };
    Config {
        shard: ShardId(0),
        shards: 1,
        hash_size: HASH_SIZE,
        key: [9; 16],
        seed: [0; 32],
        first_object: 1,
        listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
        domains: Vec::new(),
        domain_alias: Vec::new(),
        trusted: Vec::new(),
        commit: !draw.once_in(3),
        update_period: 30,
        udp_mtu: draw.of(&[1300, 0, 300]),
        nat_auto: !draw.once_in(4),
        server: "Pharos".into(),
        presence,
    }
}
