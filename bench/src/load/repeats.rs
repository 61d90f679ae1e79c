//! When requests are sent again (RFC 3261 17.1.2.2, timers E and F).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::T1;
use crate::sip::read::Actor;

/// Repetitions at 0.5, 1.5, 3.5, 7.5 s and then every 4 s; after them 64 T1 are over.
const MOST: u8 = 10;

/// A request that may have to be sent again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    at: Instant,
    pub(super) actor: Actor,
    pub(super) cseq: u32,
    /// How often it was sent again.
    pub(super) again: u8,
}

/// All of them: those that wait equally long stand in line.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    lines: [VecDeque<Due>; 4],
}

impl Repeats {
    /// A request was sent, for the first time or again.
    pub(super) fn sent(&mut self, at: Instant, actor: Actor, cseq: u32, again: u8) {
        let line = usize::from(again).min(self.lines.len() - 1);
        let wait = T1 * (1 << line);
        self.lines[line].push_back(Due { at: at + wait, actor, cseq, again: again + 1 });
    }

    /// One whose time has come.
    pub(super) fn next(&mut self, at: Instant) -> Option<Due> {
        let ripe = |line: &VecDeque<Due>| line.front().is_some_and(|due| due.at <= at);
        self.lines.iter_mut().find(|line| ripe(line))?.pop_front()
    }

    /// Until the next time comes.
    pub(super) fn wait(&self, at: Instant) -> Option<Duration> {
        let due = self.lines.iter().filter_map(|line| Some(line.front()?.at)).min()?;
        Some(due.saturating_duration_since(at))
    }
}

impl Due {
    /// It is over: nobody answers.
    pub(super) fn gives_up(&self) -> bool {
        self.again > MOST
    }
}
