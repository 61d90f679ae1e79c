//! One publication of which not everything is known: all the states that the server may hold it in,
//! and how each thing seen leaves fewer of them. None left is a contradiction.

use std::collections::BTreeSet;
use std::rc::Rc;

use pharos_engine::{Instant, Span};

use super::{Key, ROUNDED};

/// A NOTIFY may have been written so long before it leaves: over the mesh, or behind others.
pub(super) const STALE: Span = Span::millis(250);

/// What a server that holds it has.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Its entity-tag, once a 2xx has told it.
    pub(super) tag: Option<String>,
    /// What watchers see of its document.
    pub(super) marks: Rc<BTreeSet<String>>,
    /// The last request that put the document there counts for which is the newest.
    pub(super) written: Instant,
    /// It does not end before this time,
    pub(super) early: Instant,
    /// and has ended by this one.
    pub(super) late: Instant,
}

/// One state that it may be in.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// States come in the order of the requests that make them.
    pub(super) order: usize,
    /// The request that makes it.
    pub(super) by: Option<Key>,
    /// `None`: the server has no such publication.
    pub(super) held: Option<Held>,
    /// It was certainly the state then, and whatever comes later replaces it.
    pub(super) settled: Option<Instant>,
}

impl State {
    /// The server holds it, its end apart.
    fn holds(&self, at: Instant) -> bool {
        self.held.as_ref().is_some_and(|held| held.early > at)
    }

    fn shows(&self, mark: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.marks.contains(mark))
    }

    fn has_tag(&self, tag: &str) -> bool {
        self.held.as_ref().is_some_and(|held| held.tag.as_deref() == Some(tag))
    }
}

/// What a PUBLISH wants.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The tag that it names.
    pub(super) tag: Option<String>,
    /// What its document shows; `None` = it brings none.
    pub(super) marks: Option<Rc<BTreeSet<String>>>,
    /// Seconds; 0 = to be removed.
    pub(super) expires: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Publication {
    pub(super) aor: String,
    pub(super) event: String,
    possible: Vec<State>,
    /// States that it is not in any more, and since when.
    past: Vec<(State, Instant)>,
    orders: usize,
}

impl Publication {
    pub(super) fn new(aor: &str, event: &str) -> Self {
        let absent = State { order: 0, by: None, held: None, settled: Some(Instant(0)) };
        Self {
            aor: aor.to_owned(),
            event: event.to_owned(),
            possible: vec![absent],
            past: Vec::new(),
            orders: 0,
        }
    }

    /// A request has reached the server, which may do it until `latest`.
    pub(super) fn wish(&mut self, by: &Key, wish: &Wish, at: Instant, latest: Instant) {
        let life = Span::seconds(wish.expires);
        if let Some(known) = self.possible.iter_mut().find(|state| state.by.as_ref() == Some(by)) {
            if let Some(held) = &mut known.held {
                held.late = held.late.max(latest + life);
            }
            return;
        }
        let base = match &wish.tag {
            None => self.possible.iter().find(|state| state.held.is_none()),
            Some(tag) => self.possible.iter().find(|state| state.has_tag(tag)),
        };
        let Some(base) = base else { return };
        let inherited = base.held.as_ref().map(|held| (held.marks.clone(), held.written));
        let (marks, written) = match (&wish.marks, inherited) {
            (Some(marks), _) => (marks.clone(), at),
            (None, Some(inherited)) => inherited,
            (None, None) => return,
        };
        self.orders += 1;
        let (early, late) = (Instant((at + life).0.saturating_sub(ROUNDED)), latest + life);
        let held = (wish.expires > 0).then_some(Held { tag: None, marks, written, early, late });
        self.possible.push(State { order: self.orders, by: Some(by.clone()), held, settled: None });
    }

    /// A request was answered with 2xx: it has happened, and nothing else since.
    pub(super) fn granted(
        &mut self,
        by: &Key,
        tag: &str,
        at: Instant,
        late: Instant,
    ) -> Result<(), String> {
        self.keep(at, |state| state.by.as_ref() == Some(by));
        for state in &mut self.possible {
            state.settled = Some(at);
            if let Some(held) = &mut state.held {
                held.tag = Some(tag.to_owned());
                held.late = late;
            }
        }
        self.explained("2xx to a request that names what is not there")
    }

    /// A request was answered with 412: nothing has its tag.
    pub(super) fn unmatched(&mut self, by: &Key, tag: &str, at: Instant) -> Result<(), String> {
        for state in &mut self.possible {
            if state.has_tag(tag) && !state.holds(at) {
                state.held = None;
            }
        }
        self.keep(at, |state| !state.has_tag(tag) && state.by.as_ref() != Some(by));
        self.explained("412 to the tag of what must be there")
    }

    /// A request was refused: it has not happened.
    pub(super) fn refused(&mut self, by: &Key, at: Instant) -> Result<(), String> {
        self.keep(at, |state| state.by.as_ref() != Some(by));
        self.explained("a refusal of what has happened")
    }

    /// A watcher was shown one of its documents: nothing older is there any more.
    pub(super) fn shown(&mut self, mark: &str, at: Instant) -> Result<(), String> {
        let oldest =
            self.possible.iter().filter(|state| state.shows(mark)).map(|state| state.order).min();
        if let Some(oldest) = oldest {
            self.keep(at, |state| state.order >= oldest);
            if let [only] = self.possible.as_mut_slice() {
                only.settled.get_or_insert(at);
            }
            return Ok(());
        }
        let over = self.past.iter().filter(|(state, _)| state.shows(mark)).map(|(_, left)| *left);
        match over.max() {
            Some(left) if at - left <= STALE => Ok(()),
            left => Err(format!("{mark} is shown, and over since {left:?}")),
        }
    }

    /// A watcher was shown a document of this presentity without it.
    pub(super) fn missing(&mut self, at: Instant) -> Result<(), String> {
        self.keep(at, |state| {
            let long = state.settled.is_some_and(|since| at - since > STALE);
            !(long && state.holds(at))
        });
        self.explained("a document without it")
    }

    /// The process died with what was not on disk since then.
    pub(super) fn lost_since(&mut self, then: Instant) {
        for state in &mut self.possible {
            state.settled = None;
        }
        for (state, left) in std::mem::take(&mut self.past) {
            if left <= then {
                self.past.push((state, left));
            } else {
                self.possible.push(State { settled: None, ..state });
            }
        }
        self.possible.sort_by_key(|state| state.order);
    }

    /// The wall clock was set: what is stored ends by it earlier, or later.
    pub(super) fn jumped(&mut self, milliseconds: i64) {
        let span = Span::millis(milliseconds.unsigned_abs());
        let past = self.past.iter_mut().map(|(state, _)| state);
        for held in self.possible.iter_mut().chain(past).filter_map(|state| state.held.as_mut()) {
            match milliseconds > 0 {
                true => held.early = Instant(held.early.0.saturating_sub(span.0)),
                false => held.late = held.late + span,
            }
        }
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, at: Instant) {
        for state in &mut self.possible {
            if let Some(held) = state.held.as_ref().filter(|held| held.late < at) {
                let ended = held.late;
                self.past.push((state.clone(), ended));
                state.held = None;
                state.settled = Some(ended);
            }
        }
    }

    /// The documents that it may have at that time; `None` stands for no publication.
    pub(super) fn documents(&self, at: Instant) -> Vec<Option<&Held>> {
        let mut found = Vec::new();
        for state in &self.possible {
            found.push(state.held.as_ref());
            if state.held.is_some() && !state.holds(at) {
                found.push(None);
            }
        }
        found
    }

    fn keep(&mut self, at: Instant, stays: impl Fn(&State) -> bool) {
        let (stay, go): (Vec<State>, Vec<State>) =
            std::mem::take(&mut self.possible).into_iter().partition(stays);
        self.past.extend(go.into_iter().map(|state| (state, at)));
        self.possible = stay;
    }

    fn explained(&self, what: &str) -> Result<(), String> {
        if !self.possible.is_empty() {
            return Ok(());
        }
        let last = self.past.last().map(|(state, _)| state);
        Err(format!("{what}: {} of {}, last {last:?}", self.event, self.aor))
    }
}
