//! Random runs of the dialog package: partial documents over a network that loses, copies and
//! delays, and a server that crashes. Watchers who apply what they get end with what there is.
//!
//! `SWARM_SEEDS=5000 cargo test -p pharos-sim --test swarm_dialogs` looks further.

use std::collections::BTreeMap;

use pharos_parser::dialog_info::{self, DialogState};
use pharos_sim::documents::DIALOG_INFO;
use pharos_sim::{Faults, Phone, Random, Sip, Span, Subscription, World, check};

const STATES: [&str; 5] = ["trying", "proceeding", "early", "confirmed", "terminated"];

/// One publisher of the line: its calls, and whether the server knows them.
struct Publisher {
    phone: Phone,
    etag: Option<String>,
    /// Call number -> place in [`STATES`].
    calls: BTreeMap<u64, usize>,
}

/// What a watcher knows of the line.
#[derive(Default)]
struct Table {
    version: Option<u32>,
    dialogs: BTreeMap<String, DialogState>,
}

impl Table {
    /// RFC 4235 4.3: a full document replaces, a partial one must be the next version.
    fn apply(&mut self, notify: &Sip) {
        if notify.body.is_empty() {
            return;
        }
        let info = dialog_info::validate(notify.body.as_bytes()).expect("dialog-info");
        let version = info.outline.root.attribute("version").expect("a version").value;
        let version: u32 = version.parse().expect("a number");
        assert!(self.version.is_none_or(|before| version > before), "{version}\n{notify}");
        if info.partial {
            assert_eq!(Some(version), self.version.map(|before| before + 1), "a gap\n{notify}");
        }
        self.version = Some(version);
        let before = self.dialogs.clone();
        if !info.partial {
            self.dialogs.clear();
        }
        for dialog in &info.dialogs {
            let state = dialog.state.expect("a state");
            let known = before.get(dialog.id.as_ref());
            assert!(known.is_none_or(|known| *known <= state), "{} went back", dialog.id);
            match state {
                DialogState::Terminated => drop(self.dialogs.remove(dialog.id.as_ref())),
                state => drop(self.dialogs.insert(dialog.id.to_string(), state)),
            }
        }
    }

    fn of(watch: &Subscription) -> Self {
        let (mut table, mut cseq) = (Self::default(), 0);
        for notify in watch.notifies() {
            // One that a crashed server sent may arrive after its successor's (RFC 3261 12.2.2).
            if notify.cseq() > cseq {
                cseq = notify.cseq();
                table.apply(&notify);
            }
        }
        table
    }
}

struct Swarm {
    world: World,
    random: Random,
    publishers: Vec<Publisher>,
    watchers: Vec<Phone>,
    watches: Vec<Subscription>,
    crashes: bool,
    calls: u64,
}

impl Swarm {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let world = World::new(|setup| {
            setup.seed = seed;
            setup.shards = 1 + random.below(3) as u16;
            setup.commit_time = Span::millis(random.below(20));
            setup.faults.loss = random.below(20) as u8;
            setup.faults.duplicate = random.below(20) as u8;
            setup.faults.late = random.below(30) as u8;
        });
        let publisher =
            |_| Publisher { phone: world.phone("line"), etag: None, calls: BTreeMap::new() };
        let publishers = (0..2).map(publisher).collect();
        let watchers = (0..3).map(|index| world.phone(&format!("w{index}"))).collect();
        let crashes = random.chance(60);
        Self { world, random, publishers, watchers, watches: Vec::new(), crashes, calls: 0 }
    }

    /// A call moves on or begins, and the publisher says so.
    fn call(&mut self, index: usize) -> bool {
        let fresh = self.random.chance(30);
        let publisher = &mut self.publishers[index];
        publisher.calls.retain(|_, state| *state < 4);
        let moving = publisher.calls.iter_mut().next_back().filter(|_| !fresh);
        match moving {
            Some((_, state)) => *state = (*state + 1 + self.random.below(2) as usize).min(4),
            None => {
                self.calls += 1;
                publisher.calls.insert(self.calls, self.random.below(3) as usize);
            }
        }
        self.tell(index)
    }

    /// Publish all calls; by a lost tag or a lost answer the publisher begins anew.
    fn tell(&mut self, index: usize) -> bool {
        let publisher = &mut self.publishers[index];
        let one = |(id, state): (&u64, &usize)| {
            let state = STATES[*state];
            format!("<dialog id=\"c{id}\" call-id=\"{id}\"><state>{state}</state></dialog>")
        };
        let body = format!(
            "<dialog-info xmlns=\"{}\" version=\"0\" state=\"full\" \
             entity=\"sip:line@example.com\">{}</dialog-info>",
            dialog_info::NAMESPACE,
            publisher.calls.iter().map(one).collect::<String>(),
        );
        let mut request = publisher.phone.publish_request("dialog", DIALOG_INFO, &body);
        if let Some(etag) = &publisher.etag {
            request = request.set("SIP-If-Match", etag);
        }
        let answer = publisher.phone.try_send(&request.set("Expires", 300));
        publisher.etag = match answer {
            Some(sip) if sip.status() == 200 => Some(sip.etag().to_owned()),
            Some(sip) if !matches!(sip.status(), 412 | 503) => panic!("{sip}"),
            _ => None,
        };
        publisher.etag.is_some()
    }

    fn subscribe(&mut self) {
        let watcher = &self.watchers[self.random.below(3) as usize];
        let request = watcher.subscribe_request("line", "dialog");
        if watcher.try_send(&request).is_some_and(|sip| sip.status() == 200) {
            self.watches.push(watcher.subscribe_by(&request));
        }
    }

    fn deed(&mut self) {
        match self.random.below(12) {
            0..=5 => drop(self.call(0)),
            6..=7 => drop(self.call(1)),
            8 => self.subscribe(),
            9 if self.crashes => self.world.shards(1 + self.random.below(3) as u16).crash(),
            _ => self.world.advance(Span::millis(self.random.below(2_000))),
        }
    }

    /// Faults have stopped, what was lost is published once more, and old publications expire.
    fn converge(&mut self) -> usize {
        self.world.faults(|faults| *faults = Faults::default());
        self.world.advance(Span::seconds(90));
        for _ in 0..5 {
            for index in 0..2 {
                assert!((0..3).any(|_| self.tell(index)), "a publication without faults");
            }
            self.world.advance(Span::seconds(100));
        }
        let reader = self.world.phone("reader");
        let truth = Table::of(&{
            let watch = reader.subscribe("line", "dialog");
            watch.notify();
            watch
        });
        let mut alive = 0;
        for watch in &self.watches {
            let table = Table::of(watch);
            if watch.refresh(600).status() == 200 {
                assert_eq!(table.dialogs, truth.dialogs, "{:?}", watch.notifies().last());
                alive += 1;
            }
        }
        alive
    }
}

fn run(seed: u64) -> usize {
    let mut swarm = Swarm::new(seed);
    swarm.subscribe();
    for _ in 0..50 {
        swarm.deed();
    }
    let alive = swarm.converge();
    check::all(&swarm.world.history());
    alive
}

/// RFC 4235 3.7.1 and 4.3, row C115, architecture section 6: no gap, no way back, one end.
#[test]
fn watchers_of_dialogs_converge() {
    let asked = std::env::var("SWARM_SEEDS").ok().and_then(|number| number.parse().ok());
    let seeds = asked.unwrap_or(15);
    let alive: usize = (1..=seeds)
        .map(|seed| {
            println!("seed {seed}");
            run(seed)
        })
        .sum();
    assert!(alive as u64 > seeds, "the runs are worth something: {alive} subscriptions");
}
