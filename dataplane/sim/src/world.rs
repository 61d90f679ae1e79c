//! The world: shards, disk, network and user agents in one virtual time.
//!
//! [`World::step`] goes to the earliest event, hands it to whom it concerns and drains what comes
//! out. It is the runtime's loop with everything around it replaced; the engine cannot tell.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use pharos_engine::counters::Sample;
use pharos_engine::net::{FlowId, ListenerId};
use pharos_engine::{Command, Input, Instant, Now, Shard, Span, Wall};

use crate::agent::{Agent, Door, TIMER_F};
use crate::air::{Air, Event};
use crate::history::{History, Turn};
use crate::message::Sip;
use crate::network::Cut;
use crate::phone::Phone;
use crate::setup::{SERVER, Setup};
use crate::wire::Wire;
use crate::zone::Zone;

/// More steps than this without an end are an endless loop, not a scenario.
const STEPS_MAX: u64 = 5_000_000;
/// The longest that a stop in order takes: a NOTIFY is tried over TCP and UDP, 64*T1 each, and the
/// disk may hang for a while.
const DRAIN: Span = Span::seconds(150);
/// What one turn of a busy shard takes: two ticks with work are this far apart.
const TURN: Span = Span(10_000);

/// A server, its peers and their time. Clones are handles on the same world.
#[derive(Clone)]
pub struct World(pub(crate) Rc<RefCell<Inner>>);

pub(crate) struct Inner {
    pub(crate) setup: Setup,
    pub(crate) shards: Vec<Shard>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) air: Air,
    ticked: Vec<Instant>,
    boot: Instant,
    steps: u64,
    /// What became of the process and its clock.
    turns: Vec<(Instant, Turn)>,
    drained: bool,
}

impl World {
    /// A world whose server is up. `change` sets what the scenario is about.
    pub fn new(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let mut inner = Inner {
            shards: Vec::new(),
            agents: Vec::new(),
            air: Air::new(&setup),
            ticked: Vec::new(),
            boot: Instant(0),
            steps: 0,
            turns: Vec::new(),
            drained: false,
            setup,
        };
        inner.start(true);
        Self(Rc::new(RefCell::new(inner)))
    }

    /// A user agent of `user@example.com` at an address of its own, speaking UDP.
    pub fn phone(&self, user: &str) -> Phone {
        let mut inner = self.0.borrow_mut();
        let index = inner.agents.len();
        let host = u8::try_from(index + 10).expect("at most 245 user agents");
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5060);
        inner.agents.push(Agent::new(user, "example.com", address, SocketAddr::new(SERVER, 5060)));
        Phone { world: self.clone(), index }
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.0.borrow().air.now
    }

    /// The wall clock.
    pub fn wall(&self) -> Wall {
        self.0.borrow().air.wall()
    }

    /// Go to the earliest event and let it happen. False when there is none.
    pub fn step(&self) -> bool {
        self.0.borrow_mut().step(Instant(u64::MAX))
    }

    /// Let `span` pass.
    pub fn advance(&self, span: Span) {
        let mut inner = self.0.borrow_mut();
        let end = inner.air.now + span;
        while inner.step(end) {}
        inner.air.now = end;
    }

    /// Step until `done` or until `limit` has passed; whether it is done.
    pub fn drive_until(&self, limit: Span, mut done: impl FnMut() -> bool) -> bool {
        let end = self.now() + limit;
        while !done() {
            if !self.0.borrow_mut().step(end) {
                self.0.borrow_mut().air.now = end;
                return done();
            }
        }
        true
    }

    /// Long enough for everything in flight to be answered, too short for any retransmission.
    pub fn settle(&self) {
        self.advance(Span::millis(400));
    }

    /// The process dies: memory and connections are gone, the disk keeps what was committed.
    /// It is up again at once, with as many shards as [`World::shards`] says.
    pub fn crash(&self) {
        let mut inner = self.0.borrow_mut();
        inner.kill();
        inner.start(false);
    }

    /// The process dies and stays down until [`World::boot`].
    pub fn kill(&self) {
        self.0.borrow_mut().kill();
    }

    /// Start the process again after [`World::kill`].
    pub fn boot(&self) {
        self.0.borrow_mut().start(false);
    }

    /// Number of shards from the next start on.
    pub fn shards(&self, shards: u16) -> &Self {
        self.0.borrow_mut().setup.shards = shards;
        self
    }

    /// Stop in order, as SIGTERM does, and start again.
    ///
    /// # Panics
    /// When the shards do not end their work.
    pub fn restart(&self) {
        self.drain();
        let mut inner = self.0.borrow_mut();
        inner.kill();
        inner.start(true);
    }

    /// Ask every shard to stop in order and wait until all have.
    ///
    /// # Panics
    /// When they do not.
    pub fn drain(&self) {
        let count = self.0.borrow().shards.len();
        for shard in 0..count {
            self.0.borrow_mut().hand(shard, Input::Drain);
        }
        let drained = || self.0.borrow().shards.iter().all(Shard::is_drained);
        if !self.drive_until(DRAIN, drained) {
            panic!("the shards do not drain: {:?}", self.gauges());
        }
        let mut inner = self.0.borrow_mut();
        inner.air.disk.sync();
        inner.drained = true;
    }

    /// Change the world in the middle of a scenario: faults, disk, configuration of the next start.
    pub fn faults(&self, change: impl FnOnce(&mut crate::Faults)) {
        change(&mut self.0.borrow_mut().air.network.faults);
    }

    /// Cut the way between the server and this phone for a while.
    pub fn cut(&self, phone: &Phone, cut: Cut, span: Span) {
        let host = phone.address().ip();
        let mut inner = self.0.borrow_mut();
        let until = inner.air.now + span;
        inner.air.tell(&format!("{host} is cut off, {cut:?}, for {} ms", span.as_millis()));
        if cut != Cut::FromServer {
            inner.air.network.cut(host, SERVER, until);
        }
        if cut != Cut::ToServer {
            inner.air.network.cut(SERVER, host, until);
        }
    }

    /// Every way is open again.
    pub fn heal(&self) {
        let mut inner = self.0.borrow_mut();
        inner.air.tell("no cuts any more");
        inner.air.network.heal();
    }

    /// Somebody sets the wall clock of the server's host forward, or back.
    pub fn jump(&self, milliseconds: i64) {
        let mut inner = self.0.borrow_mut();
        inner.air.tell(&format!("the wall clock jumps by {milliseconds} ms"));
        inner.air.clocks.jump(milliseconds);
        let at = inner.air.now;
        inner.turns.push((at, Turn::Jumped(milliseconds)));
    }

    /// What the whole run shows to those who check it.
    pub fn history(&self) -> History {
        let inner = self.0.borrow();
        let loss = match inner.setup.config.commit {
            true => Span(0),
            false => Span::seconds(inner.setup.config.update_period.into()),
        };
        let offset = Span::seconds(inner.setup.config.presence.expires_offset.into());
        History::new(&inner.air.wire, &inner.turns, (loss, offset), inner.air.now)
    }

    /// Change the configuration that counts from the next start on.
    pub fn configure(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.0.borrow_mut().setup);
    }

    /// Change the names of the world.
    pub fn zone<T>(&self, change: impl FnOnce(&mut Zone) -> T) -> T {
        change(&mut self.0.borrow_mut().air.zone)
    }

    /// Make the disk misbehave, or well again.
    pub fn disk<T>(&self, change: impl FnOnce(&mut crate::Disk) -> T) -> T {
        let mut inner = self.0.borrow_mut();
        inner.air.disk.now = inner.air.now;
        change(&mut inner.air.disk)
    }

    /// All that passed at the server's door so far.
    pub fn wire(&self) -> Vec<Wire> {
        self.0.borrow().air.wire.clone()
    }

    /// All gauges that are not zero, with their sum over the shards.
    pub fn gauges(&self) -> Vec<(&'static str, u64)> {
        let mut sums = BTreeMap::new();
        for sample in self.samples().iter().filter(|sample| !sample.counter) {
            *sums.entry(sample.name).or_default() += sample.value;
        }
        sums.into_iter().filter(|(_, value)| *value > 0).collect()
    }

    fn samples(&self) -> Vec<Sample> {
        let mut inner = self.0.borrow_mut();
        inner.air.metrics.clear();
        for shard in 0..inner.shards.len() {
            inner.hand(shard, Input::Command { id: 1, command: Command::Metrics });
        }
        std::mem::take(&mut inner.air.metrics)
    }

    /// What the engine says of itself must be true of every shard.
    ///
    /// # Panics
    /// When it is not.
    pub fn check(&self) {
        self.0.borrow().shards.iter().for_each(Shard::check);
    }

    /// Lines that the shards logged.
    pub fn logs(&self) -> Vec<String> {
        self.0.borrow().air.logs.clone()
    }

    /// One number for all that happened: equal seeds and scenarios give equal numbers.
    pub fn trace(&self) -> u64 {
        self.0.borrow().air.trace
    }

    /// The sum over all shards of a counter or gauge, of all its labels or of one.
    pub fn metric(&self, name: &str, label: Option<&str>) -> u64 {
        let wanted = |sample: &&Sample| {
            let labelled = sample.label.map(|(_, value)| value);
            sample.name == name && (label.is_none() || label == labelled)
        };
        self.samples().iter().filter(wanted).map(|sample| sample.value).sum()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World at {:?}", self.now())
    }
}

impl Inner {
    fn kill(&mut self) {
        self.shards.clear();
        self.air.crash();
        self.air.tell("the process is gone");
        self.turns.push((self.air.now, Turn::Died { clean: self.drained }));
        self.drained = false;
        for agent in &mut self.agents {
            agent.flow = None;
        }
    }

    /// Build the shards anew from what the disk holds.
    fn start(&mut self, clean: bool) {
        self.boot = self.air.now;
        self.air.clocks.boot(self.air.now);
        let Setup { shards, config, .. } = &self.setup;
        let hash_size = config.hash_size;
        self.air.tell(&format!("the process starts, {shards} shards, hash_size {hash_size}"));
        let highest = self.air.disk.highest();
        let now = self.clock();
        for index in 0..self.setup.shards {
            let config = self.setup.shard(index, &mut self.air.random, highest);
            self.shards.push(Shard::new(config, now));
        }
        self.ticked = vec![Instant(0); self.shards.len()];
        for object in self.air.disk.objects() {
            let slot = object.hash >> (64 - u32::from(self.setup.config.hash_size));
            let shard = (slot * u64::from(self.setup.shards)) >> self.setup.config.hash_size;
            self.hand(shard as usize, Input::Object(object.as_ref()));
        }
        for shard in 0..self.shards.len() {
            self.hand(shard, Input::Recovered { clean });
        }
    }

    /// Both clocks as the process reads them: the monotonic one begins at its start.
    fn clock(&self) -> Now {
        let instant = Instant((self.air.now - self.boot).0);
        Now { instant, wall: self.air.wall() }
    }

    /// The earliest event not after `end` happens; false when there is none.
    pub(crate) fn step(&mut self, end: Instant) -> bool {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "the world does not come to rest");
        let tick = self.due();
        let event = self.air.next();
        let commit = self.air.disk.next();
        let earliest = [tick.map(|(at, _)| at), event, commit].into_iter().flatten().min();
        let Some(at) = earliest.filter(|at| *at <= end) else { return false };
        self.air.now = self.air.now.max(at);
        if commit == Some(at) {
            let replies = self.air.disk.replies(self.air.now);
            self.air.clocks.committed(self.air.now);
            for (shard, reply) in replies {
                self.hand(shard, Input::Stored { token: reply.token, result: reply.result });
            }
        } else if event == Some(at) {
            let event = self.air.pop();
            self.happen(event);
        } else if let Some((_, shard)) = tick {
            self.ticked[shard] = self.air.now;
            self.hand(shard, Input::Tick);
        }
        true
    }

    /// The shard whose deadline is the earliest. A shard with work left ticks once a turn.
    fn due(&self) -> Option<(Instant, usize)> {
        let deadline = |(index, shard): (usize, &Shard)| {
            let at = self.boot + Span(shard.next_deadline()?.0);
            Some((at.max(self.ticked[index] + TURN).max(self.air.now), index))
        };
        self.shards.iter().enumerate().filter_map(deadline).min()
    }

    /// Hand one input to a shard and drain its outputs: the contract of the engine.
    pub(crate) fn hand(&mut self, index: usize, input: Input<'_>) {
        let now = self.clock();
        let Self { shards, air, .. } = self;
        let Some(shard) = shards.get_mut(index) else { return };
        shard.handle(now, input);
        while let Some(output) = shard.poll_output() {
            air.output(index, output);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToServer { path, bytes } => {
                if let Some(shard) = self.air.door(&path, &bytes, self.shards.len()) {
                    self.hand(shard, Input::Message { path, bytes: &bytes });
                }
            }
            Event::Unframed { path, bytes, error } => {
                if let Some(shard) = self.air.door(&path, &bytes, self.shards.len()) {
                    self.hand(shard, Input::Unframed { path, bytes: &bytes, error });
                }
            }
            Event::ToPeer { from, peer, flow, bytes } => {
                if flow.is_some_and(|flow| !self.air.flows.contains_key(&flow.0)) {
                    return;
                }
                let sip = Sip::read(self.air.now, from, flow.is_some(), &bytes);
                self.deliver(peer, flow, sip);
            }
            Event::Connected { flow, peer, listener } => self.connected(flow, peer, listener),
            Event::Closed { flow } => {
                self.air.flows.remove(&flow.0);
                for agent in self.agents.iter_mut().filter(|agent| agent.flow == Some(flow)) {
                    agent.flow = None;
                }
            }
            Event::Hangup { flow } => {
                if let Some(peer) = self.air.end(flow) {
                    self.air.tell(&format!("the connection with {} is gone", peer.ip()));
                    self.turns.push((self.air.now, Turn::Unreachable(peer)));
                    self.hand(flow.shard().0.into(), Input::StreamClosed { flow });
                }
            }
            Event::Mesh { shard, message } => self.hand(shard.0.into(), Input::Mesh(message)),
            Event::Resolved { shard, answer } => self.hand(shard, Input::Resolved(answer)),
            Event::Refused { shard, listener, peer } => {
                self.air.tell(&format!("{} is unreachable", peer.ip()));
                self.turns.push((self.air.now, Turn::Unreachable(peer)));
                self.hand(shard, Input::Unreachable { listener, peer });
            }
            Event::Timer { agent, branch, method } => self.retransmit(agent, &branch, &method),
            Event::Answer { from, to, flow, bytes } => self.air.send(from, to, flow, bytes),
        }
    }

    /// A message reaches the user agent at this address; its answer goes the same way back.
    fn deliver(&mut self, peer: SocketAddr, flow: Option<FlowId>, sip: Sip) {
        let from = sip.from;
        let Some(agent) = self.agents.iter_mut().find(|agent| agent.address == peer) else {
            return;
        };
        if agent.refuses && flow.is_none() {
            return self.air.refuse(from, peer);
        }
        match agent.receive(sip) {
            Some((Span(0), answer)) => self.air.send(peer, from, flow, answer),
            Some((delay, bytes)) => {
                let at = self.air.now + delay;
                self.air.at(at, Event::Answer { from: peer, to: from, flow, bytes });
            }
            None => {}
        }
    }

    fn connected(&mut self, flow: FlowId, peer: SocketAddr, listener: ListenerId) {
        let shard = usize::from(flow.shard().0);
        match self.agents.iter().find(|agent| agent.address == peer).map(|agent| agent.door) {
            Some(Door::Open) => {
                self.air.open(flow, peer, listener);
                self.hand(shard, Input::StreamOpened { flow });
                self.air.flush(flow);
            }
            Some(Door::Closed) | None => {
                self.air.end(flow);
                self.turns.push((self.air.now, Turn::Unreachable(peer)));
                self.hand(shard, Input::StreamClosed { flow });
            }
            Some(Door::Walled) => {}
        }
    }

    /// Send a request of a user agent, and again until it is answered (RFC 3261 17.1.2).
    pub(crate) fn post(&mut self, index: usize, branch: &str, method: &str, bytes: Vec<u8>) {
        let flow = self.line(index);
        let agent = &mut self.agents[index];
        self.air.send(agent.address, agent.server, flow, bytes.clone());
        if flow.is_some() || method == "ACK" {
            return;
        }
        let (branch, method) = (branch.to_owned(), method.to_owned());
        let interval = crate::agent::T1;
        agent.pending.push(crate::agent::Pending {
            branch: branch.clone(),
            method: method.clone(),
            bytes,
            interval,
            ends: self.air.now + TIMER_F,
        });
        let at = self.air.now + interval;
        self.air.at(at, Event::Timer { agent: index, branch, method });
    }

    /// The connection that a user agent sends on, opened when it has none; `None` = datagrams.
    pub(crate) fn line(&mut self, index: usize) -> Option<FlowId> {
        let agent = &mut self.agents[index];
        if !agent.tcp {
            return None;
        }
        if agent.flow.is_none() && !self.shards.is_empty() {
            agent.flow = Some(self.air.accept(agent.address, self.shards.len()));
        }
        agent.flow
    }

    fn retransmit(&mut self, agent: usize, branch: &str, method: &str) {
        let now = self.air.now;
        let Some((bytes, next)) = self.agents[agent].retransmit(now, branch, method) else {
            return;
        };
        let Agent { address, server, .. } = self.agents[agent];
        self.air.send(address, server, None, bytes);
        let (branch, method) = (branch.to_owned(), method.to_owned());
        self.air.at(next, Event::Timer { agent, branch, method });
    }
}
