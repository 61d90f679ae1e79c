//! What watchers of one presentity can see of it now, and what has changed since when.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::dialogs::Dialogs;
use super::winfo::{self, Watchers};
use super::{Document, PackageId, Published, dialog};
use crate::Wall;

/// The composed state of one presentity for one package, with a generation that rises with every
/// visible change. A subscription keeps the generation its last NOTIFY was made of; 0 is "nothing
/// yet", so that every new subscription gets the whole state.
#[derive(Clone, Debug)]
pub struct View {
    generation: u64,
    state: State,
}

// There is one for each presentity that is watched.
const _: () = assert!(size_of::<View>() <= 32);

#[derive(Clone, Debug)]
enum State {
    /// Packages with full state: the document as composed last.
    Whole(Arc<Document>),
    /// The same at rest: only what it takes to tell it from another.
    Resting([u8; 16]),
    /// `.winfo`, and whose watchers they are.
    Watchers(Box<(Box<str>, Watchers)>),
    /// `dialog`, `dialog;sla`, and whose dialogs they are.
    Dialogs(Box<(Box<str>, Dialogs)>),
}

/// Tells documents apart. Who publishes chooses its bytes, and could at best hide a change of its
/// own from its own watchers.
fn digest(document: &Document) -> [u8; 16] {
    let mut hasher = SipHasher13::new();
    for part in [document.content_type.as_bytes(), &document.headers, &document.bytes] {
        hasher.write(part);
        hasher.write_usize(part.len());
    }
    hasher.write_usize(document.version_at.map_or(usize::MAX, |at| at));
    u128::from(hasher.finish128()).to_le_bytes()
}

impl View {
    /// The view of a presentity of which nothing is known yet.
    pub fn new(package: PackageId, aor: &str) -> Self {
        let state = match package {
            PackageId::PRESENCE_WINFO => {
                State::Watchers(Box::new((aor.into(), Watchers::default())))
            }
            PackageId::DIALOG | PackageId::DIALOG_SLA => {
                State::Dialogs(Box::new((aor.into(), Dialogs::default())))
            }
            _ => State::Whole(Arc::default()),
        };
        // Without watchers a list of watchers is known already: it is empty.
        let generation = u64::from(matches!(state, State::Watchers(_)));
        Self { generation, state }
    }

    /// Let the document go, which can be composed again. The view still tells it from another.
    pub fn rest(&mut self) {
        if let State::Whole(document) = &self.state {
            self.state = State::Resting(digest(document));
        }
    }

    /// The document was let go: before it is read, `aggregate` has to compose it again.
    pub const fn rests(&self) -> bool {
        matches!(self.state, State::Resting(_))
    }

    /// The state's generation: 0 before the first `aggregate`.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Every watcher has been told generation `seen`: what ended up to there can be dropped.
    /// Calling it is never needed (what is kept is bounded), only thrifty.
    pub fn forget(&mut self, seen: u64) {
        match &mut self.state {
            State::Whole(_) | State::Resting(_) => {}
            State::Watchers(watchers) => watchers.1.forget(seen),
            State::Dialogs(dialogs) => dialogs.1.forget(seen),
        }
    }

    /// The document of a full-state package as composed last.
    pub(super) fn document(&self) -> Option<&Document> {
        match &self.state {
            State::Whole(document) => Some(document),
            State::Resting(_) | State::Watchers(_) | State::Dialogs(_) => None,
        }
    }

    pub(super) const fn watchers_mut(&mut self) -> Option<&mut Watchers> {
        match &mut self.state {
            State::Watchers(watchers) => Some(&mut watchers.1),
            State::Whole(_) | State::Resting(_) | State::Dialogs(_) => None,
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
        self.generation = dialogs.1.update(publications, before).max(1);
        self.generation > before
    }

    /// Take a composed document over. True when it differs from the last one.
    pub(super) fn set(&mut self, document: Document) -> bool {
        let same = match &self.state {
            State::Whole(known) => **known == document,
            State::Resting(known) => *known == digest(&document),
            State::Watchers(_) | State::Dialogs(_) => false,
        };
        let same = same && self.generation > 0;
        if !same || self.rests() {
            self.state = State::Whole(Arc::new(document));
        }
        self.generation += u64::from(!same);
        !same
    }

    /// The whole state.
    pub(super) fn full(&self, now: Wall) -> Arc<Document> {
        match &self.state {
            State::Whole(document) => document.clone(),
            State::Resting(_) => Arc::default(),
            State::Watchers(of) => Arc::new(winfo::write(&of.0, true, of.1.live(), now)),
            State::Dialogs(of) => Arc::new(dialog::write(&of.0, true, of.1.live())),
        }
    }

    /// What a watcher has not seen yet.
    pub(super) fn since(&self, since: u64, now: Wall) -> Option<Arc<Document>> {
        if since >= self.generation {
            return None;
        }
        let partial = match &self.state {
            State::Watchers(of) if since > 0 => {
                let changed = of.1.since(since);
                changed.map(|changed| winfo::write(&of.0, false, changed, now))
            }
            State::Dialogs(of) if since > 0 => {
                of.1.since(since).map(|changed| dialog::write(&of.0, false, changed))
            }
            _ => None,
        };
        Some(partial.map_or_else(|| self.full(now), Arc::new))
    }
}
