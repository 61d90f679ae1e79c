//! Random runs: a seed draws a server, its clients and what goes wrong. After the storm comes a
//! calm, in which everybody keeps up what is there, and then silence, in which everything ends.
//!
//! The clients know nothing of what is checked, and the checks nothing of the clients: they look at
//! what passed at the door.

mod client;
mod plan;
mod publisher;
mod stranger;
mod watcher;
mod weather;

use std::collections::BTreeSet;

use pharos_engine::{Instant, Span};

use crate::check;
use crate::random::Random;
use crate::world::World;
use client::{Client, Mood, Scene};
use plan::Plan;
pub use plan::{Trouble, Wishes};
use publisher::Publisher;
use stranger::Stranger;
use watcher::Watcher;
use weather::Weather;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One number for all that happened.
    pub trace: u64,
    /// Messages that passed.
    pub messages: usize,
    /// Deeds of clients and weather before the calm.
    pub deeds: u64,
    /// Subscriptions that were seen to converge.
    pub converged: usize,
    /// Times that the process died without notice.
    pub crashes: usize,
    /// The checks that found something, and what.
    pub failures: Vec<(&'static str, String)>,
}

/// Presence, and what has no authorization.
const WATCHED: &[&str] = &["presence", "presence", "dialog", "message-summary"];
/// After all have ended: the longest memory is that of a waiting watcher, a day.
const SILENCE: Span = Span::seconds(2 * 86_400);
/// A disk may hang so long: changes of an AoR wait for each other, its expiries too.
const HANGS: Span = Span::seconds(64);
/// Transactions that were under way when faults stopped have ended, and a client that waited for
/// one has begun anew.
const SETTLED: Span = Span::seconds(100);

struct Swarm {
    world: World,
    plan: Plan,
    random: Random,
    clients: Vec<Box<dyn Client>>,
    weather: Weather,
    serial: u64,
    deeds: u64,
    most: u64,
}

/// One run.
pub fn run(seed: u64, wishes: &Wishes) -> Outcome {
    let mut swarm = Swarm::new(seed, wishes);
    swarm.storm();
    let calm = swarm.calm();
    let mut history = swarm.world.history();
    history.calm = calm;
    if swarm.plan.has(Trouble::Disk) {
        history.calm = calm + HANGS;
        history.offset = history.offset.max(HANGS);
    }
    for client in swarm.clients.iter().take(swarm.plan.strangers as usize) {
        history.strangers.insert(client.phone().address().ip());
    }
    let memory = swarm.silence();
    let checks = check::ALWAYS.iter().chain(&check::WHOLE);
    let found = checks.filter_map(|(name, check)| Some((*name, check(&history).err()?)));
    let failures = found.chain(memory.err().map(|what| ("memory", what))).collect();
    let died =
        |turn: &&(Instant, crate::Turn)| matches!(turn.1, crate::Turn::Died { clean: false });
    Outcome {
        trace: swarm.world.trace(),
        messages: history.items.len(),
        deeds: swarm.deeds,
        converged: check::weight(&history),
        crashes: history.turns.iter().filter(died).count(),
        failures,
    }
}

impl Swarm {
    fn new(seed: u64, wishes: &Wishes) -> Self {
        let plan = Plan::draw(seed, wishes);
        let mut random = Random::new(!seed);
        let world = World::new(|setup| *setup = plan.setup.clone());
        let mut clients: Vec<Box<dyn Client>> = Vec::new();
        // Strangers first: who reads the history knows them by their place.
        for _ in 0..plan.strangers {
            clients.push(Box::new(Stranger(world.phone("eve"))));
        }
        let phone = |name: String, random: &mut Random| {
            let phone = world.phone(&name);
            if random.chance(25) { phone.tcp() } else { phone }
        };
        for _ in 0..plan.publishers {
            let user = random.below(plan.users);
            let event = *random.pick(&Plan::EVENTS);
            clients.push(Box::new(Publisher::new(phone(format!("p{user}"), &mut random), event)));
        }
        for index in 0..plan.watchers {
            let dead = plan.has(Trouble::Manners) && random.chance(8);
            let phone = phone(format!("w{index}"), &mut random);
            clients.push(Box::new(Watcher::new(phone, WATCHED, dead)));
        }
        if random.chance(60) {
            let user = random.below(plan.users);
            let phone = phone(format!("p{user}"), &mut random);
            clients.push(Box::new(Watcher::of_watchers(phone, user)));
        }
        let most = wishes.deeds.unwrap_or(u64::MAX);
        let weather = Weather::new();
        Self { world, plan, random, clients, weather, serial: 0, deeds: 0, most }
    }

    /// Everybody acts and everything goes wrong.
    fn storm(&mut self) {
        let end = Instant(0) + self.plan.storm;
        let bad = self.plan.troubles.iter().any(|trouble| {
            !matches!(trouble, Trouble::Hostile | Trouble::Manners)
                && !matches!(trouble, Trouble::Loss | Trouble::Duplicates | Trouble::Reordering)
        });
        let mut due = self.begin();
        if bad {
            due.insert((Instant(0) + Span::seconds(2), usize::MAX));
        }
        let phones: Vec<_> = self.clients.iter().map(|client| client.phone().clone()).collect();
        while let Some((at, who)) = due.pop_first() {
            if at >= end || self.deeds >= self.most {
                break;
            }
            self.go_to(at);
            self.deeds += 1;
            let next = match self.clients.get_mut(who) {
                Some(_) => self.act(who, Mood::Storm, Instant(u64::MAX)),
                None => {
                    let Self { world, plan, random, weather, .. } = self;
                    weather.act(world, plan, random, &phones)
                }
            };
            due.insert((next, who));
            if self.deeds.is_multiple_of(16) {
                self.world.check();
            }
        }
    }

    /// Faults stop; what is there is kept up for so long that whatever is in doubt has expired.
    /// Gives the time when it began.
    fn calm(&mut self) -> Instant {
        self.weather.clear(&self.world);
        self.clients.iter_mut().for_each(|client| client.behave());
        let begin = self.world.now();
        let doubt = self.plan.expires + u64::from(self.plan.setup.config.presence.expires_offset);
        let hangs = if self.plan.has(Trouble::Disk) { HANGS.0 } else { 0 };
        let length =
            SETTLED.0 + hangs + Span::seconds(doubt).0 + Span::millis(self.weather.set_back).0;
        let (end, renewal) = (begin + Span(length), begin + Span::seconds(40));
        let mut due = self.begin();
        while let Some((at, who)) = due.pop_first() {
            if at >= end {
                break;
            }
            self.go_to(at);
            let next = self.act(who, Mood::Calm, renewal);
            due.insert((next, who));
        }
        self.go_to(end);
        self.world.check();
        begin
    }

    /// Nobody does anything any more, and everything ends.
    fn silence(&mut self) -> check::Found {
        self.clients.iter().for_each(|client| client.phone().hangs_up());
        self.world.advance(SILENCE);
        self.world.check();
        check::memory(&self.world)
    }

    /// Everybody's first deed comes soon.
    fn begin(&mut self) -> BTreeSet<(Instant, usize)> {
        let now = self.world.now();
        let soon = |who| (now + Span::millis(self.random.below(3_000)), who);
        (0..self.clients.len()).map(soon).collect()
    }

    fn go_to(&self, at: Instant) {
        let now = self.world.now();
        if at > now {
            self.world.advance(at - now);
        }
    }

    fn act(&mut self, who: usize, mood: Mood, renewal: Instant) -> Instant {
        let mut scene = Scene {
            now: self.world.now(),
            mood,
            random: &mut self.random,
            serial: &mut self.serial,
            users: self.plan.users,
            pause: self.plan.pause,
            longest: self.plan.expires,
            manners: self.plan.has(Trouble::Manners),
            renewal,
        };
        self.clients[who].act(&mut scene)
    }
}
