//! What became of a NOTIFY (RFC 6665 4.2.2, rows C18, C117): who is gone, who is asked again later.

use pharos_parser::Message;
use smallvec::smallvec;

use super::Presence;
use super::package::WatcherEvent;
use super::read;
use super::subscription::{Delivery, Status};
use super::tables::SubscriptionId;
use crate::counters::Count;
use crate::sip::{Outcome, Sip};
use crate::{Core, Span, limits};

/// What an outcome means for the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// It arrived.
    Delivered,
    /// The subscriber knows no such subscription, or will never take a NOTIFY.
    Gone,
    /// It failed for the time being: again after so many seconds, or by back-off.
    Later(Option<u32>),
    /// It failed; the next change of state tries anew.
    Lost,
}

/// RFC 6665 4.2.2, after RFC 5057: codes that end the dialog usage.
const fn ends(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}

/// Codes that end it whatever else the answer says: there is nothing to come back to.
const fn ends_for_good(status: u16) -> bool {
    matches!(status, 404 | 405 | 410 | 416 | 481 | 482 | 483 | 489 | 501 | 604)
}

fn meaning(core: &Core, outcome: &Outcome<'_>) -> Meaning {
    let on_timeout = match core.config.presence.end_sub_on_timeout {
        true => Meaning::Gone,
        false => Meaning::Lost,
    };
    match outcome {
        Outcome::Timeout => on_timeout,
        Outcome::Unreachable => Meaning::Later(None),
        Outcome::Final(response) => match response.status().unwrap_or_default() {
            200..300 => Meaning::Delivered,
            408 => on_timeout,
            status if ends_for_good(status) => Meaning::Gone,
            status => match read::retry_after(response) {
                Some(seconds) => Meaning::Later(Some(seconds)),
                None if ends(status) => Meaning::Gone,
                None if status == 503 => Meaning::Later(None),
                None => Meaning::Lost,
            },
        },
    }
}

impl Presence {
    /// The outcome of the NOTIFY in flight.
    pub(super) fn on_notified(
        &mut self,
        core: &mut Core,
        sip: &mut Sip,
        id: SubscriptionId,
        outcome: &Outcome<'_>,
    ) {
        self.blocked.ended();
        let Some(subscription) = self.tables.subscriptions.get_mut(id) else { return };
        subscription.delivery = Delivery::Idle;
        if subscription.gone {
            self.release(core, id);
            return;
        }
        let meaning = meaning(core, outcome);
        if meaning != Meaning::Delivered {
            core.counters.add(Count::NotifiesFailed);
            // What the subscriber has is not known any more: the next document is the whole state.
            self.tables.subscriptions[id].whole = true;
        }
        match meaning {
            Meaning::Delivered => {
                if let Some(rare) = self.tables.subscriptions[id].rare.as_mut() {
                    rare.failures = 0;
                }
                if let Outcome::Final(response) = outcome {
                    self.move_target(core, id, response);
                }
            }
            Meaning::Gone => {
                core.counters.add(Count::SubscriptionsLost);
                self.give_up(core, id);
                return;
            }
            Meaning::Later(after) => self.retry_later(core, id, after),
            Meaning::Lost => {}
        }
        if meaning == Meaning::Delivered || !self.draining {
            self.deliver(core, sip, id);
        }
    }

    /// The 2xx of a NOTIFY updates the remote target (RFC 6665 4.4.1 with RFC 3261 12.2.1.2).
    fn move_target(&mut self, core: &mut Core, id: SubscriptionId, response: &Message<'_>) {
        let Some(target) = read::contact(response) else { return };
        let subscription = &mut self.tables.subscriptions[id];
        if *subscription.dialog.target == *target {
            return;
        }
        subscription.dialog.target = target.into();
        self.note_subscription(core, id);
    }

    /// Again after what the peer says, or after 32, 64, 128 ... seconds with jitter: no sooner than
    /// a silent peer would have been given up.
    fn retry_later(&mut self, core: &mut Core, id: SubscriptionId, after: Option<u32>) {
        let rare = self.tables.subscriptions[id].rare();
        rare.failures = rare.failures.saturating_add(1);
        let steps = u32::from(rare.failures - 1).min(limits::NOTIFY_BACKOFF_STEPS);
        let step = limits::TRANSACTION_MS << steps;
        let wait = match after {
            Some(seconds) => u64::from(seconds.min(limits::NOTIFY_RETRY_MAX_S)) * 1_000,
            None => step + u64::from(core.random_in(0..step as u32 / 2)),
        };
        self.pause(id, core.now.instant + Span::millis(wait));
        self.tables.subscriptions[id].owed = true;
    }

    /// The subscriber is not there any more: no final NOTIFY, it would go nowhere.
    pub(super) fn give_up(&mut self, core: &mut Core, id: SubscriptionId) {
        let subscription = &self.tables.subscriptions[id];
        if subscription.linked {
            let pending = subscription.status == Status::Pending;
            self.retire(core, id, WatcherEvent::Timeout);
            if pending {
                self.wait_on(core, id, WatcherEvent::Timeout);
            }
        }
        self.tables.subscriptions[id].gone = true;
        self.release(core, id);
    }

    /// After the last NOTIFY: out of memory and out of the store, unless it is kept to answer
    /// repeats.
    pub(super) fn release(&mut self, core: &mut Core, id: SubscriptionId) {
        let Some(subscription) = self.tables.subscriptions.get(id) else { return };
        if subscription.delivery == Delivery::InFlight || subscription.timer.is_some() {
            return;
        }
        let Some(gone) = self.tables.remove_subscription(id) else { return };
        if gone.reserved.cseq > 0 {
            let op = Self::leaving(gone.object, gone.dirty || gone.expires > core.now.wall);
            self.discard(core, gone.dialog.hash, smallvec![op]);
        }
        let presentity = self.tables.topics[gone.topic].presentity;
        self.tables.tidy(presentity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::trial;

    fn of(status: u16, more: &str) -> Meaning {
        let text = format!(
            "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:b@c>;tag=2\r\nCall-ID: c\r\nCSeq: 1 NOTIFY\r\n{more}Content-Length: 0\r\n\r\n"
        );
        let response = Message::parse(text.as_bytes()).unwrap();
        meaning(&trial::core(), &Outcome::Final(&response))
    }

    /// Row C117, RFC 6665 4.2.2.
    #[test]
    fn the_listed_codes_end_it_unless_a_time_is_given() {
        for status in [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
            assert_eq!(of(status, ""), Meaning::Gone, "{status}");
        }
        let after = "Retry-After: 9\r\n";
        for status in [480, 484, 485, 500, 503, 600] {
            assert_eq!(of(status, after), Meaning::Later(Some(9)), "{status}");
        }
        for status in [404, 481, 489, 501] {
            assert_eq!(of(status, after), Meaning::Gone, "{status}");
        }
        assert_eq!(of(503, ""), Meaning::Later(None));
        assert_eq!(of(200, ""), Meaning::Delivered);
        for status in [302, 400, 401, 403, 500, 603] {
            assert_eq!(of(status, ""), Meaning::Lost, "{status}");
        }
    }

    /// Row C18: 408 follows `end_sub_on_timeout`, and so does silence.
    #[test]
    fn a_timeout_is_what_the_parameter_says() {
        let mut core = trial::core();
        assert_eq!(of(408, ""), Meaning::Gone);
        assert_eq!(meaning(&core, &Outcome::Timeout), Meaning::Gone);
        core.config.presence.end_sub_on_timeout = false;
        assert_eq!(meaning(&core, &Outcome::Timeout), Meaning::Lost);
        assert_eq!(meaning(&core, &Outcome::Unreachable), Meaning::Later(None));
    }
}
