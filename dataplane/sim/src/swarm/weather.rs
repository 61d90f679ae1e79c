//! What goes wrong besides loss: crashes, restarts, cuts, broken connections, disks and clocks.

use pharos_engine::{Instant, Span};
use pharos_storage::StoreError;

use super::plan::{Plan, Trouble};
use crate::network::Cut;
use crate::phone::Phone;
use crate::random::Random;
use crate::world::World;

/// Deeds of the weather, and how often each comes among those that a run has.
const DEEDS: [(Trouble, u64); 6] = [
    (Trouble::Crashes, 4),
    (Trouble::Restarts, 1),
    (Trouble::Partitions, 3),
    (Trouble::Breaks, 4),
    (Trouble::Disk, 3),
    (Trouble::Jumps, 2),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Weather {
    /// The process is down until then.
    boots: Option<Instant>,
    /// By how much the wall clock was set back, all times together, milliseconds.
    pub(crate) set_back: u64,
}

impl Weather {
    pub(crate) const fn new() -> Self {
        Self { boots: None, set_back: 0 }
    }

    /// Do something; when to do the next thing.
    pub(crate) fn act(
        &mut self,
        world: &World,
        plan: &Plan,
        random: &mut Random,
        phones: &[Phone],
    ) -> Instant {
        let now = world.now();
        if self.boots.take().is_some() {
            world.boot();
            return now + Span::millis(random.between(1, 10_000));
        }
        let deeds: Vec<(Trouble, u64)> =
            DEEDS.into_iter().filter(|(trouble, _)| plan.has(*trouble)).collect();
        let mut draw = random.below(deeds.iter().map(|(_, share)| share).sum());
        for (trouble, share) in deeds {
            if draw < share {
                self.happen(trouble, world, plan, random, phones);
                break;
            }
            draw -= share;
        }
        let pause = Span::millis(random.between(10, 20_000));
        self.boots.unwrap_or_else(|| world.now() + pause)
    }

    fn happen(
        &mut self,
        trouble: Trouble,
        world: &World,
        plan: &Plan,
        random: &mut Random,
        phones: &[Phone],
    ) {
        match trouble {
            Trouble::Crashes => {
                another_layout(world, random);
                world.kill();
                let down = *random.pick(&[1, 200, 4_000, 30_000]);
                self.boots = Some(world.now() + Span::millis(random.between(1, down)));
            }
            Trouble::Restarts => {
                another_layout(world, random);
                world.restart();
            }
            Trouble::Partitions => cut(world, random, phones),
            Trouble::Breaks => random.pick(phones).hangs_up(),
            Trouble::Disk => disk(world, plan, random),
            Trouble::Jumps => {
                let most = plan.jump * 1_000;
                let milliseconds = random.between(1, most) as i64;
                let back = random.chance(50);
                self.set_back += if back { milliseconds.unsigned_abs() } else { 0 };
                world.jump(if back { -milliseconds } else { milliseconds });
            }
            _ => {}
        }
    }

    /// Everything is well again.
    pub(crate) fn clear(&mut self, world: &World) {
        world.faults(|faults| *faults = crate::Faults::default());
        world.heal();
        world.disk(|disk| {
            disk.full_per_mille(0);
            disk.stall(Span(0));
        });
        if self.boots.take().is_some() {
            world.boot();
        } else if world.disk(|disk| disk.is_closed()) {
            // What an operator does when a disk is gone.
            world.crash();
        }
    }
}

/// The next process has another number of shards and slots.
fn another_layout(world: &World, random: &mut Random) {
    if random.chance(60) {
        world.configure(|setup| {
            setup.shards = random.between(1, 8) as u16;
            setup.config.hash_size = random.between(4, 14) as u8;
        });
    }
}

/// One peer or all, one way or both.
fn cut(world: &World, random: &mut Random, phones: &[Phone]) {
    let how = *random.pick(&[Cut::Both, Cut::ToServer, Cut::FromServer]);
    let span = Span::millis(random.between(100, 45_000));
    if random.chance(30) {
        phones.iter().for_each(|phone| world.cut(phone, how, span));
    } else {
        world.cut(random.pick(phones), how, span);
    }
}

/// In periodic mode only slowness: a disk that takes nothing keeps no period.
fn disk(world: &World, plan: &Plan, random: &mut Random) {
    if !plan.commit {
        return world.disk(|disk| disk.stall(Span::millis(random.below(800))));
    }
    match random.below(6) {
        0 | 1 => world.disk(|disk| disk.stall(Span::millis(random.below(5_000)))),
        2 => world.disk(|disk| disk.stall(Span::millis(random.below(45_000)))),
        3 => world.disk(|disk| disk.full_per_mille(random.below(500) as u16)),
        4 => world.disk(|disk| disk.next_commit(Err(StoreError::Full))),
        _ if plan.has(Trouble::Crashes) && random.chance(30) => {
            world.disk(|disk| disk.next_commit(Err(StoreError::Closed)));
        }
        _ => world.disk(|disk| disk.full_per_mille(0)),
    }
}
