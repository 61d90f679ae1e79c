//! The loop of a shard: the only place where the engine meets the world.
//!
//! ```text
//! loop {
//!   enter the ring: brings completions
//!   Tick when a deadline has passed
//!   at most a batch each of: completions, stream messages, mesh, lanes, control -> handle, drain
//!   send the datagrams; flush mesh and control: each touched bell once
//!   more there or due? yield to the connections' tasks, and again
//!   else sleep in the ring until bell, completion, a connection or the deadline
//! }
//! ```

use std::sync::Arc;

use pharos_engine::io::Resolved;
use pharos_engine::net::{ListenerId, Path, ShardId};
use pharos_engine::{Input, Instant, Now, Output, Shard, Span};

use crate::clock::Clock;
use crate::config::Tuning;
use crate::control_link::{ControlLink, ToShard};
use crate::counters::Counters;
use crate::doorbell::Bell;
use crate::guard::Lease;
use crate::lanes::LaneLink;
use crate::mesh::{MeshEnd, Parcel};
use crate::ring::{Buffers, Done, Ring};
use crate::shutdown::Stop;
use crate::sleep::Lung;
use crate::socket;
use crate::streams::{StreamEvent, Streams};

/// A kind of input stops short of its batch when the turn has lasted this long.
const LONG_TURN: Span = Span::millis(1);
/// Longest sleep while nothing tells of what happens on connections.
const BLIND: Span = Span::millis(1);
/// While the shard is busy, least time between two breaths. One costs about 10 us.
const BREATH: Span = Span::micros(250);
/// While draining, time between two looks at whether the other shards are done.
const DRAIN_LOOK: Span = Span::millis(5);

/// A UDP listener as the ring sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    /// Its number in the configuration.
    pub(crate) listener: ListenerId,
    /// Where it is bound; unspecified = each datagram says where it came to.
    pub(crate) bound: std::net::IpAddr,
}

/// Everything but the engine: what its outputs act on.
pub(crate) struct World {
    pub(crate) ring: Ring,
    /// By the ring's socket numbers.
    pub(crate) ports: Vec<Port>,
    /// The ring's socket of each listener; `None` for a stream listener.
    pub(crate) sockets: Vec<Option<u16>>,
    /// The address each listener is bound to.
    pub(crate) bound: Vec<std::net::IpAddr>,
    pub(crate) streams: Streams,
    pub(crate) mesh: MeshEnd,
    pub(crate) lanes: LaneLink,
    pub(crate) control: ControlLink,
    pub(crate) counters: Arc<Counters>,
    /// Names that were not even asked for: the engine hears of the failure in the next turn.
    pub(crate) unasked: Vec<Resolved>,
    pub(crate) connect_limit: Span,
    /// Time of this turn.
    pub(crate) now: Instant,
}

/// One shard at work.
pub(crate) struct Driver {
    shard: ShardId,
    engine: Shard,
    world: World,
    buffers: Buffers,
    bell: Arc<Bell>,
    stop: Arc<Stop>,
    clock: Clock,
    lung: Lung,
    /// Something waits for a breath in glommio's rings.
    called: bool,
    breath_at: Instant,
    /// More came together than one thing at a time in the last sleep.
    crowded: bool,
    lease: Arc<Lease>,
    /// Inputs of one kind taken in one turn.
    batch: usize,
    /// How long to look for work before a sleep.
    spin: Span,
    /// How long a sleep where much comes goes on for more.
    gather: Span,
    /// When draining ends, finished or not.
    drain_limit: Span,
    drain_until: Option<Instant>,
}

impl World {
    /// Do what the engine wants done.
    fn perform(&mut self, output: Output<'_>) {
        match output {
            Output::Datagram { listener, local, peer, bytes } => {
                self.send(listener, local, peer, bytes);
            }
            Output::Stream { flow, bytes } => self.streams.send(flow, bytes),
            Output::Connect { flow, listener, transport: _, peer } => {
                let source = self.bound[usize::from(listener.0)];
                if let Some(socket) = self.streams.begin(flow, listener, source, peer) {
                    self.ring.connect(flow, socket, peer, self.connect_limit);
                }
            }
            Output::Close { flow } => self.streams.close(flow),
            Output::Mesh { shard, message } => self.mesh.send(shard, message),
            Output::Store(request) => self.lanes.submit(self.now, request),
            Output::Resolve(query) => {
                if let Err(query) = self.control.resolve(query) {
                    let (records, ttl) = (Vec::new(), 1);
                    self.unasked.push(Resolved { query, records, ttl, failed: true });
                }
            }
            Output::Reply { id, reply } => self.control.reply(id, reply),
            Output::Log(log) => self.control.log(log),
        }
    }

    fn send(
        &mut self,
        listener: ListenerId,
        local: std::net::IpAddr,
        peer: std::net::SocketAddr,
        bytes: &[u8],
    ) {
        let Some(socket) = self.sockets[usize::from(listener.0)] else {
            self.counters.datagrams_unsent.add(1);
            return;
        };
        let bound = self.bound[usize::from(listener.0)];
        let source = (bound.is_unspecified() && !local.is_unspecified()).then_some(local);
        if self.ring.send(socket, source, peer, bytes) {
            self.counters.datagrams_sent.add(1);
        } else {
            self.counters.datagrams_unsent.add(1);
        }
    }
}

/// Hand one input in and do everything that comes out.
fn handle(engine: &mut Shard, world: &mut World, now: Now, input: Input<'_>) {
    engine.handle(now, input);
    while let Some(output) = engine.poll_output() {
        world.perform(output);
    }
}

impl Driver {
    /// A recovered engine and its world.
    pub(crate) fn new(
        shard: ShardId,
        engine: Shard,
        world: World,
        buffers: Buffers,
        bell: Arc<Bell>,
        stop: Arc<Stop>,
        clock: Clock,
        drain_limit: Span,
        tuning: Tuning,
        lease: Arc<Lease>,
    ) -> std::io::Result<Self> {
        let lung = Lung::new()?;
        let (called, crowded, breath_at, drain_until) = (false, false, Instant(0), None);
        Ok(Self {
            shard,
            engine,
            world,
            buffers,
            bell,
            stop,
            clock,
            lung,
            called,
            breath_at,
            crowded,
            lease,
            batch: tuning.batch as usize,
            spin: tuning.spin,
            gather: tuning.gather,
            drain_limit,
            drain_until,
        })
    }

    /// Run until told to stop; true when everything was finished.
    pub(crate) async fn run(mut self, clean: bool) -> bool {
        self.lease.leave().await;
        let now = self.clock.now();
        self.world.now = now.instant;
        handle(&mut self.engine, &mut self.world, now, Input::Recovered { clean });
        let drained = loop {
            self.world.counters.turns.add(1);
            self.world.ring.arm();
            self.world.ring.enter();
            let now = self.clock.now();
            self.world.now = now.instant;
            let worked = self.turn(now);
            self.world.ring.flush();
            self.buffers.publish();
            self.world.mesh.flush();
            self.world.control.flush();
            self.world.counters.mesh_dropped.set(self.world.mesh.dropped());
            if let Some(drained) = self.is_over(now.instant) {
                break drained;
            }
            if (worked && !self.is_quiet()) || self.is_due(now.instant) {
                self.pause(now.instant).await;
            } else {
                self.sleep(now.instant).await;
            }
        };
        self.lease.take_back();
        self.finish().await;
        drained
    }

    /// Take a batch of everything; true when there was anything.
    fn turn(&mut self, now: Now) -> bool {
        let due = self.engine.next_deadline().is_some_and(|at| at <= now.instant);
        if due {
            self.input(now, Input::Tick);
        }
        self.world.streams.sweep(now.instant);
        self.world.lanes.retry(now.instant);
        self.begin_drain(now);
        let mut worked = due;
        // What waits for credits waits for room elsewhere: nothing new until it is gone.
        if !self.world.mesh.is_held_up() {
            worked |= self.take_completions(now);
            worked |= self.take_streams(now);
        }
        worked |= self.take_mesh(now);
        worked |= self.take_replies(now);
        worked | self.take_control(now)
    }

    fn input(&mut self, now: Now, input: Input<'_>) {
        handle(&mut self.engine, &mut self.world, now, input);
    }

    fn take_completions(&mut self, now: Now) -> bool {
        for taken in 0..self.batch {
            let Some(done) = self.world.ring.next() else { return taken > 0 };
            match done {
                Done::Datagram { socket, filled } => {
                    self.world.counters.datagrams_received.add(1);
                    let port = self.world.ports[usize::from(socket)];
                    if let Some(datagram) = self.buffers.datagram(&filled) {
                        let local = datagram.local.unwrap_or(port.bound);
                        let (listener, peer) = (port.listener, datagram.peer);
                        let path = Path { listener, flow: None, local, peer };
                        let input = Input::Message { path, bytes: datagram.bytes };
                        handle(&mut self.engine, &mut self.world, now, input);
                    } else {
                        self.world.counters.datagrams_malformed.add(1);
                    }
                    self.buffers.give_back(filled);
                }
                Done::ReceiveFailed { error: libc::ENOBUFS, .. } => {
                    self.world.counters.receives_restarted.add(1);
                }
                Done::ReceiveFailed { socket, .. } => self.read_errors(now, socket),
                Done::SendFailed { socket, peer } => {
                    self.read_errors(now, socket);
                    let listener = self.world.ports[usize::from(socket)].listener;
                    self.world.counters.unreachable.add(1);
                    self.input(now, Input::Unreachable { listener, peer });
                }
                Done::Connected { flow, result } => self.world.streams.connected(flow, result),
                Done::Called => self.called = true,
                Done::Woken => {}
            }
            if self.is_late(taken, now) {
                break;
            }
        }
        true
    }

    /// True when this turn has lasted long enough: the connections' tasks wait for its end. The
    /// clock is looked at after every few inputs only.
    fn is_late(&self, taken: usize, now: Now) -> bool {
        taken % 16 == 15 && self.clock.instant() - now.instant > LONG_TURN
    }

    /// ICMP errors of a socket. The kernel chose it by the addresses alone, so it may well be that
    /// another shard sent the datagram: all are told.
    fn read_errors(&mut self, now: Now, socket: u16) {
        let listener = self.world.ports[usize::from(socket)].listener;
        let mut peers = Vec::new();
        socket::drain_errors(self.world.ring.socket(socket), |peer, _| peers.push(peer));
        for peer in peers {
            self.world.counters.unreachable.add(1);
            self.world.mesh.unreachable(listener, peer);
            self.input(now, Input::Unreachable { listener, peer });
        }
    }

    fn take_streams(&mut self, now: Now) -> bool {
        let Self { engine, world, .. } = self;
        let streams = world.streams.clone();
        for taken in 0..self.batch {
            let more = streams.next(|event| {
                let input = match event {
                    StreamEvent::Message(path, bytes) => Input::Message { path, bytes },
                    StreamEvent::Unframed(path, bytes, error) => {
                        Input::Unframed { path, bytes, error }
                    }
                    StreamEvent::Opened(flow) => Input::StreamOpened { flow },
                    StreamEvent::Closed(flow) => Input::StreamClosed { flow },
                };
                handle(engine, world, now, input);
            });
            if !more {
                return taken > 0;
            }
        }
        true
    }

    fn take_mesh(&mut self, now: Now) -> bool {
        let classes = [MeshEnd::take_sure, MeshEnd::take_losable];
        let mut worked = false;
        for take in classes {
            for taken in 0..self.batch {
                let Some(parcel) = take(&mut self.world.mesh) else { break };
                worked = true;
                let input = match parcel {
                    Parcel::Engine(message) => Input::Mesh(message),
                    Parcel::Unreachable { listener, peer } => Input::Unreachable { listener, peer },
                };
                self.input(now, input);
                if self.is_late(taken, now) {
                    break;
                }
            }
        }
        worked
    }

    fn take_replies(&mut self, now: Now) -> bool {
        for taken in 0..self.batch {
            let Some(reply) = self.world.lanes.take() else { return taken > 0 };
            self.input(now, Input::Stored { token: reply.token, result: reply.result });
        }
        true
    }

    fn take_control(&mut self, now: Now) -> bool {
        for resolved in std::mem::take(&mut self.world.unasked) {
            self.input(now, Input::Resolved(resolved));
        }
        for taken in 0..self.batch {
            let Some(message) = self.world.control.take() else { return taken > 0 };
            let input = match message {
                ToShard::Resolved(resolved) => Input::Resolved(resolved),
                ToShard::Command { id, command } => Input::Command { id, command },
            };
            self.input(now, input);
        }
        true
    }

    /// The next time at which this shard wants to be awake.
    fn next_deadline(&self) -> Option<Instant> {
        let world = &self.world;
        let own = [self.engine.next_deadline(), world.streams.next_deadline()];
        let drain = self.drain_until.map(|until| until.min(world.now + DRAIN_LOOK));
        let other = [world.lanes.next_deadline(), drain];
        own.into_iter().chain(other).flatten().min()
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next_deadline().is_some_and(|at| at <= now)
            || self.world.mesh.is_held_up()
            || !self.world.unasked.is_empty()
    }

    /// True when no queue holds anything.
    fn is_quiet(&mut self) -> bool {
        let world = &mut self.world;
        world.mesh.is_empty()
            && world.lanes.is_empty()
            && world.control.is_empty()
            && world.streams.is_empty()
            && world.ring.is_empty()
            && self.stop.is_draining() == self.drain_until.is_some()
    }

    /// Between two busy turns the connections' tasks run.
    async fn pause(&mut self, now: Instant) {
        glommio::executor().yield_now().await;
        if self.is_out_of_breath() && now - self.breath_at >= BREATH {
            self.breathe(now).await;
        }
    }

    /// True when glommio has something to hand to the kernel or to take from it.
    fn is_out_of_breath(&self) -> bool {
        self.called || self.world.streams.have_moved()
    }

    async fn breathe(&mut self, now: Instant) {
        self.world.counters.breaths.add(1);
        self.breath_at = now;
        self.called = false;
        self.world.streams.settle();
        self.lung.breathe().await;
    }

    async fn sleep(&mut self, now: Instant) {
        // The tasks that are ready first: nothing would wake them while the thread sleeps.
        glommio::executor().yield_now().await;
        if self.is_out_of_breath() {
            return self.breathe(now).await;
        }
        let blind = (!self.world.ring.is_watching()).then_some(now + BLIND);
        let deadline = self.next_deadline().into_iter().chain(blind).min();
        if self.spins(now, deadline) {
            return;
        }
        if let Some(deadline) = deadline {
            self.world.ring.set_deadline(deadline, now);
        }
        self.world.counters.sleeps.add(1);
        // The bell that rang in this turn, and receives that ended: nothing else would wake it.
        self.world.ring.arm();
        self.bell.lie_down();
        if self.is_quiet() {
            self.nap();
        }
        self.bell.get_up();
        self.called |= !self.world.ring.is_watching();
    }

    /// Sleep in the ring. Where much comes it gathers: a sleep and its wake-up cost several times
    /// what one more datagram costs, and what comes meanwhile is taken together. Where little
    /// comes the timer that ends the gathering would cost more than it saves, so it begins with a
    /// sleep a quarter as long, and goes on while it pays.
    fn nap(&mut self) {
        let before = self.clock.instant();
        self.world.ring.wait(if self.crowded { self.gather } else { Span(0) });
        self.crowded = if self.crowded {
            self.world.ring.waiting() > 2
        } else {
            self.clock.instant() < before + Span(self.gather.0 / 4)
        };
    }

    /// Look for work instead of sleeping, for the configured time; true when some came. A sleep
    /// and its wake-up cost more than a short look, where the processor has nothing better to do.
    fn spins(&mut self, now: Instant, deadline: Option<Instant>) -> bool {
        let until = deadline.map_or(now + self.spin, |at| at.min(now + self.spin));
        while self.spin > Span(0) && self.clock.instant() < until {
            self.world.ring.enter();
            if !self.is_quiet() {
                self.world.counters.spun.add(1);
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    fn begin_drain(&mut self, now: Now) {
        if self.drain_until.is_some() || !self.stop.is_draining() {
            return;
        }
        self.drain_until = Some(now.instant + self.drain_limit);
        self.world.streams.stop_accepting();
        self.input(now, Input::Drain);
    }

    /// `Some` when it is time to stop: whether everything was finished. Shards leave together,
    /// since one that is done may still hold a connection by which another answers.
    fn is_over(&mut self, now: Instant) -> Option<bool> {
        let until = self.drain_until?;
        let world = &self.world;
        let stored = self.engine.is_drained() && world.lanes.is_flushed() && world.lanes.is_empty();
        let sent = world.streams.is_flushed() && world.mesh.is_empty() && !world.mesh.is_held_up();
        self.stop.set_finished(self.shard, stored && sent);
        if self.stop.all_finished() || now >= until { Some(stored) } else { None }
    }

    /// Send what is left, end the connections, free the ring.
    async fn finish(self) {
        let Self { mut world, buffers, .. } = self;
        world.ring.flush();
        world.streams.end_all();
        glommio::executor().yield_now().await;
        world.ring.close(buffers);
    }
}
