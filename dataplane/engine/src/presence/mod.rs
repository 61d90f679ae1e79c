//! Presence: PUBLISH, SUBSCRIBE, NOTIFY and the event packages.

pub mod package;

use alloc::vec::Vec;

use pharos_storage::{Object, StoreError};

use self::package::PackageId;
use crate::counters::Sample;
use crate::sip::{Answer, Detail, Incoming, Outcome, Sip, User};
use crate::{Core, Instant};

/// Presence's timers.
#[derive(Clone, Copy, Debug)]
pub enum PresenceTimer {}

/// Who waits for a storage reply.
#[derive(Debug)]
pub enum StoreOwner {}

/// The value of Allow-Events: every package served.
pub fn allow_events() -> &'static str {
    "presence"
}

/// The value of Accept for a package's bodies.
pub fn accept(_package: PackageId) -> &'static str {
    "application/pidf+xml"
}

/// All presentities of a shard.
pub struct Presence {}

impl Presence {
    /// Nothing published, nobody subscribed.
    pub fn new(_core: &mut Core) -> Self {
        Self {}
    }

    /// A PUBLISH or SUBSCRIBE (or NOTIFY) to answer.
    pub fn on_request(&mut self, core: &mut Core, sip: &mut Sip, incoming: Incoming<'_>) {
        sip.answer(core, &incoming, &Answer::with(489, Detail::AllowEvents));
    }

    /// What became of a request of ours.
    pub fn on_outcome(&mut self, _: &mut Core, _: &mut Sip, _: User, _: Outcome<'_>) {}

    /// A lane's reply.
    pub fn on_stored(
        &mut self,
        _: &mut Core,
        _: &mut Sip,
        owner: StoreOwner,
        _: Result<(), StoreError>,
    ) {
        match owner {}
    }

    /// A timer of ours fired.
    pub fn on_timer(&mut self, _: &mut Core, _: &mut Sip, timer: PresenceTimer) {
        match timer {}
    }

    /// A stored object, at start.
    pub fn on_object(&mut self, _: &mut Core, _: Object<'_>) {}

    /// All objects are here.
    pub fn on_recovered(&mut self, _: &mut Core, _clean: bool) {}

    /// Go on with work lists, by at most `limits::OUTPUTS_PER_TICK` outputs.
    pub fn tick(&mut self, _: &mut Core, _: &mut Sip) {}

    /// When [`Presence::tick`] has something to do: now while work remains.
    pub fn next_work(&self, _: &Core) -> Option<Instant> {
        None
    }

    /// Take nothing new; write back what is dirty.
    pub fn on_drain(&mut self, _: &mut Core, _: &mut Sip) {}

    /// Nothing is in flight and nothing unwritten.
    pub fn is_drained(&self) -> bool {
        true
    }

    /// What there is, for metrics.
    pub fn gauges(&self, _out: &mut Vec<Sample>) {}
}
