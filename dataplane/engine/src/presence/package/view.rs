//! What watchers of one presentity can see of it now, and what has changed since when.

use alloc::boxed::Box;

use super::winfo::{self, Watchers};
use super::{Document, PackageId};
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
}

impl View {
    /// The view of a presentity of which nothing is known yet.
    pub fn new(package: PackageId, aor: &str) -> Self {
        let state = match package {
            PackageId::PRESENCE_WINFO => State::Watchers(Watchers::default()),
            _ => State::Whole(Document::default()),
        };
        Self { aor: aor.into(), generation: 0, state }
    }

    /// The state's generation: 0 before anything was told.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Every watcher has been told generation `seen`: what ended up to there can be dropped. Calling
    /// it is never needed (what is kept is bounded), only thrifty.
    pub fn forget(&mut self, seen: u64) {
        match &mut self.state {
            State::Whole(_) => {}
            State::Watchers(watchers) => watchers.forget(seen),
        }
    }

    /// The document of a full-state package as composed last.
    pub(super) const fn document(&self) -> Option<&Document> {
        match &self.state {
            State::Whole(document) => Some(document),
            State::Watchers(_) => None,
        }
    }

    pub(super) const fn watchers_mut(&mut self) -> Option<&mut Watchers> {
        match &mut self.state {
            State::Watchers(watchers) => Some(watchers),
            State::Whole(_) => None,
        }
    }

    pub(super) fn advance(&mut self, generation: u64) {
        debug_assert!(generation >= self.generation, "generations only rise");
        self.generation = generation;
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
            _ => None,
        };
        Some(partial.unwrap_or_else(|| self.full(now)))
    }
}
