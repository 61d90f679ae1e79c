//! What watchers of one presentity can see of it now, and what has changed since when.

use super::Document;
use crate::Wall;

/// The composed state of one presentity for one package, with a generation that rises with every
/// visible change. A subscription keeps the generation its last NOTIFY was made of; 0 is "nothing
/// yet", so that every new subscription gets the whole state.
#[derive(Clone, Debug, Default)]
pub struct View {
    generation: u64,
    document: Document,
}

impl View {
    /// The state's generation: 0 before the first `aggregate`.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The document of a full-state package as composed last.
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Take a composed document over. True when it differs from the last one.
    pub(super) fn set(&mut self, document: Document) -> bool {
        if self.generation > 0 && self.document == document {
            return false;
        }
        self.document = document;
        self.generation += 1;
        true
    }

    /// The whole state.
    pub(super) fn full(&self, _now: Wall) -> Document {
        self.document.clone()
    }

    /// What a watcher has not seen yet.
    pub(super) fn since(&self, since: u64, now: Wall) -> Option<Document> {
        (since < self.generation).then(|| self.full(now))
    }
}
