//! What every system of a shard shares: time, configuration, randomness, timers, counters, and the
//! way out for bytes, storage requests and log lines.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use chacha20::ChaCha12Rng;
use pharos_storage::{ObjectId, Op, Request, Token};
use rand_core::{Rng, SeedableRng};
use smallvec::SmallVec;

use crate::counters::{Count, Counters, Sample};
use crate::io::{Level, Log, Mesh, Query, Reply};
use crate::limits;
use crate::net::{FlowId, ListenerId, ShardId, Transport, shard_of};
use crate::presence::{PresenceTimer, StoreOwner};
use crate::sip::SipTimer;
use crate::timer::{TimerId, Wheel};
use crate::wire::Keys;
use crate::{Config, Instant, Now, Output};

/// Everything that fires, by system.
#[derive(Debug)]
pub enum Timer {
    /// Transactions, connections, names.
    Sip(SipTimer),
    /// Expiry, pacing, retries.
    Presence(PresenceTimer),
}

// With its links a timer takes 48 bytes; there is one for each publication and subscription.
const _: () = assert!(size_of::<Option<Timer>>() <= 16 && size_of::<Option<TimerId>>() == 8);

/// The common ground of a shard, handed to each system as `&mut Core`.
pub struct Core {
    /// The clocks of this call.
    pub now: Now,
    /// What the shard was told.
    pub config: Config,
    /// Makes and recognises tags, entity-tags and branches.
    pub keys: Keys,
    /// Everything counted.
    pub counters: Counters,
    rng: ChaCha12Rng,
    timers: Wheel<Timer>,
    outputs: Outputs,
    stores: Stores,
    next_object: u64,
    log: LogGate,
}

impl Core {
    pub(crate) fn new(config: Config, now: Now) -> Self {
        assert!((1..=20).contains(&config.hash_size) && config.shard.0 < config.shards);
        Self {
            now,
            keys: Keys::new(config.key),
            counters: Counters::default(),
            rng: ChaCha12Rng::from_seed(config.seed),
            timers: Wheel::new(limits::TIMERS_MAX, now.instant),
            outputs: Outputs::default(),
            stores: Stores::default(),
            next_object: config.first_object,
            log: LogGate::default(),
            config,
        }
    }

    /// 64 random bits.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A random number of the range, which is not empty.
    pub fn random_in(&mut self, range: Range<u32>) -> u32 {
        let width = u64::from(range.end.saturating_sub(range.start)).max(1);
        // 2^64 is so much more than the width that the remainder is even enough.
        range.start + (self.random() % width) as u32
    }

    /// The hash of an AoR in normal form; it chooses slot, shard and lane.
    pub fn aor_hash(&self, aor: &[u8]) -> u64 {
        self.keys.aor(aor)
    }

    /// The shard that owns the AoRs of this hash.
    pub fn shard_of(&self, hash: u64) -> ShardId {
        shard_of(hash, self.config.hash_size, self.config.shards)
    }

    /// This shard owns the AoRs of this hash.
    pub fn owns(&self, hash: u64) -> bool {
        self.shard_of(hash) == self.config.shard
    }

    /// An id that no object of any shard has or had.
    pub fn new_object(&mut self) -> ObjectId {
        let id = ObjectId(self.next_object);
        self.next_object += u64::from(self.config.shards);
        id
    }

    /// Fire `timer` at `at`. `None` (and a counter) when there is no room, which the bounds of what
    /// sets timers keep from happening.
    pub fn set_timer(&mut self, at: Instant, timer: Timer) -> Option<TimerId> {
        let id = self.timers.set(at, timer);
        if id.is_none() {
            self.counters.add(Count::TimersFull);
        }
        id
    }

    /// Fire `timer` at `at` or sooner: an older one that is due before stays as it is. For owners
    /// that look at the time when it fires and set it again, as what is refreshed long before its
    /// end does: the wheel is left alone most of the time.
    pub fn postpone_timer(
        &mut self,
        old: Option<TimerId>,
        at: Instant,
        timer: Timer,
    ) -> Option<TimerId> {
        let Some(old) = old else { return self.set_timer(at, timer) };
        if self.timers.deadline(old).is_some_and(|due| due <= at) {
            return Some(old);
        }
        self.timers.cancel(old);
        self.set_timer(at, timer)
    }

    /// Take a timer back; it may have fired.
    pub fn cancel_timer(&mut self, id: TimerId) {
        self.timers.cancel(id);
    }

    pub(crate) fn advance_timers(&mut self) {
        self.timers.advance(self.now.instant);
    }

    pub(crate) fn pop_timer(&mut self) -> Option<Timer> {
        self.timers.pop()
    }

    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.next_deadline()
    }

    /// Ask a lane to do this. `owner` comes back with the result in `Presence::on_stored`. The
    /// caller has looked at [`Core::store_refused`] before it took the request on.
    pub fn store(&mut self, hash: u64, ops: SmallVec<[Op; 2]>, owner: StoreOwner) {
        let token = self.stores.insert(self.now.instant, owner);
        self.outputs.queue.push_back(Item::Store(Request { token: Some(token), hash, ops }));
    }

    /// Ask a lane to do this without a reply: write-behind, [`Op::Forget`].
    pub fn store_unasked(&mut self, hash: u64, ops: SmallVec<[Op; 2]>) {
        self.outputs.queue.push_back(Item::Store(Request { token: None, hash, ops }));
    }

    /// Too much is under way, or the oldest of it for too long: answer
    /// 503 before taking more.
    pub fn store_refused(&mut self) -> bool {
        let refused = self.stores.len >= limits::STORES_MAX
            || self
                .stores
                .oldest()
                .is_some_and(|at| (self.now.instant - at).as_millis() >= limits::STORE_SLOW_MS);
        if refused {
            self.counters.add(Count::StoresRefused);
        }
        refused
    }

    /// Storage requests that have no reply yet.
    pub fn stores_under_way(&self) -> usize {
        self.stores.len
    }

    pub(crate) fn take_store(&mut self, token: Token) -> Option<StoreOwner> {
        self.stores.remove(token)
    }

    /// Write a line for people, unless there were too many of late; `text` is called only if not.
    pub fn log(&mut self, level: Level, target: &'static str, text: impl FnOnce(&mut String)) {
        let Some(missed) = self.log.pass(self.now.instant) else {
            self.counters.add(Count::LogSuppressed);
            return;
        };
        let mut line = String::new();
        text(&mut line);
        if missed > 0 {
            let _ = core::fmt::Write::write_fmt(
                &mut line,
                format_args!(" ({missed} lines before this one were not written)"),
            );
        }
        self.outputs.queue.push_back(Item::Log(Log { level, target, text: line }));
    }

    /// Write a message: `write` appends its bytes, the returned piece goes to
    /// [`Core::emit_datagram`] or [`Core::emit_stream`].
    pub fn compose(&mut self, write: impl FnOnce(&Config, &mut Vec<u8>)) -> Piece {
        let start = self.outputs.arena.len();
        write(&self.config, &mut self.outputs.arena);
        Piece { start, end: self.outputs.arena.len() }
    }

    /// What a piece holds.
    pub fn piece(&self, piece: Piece) -> &[u8] {
        self.outputs.arena.get(piece.start..piece.end).unwrap_or_default()
    }

    /// Send a piece as a datagram.
    pub fn emit_datagram(
        &mut self,
        listener: ListenerId,
        local: IpAddr,
        peer: SocketAddr,
        piece: Piece,
    ) {
        self.counters.add(Count::MessagesOut);
        self.outputs.queue.push_back(Item::Datagram { listener, local, peer, piece });
    }

    /// Send a piece on a connection, of this shard or another.
    pub fn emit_stream(&mut self, flow: FlowId, piece: Piece) {
        self.counters.add(Count::MessagesOut);
        if flow.shard() == self.config.shard {
            self.outputs.queue.push_back(Item::Stream { flow, piece });
        } else {
            let bytes = self.piece(piece).into();
            self.emit_mesh(flow.shard(), Mesh::Send { flow, bytes });
        }
    }

    pub(crate) fn emit_mesh(&mut self, shard: ShardId, message: Mesh) {
        self.outputs.queue.push_back(Item::Mesh { shard, message });
    }

    pub(crate) fn emit_connect(
        &mut self,
        flow: FlowId,
        listener: ListenerId,
        transport: Transport,
        peer: SocketAddr,
    ) {
        self.outputs.queue.push_back(Item::Connect { flow, listener, transport, peer });
    }

    pub(crate) fn emit_close(&mut self, flow: FlowId) {
        self.outputs.queue.push_back(Item::Close { flow });
    }

    pub(crate) fn emit_resolve(&mut self, query: Query) {
        self.counters.add(Count::LookUps);
        self.outputs.queue.push_back(Item::Resolve(query));
    }

    pub(crate) fn emit_reply(&mut self, id: u64, reply: Reply) {
        self.outputs.queue.push_back(Item::Reply { id, reply });
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output<'_>> {
        self.outputs.poll()
    }

    /// See [`crate::Shard::check`].
    pub(crate) fn check(&self) {
        let waiting = self.stores.waiting.iter().filter(|(_, owner)| owner.is_some()).count();
        assert_eq!(waiting, self.stores.len, "storage requests are counted");
        assert!(self.stores.waiting.front().is_none_or(|(_, owner)| owner.is_some()));
    }

    /// What there is, for metrics.
    pub(crate) fn gauges(&self, out: &mut Vec<Sample>) {
        let gauge = |name, help, value: usize| Sample {
            name,
            help,
            counter: false,
            label: None,
            value: value as u64,
        };
        out.push(gauge("timers", "Timers set.", self.timers.len()));
        let help = "Storage requests that have no reply yet.";
        out.push(gauge("store_requests_under_way", help, self.stores.len));
    }

    /// Nothing waits to be polled.
    pub(crate) fn outputs_drained(&self) -> bool {
        self.outputs.queue.is_empty()
    }
}

/// A written message in the arena, until the outputs are drained.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    start: usize,
    end: usize,
}

/// Outputs in order; the bytes of all of them are in one arena, emptied when all are drained.
#[derive(Default)]
struct Outputs {
    arena: Vec<u8>,
    queue: VecDeque<Item>,
}

enum Item {
    Datagram { listener: ListenerId, local: IpAddr, peer: SocketAddr, piece: Piece },
    Stream { flow: FlowId, piece: Piece },
    Connect { flow: FlowId, listener: ListenerId, transport: Transport, peer: SocketAddr },
    Close { flow: FlowId },
    Mesh { shard: ShardId, message: Mesh },
    Store(Request),
    Resolve(Query),
    Reply { id: u64, reply: Reply },
    Log(Log),
}

impl Outputs {
    fn poll(&mut self) -> Option<Output<'_>> {
        let Some(item) = self.queue.pop_front() else {
            self.arena.clear();
            return None;
        };
        let bytes = |piece: Piece| self.arena.get(piece.start..piece.end).unwrap_or_default();
        Some(match item {
            Item::Datagram { listener, local, peer, piece } => {
                Output::Datagram { listener, local, peer, bytes: bytes(piece) }
            }
            Item::Stream { flow, piece } => Output::Stream { flow, bytes: bytes(piece) },
            Item::Connect { flow, listener, transport, peer } => {
                Output::Connect { flow, listener, transport, peer }
            }
            Item::Close { flow } => Output::Close { flow },
            Item::Mesh { shard, message } => Output::Mesh { shard, message },
            Item::Store(request) => Output::Store(request),
            Item::Resolve(query) => Output::Resolve(query),
            Item::Reply { id, reply } => Output::Reply { id, reply },
            Item::Log(log) => Output::Log(log),
        })
    }
}

/// Who waits for which storage reply. Tokens are handed out in order and mostly come back in order,
/// so a queue with holes is the whole table.
#[derive(Default)]
struct Stores {
    base: u64,
    waiting: VecDeque<(Instant, Option<StoreOwner>)>,
    len: usize,
}

impl Stores {
    fn insert(&mut self, now: Instant, owner: StoreOwner) -> Token {
        self.waiting.push_back((now, Some(owner)));
        self.len += 1;
        Token(self.base + self.waiting.len() as u64 - 1)
    }

    fn remove(&mut self, token: Token) -> Option<StoreOwner> {
        let place = usize::try_from(token.0.checked_sub(self.base)?).ok()?;
        let owner = self.waiting.get_mut(place)?.1.take()?;
        self.len -= 1;
        while self.waiting.front().is_some_and(|(_, owner)| owner.is_none()) {
            self.waiting.pop_front();
            self.base += 1;
        }
        Some(owner)
    }

    fn oldest(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at)
    }
}

/// Lets so many log lines a second through.
#[derive(Default)]
struct LogGate {
    second: u64,
    written: u32,
    missed: u64,
}

impl LogGate {
    /// How many were held back before this one; `None` holds this one back too.
    fn pass(&mut self, now: Instant) -> Option<u64> {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.written = 0;
        }
        if self.written >= limits::LOG_LINES_PER_SECOND {
            self.missed += 1;
            return None;
        }
        self.written += 1;
        Some(core::mem::take(&mut self.missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Span, Wall};

    fn core() -> Core {
        let config = Config { shards: 4, ..crate::sip::tests::config() };
        Core::new(config, Now { instant: Instant(0), wall: Wall(0) })
    }

    #[test]
    fn outputs_come_in_order_and_the_arena_is_emptied() {
        let mut core = core();
        for text in [&b"first"[..], b"second"] {
            let piece = core.compose(|_, out| out.extend_from_slice(text));
            core.emit_stream(FlowId::opened(ShardId(0), 1), piece);
        }
        core.emit_close(FlowId::opened(ShardId(0), 1));
        assert!(matches!(core.poll_output(), Some(Output::Stream { bytes: b"first", .. })));
        assert!(matches!(core.poll_output(), Some(Output::Stream { bytes: b"second", .. })));
        assert!(matches!(core.poll_output(), Some(Output::Close { .. })));
        assert!(core.poll_output().is_none());
        assert!(core.outputs.arena.is_empty() && core.outputs_drained());
    }

    #[test]
    fn a_stream_of_another_shard_goes_over_the_mesh() {
        let mut core = core();
        let flow = FlowId::accepted(ShardId(2), 1);
        let piece = core.compose(|_, out| out.extend_from_slice(b"x"));
        core.emit_stream(flow, piece);
        let Some(Output::Mesh { shard: ShardId(2), message: Mesh::Send { flow: to, bytes } }) =
            core.poll_output()
        else {
            panic!("not over the mesh");
        };
        assert_eq!((to, &*bytes), (flow, &b"x"[..]));
    }

    #[test]
    fn object_ids_of_shards_never_meet() {
        let mut core = core();
        let ids: Vec<u64> = (0..3).map(|_| core.new_object().0).collect();
        assert_eq!(ids, [1, 5, 9]);
    }

    #[test]
    fn log_lines_are_limited_and_what_is_missed_is_said() {
        let mut core = core();
        let lines = |core: &mut Core| {
            core.log(Level::Warn, "sip", |line| line.push('x'));
            match core.poll_output() {
                Some(Output::Log(log)) => log.text,
                _ => String::new(),
            }
        };
        for _ in 0..limits::LOG_LINES_PER_SECOND {
            assert_eq!(lines(&mut core), "x");
        }
        assert_eq!(lines(&mut core), "");
        core.now.instant = Instant(0) + Span::seconds(1);
        assert_eq!(lines(&mut core), "x (1 lines before this one were not written)");
        assert_eq!(core.counters.count(Count::LogSuppressed), 1);
    }

    #[test]
    fn random_numbers_stay_in_their_range_and_repeat_with_the_seed() {
        let draw = || {
            let mut core = core();
            (0..1_000).map(|_| core.random_in(2..8)).collect::<Vec<u32>>()
        };
        let drawn = draw();
        assert_eq!(drawn, draw());
        assert!((2..8).all(|number| drawn.contains(&number)));
        assert!(drawn.iter().all(|number| (2..8).contains(number)));
    }
}
