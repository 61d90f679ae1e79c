//! Event packages as pure functions (row C54): what a published document must be, what watchers see
//! of all publications together, and how one composed document becomes each watcher's own.
//!
//! Nothing here knows SIP, storage or time beyond its arguments. The presence core works like this:
//!
//! - PUBLISH: [`Package::validate_publish`] says what to store or why not.
//! - A change: [`Package::aggregate`] brings the presentity's [`View`] up to its publications and
//!   tells whether anything a watcher can see has changed. A view is kept only while a presentity
//!   has watchers of the package; made anew it is complete after one `aggregate`.
//! - Fan-out: every subscription remembers the view's generation of its last NOTIFY
//!   ([`View::generation`]). [`Package::change_body`] gives the document for a watcher that has
//!   seen generation `since`: the whole state, or for partial packages the union of what changed
//!   after it. Watchers with equal `since` share one [`Document`]; [`Package::patch`] makes each
//!   watcher's copy.
//! - SUBSCRIBE, and after a NOTIFY without 2xx: [`Package::subscribe_body`], always full state.

mod dialog;
mod dialogs;
mod document;
mod entity;
mod info;
mod message_summary;
mod mix;
mod passthrough;
mod presence;
mod registry;
mod table;
mod view;
mod winfo;

use alloc::sync::Arc;
use alloc::vec::Vec;

use pharos_parser::xml::XmlError;

use crate::Wall;
use crate::config::PresenceConfig;

pub use document::{Document, VERSION_FIELD};
pub use info::Info;
pub use registry::{PackageId, Packages};
pub use view::View;
pub use winfo::{Watcher, WatcherEvent, WatcherStatus};

/// A PUBLISH that carries state, as the package sees it.
#[derive(Clone, Copy, Debug)]
pub struct Publish<'a> {
    /// Presentity, normal form.
    pub aor: &'a str,
    /// Media type without parameters, any case; empty when there is no body.
    pub content_type: &'a str,
    /// The body; may be empty for packages without [`Info::mandatory_body`].
    pub body: &'a [u8],
    /// The body this publication has now, when the PUBLISH modifies one.
    pub previous: Option<&'a [u8]>,
    /// The parameters.
    pub config: &'a PresenceConfig,
}

impl Publish<'_> {
    /// Is there a body where one must be, of a type that the package takes?
    fn needs_body(&self, info: &Info) -> Result<(), BodyError> {
        match self.body.is_empty() {
            true if info.mandatory_body => Err(BodyError::Missing),
            false if !info.publishes(self.content_type) => Err(BodyError::MediaType),
            _ => Ok(()),
        }
    }
}

/// What a valid PUBLISH leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Store the body as it came.
    AsIs,
    /// Store this instead (a partial document merged into the previous one, row C16's correction).
    Rewritten(Vec<u8>),
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The package does not take this media type: 415 with Accept (RFC 3903 section 6 step 6).
    MediaType,
    /// Not a document of the announced type at all (XML that does not parse, another root): 415, as
    /// row C71 has it and RFC 3903 allows ("not understood by the ESC").
    NotUnderstood,
    /// A document of the type that breaks its rules (a tuple without id, two with the same): 400.
    Invalid,
    /// The package demands a body and there is none: 400 (row C71).
    Missing,
    /// Over a limit of length, depth or count, perhaps only with what it adds to: 413.
    TooLarge,
}

impl BodyError {
    /// For a document that the XML reader refuses.
    pub(super) const fn of_xml(error: XmlError) -> Self {
        if error.reason.is_limit() { Self::TooLarge } else { Self::NotUnderstood }
    }

    /// The SIP status that answers it.
    pub const fn status(self) -> u16 {
        match self {
            Self::MediaType | Self::NotUnderstood => 415,
            Self::Invalid | Self::Missing => 400,
            Self::TooLarge => 413,
        }
    }
}

/// One live publication.
#[derive(Clone, Copy, Debug)]
pub struct Published<'a> {
    /// Names the publication for as long as it lives (the core's object id).
    pub id: u64,
    /// The stored body.
    pub body: &'a [u8],
    /// Header lines of the PUBLISH that NOTIFY repeats ([`Info::extra_headers`]), each with CRLF.
    pub headers: &'a [u8],
}

/// All that a presentity's state is composed of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Presentity, normal form.
    pub aor: &'a str,
    /// Live publications of the package, newest first (by last change of state, not by refresh).
    pub publications: &'a [Published<'a>],
    /// Live `dialog` publications of the same AoR, newest first; only `presence` looks at them, and
    /// only with `mix_dialog_presence` (rows C14, C82).
    pub dialogs: &'a [Published<'a>],
    /// The parameters.
    pub config: &'a PresenceConfig,
}

/// One event package. The hooks are those of row C54, but for the two that look at people:
/// authorization and the filter by rule are `presence::authorize`'s.
pub trait Package: Sync {
    /// What is fixed about the package.
    fn info(&self) -> &'static Info;

    /// May this body be published?
    fn validate_publish(&self, publish: &Publish<'_>) -> Result<Accepted, BodyError>;

    /// May a SUBSCRIBE carry this body? An empty one always may; filters are not supported, so any
    /// other is refused unless the package knows the type.
    fn validate_subscribe(&self, content_type: &str, body: &[u8]) -> Result<(), BodyError> {
        let known = self.info().subscribe_types.iter();
        match body.is_empty() || known.into_iter().any(|t| t.eq_ignore_ascii_case(content_type)) {
            true => Ok(()),
            false => Err(BodyError::MediaType),
        }
    }

    /// Bring `view` up to the publications. True when a watcher could see a difference; the view's
    /// generation has then risen. With no publication left the view holds the offline document
    /// ([`Package::offline_body`]) or the empty one ([`Package::empty_body`]).
    fn aggregate(&self, inputs: &Inputs<'_>, view: &mut View) -> bool;

    /// The document once the last publication has ended, made of the last one composed (row C122).
    fn offline_body(&self, inputs: &Inputs<'_>, last: &Document) -> Option<Document> {
        let _ = (inputs, last);
        None
    }

    /// The document of a presentity that has published nothing; with no content it is a NOTIFY
    /// without body.
    fn empty_body(&self, inputs: &Inputs<'_>) -> Document {
        let _ = inputs;
        Document::default()
    }

    /// Append one watcher's copy of the body: only the version differs (rows C113, C115).
    fn patch(&self, document: &Document, version: u32, out: &mut Vec<u8>) {
        document.write_body(version, out);
    }

    /// The whole state, for the NOTIFY that follows a SUBSCRIBE.
    fn subscribe_body(&self, view: &View, now: Wall) -> Arc<Document> {
        view.full(now)
    }

    /// The state for a watcher whose last NOTIFY was made at generation `since`: for partial
    /// packages the union of all changes after it, else (and where the view no longer knows them)
    /// the whole. `None` when the watcher has seen everything.
    fn change_body(&self, view: &View, since: u64, now: Wall) -> Option<Arc<Document>> {
        view.since(since, now)
    }
}
