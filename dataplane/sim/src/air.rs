//! Everything between the shards and their surroundings: the queue of events, network,
//! connections, mesh, names and disk; and the record of what passed.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use pharos_engine::counters::Sample;
use pharos_engine::io::Resolved;
use pharos_engine::net::{FlowId, ListenerId, Path, ShardId, Transport};
use pharos_engine::{Instant, Mesh, Output, Reply, Span, Wall};
use pharos_parser::FrameError;

use crate::clocks::Clocks;
use crate::disk::Disk;
use crate::network::Network;
use crate::random::Random;
use crate::sabotage::{Saboteur, Tampered};
use crate::setup::Setup;
use crate::wire::Wire;
use crate::zone::Zone;

/// What happens at some time.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message arrives at the server.
    ToServer { path: Path, bytes: Vec<u8> },
    /// Bytes arrive at the server that no message can be cut from.
    Unframed { path: Path, bytes: Vec<u8>, error: FrameError },
    /// A message of the server arrives at a peer.
    ToPeer { from: SocketAddr, peer: SocketAddr, flow: Option<FlowId>, bytes: Vec<u8> },
    /// A connection that the server asked for is up, or is refused.
    Connected { flow: FlowId, peer: SocketAddr, listener: ListenerId },
    /// The server's end of a connection reaches the peer.
    Closed { flow: FlowId },
    /// The peer's end of a connection reaches the server.
    Hangup { flow: FlowId },
    /// A message of one shard reaches another.
    Mesh { shard: ShardId, message: Mesh },
    /// The resolver answers.
    Resolved { shard: usize, answer: Resolved },
    /// A datagram came back as unreachable.
    Refused { shard: usize, listener: ListenerId, peer: SocketAddr },
    /// A user agent's retransmission timer.
    Timer { agent: usize, branch: String, method: String },
    /// A slow user agent answers now.
    Answer { from: SocketAddr, to: SocketAddr, flow: Option<FlowId>, bytes: Vec<u8> },
}

/// One connection, seen from the server.
#[derive(Debug)]
pub(crate) struct Flow {
    peer: SocketAddr,
    listener: ListenerId,
    /// Not up yet: what was written to it waits.
    opening: Option<Vec<Vec<u8>>>,
}

/// See the module.
pub(crate) struct Air {
    pub(crate) now: Instant,
    pub(crate) random: Random,
    pub(crate) network: Network,
    pub(crate) disk: Disk,
    pub(crate) zone: Zone,
    pub(crate) flows: BTreeMap<u64, Flow>,
    pub(crate) wire: Vec<Wire>,
    pub(crate) logs: Vec<String>,
    pub(crate) metrics: Vec<Sample>,
    pub(crate) trace: u64,
    pub(crate) sabotage: Option<Saboteur>,
    pub(crate) clocks: Clocks,
    mesh_time: Span,
    aloud: bool,
    listeners: Vec<(Transport, SocketAddr)>,
    queue: BTreeMap<(Instant, u64, u64), Event>,
    mesh: BTreeMap<(usize, ShardId), Instant>,
    serial: u64,
    pub(crate) life: u32,
}

/// How long a connection takes to come up, and the resolver to answer.
const HANDSHAKE: Span = Span::millis(3);

impl Air {
    pub(crate) fn new(setup: &Setup) -> Self {
        let mut random = Random::new(setup.seed);
        Self {
            now: Instant(0),
            network: Network::new(setup.faults),
            disk: Disk::new(setup, random.bits()),
            random,
            zone: Zone::default(),
            flows: BTreeMap::new(),
            wire: Vec::new(),
            logs: Vec::new(),
            metrics: Vec::new(),
            trace: 0xcbf2_9ce4_8422_2325,
            sabotage: setup.sabotage.map(Saboteur::new),
            clocks: Clocks::new(setup.wall),
            mesh_time: setup.mesh_time,
            aloud: setup.trace,
            listeners: setup.config.listeners.iter().map(|l| (l.transport, l.bound)).collect(),
            queue: BTreeMap::new(),
            mesh: BTreeMap::new(),
            serial: 0,
            life: 0,
        }
    }

    pub(crate) fn wall(&self) -> Wall {
        self.clocks.wall(self.now)
    }

    /// Something happens at `at`. Equal times are ordered by the seed.
    pub(crate) fn at(&mut self, at: Instant, event: Event) {
        self.serial += 1;
        let key = (at, self.random.bits(), self.serial);
        self.queue.insert(key, event);
    }

    /// When the earliest event happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, ..), _)| *at)
    }

    pub(crate) fn pop(&mut self) -> Event {
        self.queue.pop_first().expect("next() said there is one").1
    }

    /// The process is gone, and with it what only it knew.
    pub(crate) fn crash(&mut self) {
        self.life += 1;
        self.disk.crash();
        self.flows.clear();
        let ours = |event: &Event| {
            matches!(
                event,
                Event::Connected { .. }
                    | Event::Mesh { .. }
                    | Event::Resolved { .. }
                    | Event::Refused { .. }
                    | Event::Hangup { .. }
            )
        };
        self.queue.retain(|_, event| !ours(event));
    }

    /// FNV-1a over all that happens, in order.
    fn note(&mut self, bytes: &[u8]) {
        for byte in self.now.0.to_le_bytes().iter().chain(bytes) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn log_wire(&mut self, received: bool, peer: SocketAddr, stream: bool, bytes: &[u8]) {
        self.note(bytes);
        let (at, life) = (self.now, self.life);
        let wire = Wire { at, received, peer, stream, life, bytes: bytes.into() };
        if self.aloud {
            println!("{wire}");
        }
        self.wire.push(wire);
    }

    /// Something happens to the process, the disk or the network that is no message.
    pub(crate) fn tell(&mut self, what: &str) {
        self.note(what.as_bytes());
        if self.aloud {
            println!("{:>12} -- {what}", crate::wire::Seconds(self.now));
        }
    }

    /// A message has reached the server: the shard whose socket it came to. The kernel spreads
    /// datagrams by their addresses, so most come to a foreign shard. `None` when nobody listens.
    pub(crate) fn door(&mut self, path: &Path, bytes: &[u8], shards: usize) -> Option<usize> {
        if shards == 0 {
            return None;
        }
        let shard = match path.flow {
            Some(flow) => {
                self.flows.get(&flow.0)?;
                usize::from(flow.shard().0)
            }
            None => spread(path.peer, shards),
        };
        self.log_wire(true, path.peer, path.flow.is_some(), bytes);
        Some(shard)
    }

    /// A peer sends to the server.
    pub(crate) fn send(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        flow: Option<FlowId>,
        bytes: Vec<u8>,
    ) {
        let way = (from, to);
        if let Some(flow) = flow {
            let Some(listener) = self.flows.get(&flow.0).map(|f| f.listener) else { return };
            let path = Path { listener, flow: Some(flow), local: to.ip(), peer: from };
            let at = self.network.stream(self.now, &mut self.random, way);
            return self.at(at, Event::ToServer { path, bytes });
        }
        let bound = |(transport, address): &(Transport, SocketAddr)| {
            *transport == Transport::Udp && *address == to
        };
        let Some(index) = self.listeners.iter().position(bound) else { return };
        let path = Path { listener: listener(index), flow: None, local: to.ip(), peer: from };
        for at in self.network.datagram(self.now, &mut self.random, way) {
            self.at(at, Event::ToServer { path, bytes: bytes.clone() });
        }
    }

    /// A peer sends bytes on its connection that the runtime cannot cut a message from.
    pub(crate) fn unframed(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        flow: FlowId,
        bytes: Vec<u8>,
        error: FrameError,
    ) {
        let Some(listener) = self.flows.get(&flow.0).map(|f| f.listener) else { return };
        let path = Path { listener, flow: Some(flow), local: to.ip(), peer: from };
        let at = self.network.stream(self.now, &mut self.random, (from, to));
        self.at(at, Event::Unframed { path, bytes, error });
    }

    /// A peer opens a connection to the server; a shard accepts it.
    pub(crate) fn accept(&mut self, peer: SocketAddr, shards: usize) -> FlowId {
        self.serial += 1;
        let shard = ShardId(u16::try_from(spread(peer, shards)).unwrap_or(0));
        let flow = FlowId::accepted(shard, self.serial);
        let tcp = |(transport, _): &(Transport, SocketAddr)| *transport == Transport::Tcp;
        let index = self.listeners.iter().position(tcp).expect("the server has a TCP listener");
        self.open(flow, peer, listener(index));
        flow
    }

    /// A connection is up.
    pub(crate) fn open(&mut self, flow: FlowId, peer: SocketAddr, listener: ListenerId) {
        let opening = self.flows.remove(&flow.0).and_then(|f| f.opening);
        self.flows.insert(flow.0, Flow { peer, listener, opening });
    }

    /// A connection is gone; with whom it was.
    pub(crate) fn end(&mut self, flow: FlowId) -> Option<SocketAddr> {
        self.flows.remove(&flow.0).map(|flow| flow.peer)
    }

    /// Write what waited for the connection.
    pub(crate) fn flush(&mut self, flow: FlowId) {
        let waiting = self.flows.get_mut(&flow.0).and_then(|f| f.opening.take());
        for bytes in waiting.unwrap_or_default() {
            self.write(flow, &bytes);
        }
    }

    /// The host of `peer` says that nobody listens there.
    pub(crate) fn refuse(&mut self, server: SocketAddr, peer: SocketAddr) {
        let Some(index) = self.listeners.iter().position(|(_, bound)| *bound == server) else {
            return;
        };
        let event = Event::Refused { shard: 0, listener: listener(index), peer };
        self.at(self.now + Span::millis(1), event);
    }

    fn write(&mut self, flow: FlowId, bytes: &[u8]) {
        let Some(open) = self.flows.get_mut(&flow.0) else { return };
        if let Some(waiting) = &mut open.opening {
            waiting.push(bytes.to_vec());
            return;
        }
        let (peer, from) = (open.peer, self.listeners[usize::from(open.listener.0)].1);
        self.log_wire(false, peer, true, bytes);
        let at = self.network.stream(self.now, &mut self.random, (from, peer));
        self.at(at, Event::ToPeer { from, peer, flow: Some(flow), bytes: bytes.to_vec() });
    }

    /// A message leaves the server, unless somebody is at work on the wire.
    fn leave(&mut self, path: Path, bytes: &[u8], send: impl Fn(&mut Self, &[u8])) {
        let life = self.life;
        let Some(saboteur) = &mut self.sabotage else { return send(self, bytes) };
        let Tampered { sent, answer } = saboteur.tamper(life, bytes);
        sent.iter().for_each(|bytes| send(self, bytes));
        if let Some(bytes) = answer {
            self.at(self.now + Span::millis(1), Event::ToServer { path, bytes });
        }
    }

    fn datagram(&mut self, path: Path, bytes: &[u8]) {
        let Path { listener, peer, .. } = path;
        self.log_wire(false, peer, false, bytes);
        let from = self.listeners[usize::from(listener.0)].1;
        for at in self.network.datagram(self.now, &mut self.random, (from, peer)) {
            let bytes = bytes.to_vec();
            self.at(at, Event::ToPeer { from, peer, flow: None, bytes });
        }
    }

    /// Do what a shard wants done.
    pub(crate) fn output(&mut self, shard: usize, output: Output<'_>) {
        match output {
            Output::Datagram { listener, local, peer, bytes } => {
                let path = Path { listener, flow: None, local, peer };
                self.leave(path, bytes, |air, bytes| air.datagram(path, bytes));
            }
            Output::Stream { flow, bytes } => {
                assert_eq!(usize::from(flow.shard().0), shard, "another shard's connection");
                let Some(open) = self.flows.get(&flow.0) else { return };
                let (listener, peer) = (open.listener, open.peer);
                let local = self.listeners[usize::from(listener.0)].1.ip();
                let path = Path { listener, flow: Some(flow), local, peer };
                self.leave(path, bytes, |air, bytes| air.write(flow, bytes));
            }
            Output::Connect { flow, listener, transport: _, peer } => {
                let opening = Some(Vec::new());
                self.flows.insert(flow.0, Flow { peer, listener, opening });
                let way = (self.listeners[usize::from(listener.0)].1, peer);
                let begin = self.network.cut_until(self.now, way).unwrap_or(self.now);
                self.at(begin + HANDSHAKE, Event::Connected { flow, peer, listener });
            }
            Output::Close { flow } => {
                let at = self.now + HANDSHAKE;
                self.at(at, Event::Closed { flow });
            }
            Output::Mesh { shard: to, message } => {
                let last = self.mesh.entry((shard, to)).or_default();
                let at =
                    (self.now + Span(self.random.below(self.mesh_time.0))).max(*last + Span(1));
                *last = at;
                self.at(at, Event::Mesh { shard: to, message });
            }
            Output::Store(request) => self.disk.submit(self.now, shard, request),
            Output::Resolve(query) => {
                let answer = self.zone.answer(query);
                self.at(self.now + HANDSHAKE, Event::Resolved { shard, answer });
            }
            Output::Reply { reply: Reply::Metrics(samples), .. } => self.metrics.extend(*samples),
            Output::Log(log) => {
                self.note(log.text.as_bytes());
                self.logs.push(format!("{:?} {}: {}", log.level, log.target, log.text));
            }
        }
    }
}

fn listener(index: usize) -> ListenerId {
    ListenerId(u16::try_from(index).expect("few listeners"))
}

/// The socket that a peer's datagrams come to: always the same, any of them.
fn spread(peer: SocketAddr, shards: usize) -> usize {
    let std::net::IpAddr::V4(ip) = peer.ip() else { return 0 };
    let tuple = u64::from(u32::from(ip)) << 16 | u64::from(peer.port());
    Random::new(tuple).below(shards as u64) as usize
}
