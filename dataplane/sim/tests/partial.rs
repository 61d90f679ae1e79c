//! Partial documents: a watcher that keeps only what it is told ends with what a full document says
//! (RFC 3858 4, RFC 4235 3.7; rows C115, C116), whatever the network and the process do meanwhile.

use std::collections::BTreeMap;

use pharos_sim::documents::DIALOG_INFO;
use pharos_sim::{Faults, Phone, Random, Sip, Span, Subscription, World, check};

/// What a watcher knows: version and state of each item by its id.
#[derive(Debug, Default, PartialEq)]
struct Known {
    version: Option<u64>,
    items: BTreeMap<String, String>,
}

impl Known {
    /// Read one document as RFC 3858 5.1 and RFC 4235 4 say: full replaces, partial adds. A partial
    /// one must follow its predecessor.
    fn take(&mut self, notify: &Sip, element: &str) {
        if notify.body.is_empty() {
            return;
        }
        let version = notify.attribute("version").expect("a version").parse().expect("a number");
        if notify.body.contains("state=\"full\"") {
            self.items.clear();
        } else {
            let follows = self.version.is_some_and(|last| version == last + 1);
            assert!(follows, "partial {version} after {:?}\n{notify}", self.version);
        }
        self.version = Some(version);
        for piece in notify.body.split(&format!("<{element} ")).skip(1) {
            let id =
                piece.split_once("id=\"").expect("an id").1.split('"').next().expect("a value");
            let state = match element {
                "watcher" => piece.split_once("status=\"").expect("a status").1,
                _ => {
                    piece
                        .split_once("<state")
                        .and_then(|(_, s)| s.split_once('>'))
                        .expect("state")
                        .1
                }
            };
            let state: String = state.chars().take_while(char::is_ascii_alphanumeric).collect();
            if state == "terminated" {
                self.items.remove(id);
            } else {
                self.items.insert(id.to_owned(), state);
            }
        }
    }

    /// All of a dialog's NOTIFYs but those that others have overtaken (RFC 3261 12.2.2).
    fn of(watch: &Subscription, element: &str) -> Self {
        let (mut known, mut cseq) = (Self::default(), 0);
        for notify in watch.notifies() {
            if notify.cseq() > cseq {
                cseq = notify.cseq();
                known.take(&notify, element);
            }
        }
        known
    }
}

/// Compare what was told with what a refresh shows; how much was told by parts.
fn settle(world: &World, watch: &Subscription, element: &str) -> usize {
    world.faults(|faults| *faults = Faults::default());
    world.advance(Span::seconds(90));
    let told = Known::of(watch, element);
    let partial = |notify: &&Sip| notify.body.contains("state=\"partial\"");
    let parts = watch.notifies().iter().filter(partial).count();
    if watch.refresh(600).status() != 200 {
        return 0;
    }
    world.settle();
    let last = watch.last();
    if !last.body.contains("state=\"full\"") {
        // A watcher ran out right after the refresh.
        return settle(world, watch, element);
    }
    let mut full = Known::default();
    full.take(&last, element);
    assert_eq!(told.items, full.items, "told by parts, and at once:\n{last}");
    check::one("rising", &world.history());
    parts
}

fn world(seed: u64, random: &mut Random) -> World {
    World::new(|setup| {
        setup.seed = seed;
        setup.shards = 1 + random.below(3) as u16;
        setup.faults.loss = random.below(20) as u8;
        setup.faults.duplicate = random.below(20) as u8;
        setup.faults.late = random.below(30) as u8;
        setup.config.presence.force_active = random.chance(50);
    })
}

/// RFC 3857 4.7.1: watchers come, go, run out and fall silent.
fn watchers(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let world = world(seed, &mut random);
    let alice = world.phone("alice");
    let crowd: Vec<Phone> = (0..5).map(|i| world.phone(&format!("w{i}"))).collect();
    let request = alice.subscribe_request("alice", "presence.winfo");
    if alice.try_send(&request).is_none() {
        return 0;
    }
    let watch = alice.subscribe_by(&request);
    let mut watches = Vec::new();
    for _ in 0..30 {
        match random.below(8) {
            0..=3 => {
                let phone = &crowd[random.below(5) as usize];
                let expires = 60 * random.below(3);
                let request = phone.subscribe_request("alice", "presence").set("Expires", expires);
                if phone.try_send(&request).is_some() {
                    watches.push(phone.subscribe_by(&request));
                }
            }
            4 if !watches.is_empty() => {
                let gone = watches.swap_remove(random.below(watches.len() as u64) as usize);
                drop(gone.try_send(&gone.request(0)));
            }
            5 if random.chance(40) => world.crash(),
            _ => world.advance(Span::millis(random.below(20_000))),
        }
    }
    settle(&world, &watch, "watcher")
}

/// RFC 4235 3.7: calls begin, proceed and end in full and partial publications.
fn calls(seed: u64) -> usize {
    const STATES: [&str; 4] = ["trying", "early", "confirmed", "terminated"];
    let mut random = Random::new(seed);
    let world = world(seed, &mut random);
    world.configure(|setup| setup.config.presence.force_active = true);
    world.restart();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let mut etag = None;
    let request = bob.subscribe_request("alice", "dialog");
    if bob.try_send(&request).is_none_or(|sip| sip.status() != 200) {
        return 0;
    }
    let watch = bob.subscribe_by(&request);
    for version in 0..30 {
        if random.chance(8) {
            world.crash();
        }
        let kind = if random.chance(50) { "full" } else { "partial" };
        let mut body = format!(
            "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
             state=\"{kind}\" entity=\"sip:alice@example.com\">"
        );
        for id in 0..4 {
            if random.chance(60) {
                let state = STATES[random.below(4) as usize];
                body += &format!("<dialog id=\"d{id}\"><state>{state}</state></dialog>");
            }
        }
        body += "</dialog-info>";
        let mut publish = alice.publish_request("dialog", DIALOG_INFO, &body);
        if let Some(etag) = &etag {
            publish = publish.set("SIP-If-Match", etag);
        }
        etag = match alice.try_send(&publish) {
            Some(sip) if sip.status() == 200 => Some(sip.etag().to_owned()),
            _ => None,
        };
        world.advance(Span::millis(random.below(1_500)));
    }
    settle(&world, &watch, "dialog")
}

/// `SWARM_SEEDS=1000` looks further than the fixed seeds.
fn all(run: impl Fn(u64) -> usize) {
    let asked = std::env::var("SWARM_SEEDS").ok().and_then(|number| number.parse().ok());
    let seeds = asked.unwrap_or(25);
    let mut parts = 0;
    for seed in 1..=seeds {
        println!("seed {seed}");
        parts += run(seed);
    }
    assert!(parts as u64 > 2 * seeds, "the runs are worth something: {parts} partial documents");
}

#[test]
fn watcher_information_told_by_parts_is_whole() {
    all(watchers);
}

#[test]
fn dialog_state_told_by_parts_is_whole() {
    all(calls);
}
