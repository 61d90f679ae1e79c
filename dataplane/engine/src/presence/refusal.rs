//! A reason not to do what a request asks, with the headers that its answer carries.

use crate::Core;
use crate::limits;
use crate::reject::Reject;
use crate::sip::{Answer, Detail};

/// Reason and detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Status and counter.
    pub(super) reject: Reject,
    /// Headers.
    pub(super) detail: Detail,
}

impl Refusal {
    /// Counted and ready to be sent. A 503 says when to come back, spread so that not all do at
    /// once.
    pub(super) fn answer(self, core: &mut Core) -> Answer {
        core.counters.reject(self.reject);
        let status = self.reject.status();
        let detail = match self.detail {
            Detail::None if status == 503 => {
                Detail::RetryAfter(core.random_in(limits::RETRY_AFTER_S))
            }
            detail => detail,
        };
        Answer::with(status, detail)
    }
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        let detail = match reject {
            Reject::BadEvent => Detail::AllowEvents,
            Reject::BodyEncoding => Detail::AcceptEncoding,
            _ => Detail::None,
        };
        Self { reject, detail }
    }
}

/// A refusal with its headers.
pub(super) const fn refuse(reject: Reject, detail: Detail) -> Refusal {
    Refusal { reject, detail }
}
