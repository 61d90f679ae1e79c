//! The wall clock of the server's host, which people and daemons set, and what a process makes of
//! it.

use pharos_engine::{Instant, Span, Wall};

/// Wall time as the runtime reads it: it runs with the monotonic clock, follows the host's clock
/// forward and never goes back, over a restart not before the last stored commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    start: Wall,
    /// How far the host's clock has been set forward (or back) by now, milliseconds.
    set: i64,
    /// The furthest that the process has seen, beyond `start`.
    ahead: i64,
    /// Wall time of the newest commit.
    mark: Wall,
}

impl Clocks {
    pub(crate) const fn new(start: Wall) -> Self {
        Self { start, set: 0, ahead: 0, mark: Wall(0) }
    }

    /// The host's clock is set.
    pub(crate) fn jump(&mut self, milliseconds: i64) {
        self.set += milliseconds;
        self.ahead = self.ahead.max(self.set);
    }

    pub(crate) fn wall(&self, now: Instant) -> Wall {
        Wall((self.start + Span(now.0)).0.saturating_add_signed(self.ahead))
    }

    /// A commit is on disk, and with it the time.
    pub(crate) fn committed(&mut self, now: Instant) {
        self.mark = self.mark.max(self.wall(now));
    }

    /// A process starts and reads the newest stored time.
    pub(crate) fn boot(&mut self, now: Instant) {
        let running = (self.start + Span(now.0)).0;
        let stored = i64::try_from(self.mark.0).unwrap_or(0);
        let stored = stored.saturating_sub_unsigned(running);
        self.ahead = if self.mark > Wall(0) { self.set.max(stored) } else { self.set };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_never_goes_back() {
        let mut clocks = Clocks::new(Wall(1_000_000));
        let at = |seconds| Instant(0) + Span::seconds(seconds);
        clocks.committed(at(10));
        clocks.jump(-60_000);
        assert_eq!(clocks.wall(at(20)), Wall(1_020_000), "while it runs");
        clocks.boot(at(20));
        assert_eq!(clocks.wall(at(20)), Wall(1_010_000), "no sooner than the last commit");
        assert_eq!(clocks.wall(at(30)), Wall(1_020_000), "and it goes on");
        clocks.jump(100_000);
        assert_eq!(clocks.wall(at(30)), Wall(1_070_000), "forward with the host");
    }
}
