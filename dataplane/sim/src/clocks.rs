//! The wall clock of the server's host, which people and daemons set, and what a process makes of it.

use pharos_engine::{Instant, Span, Wall};

/// Wall time as the runtime reads it: never before the last stored commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    start: Wall,
    /// How far the host's clock has been set forward (or back) by now, milliseconds.
    offset: i64,
    /// The process began with this stored time.
    floor: Wall,
    /// Wall time of the newest commit.
    mark: Wall,
}

impl Clocks {
    pub(crate) const fn new(start: Wall) -> Self {
        Self { start, offset: 0, floor: Wall(0), mark: Wall(0) }
    }

    /// The host's clock is set.
    pub(crate) const fn jump(&mut self, milliseconds: i64) {
        self.offset += milliseconds;
    }

    pub(crate) fn wall(&self, now: Instant) -> Wall {
        let host = (self.start + Span(now.0)).0;
        Wall(host.saturating_add_signed(self.offset)).max(self.floor)
    }

    /// A commit is on disk, and with it the time.
    pub(crate) fn committed(&mut self, now: Instant) {
        self.mark = self.mark.max(self.wall(now));
    }

    /// A process starts and reads the newest stored time.
    pub(crate) const fn boot(&mut self) {
        self.floor = self.mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_does_not_go_behind_the_last_commit() {
        let mut clocks = Clocks::new(Wall(1_000_000));
        clocks.committed(Instant(0) + Span::seconds(10));
        clocks.jump(-60_000);
        assert_eq!(clocks.wall(Instant(0) + Span::seconds(20)), Wall(960_000), "while it runs");
        clocks.boot();
        assert_eq!(clocks.wall(Instant(0) + Span::seconds(30)), Wall(1_010_000), "after a start");
        assert_eq!(clocks.wall(Instant(0) + Span::seconds(90)), Wall(1_030_000), "caught up");
    }
}
