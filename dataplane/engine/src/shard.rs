//! A shard: dispatch only. All state of the AoRs that hash to it lives here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::presence::Presence;
use crate::sip::{Sip, SipEvent};
use crate::{Command, Config, Core, Input, Instant, Now, Output, Reply, Timer};

/// One core's share of the server, pure.
pub struct Shard {
    core: Core,
    sip: Sip,
    presence: Presence,
}

impl Shard {
    /// A shard with no state. Stored objects follow as [`Input::Object`], then [`Input::Recovered`].
    ///
    /// # Panics
    /// When the configuration's shard or hash size is out of its range.
    pub fn new(config: Config, now: Now) -> Self {
        let mut core = Core::new(config, now);
        let sip = Sip::new(&mut core);
        let presence = Presence::new(&mut core);
        Self { core, sip, presence }
    }

    /// Take one input. Never fails, never blocks, never panics on outside bytes.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.core.now = now;
        match input {
            Input::Tick => self.tick(),
            Input::Stored { token, result } => {
                if let Some(owner) = self.core.take_store(token) {
                    self.presence.on_stored(&mut self.core, &mut self.sip, owner, result);
                }
            }
            Input::Object(object) => self.presence.on_object(&mut self.core, object),
            Input::Recovered { clean } => self.presence.on_recovered(&mut self.core, clean),
            Input::Command { id, command: Command::Metrics } => {
                let mut samples = Vec::new();
                self.core.counters.write(&mut samples);
                self.presence.gauges(&mut samples);
                self.core.emit_reply(id, Reply::Metrics(Box::new(samples)));
            }
            _ => {}
        }
        self.tell_failures();
    }

    /// The next thing to do; call until `None` after every [`Shard::handle`].
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        self.core.poll_output()
    }

    /// When to hand in [`Input::Tick`]: now while work remains, `None` when nothing is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let work = self.presence.next_work(&self.core);
        match (self.core.next_timer(), work) {
            (Some(timer), Some(work)) => Some(timer.min(work)),
            (timer, work) => timer.or(work),
        }
    }

    /// After [`Input::Drain`]: nothing is in flight and nothing unwritten.
    pub fn is_drained(&self) -> bool {
        self.presence.is_drained() && self.core.outputs_drained()
    }

    fn tick(&mut self) {
        self.core.advance_timers();
        while let Some(timer) = self.core.pop_timer() {
            match timer {
                Timer::Sip(timer) => self.sip.on_timer(&mut self.core, timer),
                Timer::Presence(timer) => {
                    self.presence.on_timer(&mut self.core, &mut self.sip, timer);
                }
            }
        }
        self.presence.tick(&mut self.core, &mut self.sip);
    }

    /// Requests of ours that ended without a response, after whatever ended them.
    fn tell_failures(&mut self) {
        while let Some((user, outcome)) = self.sip.poll_failure() {
            self.dispatch(SipEvent::Outcome { user, outcome });
        }
    }

    fn dispatch(&mut self, event: SipEvent<'_>) {
        let Self { core, sip, presence } = self;
        match event {
            SipEvent::Request(incoming) => presence.on_request(core, sip, incoming),
            SipEvent::Outcome { user, outcome } => presence.on_outcome(core, sip, user, outcome),
        }
    }
}
