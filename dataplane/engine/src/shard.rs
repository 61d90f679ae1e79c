//! A shard: dispatch only. All state of the AoRs that hash to it lives here.

use crate::{Config, Input, Instant, Now, Output};

/// One core's share of the server, pure.
pub struct Shard {
    config: Config,
    now: Now,
}

impl Shard {
    /// A shard with no state. Stored objects follow as [`Input::Object`], then [`Input::Recovered`].
    pub fn new(config: Config, now: Now) -> Self {
        Self { config, now }
    }

    /// Take one input. Never fails, never blocks, never panics on outside bytes.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let _ = (&self.config, input);
        self.now = now;
    }

    /// The next thing to do; call until `None` after every [`Shard::handle`].
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        None
    }

    /// When to hand in [`Input::Tick`]: now while work remains, `None` when nothing is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// After [`Input::Drain`]: nothing is in flight and nothing unwritten.
    pub fn is_drained(&self) -> bool {
        true
    }
}
