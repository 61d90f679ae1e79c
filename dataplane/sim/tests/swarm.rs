//! Random runs: every seed draws its own faults, shards and deeds. While things go wrong nothing
//! may contradict itself; when they stop going wrong every watcher sees what was last published.
//!
//! `SWARM_SEEDS=5000 cargo test -p pharos-sim --test swarm` looks further than the fixed seeds.

use pharos_sim::documents::{PIDF, pidf_with_note};
use pharos_sim::{Phone, Random, Span, Subscription, World, check};

/// One presentity: what its publisher believes.
struct Card {
    phone: Phone,
    user: String,
    etag: Option<String>,
    note: String,
}

struct Swarm {
    world: World,
    random: Random,
    cards: Vec<Card>,
    watchers: Vec<Phone>,
    watches: Vec<(usize, Subscription)>,
    crashes: bool,
}

impl Swarm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let world = World::new(|setup| {
            setup.seed = seed;
            setup.shards = 1 + random.below(4) as u16;
            setup.lanes = 1 << random.below(2);
            setup.commit_time = Span::millis(random.below(20));
            setup.faults.loss = random.below(25) as u8;
            setup.faults.duplicate = random.below(25) as u8;
            setup.faults.late = random.below(40) as u8;
            setup.config.commit = !random.chance(20);
        });
        let crashes = random.chance(60);
        if random.chance(30) {
            world.disk(|disk| disk.full_per_mille(20));
        }
        let card = |index| {
            let user = format!("p{index}");
            Card { phone: world.phone(&user), user, etag: None, note: String::new() }
        };
        let cards = (0..3).map(card).collect();
        let watcher = |index| {
            let phone = world.phone(&format!("w{index}"));
            if random.chance(25) { phone.tcp() } else { phone }
        };
        let watchers = (0..4).map(watcher).collect();
        Self { world, random, cards, watchers, watches: Vec::new(), crashes }
    }

    /// Publish something new; by a lost tag or a lost answer the publisher begins anew.
    fn publish(&mut self, index: usize) -> bool {
        let note = format!("n{}", self.random.below(1 << 40));
        let card = &mut self.cards[index];
        let body = pidf_with_note(&card.user, "t", "open", &note);
        let mut request = card.phone.publish_request("presence", PIDF, &body);
        if let Some(etag) = &card.etag {
            request = request.set("SIP-If-Match", etag);
        }
        let answer = card.phone.try_send(&request);
        match answer.map(|sip| (sip.status(), sip.etag().to_owned())) {
            Some((200, etag)) => {
                card.etag = Some(etag);
                card.note = note;
                true
            }
            Some((412 | 503, _)) | None => {
                card.etag = None;
                false
            }
            Some((status, _)) => panic!("{status} to a PUBLISH"),
        }
    }

    fn refresh(&mut self, index: usize) {
        let card = &mut self.cards[index];
        let Some(etag) = card.etag.take() else { return };
        let request = card.phone.publish_request("presence", PIDF, "").set("SIP-If-Match", &etag);
        card.etag = match card.phone.try_send(&request) {
            Some(sip) if sip.status() == 200 => Some(sip.etag().to_owned()),
            _ => None,
        };
    }

    fn subscribe(&mut self) {
        let watcher = &self.watchers[self.random.below(4) as usize];
        let index = self.random.below(3) as usize;
        let request = watcher.subscribe_request(&self.cards[index].user, "presence");
        if watcher.try_send(&request).is_some_and(|sip| sip.status() == 200) {
            self.watches.push((index, watcher.subscribe_by(&request)));
        }
    }

    fn deed(&mut self) {
        let index = self.random.below(3) as usize;
        match self.random.below(12) {
            0..=3 => drop(self.publish(index)),
            4 => self.refresh(index),
            5..=7 => self.subscribe(),
            8 if !self.watches.is_empty() => {
                let at = self.random.below(self.watches.len() as u64) as usize;
                let (_, watch) = self.watches.swap_remove(at);
                let end = watch.request(0);
                drop(watch.try_send(&end));
            }
            9 if self.crashes => {
                self.world.shards(1 + self.random.below(4) as u16).kill();
                self.world.advance(Span::millis(self.random.below(4) * 2_000));
                self.world.boot();
            }
            _ => self.world.advance(Span::millis(self.random.below(3_000))),
        }
    }

    /// Faults have stopped: publish once more and see that everybody ends with it.
    fn converge(&mut self) {
        self.world.faults(|faults| *faults = pharos_sim::Faults::default());
        self.world.disk(|disk| disk.full_per_mille(0));
        self.world.advance(Span::seconds(90));
        for index in 0..3 {
            let done = (0..3).any(|_| self.publish(index));
            assert!(done, "a publication without faults");
        }
        self.world.advance(Span::seconds(90));
        for (index, watch) in &self.watches {
            let shown = watch.notifies().last().map(|sip| sip.body.clone());
            if watch.refresh(600).status() != 200 {
                continue;
            }
            let note = &self.cards[*index].note;
            let shown = shown.unwrap_or_default();
            assert!(shown.contains(note.as_str()), "{note} is not in the last of {watch:?}");
        }
    }
}

fn run(seed: u64) -> (u64, usize) {
    let mut swarm = Swarm::new(seed);
    for _ in 0..60 {
        swarm.deed();
    }
    swarm.converge();
    check::all(&swarm.world.history());
    (swarm.world.trace(), swarm.watches.len())
}

/// Rows C76, C80, C114, C118 and architecture section 6 under loss, copies, overtaking and crashes.
#[test]
fn nothing_contradicts_itself_and_watchers_converge() {
    let asked = std::env::var("SWARM_SEEDS").ok().and_then(|number| number.parse().ok());
    let seeds = asked.unwrap_or(40);
    let mut alive = 0;
    for seed in 1..=seeds {
        println!("seed {seed}");
        alive += run(seed).1;
    }
    assert!(alive as u64 > 2 * seeds, "the runs are worth something: {alive} subscriptions");
}

/// The run of a seed can be looked at again.
#[test]
fn a_swarm_can_be_repeated() {
    assert_eq!(run(7).0, run(7).0);
}
