//! What watchers of one presentity can see of it now, and what has changed since when.

use alloc::boxed::Box;

use super::dialogs::Dialogs;
use super::winfo::{self, Watchers};
use super::{Document, PackageId, Published, dialog};
use crate::Wall;

/// The composed state of one presentity for one package, with a generation that rises with every
/// visible change. A subscription keeps the generation its last NOTIFY was made of; 0 is "nothing
/// yet", so that every new subscription gets the whole state.
#[derive(Clone, Debug)]
pub struct View {
    aor: Box<str>,
    generation: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Packages with full state: the document as composed last.
    Whole(Document),
    /// `.winfo`.
    Watchers(Watchers),
    /// `dialog`, `dialog;sla`.
    Dialogs(Dialogs),
}

impl View {
    /// The view of a presentity of which nothing is known yet.
    pub fn new(package: PackageId, aor: &str) -> Self {
        let state = match package {
            PackageId::PRESENCE_WINFO => State::Watchers(Watchers::default()),
            PackageId::DIALOG | PackageId::DIALOG_SLA => State::Dialogs(Dialogs::default()),
            _ => State::Whole(Document::default()),
        };
        // Without watchers a list of watchers is known already: it is empty.
        let generation = u64::from(matches!(state, State::Watchers(_)));
        Self { aor: aor.into(), generation, state }
    }

    /// The state's generation: 0 before the first `aggregate`.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Every watcher has been told generation `seen`: what ended up to there can be dropped.
    /// Calling it is never needed (what is kept is bounded), only thrifty.
    pub fn forget(&mut self, seen: u64) {
        match &mut self.state {
            State::Whole(_) => {}
            State::Watchers(watchers) => watchers.forget(seen),
            State::Dialogs(dialogs) => dialogs.forget(seen),
        }
    }

    /// The document of a full-state package as composed last.
    pub(super) const fn document(&self) -> Option<&Document> {
        match &self.state {
            State::Whole(document) => Some(document),
            State::Watchers(_) | State::Dialogs(_) => None,
        }
    }

    pub(super) const fn watchers_mut(&mut self) -> Option<&mut Watchers> {
        match &mut self.state {
            State::Watchers(watchers) => Some(watchers),
            State::Whole(_) | State::Dialogs(_) => None,
        }
    }

    pub(super) fn advance(&mut self, generation: u64) {
        debug_assert!(generation >= self.generation, "generations only rise");
        self.generation = generation;
    }

    /// Bring the dialogs up to their publications. True when one changed, and the first time.
    pub(super) fn update_dialogs(&mut self, publications: &[Published<'_>]) -> bool {
        let State::Dialogs(dialogs) = &mut self.state else { return false };
        let before = self.generation;
        self.generation = dialogs.update(publications, before).max(1);
        self.generation > before
    }

    /// Take a composed document over. True when it differs from the last one.
    pub(super) fn set(&mut self, document: Document) -> bool {
        if self.generation > 0 && self.document() == Some(&document) {
            return false;
        }
        self.state = State::Whole(document);
        self.generation += 1;
        true
    }

    /// The whole state.
    pub(super) fn full(&self, now: Wall) -> Document {
        match &self.state {
            State::Whole(document) => document.clone(),
            State::Watchers(watchers) => winfo::write(&self.aor, true, watchers.live(), now),
            State::Dialogs(dialogs) => dialog::write(&self.aor, true, dialogs.live()),
        }
    }

    /// What a watcher has not seen yet.
    pub(super) fn since(&self, since: u64, now: Wall) -> Option<Document> {
        if since >= self.generation {
            return None;
        }
        let partial = match &self.state {
            State::Watchers(watchers) if since > 0 => {
                let changed = watchers.since(since);
                changed.map(|changed| winfo::write(&self.aor, false, changed, now))
            }
            State::Dialogs(dialogs) if since > 0 => {
                dialogs.since(since).map(|changed| dialog::write(&self.aor, false, changed))
            }
            _ => None,
        };
        Some(partial.unwrap_or_else(|| self.full(now)))
    }
}
