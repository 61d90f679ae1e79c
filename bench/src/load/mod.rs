//! The load: who calls (publishers and watchers), what they do, in which shape, what came of it.

pub mod echo;
mod fleet;
mod order;
mod repeats;

use std::collections::BTreeMap;
use std::time::Duration;

pub use fleet::{Fleet, Pulse};
pub use order::Order;

use crate::latency::Latencies;
use crate::sip::write::Publish;

/// RFC 3261 T1: when an unanswered request is sent again for the first time.
pub const T1: Duration = Duration::from_millis(500);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A PUBLISH, over when it is answered.
    Publish(Publish),
    /// A SUBSCRIBE that creates a dialog; this and the next two are over when the answer and a
    /// NOTIFY are there.
    Subscribe,
    /// A SUBSCRIBE that refreshes a dialog.
    Resubscribe,
    /// A SUBSCRIBE that ends a dialog.
    Unsubscribe,
    /// What suits the actor: begin what is not there, else mostly refresh it, sometimes change
    /// it, seldom end it.
    Mixed,
}

impl Op {
    /// For reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish(Publish::Initial) => "PUBLISH initial",
            Self::Publish(Publish::Refresh) => "PUBLISH refresh",
            Self::Publish(Publish::Modify) => "PUBLISH modify",
            Self::Publish(Publish::Remove) => "PUBLISH remove",
            Self::Subscribe => "SUBSCRIBE",
            Self::Resubscribe => "SUBSCRIBE refresh",
            Self::Unsubscribe => "SUBSCRIBE end",
            Self::Mixed => "mixed",
        }
    }

    /// An actor can do it but once: the phase is over when all have.
    pub fn once(self) -> bool {
        use Publish::{Initial, Remove};
        matches!(self, Self::Publish(Initial | Remove) | Self::Subscribe | Self::Unsubscribe)
    }
}

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Closed loop: so many in flight.
    Window(usize),
    /// Open loop: so many a second, whatever becomes of them. Latency counts from when a request
    /// was to be sent, not from when the generator got to it.
    Rate(f64),
}

/// A stretch of load.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    /// What is done,
    pub op: Op,
    /// in which shape,
    pub shape: Shape,
    /// until this much time
    pub time: Duration,
    /// or this many requests are over.
    pub count: u64,
}

/// What a phase came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Of what was done.
    pub latencies: Latencies,
    /// Refused, or never answered.
    pub failed: u64,
    /// Refusals by status code; 0 = no answer or not even sent.
    pub refusals: BTreeMap<u32, u64>,
    /// Requests sent again.
    pub repeated: u64,
    /// Done within T1 at the first attempt.
    pub prompt: u64,
    /// NOTIFYs, each counted once.
    pub notifies: u64,
    /// NOTIFYs that came again.
    pub notifies_again: u64,
    /// Seconds in which requests were begun.
    pub seconds: f64,
}

impl Outcome {
    /// How many succeeded.
    pub fn count(&self) -> u64 {
        self.latencies.count()
    }

    /// Successes a second.
    pub fn rate(&self) -> f64 {
        self.count() as f64 / self.seconds.max(f64::EPSILON)
    }

    /// The share of all requests that was answered within T1 without being sent again.
    pub fn prompt_share(&self) -> f64 {
        self.prompt as f64 / (self.count() + self.failed).max(1) as f64
    }
}
