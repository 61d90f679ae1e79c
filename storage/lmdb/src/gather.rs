//! How long a lane lets a batch gather before it commits.
//!
//! A commit costs a lane some 100 us of CPU however small it is, so at 1 000 operations a second it
//! is worth milliseconds of waiting, and with a fixed number of clients that each wait for their
//! answer it is worth none once all of them have asked again. A lane cannot see which it is, but it
//! can see the pace at which operations come, how many the last batch had, and whether waiting
//! beyond that number has won anything of late.

/// A batch of so many that has gathered for [`SHORT`] is committed: more would cost little less.
const ENOUGH: usize = 64;

/// How long a batch gathers at least while more come quickly, nanoseconds.
const SHORT: u64 = 1_000_000;

/// When fewer than this are to be expected within the window, nobody is kept waiting for them.
const LITTLE: u64 = 4;

/// A pause as long as so many operations take says that no more are coming.
const PAUSE: u64 = 8;

/// Times that a batch at most is not kept waiting beyond the size of the last, after that won
/// nothing.
const SKIPS: u32 = 255;

/// What a lane has learnt of how its operations come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gather {
    /// Longest that an operation waits, nanoseconds.
    window: u64,
    /// From one operation to the next, nanoseconds, smoothed over some batches.
    pace: u64,
    /// When the last batch was closed, and how many were in it.
    closed: u64,
    last: usize,
    /// Batches not to be kept waiting beyond the size of the last, and how many the next time.
    skip: u32,
    skips: u32,
}

/// A moment of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Nanoseconds of the lane's clock.
    pub(crate) now: u64,
    /// Operations that wait to be committed.
    pub(crate) have: usize,
}

impl Gather {
    /// Knows nothing yet.
    pub(crate) const fn new(window: u64) -> Self {
        Self { window, pace: window, closed: 0, last: 0, skip: 0, skips: 0 }
    }

    /// Lets a batch gather whose oldest operation came at `first`. `wait` sleeps until so many
    /// operations have come beside those that were there, or for so many nanoseconds.
    pub(crate) fn gather(
        &mut self,
        first: u64,
        seen: Seen,
        full: usize,
        mut wait: impl FnMut(usize, u64) -> Seen,
    ) -> Seen {
        if self.window == 0 || LITTLE * self.pace > self.window {
            return seen;
        }
        // As many as the last time, but no more than come while a batch is young.
        let target = self.last.min(ENOUGH.max((SHORT / self.pace.max(1)) as usize)).min(full);
        let mut seen = seen;
        if seen.have < target {
            let left = (first + self.window).saturating_sub(seen.now);
            let usual = (2 * target as u64 * self.pace).max(SHORT / 4);
            seen = wait(target - seen.have, usual.min(left));
        }
        if seen.have < target {
            return seen;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return seen;
        }
        self.more(first, seen, full, wait)
    }

    /// Lets more come than the last time, as long as they do.
    fn more(
        &mut self,
        first: u64,
        mut seen: Seen,
        full: usize,
        mut wait: impl FnMut(usize, u64) -> Seen,
    ) -> Seen {
        loop {
            let waited = seen.now.saturating_sub(first);
            let enough = seen.have >= ENOUGH && waited >= SHORT;
            if enough || seen.have >= full || waited >= self.window {
                return seen;
            }
            let pause = (PAUSE * self.pace).min(self.window - waited);
            let before = seen.have;
            seen = wait(full - before, pause);
            let came = (seen.have - before) as u64;
            if came == 0 && pause >= LITTLE * self.pace {
                self.skips = (2 * self.skips + 15).min(SKIPS);
                self.skip = self.skips;
            } else if came > 0 {
                self.skips = 0;
            }
            if 2 * came * self.pace < pause {
                return seen;
            }
        }
    }

    /// A batch of so many operations is closed.
    pub(crate) fn closed(&mut self, now: u64, count: usize) {
        if count > 0 {
            // A long rest says little about the pace after it.
            let took = now.saturating_sub(self.closed).min(self.window * count as u64);
            self.pace = (3 * self.pace + took / count as u64) / 4;
            (self.closed, self.last) = (now, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 10_000_000;
    const COMMIT: u64 = 400_000;

    /// Runs a lane over operations; `come` says when those come that are asked for after an answer
    /// at a moment. Returns the mean size of its batches and the mean wait, after a while.
    fn run(mut due: Vec<u64>, mut again: impl FnMut(u64) -> Option<u64>) -> (f64, f64) {
        let (mut gather, mut now) = (Gather::new(WINDOW), 0);
        let (mut batches, mut ops, mut waits) = (0, 0, 0);
        for turn in 0..3_000 {
            due.sort_unstable();
            let Some(&first) = due.first() else { break };
            now = now.max(first);
            let have = |now: u64| due.partition_point(|&at| at <= now);
            let seen = Seen { now, have: have(now) };
            let seen = gather.gather(first, seen, 512, |more, nanos| {
                let there = have(now);
                let reached = due.get(there + more - 1).copied().unwrap_or(u64::MAX);
                now = (now + nanos).min(reached.max(now));
                Seen { now, have: have(now) }
            });
            now = seen.now;
            let batch: Vec<u64> = due.drain(..seen.have.min(512)).collect();
            gather.closed(now, batch.len());
            now += COMMIT;
            if turn >= 500 {
                batches += 1;
                ops += batch.len();
                waits += batch.iter().map(|at| now - at).sum::<u64>();
            }
            due.extend((0..batch.len()).filter_map(|_| again(now)));
        }
        (ops as f64 / f64::from(batches), waits as f64 / ops as f64)
    }

    fn random(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Arrivals at a rate, whatever becomes of them.
    fn open(rate: f64) -> (f64, f64) {
        let (mut state, mut at) = (7, 0.0);
        let due = (0..100_000).map(|_| {
            at += -random(&mut state).max(1e-12).ln() / rate * 1e9;
            at as u64
        });
        run(due.collect(), |_| None)
    }

    /// Clients that ask again some time after each answer.
    fn closed(clients: u64) -> (f64, f64) {
        let mut state = 3;
        let due = (0..clients).map(|n| n * 10_000).collect();
        run(due, |now| Some(now + 50_000 + (random(&mut state) * 10_000.0 * clients as f64) as u64))
    }

    #[test]
    fn little_waits_for_nothing() {
        let (batch, wait) = open(100.0);
        assert!(batch < 1.2 && wait < 1.5 * COMMIT as f64, "{batch} {wait}");
    }

    #[test]
    fn a_moderate_rate_shares_commits_within_the_window() {
        let (batch, wait) = open(1_000.0);
        assert!(batch > 5.0 && wait < (WINDOW + COMMIT) as f64, "{batch} {wait}");
        let (batch, wait) = open(10_000.0);
        assert!(batch > 30.0 && wait < (WINDOW + COMMIT) as f64, "{batch} {wait}");
    }

    #[test]
    fn many_wait_a_millisecond_or_two() {
        let (batch, wait) = open(100_000.0);
        assert!(batch > 60.0 && wait < 2_000_000.0, "{batch} {wait}");
    }

    #[test]
    fn who_waits_for_an_answer_is_not_kept_waiting_for_others() {
        let (batch, wait) = closed(1);
        assert!(batch < 1.1 && wait < 1.3 * COMMIT as f64, "{batch} {wait}");
        let (batch, wait) = closed(64);
        assert!(batch > 50.0 && wait < 1_500_000.0, "{batch} {wait}");
        let (batch, wait) = closed(16);
        assert!(batch > 10.0 && wait < 1_000_000.0, "{batch} {wait}");
    }
}
