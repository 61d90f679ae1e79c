//! The only place that reads time: a monotonic clock for timers, a wall clock for stored expiry.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH};

use pharos_engine::{Instant, Now, Span, Wall};

/// A jump of the wall clock beyond this is worth a line in the log.
pub const WALL_JUMP: Duration = Duration::from_secs(3_600);

/// Both clocks of this process. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: StdInstant,
    /// Wall time never begins below this: the newest time that the data directory has seen.
    floor: Wall,
    /// Wall time at the start by the furthest reading of the host's clock, which all copies share.
    origin: &'static AtomicU64,
}

impl Clock {
    /// A clock that starts now; its wall time is never before `floor` (the last stored commit).
    pub fn new(floor: Wall) -> Self {
        // One for a process, and copies of the clock are everywhere.
        let origin = Box::leak(Box::new(AtomicU64::new(floor.0)));
        Self { start: read_monotonic(), floor, origin }
    }

    /// Both times, as the engine wants them: read once per batch.
    pub fn now(&self) -> Now {
        Now { instant: self.instant(), wall: self.wall() }
    }

    /// Monotonic time since the clock was made.
    pub fn instant(&self) -> Instant {
        let elapsed = read_monotonic().saturating_duration_since(self.start);
        Instant(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Wall time. It runs with the monotonic clock and follows the host's clock forward, but not
    /// back: what is stored now must not have ended by what was stored before.
    pub fn wall(&self) -> Wall {
        let elapsed = self.instant().0 / 1_000_000;
        let origin = read_wall().0.saturating_sub(elapsed);
        let furthest = self.origin.fetch_max(origin, Ordering::Relaxed).max(origin);
        Wall(furthest.saturating_add(elapsed))
    }

    /// By how much the machine's clock is behind (`Err`) or ahead of (`Ok`) the floor, when that is
    /// more than [`WALL_JUMP`] and there is a floor.
    pub fn jump(&self) -> Option<Result<Span, Span>> {
        let (now, floor) = (read_wall(), self.floor);
        let far = |span: Span| span.as_millis() > WALL_JUMP.as_millis() as u64;
        if floor == Wall(0) {
            None
        } else if now >= floor {
            Some(now.since(floor)).filter(|&span| far(span)).map(Ok)
        } else {
            Some(floor.since(now)).filter(|&span| far(span)).map(Err)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
fn read_monotonic() -> StdInstant {
    StdInstant::now()
}

#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
fn read_wall() -> Wall {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_does_not_go_below_the_stored_floor() {
        let ahead = Wall(read_wall().0 + 2 * 3_600_000);
        let clock = Clock::new(ahead);
        let soon = Wall(ahead.0 + 5_000);
        assert!((ahead..soon).contains(&clock.wall()));
        let copy = clock;
        clock.origin.fetch_add(7_200_000, Ordering::Relaxed);
        assert!(copy.wall() > Wall(ahead.0 + 7_200_000 - 1), "one time for all, and it goes on");
        assert!(matches!(clock.jump(), Some(Err(_))), "two hours behind is a jump");
    }

    #[test]
    fn monotonic_time_starts_near_zero_and_rises() {
        let clock = Clock::new(Wall(0));
        let first = clock.instant();
        assert!(first < Instant(0) + Span::seconds(5));
        assert!(clock.instant() >= first);
        assert_eq!(clock.jump(), None, "a fresh directory has nothing to compare with");
    }
}
