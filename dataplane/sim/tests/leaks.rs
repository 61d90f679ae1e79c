//! Whatever happened, once everything has ended nothing is left: not in memory, not in the store.
//!
//! `LEAK_SEEDS=2000 cargo test -p pharos-sim --test leaks` looks further than the fixed seeds.

use pharos_sim::documents::{DIALOG_INFO, PIDF, dialog, pidf_with_note};
use pharos_sim::{Phone, Random, Span, Subscription, World, check};
use pharos_storage::Kind;

const EVENTS: [&str; 4] = ["presence", "presence.winfo", "dialog", "presence"];
const ANSWERS: [&str; 5] = ["200 OK", "200 OK", "481 Gone", "500 Oops", "503 Service Unavailable"];

/// What a publisher remembers.
struct Card {
    phone: Phone,
    event: &'static str,
    media_type: &'static str,
    etag: String,
}

struct Chaos {
    world: World,
    random: Random,
    phones: Vec<Phone>,
    cards: Vec<Card>,
    watches: Vec<Subscription>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let world = World::new(|setup| {
            setup.seed = seed;
            setup.shards = 1 + random.below(3) as u16;
            setup.config.commit = random.chance(60);
            setup.config.update_period = 5;
            setup.config.presence.force_active = random.chance(50);
            setup.config.presence.end_sub_on_timeout = random.chance(50);
            setup.config.presence.mix_dialog_presence = random.chance(50);
            setup.config.presence.waiting_subs_daysno = 1;
            setup.config.presence.min_expires = 0;
            setup.config.presence.notify_interval = match random.chance(30) {
                true => vec![("presence".into(), 2_000)],
                false => Vec::new(),
            };
            setup.faults.loss = random.below(20) as u8;
        });
        let phones = (0..4).map(|index| world.phone(&format!("p{index}"))).collect();
        Self { world, random, phones, cards: Vec::new(), watches: Vec::new() }
    }

    fn document(&mut self, user: usize, event: &str) -> (&'static str, String) {
        let user = format!("p{user}");
        let note = format!("n{}", self.random.below(1 << 30));
        if event == "dialog" {
            let state = ["early", "confirmed", "terminated"][self.random.below(3) as usize];
            return (DIALOG_INFO, dialog(&user, 0, "full", &note, state));
        }
        (PIDF, pidf_with_note(&user, "t", "open", &note))
    }

    fn publish(&mut self) {
        let user = self.random.below(4) as usize;
        let event = if self.random.chance(30) { "dialog" } else { "presence" };
        let (media_type, body) = self.document(user, event);
        let phone = self.phones[user].clone();
        let request = phone.publish_request(event, media_type, &body);
        let expires = 20 + self.random.below(200);
        let request = request.set("Expires", expires);
        let answer = phone.try_send(&request).filter(|answer| answer.status() == 200);
        if let Some(answer) = answer {
            let etag = answer.etag().to_owned();
            self.cards.push(Card { phone, event, media_type, etag });
        }
    }

    /// Refresh, modify or remove a publication, by a tag that may be old.
    fn republish(&mut self, body: &str, expires: u64) {
        let place = self.random.below(self.cards.len().max(1) as u64) as usize;
        let Some(card) = self.cards.get_mut(place) else { return };
        let request = card.phone.publish_request(card.event, card.media_type, body);
        let request = request.set("SIP-If-Match", &card.etag).set("Expires", expires);
        let answer = card.phone.try_send(&request).filter(|answer| answer.status() == 200);
        if let Some(answer) = answer {
            answer.etag().clone_into(&mut card.etag);
        }
    }

    fn subscribe(&mut self) {
        let (user, target) = (self.random.below(4) as usize, self.random.below(4));
        let event = EVENTS[self.random.below(4) as usize];
        let phone = self.phones[user].clone();
        let request = phone.subscribe_request(&format!("p{target}"), event);
        let expires = [0, 20, 100, 300][self.random.below(4) as usize];
        let request = request.set("Expires", expires);
        if phone.try_send(&request).is_some_and(|answer| answer.status() == 200) {
            self.watches.push(phone.subscribe_by(&request));
        }
    }

    fn deed(&mut self) {
        match self.random.below(14) {
            0..3 => self.publish(),
            3..6 => self.subscribe(),
            6 => self.republish("", 60),
            7 => {
                let body = self.document(0, "presence").1;
                self.republish(&body, 90);
            }
            8 => self.republish("", 0),
            9 => {
                let expires = [0, 50, 100][self.random.below(3) as usize];
                let place = self.random.below(self.watches.len().max(1) as u64) as usize;
                let watch = self.watches.get(place);
                drop(watch.map(|watch| watch.try_send(&watch.request(expires))));
            }
            10 => {
                let answer = ANSWERS[self.random.below(5) as usize];
                let phone = &self.phones[self.random.below(4) as usize];
                if self.random.chance(20) { phone.falls_silent() } else { phone.answers(answer) }
            }
            11 => {
                let full = self.random.below(300) as u16;
                self.world.disk(|disk| disk.full_per_mille(full));
            }
            12 => match self.random.below(3) {
                0 => self.world.crash(),
                1 => self.world.restart(),
                _ => self.world.disk(|disk| disk.stall(Span::seconds(3))),
            },
            _ => self.world.advance(Span::millis(self.random.below(20_000))),
        }
    }
}

fn run(seed: u64) {
    println!("seed {seed}");
    let mut chaos = Chaos::new(seed);
    for _ in 0..60 {
        chaos.deed();
    }
    let world = &chaos.world;
    world.faults(|faults| faults.loss = 0);
    world.disk(|disk| disk.full_per_mille(0));
    chaos.phones.iter().for_each(|phone| phone.answers("200 OK"));
    // The longest life is 300 s, the longest back-off 50 minutes, a waiting watcher's day the most.
    world.advance(Span::seconds(2 * 86_400));
    for gauge in [
        "presence_presentities",
        "presence_publications",
        "presence_subscriptions",
        "presence_waiting_watchers",
        "presence_changes_under_way",
        "presence_fan_outs",
        "presence_notifies_blocked",
        "presence_dirty_objects",
    ] {
        assert_eq!(world.metric(gauge, None), 0, "{gauge} with seed {seed}");
    }
    for kind in [Kind::Publication, Kind::Body, Kind::Subscription, Kind::Watcher] {
        let left = world.disk(|disk| disk.count(kind));
        assert_eq!(left, 0, "{kind:?} left in the store with seed {seed}");
    }
    check::all(&world.history());
}

/// Rows C83, C120: nothing grows without end.
#[test]
fn when_all_has_ended_nothing_is_left() {
    let seeds = std::env::var("LEAK_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    for seed in 0..seeds.unwrap_or(30) {
        run(seed);
    }
}
