//! A shard with a driver that measures: hands in, drains, answers storage requests, keeps what was
//! sent, and turns the clock 20 us for each message.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use pharos_bench::latency::now as clock;
use pharos_engine::config::{Listener, PresenceConfig};
use pharos_engine::net::{ListenerId, Path, ShardId, Transport};
use pharos_engine::{Config, Input, Instant, Now, Output, Shard, Span, Wall};
use pharos_storage::Token;

use crate::message::EXPIRES;

/// Time between two messages.
const PACE: Span = Span(20_000);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A message on its way to the shard.
pub(crate) struct Letter {
    pub(crate) from: u16,
    start: usize,
    end: usize,
}

/// Messages, one after the other in one buffer.
#[derive(Default)]
pub(crate) struct Post {
    bytes: Vec<u8>,
    letters: Vec<Letter>,
}

impl Post {
    /// Write one more.
    pub(crate) fn write(&mut self, from: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.letters.push(Letter { from, start, end: self.bytes.len() });
    }

    /// Each as text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.letters.iter().map(|letter| {
            std::str::from_utf8(&self.bytes[letter.start..letter.end]).expect("the bench is ASCII")
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.letters.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.letters.clear();
    }
}

/// The shard and its world.
pub(crate) struct Stand {
    shard: Shard,
    now: Now,
    tokens: VecDeque<Token>,
    /// What the shard sent.
    pub(crate) sent: Post,
    /// Messages for other shards.
    pub(crate) forwarded: usize,
    /// What is handed in now is the operation, not what leads to it.
    pub(crate) counting: bool,
}

impl Stand {
    /// An empty shard, the first of `shards`.
    pub(crate) fn new(commit: bool, shards: u16) -> Self {
        let bound = SocketAddr::new(HOME, 5060);
        let config = Config {
            shard: ShardId(0),
            shards,
            hash_size: 12,
            key: *b"a key for a test",
            seed: [7; 32],
            first_object: 1,
            listeners: vec![Listener { transport: Transport::Udp, bound, advertise: None }],
            domains: Vec::new(),
            domain_alias: Vec::new(),
            trusted: Vec::new(),
            commit,
            update_period: 30,
            udp_mtu: 1300,
            nat_auto: true,
            server: "Pharos".into(),
            presence: PresenceConfig {
                max_expires_publish: EXPIRES,
                max_expires_subscribe: EXPIRES,
                ..PresenceConfig::default()
            },
        };
        let now = Now { instant: Instant(0), wall: Wall(1_767_225_600_000) };
        let (sent, tokens) = (Post::default(), VecDeque::new());
        let mut stand = Self {
            shard: Shard::new(config, now),
            now,
            tokens,
            sent,
            forwarded: 0,
            counting: false,
        };
        stand.input(Input::Recovered { clean: true });
        stand
    }

    /// A shard with nothing in it; buffers stay as they are.
    pub(crate) fn emptied(self, commit: bool) -> Self {
        let Self { shard, mut sent, .. } = self;
        drop(shard);
        sent.clear();
        Self { sent, ..Self::new(commit, 1) }
    }

    /// Hand a message in; the driver ticks first when a deadline has passed.
    fn receive(&mut self, from: u16, bytes: &[u8]) {
        self.turn(PACE);
        if self.shard.next_deadline().is_some_and(|at| at <= self.now.instant) {
            self.input(Input::Tick);
        }
        let peer = SocketAddr::new(HOME, from);
        let path = Path { listener: ListenerId(0), flow: None, local: HOME, peer };
        self.input(Input::Message { path, bytes });
    }

    /// Hand all of it in; the time it took.
    pub(crate) fn deliver(&mut self, post: &Post) -> Duration {
        let start = clock();
        for letter in &post.letters {
            self.receive(letter.from, &post.bytes[letter.start..letter.end]);
        }
        start.elapsed()
    }

    /// Go on with what the shard wants done now; the time it took.
    pub(crate) fn work(&mut self) -> Duration {
        let start = clock();
        while self.shard.next_deadline().is_some_and(|at| at <= self.now.instant) {
            self.input(Input::Tick);
        }
        start.elapsed()
    }

    /// Let time pass from deadline to deadline; the time it took.
    pub(crate) fn pass(&mut self, span: Span) -> Duration {
        let (start, end) = (clock(), self.now.instant + span);
        while let Some(at) = self.shard.next_deadline().filter(|at| *at <= end) {
            self.turn(at - self.now.instant);
            self.input(Input::Tick);
        }
        self.turn(end - self.now.instant);
        start.elapsed()
    }

    fn turn(&mut self, span: Span) {
        let before = self.now.instant.0 / 1_000_000;
        self.now.instant = self.now.instant + span;
        self.now.wall = self.now.wall + Span::millis(self.now.instant.0 / 1_000_000 - before);
    }

    fn input(&mut self, input: Input<'_>) {
        if self.counting { self.measured(input) } else { self.step(input) }
    }

    /// Instruction counts are taken of this function, so it is never inlined.
    #[inline(never)]
    fn measured(&mut self, input: Input<'_>) {
        self.step(input);
    }

    /// One input with all that follows from it, storage replies among it.
    #[inline(always)]
    fn step(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input);
        self.drain();
        while let Some(token) = self.tokens.pop_front() {
            self.shard.handle(self.now, Input::Stored { token, result: Ok(()) });
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.shard.poll_output() {
            match output {
                Output::Datagram { peer, bytes, .. } => {
                    self.sent.write(peer.port(), |out| out.extend_from_slice(bytes));
                }
                Output::Store(request) => self.tokens.extend(request.token),
                Output::Mesh { .. } => self.forwarded += 1,
                other => panic!("{other:?} is not expected here"),
            }
        }
    }
}
