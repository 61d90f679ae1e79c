//! One subscription: whether the server must know it, and what its watcher has been told.

use std::collections::BTreeMap;

use pharos_engine::{Instant, Span};

use super::view::View;
use crate::message::Sip;

/// 64*T1 but for a turn of the clock: a NOTIFY without an answer may have ended by then,
const TRANSACTION: Span = Span::millis(31_900);
/// (less for one that was written late: what is answered at all is answered within a second),
const QUEUED: Span = Span::millis(30_900);
/// and has by then, over both transports.
const OVER: Span = Span::seconds(70);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Whose state, as a URI.
    pub aor: String,
    /// Which of it.
    pub event: String,
    /// Who watches, as a URI.
    pub watcher: String,
    /// What its watcher has acknowledged, put together.
    pub view: View,
    /// What went wrong with putting it together.
    pub broken: Option<String>,
    /// It was granted and nothing since says otherwise.
    sure: bool,
    /// It may be there.
    maybe: bool,
    early: Instant,
    late: Instant,
    granted: Instant,
    /// The NOTIFY that waits for its answer.
    open: Option<(String, Instant)>,
    sent: BTreeMap<String, Sip>,
}

impl Subscription {
    pub(super) fn new(aor: String, event: &str, watcher: String) -> Self {
        Self { aor, event: event.to_owned(), watcher, ..Self::default() }
    }

    /// It must be there.
    pub fn is_sure(&self, at: Instant) -> bool {
        self.sure && self.early > at && !self.overdue(at)
    }

    /// It may be there.
    pub fn is_possible(&self, at: Instant) -> bool {
        self.maybe && self.late >= at
    }

    /// Its watcher was sent a NOTIFY and has not answered it.
    pub fn is_unanswered(&self) -> bool {
        self.open.is_some()
    }

    /// A SUBSCRIBE for so many seconds has reached the server, which may do it until `latest`.
    pub(super) fn wish(&mut self, expires: u64, latest: Instant) {
        if expires == 0 {
            self.sure = false;
        } else {
            self.maybe = true;
            self.late = self.late.max(latest + Span::seconds(expires));
        }
    }

    /// It was granted: it ends between these times.
    pub(super) fn granted(&mut self, at: Instant, early: Instant, late: Instant) {
        if self.open.as_ref().is_some_and(|(_, since)| at - *since > OVER) {
            self.open = None;
        }
        (self.sure, self.maybe, self.granted) = (true, true, at);
        (self.early, self.late) = (early, late);
    }

    /// The server says that it is over, or never was.
    pub(super) const fn over(&mut self) {
        (self.sure, self.maybe) = (false, false);
    }

    /// The server has sent a NOTIFY.
    pub(super) fn told(&mut self, notify: &Sip, at: Instant) {
        let branch = notify.branch().to_owned();
        if self.sent.contains_key(&branch) {
            return;
        }
        self.doubt_overdue(at);
        if notify.state() == "terminated" {
            self.over();
        }
        self.sent.insert(branch.clone(), notify.clone());
        // What goes over a connection may have waited for it, and so began earlier.
        let waited = if notify.stream { QUEUED.0 } else { 0 };
        self.open = Some((branch, Instant(at.0.saturating_sub(waited))));
    }

    /// The watcher has answered a NOTIFY.
    pub(super) fn answered(&mut self, answer: &Sip, at: Instant) {
        self.doubt_overdue(at);
        let Some(notify) = self.sent.remove(answer.branch()) else { return };
        if self.open.as_ref().is_some_and(|(branch, _)| branch == answer.branch()) {
            self.open = None;
        }
        if answer.status() >= 300 {
            self.sure = false;
        } else if let Err(what) = self.view.take(&self.event, &notify) {
            self.broken.get_or_insert(what);
        }
    }

    /// The process died, and with it all that was not on disk since then.
    pub(super) fn lost_since(&mut self, then: Instant, at: Instant) {
        self.doubt_overdue(at);
        self.open = None;
        if self.granted > then {
            self.sure = false;
        }
    }

    /// The wall clock was set.
    pub(super) fn jumped(&mut self, milliseconds: i64) {
        let span = Span::millis(milliseconds.unsigned_abs());
        match milliseconds > 0 {
            true => self.early = Instant(self.early.0.saturating_sub(span.0)),
            false => self.late = self.late + span,
        }
    }

    fn overdue(&self, at: Instant) -> bool {
        self.open.as_ref().is_some_and(|(_, since)| at - *since >= TRANSACTION)
    }

    fn doubt_overdue(&mut self, at: Instant) {
        if self.overdue(at) {
            (self.sure, self.open) = (false, None);
        }
    }
}
