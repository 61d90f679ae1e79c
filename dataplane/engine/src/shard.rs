//! A shard: dispatch only. All state of the AoRs that hash to it lives here.

use alloc::boxed::Box;
use alloc::vec::Vec;

use pharos_parser::Message;

use crate::limits::OUTPUTS_PER_TICK;
use crate::net::Path;
use crate::presence::Presence;
use crate::sip::{Origin, Sip, SipEvent};
use crate::{Command, Config, Core, Input, Instant, Mesh, Now, Output, Reply, Timer};

/// One core's share of the server, pure.
pub struct Shard {
    pub(crate) core: Core,
    pub(crate) sip: Sip,
    presence: Presence,
    /// Room for the AoR of the request in hand.
    aor: Vec<u8>,
}

impl Shard {
    /// A shard with no state. Stored objects follow as [`Input::Object`], then
    /// [`Input::Recovered`].
    ///
    /// # Panics
    /// When the configuration's shard or hash size is out of its range.
    pub fn new(config: Config, now: Now) -> Self {
        let mut core = Core::new(config, now);
        let sip = Sip::new(&mut core);
        let presence = Presence::new(&mut core);
        Self { core, sip, presence, aor: Vec::new() }
    }

    /// Take one input. Never fails, never blocks, never panics on outside bytes.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        self.core.now = now;
        let Self { core, sip, presence, .. } = self;
        match input {
            Input::Tick => self.tick(),
            Input::Message { path, bytes } => self.message(path, Origin::Network, bytes),
            Input::Mesh(Mesh::Message { path, bytes }) => self.message(path, Origin::Shard, &bytes),
            Input::Mesh(Mesh::Send { flow, bytes }) => sip.relay(core, flow, &bytes),
            Input::Unframed { path, bytes, error } => {
                sip.receive_unframed(core, path, bytes, error);
            }
            Input::Unreachable { listener, peer } => sip.datagram_refused(core, listener, peer),
            Input::StreamOpened { flow } => sip.stream_opened(flow),
            Input::StreamClosed { flow } | Input::Mesh(Mesh::FlowGone { flow }) => {
                sip.stream_closed(core, flow);
            }
            Input::Resolved(resolved) => sip.resolved(core, resolved),
            Input::Stored { token, result } => {
                if let Some(owner) = core.take_store(token) {
                    presence.on_stored(core, sip, owner, result);
                }
            }
            Input::Object(object) => presence.on_object(core, object),
            Input::Recovered { clean } => presence.on_recovered(core, clean),
            Input::Command { id, command: Command::Metrics } => self.metrics(id),
            Input::Drain => {
                sip.drain();
                presence.on_drain(core, sip);
            }
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
        self.presence.is_drained() && self.sip.is_drained() && self.core.outputs_drained()
    }

    fn message(&mut self, path: Path, from: Origin, bytes: &[u8]) {
        let Self { core, sip, presence, aor } = self;
        if from == Origin::Network {
            core.counters.add(crate::counters::Count::MessagesIn);
        }
        sip.seen(core, &path);
        let Ok(msg) = Message::parse(bytes) else {
            return sip.receive_other(core, path, bytes);
        };
        match sip.receive(core, path, from, &msg, aor) {
            Some(SipEvent::Request(incoming)) => presence.on_request(core, sip, incoming),
            Some(SipEvent::Outcome { user, outcome }) => {
                presence.on_outcome(core, sip, user, outcome);
            }
            None => {}
        }
    }

    fn tick(&mut self) {
        let Self { core, sip, presence, .. } = self;
        core.advance_timers();
        // Each fires a message or two; what is left is due at once again.
        for _ in 0..OUTPUTS_PER_TICK {
            let Some(timer) = core.pop_timer() else { break };
            match timer {
                Timer::Sip(timer) => sip.on_timer(core, timer),
                Timer::Presence(timer) => presence.on_timer(core, sip, timer),
            }
        }
        presence.tick(core, sip);
    }

    fn metrics(&mut self, id: u64) {
        let mut samples = Vec::new();
        self.core.counters.write(&mut samples);
        self.core.gauges(&mut samples);
        self.sip.gauges(&mut samples);
        self.presence.gauges(&mut samples);
        self.core.emit_reply(id, Reply::Metrics(Box::new(samples)));
    }

    /// Requests of ours that ended without a response, after whatever ended them.
    fn tell_failures(&mut self) {
        while let Some((user, outcome)) = self.sip.poll_failure() {
            self.presence.on_outcome(&mut self.core, &mut self.sip, user, outcome);
        }
    }
}
