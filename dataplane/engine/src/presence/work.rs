//! Work lists: what takes more than one turn. At most 64 outputs a call, so that no presentity,
//! however popular, keeps the others waiting.

use super::package::PackageId;
use super::tables::{SubscriptionId, TopicId};
use super::{Presence, PresenceTimer};
use crate::sip::Sip;
use crate::{Core, Span, Timer, limits};

/// One presentity's news on its way to all its watchers.
pub(super) struct Fan {
    topic: TopicId,
    /// The next to be told.
    next: Option<SubscriptionId>,
    /// There was more news meanwhile: once more from the start.
    again: bool,
}

/// After a restart: who is owed a NOTIFY gets it in its turn.
pub(super) struct Restart {
    /// The next place to look at.
    place: u32,
    /// Everybody is owed one (unclean stop).
    all: bool,
}

/// How many watchers of one topic are told before the next topic has its turn.
const FAN_TURN: usize = 16;
/// Length of a step of the paced restart.
const RESTART_STEP: Span = Span::millis(100);
/// Places looked at in one step of the restart, owed or not.
const RESTART_LOOK: usize = 4_096;

impl Presence {
    /// Tell the watchers of a topic its news.
    pub(super) fn start_fan(&mut self, topic: TopicId) {
        if self.tables.topics[topic].fanning {
            if let Some(fan) = self.fans.iter_mut().find(|fan| fan.topic == topic) {
                fan.again = true;
            }
            return;
        }
        let next = self.tables.first_subscription(topic);
        if next.is_some() {
            self.tables.topics[topic].fanning = true;
            self.fans.push_back(Fan { topic, next, again: false });
        }
    }

    /// A subscription leaves its topic: no fan-out may point at it.
    pub(super) fn leave_fan(&mut self, id: SubscriptionId) {
        let subscription = &self.tables.subscriptions[id];
        if !subscription.linked || !self.tables.topics[subscription.topic].fanning {
            return;
        }
        let after = subscription.next;
        for fan in &mut self.fans {
            if fan.next == Some(id) {
                fan.next = after;
            }
        }
    }

    /// Go on with all lists.
    pub(super) fn work(&mut self, core: &mut Core, sip: &mut Sip) {
        let mut left = limits::OUTPUTS_PER_TICK;
        self.unblock(core, sip, &mut left);
        // Each pass takes the first fan-out one turn further; an empty turn ends it or moves it on.
        let mut looked = 0;
        while left > 0 && looked < limits::OUTPUTS_PER_TICK * 16 {
            let Some(fan) = self.fans.pop_front() else { break };
            looked += self.fan_out(core, sip, fan, &mut left);
        }
        self.write_behind(core, &mut left);
    }

    /// One turn of one fan-out; says at how many watchers it looked.
    fn fan_out(&mut self, core: &mut Core, sip: &mut Sip, mut fan: Fan, left: &mut usize) -> usize {
        let mut looked = 0;
        while let Some(id) = fan.next
            && looked < FAN_TURN
            && *left > 0
        {
            looked += 1;
            fan.next = self.tables.subscriptions[id].next;
            *left -= usize::from(self.deliver(core, sip, id));
        }
        let topic = fan.topic;
        if fan.next.is_none() && core::mem::take(&mut fan.again) {
            fan.next = self.tables.first_subscription(topic);
        }
        if fan.next.is_some() {
            self.fans.push_back(fan);
        } else {
            self.tables.topics[topic].fanning = false;
            self.forget_told(topic);
            self.rest(topic);
            let presentity = self.tables.topics[topic].presentity;
            self.tables.tidy(presentity);
        }
        looked.max(1)
    }

    /// What everybody has been told of the past need not be kept: worth a look where few watch.
    fn forget_told(&mut self, topic: TopicId) {
        let known = &self.tables.topics[topic];
        if known.package.info().full_state || known.watchers as usize > FAN_TURN {
            return;
        }
        let shown = self.tables.subscriptions(topic).map(|id| {
            let subscription = &self.tables.subscriptions[id];
            if subscription.whole { u64::MAX } else { subscription.shown }
        });
        let told = shown.min().unwrap_or(u64::MAX);
        if let Some(view) = self.tables.topics[topic].view.as_mut() {
            view.forget(told.min(view.generation()));
        }
    }

    /// When there is something to go on with.
    pub(super) fn work_waits(&self) -> bool {
        self.blocked.may_go_on() || !self.fans.is_empty() || self.flush_waits()
    }

    /// Start telling those who are owed a NOTIFY after a restart.
    pub(super) fn start_restart(&mut self, core: &mut Core, all: bool) {
        self.restart = Some(Restart { place: 0, all });
        // Shards and servers that start together do not send together.
        let wait = Span::millis(u64::from(core.random_in(0..1_000)));
        core.set_timer(core.now.instant + wait, Timer::Presence(PresenceTimer::Restart));
    }

    /// One paced step (`restart_notify_rate` over all shards).
    pub(super) fn on_restart_step(&mut self, core: &mut Core, sip: &mut Sip) {
        let Some(Restart { mut place, all }) = self.restart.take() else { return };
        let shards = u64::from(core.config.shards).max(1);
        let rate = u64::from(core.config.presence.restart_notify_rate).max(1);
        // What does not divide evenly is made up for by a chance of one more.
        let share = rate * RESTART_STEP.as_millis();
        let whole = share / (shards * 1_000);
        let rest = (share % (shards * 1_000)) as u32;
        let more = u64::from(core.random_in(0..(shards * 1_000) as u32) < rest);
        let mut left = (whole + more) as usize;
        let mut looks = RESTART_LOOK;
        while left > 0 && looks > 0 {
            looks -= 1;
            let Some(id) = self.tables.subscriptions.next_from(place) else { return };
            place = id.index() + 1;
            let subscription = &mut self.tables.subscriptions[id];
            // Whoever was sent something since the start has it already.
            subscription.owed |= all && subscription.linked && subscription.shown == 0;
            if subscription.owed {
                left -= usize::from(self.deliver(core, sip, id)).max(1);
            }
        }
        self.restart = Some(Restart { place, all });
        let jitter = core.random_in(0..RESTART_STEP.as_millis() as u32 / 2);
        let next = RESTART_STEP.as_millis() - u64::from(jitter) / 2;
        core.set_timer(
            core.now.instant + Span::millis(next),
            Timer::Presence(PresenceTimer::Restart),
        );
    }

    /// `notify_interval` by package.
    pub(super) fn intervals(core: &Core) -> [Span; PackageId::COUNT] {
        let mut intervals = [Span(0); PackageId::COUNT];
        for (name, milliseconds) in &core.config.presence.notify_interval {
            if let Some(package) = super::package::Packages::by_name(name) {
                intervals[usize::from(package.0)] = Span::millis(u64::from(*milliseconds));
            }
        }
        intervals
    }
}
