//! The actors and the loop that drives them, on one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::repeats::Repeats;
use super::{Op, Order, Outcome, Phase, Shape, T1};
use crate::latency::{Latencies, now};
use crate::net::{Inbox, NAP, Port, wait_readable};
use crate::sip::read::{self, Actor, Answer, Message, Notify};
use crate::sip::write::{self, Names, Publish};

/// In an open loop: what would be more than this in flight is given up unsent.
const FLYING_MAX: usize = 100_000;

/// A publisher or watcher and what the server knows of it.
#[derive(Clone, Debug, Default)]
struct State {
    /// CSeq of its last request.
    cseq: u32,
    /// How often it began anew.
    life: u32,
    /// CSeq of the last NOTIFY.
    notified: u32,
    /// Whose presence a watcher watches.
    presentity: u32,
    /// Entity-tag of a publication or remote tag of a dialog; empty = neither is there.
    tag: Box<str>,
    /// Remote target of a dialog.
    target: Box<str>,
    flight: Option<Flight>,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    op: Op,
    /// When it was to be sent.
    start: Instant,
    repeated: bool,
    answered: bool,
    notified: bool,
    /// A pulse: not part of what is measured.
    aside: bool,
}

/// A presentity that changes every so often beside the load.
#[derive(Clone, Debug)]
pub struct Pulse {
    /// Which.
    pub presentity: u32,
    /// How often.
    pub every: Duration,
    /// Its own latencies.
    pub latencies: Latencies,
}

/// All actors, with the source ports they use.
#[derive(Debug)]
pub struct Fleet {
    ports: Vec<Port>,
    active: usize,
    publishers: Vec<State>,
    watchers: Vec<State>,
    /// The server is an echo: what comes back is the request.
    echo: bool,
    inbox: Inbox,
    flying: usize,
    repeats: Repeats,
    outcome: Outcome,
    pulse: Option<Pulse>,
}

impl Fleet {
    /// Actors that share `ports` source ports towards a server.
    ///
    /// # Errors
    /// The system has no sockets for us.
    pub fn new(
        server: SocketAddr,
        ports: usize,
        publishers: u32,
        watchers: u32,
    ) -> Result<Self, String> {
        let ports: Result<Vec<_>, _> = (0..ports).map(|_| Port::open(server)).collect();
        let ports = ports.map_err(|error| format!("client sockets: {error}"))?;
        Ok(Self {
            active: ports.len(),
            ports,
            publishers: vec![State::default(); publishers as usize],
            watchers: vec![State::default(); watchers as usize],
            echo: false,
            inbox: Inbox::default(),
            flying: 0,
            repeats: Repeats::default(),
            outcome: Outcome::default(),
            pulse: None,
        })
    }

    /// The server is an echo.
    pub fn expect_echo(&mut self) {
        self.echo = true;
        for publisher in &mut self.publishers {
            publisher.tag = "echo-0123456789".into();
        }
    }

    /// Uses the first `count` of the source ports.
    pub fn use_ports(&mut self, count: usize) {
        self.active = count.clamp(1, self.ports.len());
    }

    /// Watchers subscribe to this presentity, each to its own number when none is given.
    pub fn watch(&mut self, presentity: Option<u32>) {
        for (number, watcher) in self.watchers.iter_mut().enumerate() {
            watcher.presentity = presentity.unwrap_or(number as u32);
        }
    }

    /// Datagrams that our own sockets dropped so far.
    pub fn drops(&self) -> u64 {
        self.ports.iter().map(|port| crate::net::drops(port.local().port())).sum()
    }

    /// Drives a phase until everything that was begun is over.
    pub fn run(&mut self, phase: &Phase, order: &mut Order) -> Outcome {
        self.outcome = Outcome::default();
        let start = now();
        let (mut begun, mut last, mut beat) = (0_u64, start, start);
        loop {
            let at = now();
            let open = at - start < phase.time
                && begun < phase.count
                && !(phase.op.once() && order.is_over());
            let mut sleep = T1;
            if open {
                let before = begun;
                sleep = self.begin_due(phase, order, start, at, &mut begun);
                last = if begun > before { at } else { last };
                sleep = sleep.min(self.beat(at, &mut beat));
            } else if self.flying == 0 {
                break;
            }
            self.turn(sleep);
        }
        self.linger();
        self.outcome.seconds = (last - start).as_secs_f64();
        std::mem::take(&mut self.outcome)
    }

    /// Changes a presentity beside the load from now on, or no longer.
    pub fn set_pulse(&mut self, pulse: Option<Pulse>) -> Option<Pulse> {
        std::mem::replace(&mut self.pulse, pulse)
    }

    /// Publishes for `presentity` and waits for the NOTIFYs of `watchers`, `rounds` times. The
    /// latencies are those until the last NOTIFY of a round; a round that is not complete after
    /// 20 s has failed and is the last.
    pub fn fan_out(&mut self, presentity: u32, watchers: u64, rounds: u32) -> Outcome {
        self.outcome = Outcome::default();
        let mut latencies = Latencies::default();
        let (begin, mut failed) = (now(), 0);
        for _ in 0..rounds {
            let (start, before) = (now(), self.outcome.notifies);
            let kind = match self.publishers[presentity as usize].tag.is_empty() {
                true => Publish::Initial,
                false => Publish::Modify,
            };
            self.begin(Op::Publish(kind), presentity, start, false);
            let whole = loop {
                self.turn(T1);
                let idle = self.publishers[presentity as usize].flight.is_none();
                if idle && self.outcome.notifies - before >= watchers {
                    break true;
                }
                if start.elapsed() > Duration::from_secs(20) {
                    break false;
                }
            };
            match whole {
                true => latencies.record(start.elapsed()),
                false => {
                    failed += 1;
                    break;
                }
            }
        }
        self.linger();
        self.outcome.latencies = latencies;
        self.outcome.failed += failed;
        self.outcome.seconds = begin.elapsed().as_secs_f64();
        std::mem::take(&mut self.outcome)
    }

    /// Begins what the shape wants begun by now; how long it has time then.
    fn begin_due(
        &mut self,
        phase: &Phase,
        order: &mut Order,
        start: Instant,
        at: Instant,
        begun: &mut u64,
    ) -> Duration {
        let more = |begun: u64, order: &Order| {
            begun < phase.count && !(phase.op.once() && order.is_over())
        };
        match phase.shape {
            Shape::Window(window) => {
                while self.flying < window && more(*begun, order) {
                    if !self.begin_next(phase.op, order, at) {
                        return Duration::from_millis(1);
                    }
                    *begun += 1;
                }
                T1
            }
            Shape::Rate(rate) => loop {
                let intended = start + Duration::from_secs_f64(*begun as f64 / rate);
                if intended > at || !more(*begun, order) {
                    break (intended.saturating_duration_since(at)).max(NAP);
                }
                *begun += 1;
                if self.flying >= FLYING_MAX || !self.begin_next(phase.op, order, intended) {
                    self.fail(0);
                }
            },
        }
    }

    /// Begins the next actor's turn; false when it and those after it are busy.
    fn begin_next(&mut self, op: Op, order: &mut Order, start: Instant) -> bool {
        if order.is_empty() {
            return false;
        }
        for _ in 0..64 {
            let number = order.turn();
            let (op, number) = self.suit(op, number, order);
            let (state, begins) = match op {
                Op::Publish(kind) => (&self.publishers[number as usize], kind == Publish::Initial),
                _ => (&self.watchers[number as usize], op == Op::Subscribe),
            };
            // Who is busy, or has lost what the operation is about, is passed over.
            if state.flight.is_none() && state.tag.is_empty() == begins {
                self.begin(op, number, start, false);
                return true;
            }
        }
        false
    }

    /// What an actor does in a mixed phase, in which watchers are numbered after the publishers.
    fn suit(&self, op: Op, number: u32, order: &mut Order) -> (Op, u32) {
        if op != Op::Mixed {
            return (op, number);
        }
        let dice = order.dice(100);
        match self.publishers.get(number as usize) {
            Some(state) => {
                let kind = match dice {
                    _ if state.tag.is_empty() => Publish::Initial,
                    0..70 => Publish::Refresh,
                    70..95 => Publish::Modify,
                    _ => Publish::Remove,
                };
                (Op::Publish(kind), number)
            }
            None => {
                let number = number - self.publishers.len() as u32;
                let op = match dice {
                    _ if self.watchers[number as usize].tag.is_empty() => Op::Subscribe,
                    0..90 => Op::Resubscribe,
                    _ => Op::Unsubscribe,
                };
                (op, number)
            }
        }
    }

    /// A pulse, when it is due; how long until the next.
    fn beat(&mut self, at: Instant, next: &mut Instant) -> Duration {
        let Some(pulse) = &self.pulse else { return T1 };
        let (presentity, every) = (pulse.presentity, pulse.every);
        if at >= *next {
            *next = at + every;
            if self.publishers[presentity as usize].flight.is_none() {
                self.begin(Op::Publish(Publish::Modify), presentity, at, true);
            }
        }
        *next - at
    }

    fn begin(&mut self, op: Op, number: u32, start: Instant, aside: bool) {
        let (state, actor) = match op {
            Op::Publish(_) => (&mut self.publishers[number as usize], Actor::Publisher(number)),
            _ => (&mut self.watchers[number as usize], Actor::Watcher(number)),
        };
        state.cseq += 1;
        let notified = matches!(op, Op::Publish(_));
        state.flight =
            Some(Flight { op, start, repeated: false, answered: false, notified, aside });
        let cseq = state.cseq;
        self.flying += 1;
        self.send(actor);
        self.repeats.sent(now(), actor, cseq, 0);
    }

    /// Puts an actor's request, new or again, into the outbox of its port.
    fn send(&mut self, actor: Actor) {
        let (state, number, presentity) = match actor {
            Actor::Publisher(number) => (&self.publishers[number as usize], number, number),
            Actor::Watcher(number) => {
                let state = &self.watchers[number as usize];
                (state, number, state.presentity)
            }
        };
        let Some(flight) = state.flight else { return };
        let Port { out, .. } = &mut self.ports[number as usize % self.active];
        let (cseq, life) = (state.cseq, state.life);
        out.add(|bytes, local| {
            let names = Names { local, actor: number, life, presentity, cseq };
            match flight.op {
                Op::Publish(kind) => write::publish(bytes, kind, names, &state.tag),
                Op::Unsubscribe => write::subscribe(bytes, names, &state.tag, &state.target, "0"),
                _ => write::subscribe(bytes, names, &state.tag, &state.target, "3600"),
            }
        });
    }

    /// Sends what waits, waits for answers, takes them, and repeats what nobody answered.
    fn turn(&mut self, sleep: Duration) {
        self.ports[..self.active].iter_mut().for_each(Port::flush);
        let at = now();
        let sleep = self.repeats.wait(at).map_or(sleep, |due| sleep.min(due.max(NAP)));
        let mut ready = Vec::new();
        let sockets = self.ports[..self.active].iter().map(Port::socket);
        wait_readable(sockets, sleep, |place| ready.push(place));
        let mut inbox = std::mem::take(&mut self.inbox);
        for place in ready {
            let count = self.ports[place].receive(&mut inbox);
            let at = now();
            for index in 0..count {
                self.take(inbox.get(index), place, at);
            }
        }
        self.inbox = inbox;
        self.repeat();
    }

    /// Sends the last answers, and answers what comes right after.
    fn linger(&mut self) {
        for _ in 0..3 {
            self.turn(Duration::from_millis(5));
        }
    }

    fn take(&mut self, bytes: &[u8], port: usize, at: Instant) {
        if self.echo {
            if let Some((actor, life, cseq)) = read::branch(bytes) {
                let tag = "echo-0123456789";
                let echo = Answer { status: 200, actor, life, cseq, etag: tag, tag, target: "" };
                self.take_answer(&echo, at);
            }
            return;
        }
        match read::message(bytes) {
            Some(Message::Answer(answer)) => self.take_answer(&answer, at),
            Some(Message::Notify(notify)) => self.take_notify(&notify, port, at),
            None => {}
        }
    }

    fn take_answer(&mut self, answer: &Answer<'_>, at: Instant) {
        let Some(state) = self.state(answer.actor) else { return };
        let current = state.cseq == answer.cseq && state.life == answer.life;
        let Some(flight) = state.flight.as_mut().filter(|flight| current && !flight.answered)
        else {
            return;
        };
        match answer.status {
            ..200 => {}
            200..300 => {
                flight.answered = true;
                match flight.op {
                    Op::Publish(Publish::Remove) => state.tag = "".into(),
                    Op::Publish(_) => state.tag = answer.etag.into(),
                    Op::Subscribe => {
                        state.tag = answer.tag.into();
                        state.target = answer.target.into();
                    }
                    _ => {}
                }
                self.finish(answer.actor, at);
            }
            status => {
                state.flight = None;
                state.tag = "".into();
                state.target = "".into();
                state.notified = 0;
                state.life += 1;
                self.flying -= 1;
                self.fail(status);
            }
        }
    }

    fn take_notify(&mut self, notify: &Notify<'_>, port: usize, at: Instant) {
        self.ports[port].out.add(|bytes, _| write::accept(bytes, &notify.fields));
        let actor = Actor::Watcher(notify.watcher);
        let Some(state) = self.state(actor).filter(|state| state.life == notify.life) else {
            return;
        };
        if notify.cseq <= state.notified {
            self.outcome.notifies_again += 1;
            return;
        }
        state.notified = notify.cseq;
        let waited = state.flight.as_mut().map(|flight| flight.notified = true).is_some();
        self.outcome.notifies += 1;
        if waited {
            self.finish(actor, at);
        }
    }

    fn state(&mut self, actor: Actor) -> Option<&mut State> {
        match actor {
            Actor::Publisher(number) => self.publishers.get_mut(number as usize),
            Actor::Watcher(number) => self.watchers.get_mut(number as usize),
        }
    }

    /// Ends a transaction of which all has come.
    fn finish(&mut self, actor: Actor, at: Instant) {
        let Some(state) = self.state(actor) else { return };
        let done = |flight: &mut Flight| flight.answered && flight.notified;
        let Some(flight) = state.flight.take_if(done) else { return };
        if matches!(flight.op, Op::Publish(Publish::Remove) | Op::Unsubscribe) {
            state.tag = "".into();
            state.target = "".into();
            state.notified = 0;
            state.life += 1;
        }
        self.flying -= 1;
        let latency = at.saturating_duration_since(flight.start);
        if flight.aside {
            if let Some(pulse) = &mut self.pulse {
                pulse.latencies.record(latency);
            }
            return;
        }
        self.outcome.latencies.record(latency);
        self.outcome.prompt += u64::from(!flight.repeated && latency <= T1);
    }

    fn fail(&mut self, status: u32) {
        self.outcome.failed += 1;
        *self.outcome.refusals.entry(status).or_default() += 1;
    }

    fn repeat(&mut self) {
        let at = now();
        while let Some(due) = self.repeats.next(at) {
            let Some(state) = self.state(due.actor) else { continue };
            let Some(flight) = state.flight.as_mut().filter(|_| state.cseq == due.cseq) else {
                continue;
            };
            if due.gives_up() {
                state.flight = None;
                self.flying -= 1;
                self.fail(0);
            } else if !flight.answered {
                flight.repeated = true;
                self.outcome.repeated += 1;
                self.send(due.actor);
                self.repeats.sent(at, due.actor, due.cseq, due.again);
            } else {
                // Answered, but the NOTIFY is not there yet: the server repeats that one.
                self.repeats.sent(at, due.actor, due.cseq, due.again);
            }
        }
    }
}
