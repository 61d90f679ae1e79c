//! What a seed makes of a run: how many of everything, and which things go wrong in it. Not all do
//! in every run: what never happens beside something else is found by other seeds.

use std::fmt;
use std::str::FromStr;

use pharos_engine::Span;

use crate::network::Faults;
use crate::random::Random;
use crate::sabotage::Sabotage;
use crate::setup::Setup;

/// What can go wrong, as it can be left out of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Datagrams get lost.
    Loss,
    /// Datagrams arrive twice.
    Duplicates,
    /// Datagrams overtake each other.
    Reordering,
    /// Peers are cut off, one way or both.
    Partitions,
    /// Connections break.
    Breaks,
    /// The process dies and starts again.
    Crashes,
    /// It stops in order and starts again.
    Restarts,
    /// The disk is slow, full or gone.
    Disk,
    /// The wall clock is set forward and back.
    Jumps,
    /// User agents are silent, slow, or answer NOTIFY with errors.
    Manners,
    /// Broken messages come from strangers.
    Hostile,
}

impl Trouble {
    /// All of it.
    pub const ALL: [Self; 11] = [
        Self::Loss,
        Self::Duplicates,
        Self::Reordering,
        Self::Partitions,
        Self::Breaks,
        Self::Crashes,
        Self::Restarts,
        Self::Disk,
        Self::Jumps,
        Self::Manners,
        Self::Hostile,
    ];
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Trouble {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|trouble| trouble.to_string() == text);
        known.ok_or_else(|| {
            let all: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
            format!("not one of {}", all.join(", "))
        })
    }
}

/// What a caller wants of all runs.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Commit mode or periodic mode; else the seed chooses.
    pub commit: Option<bool>,
    /// What is left out.
    pub without: Vec<Trouble>,
    /// No more deeds than this before the calm.
    pub deeds: Option<u64>,
    /// A promise to break.
    pub sabotage: Option<Sabotage>,
    /// Print what passes.
    pub trace: bool,
}

/// What a seed has drawn.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) commit: bool,
    /// Presentities.
    pub(crate) users: u64,
    /// Publishers, each of one event of one presentity.
    pub(crate) publishers: u64,
    pub(crate) watchers: u64,
    pub(crate) strangers: u64,
    /// How long things go wrong.
    pub(crate) storm: Span,
    /// Milliseconds between two deeds of one client, at the most.
    pub(crate) pause: u64,
    /// Longest Expires that anybody asks for, seconds.
    pub(crate) expires: u64,
    /// The wall clock jumps by no more than this, seconds.
    pub(crate) jump: u64,
    pub(crate) setup: Setup,
}

impl Plan {
    pub(crate) fn draw(seed: u64, wishes: &Wishes) -> Self {
        let mut random = Random::new(seed);
        let mut troubles = Vec::new();
        for trouble in Trouble::ALL {
            // Drawn in any case, so that leaving one out changes no other.
            if random.chance(55) && !wishes.without.contains(&trouble) {
                troubles.push(trouble);
            }
        }
        let commit = random.chance(75);
        let commit = wishes.commit.unwrap_or(commit);
        let mut setup = Setup { seed, trace: wishes.trace, ..Setup::default() };
        setup.sabotage = wishes.sabotage;
        setup.shards = random.between(1, 8) as u16;
        setup.lanes = 1 << random.below(3);
        setup.commit_time = Span::millis(random.below(20));
        setup.mesh_time = Span(*random.pick(&[50_000, 1_000_000, 20_000_000]));
        Self::configure(&mut setup, &mut random, commit);
        let faults =
            [random.between(1, 25), random.between(1, 25), random.between(1, 40)].map(|n| n as u8);
        let chance = |trouble, at: usize| if troubles.contains(&trouble) { faults[at] } else { 0 };
        setup.faults = Faults {
            loss: chance(Trouble::Loss, 0),
            duplicate: chance(Trouble::Duplicates, 1),
            late: chance(Trouble::Reordering, 2),
        };
        Self {
            commit,
            users: random.between(1, 4),
            publishers: random.between(1, 6),
            watchers: random.between(1, 8),
            strangers: u64::from(troubles.contains(&Trouble::Hostile)),
            storm: Span::seconds(random.between(30, 240)),
            pause: *random.pick(&[1_000, 8_000, 8_000, 30_000]),
            expires: random.between(60, 180),
            jump: random.between(1, 120),
            troubles,
            setup,
        }
    }

    fn configure(setup: &mut Setup, random: &mut Random, commit: bool) {
        let config = &mut setup.config;
        config.commit = commit;
        config.update_period = random.between(1, 20) as u32;
        config.hash_size = random.between(4, 14) as u8;
        let presence = &mut config.presence;
        presence.waiting_subs_daysno = 1;
        presence.expires_offset = *random.pick(&[0, 0, 5]);
        presence.end_sub_on_timeout = random.chance(60);
        presence.force_active = random.chance(80);
        presence.subs_respond_202 = random.chance(30);
        presence.mix_dialog_presence = random.chance(30);
        presence.notify_offline_body = random.chance(30);
        presence.generate_offline_body = random.chance(70);
        if random.chance(30) {
            presence.notify_interval = vec![("presence".into(), 2_000), ("dialog".into(), 1_000)];
        }
    }

    pub(crate) fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }

    /// The packages that clients use.
    pub(crate) const EVENTS: [&str; 5] =
        ["presence", "presence", "presence", "dialog", "message-summary"];
}
