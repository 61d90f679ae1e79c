//! Event packages (RFC 6665 5.4): the trait with the hooks of row C54, and the register of all of them.
//!
//! A package knows documents and nothing else: every hook is a function of bytes. State, order, timers
//! and dialogs are `presence`'s. Authorization is not here: it looks at people, not at documents.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// A registered package: its place in [`ALL`]. One byte in every subscription and publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub u8);

/// What never changes about a package (row C53 `pres_ev_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Name in the Event header, with template (`presence.winfo`) or parameter (`dialog;sla`).
    pub name: &'static str,
    /// Media type of NOTIFY bodies, and the one that PUBLISH takes; empty when there are no bodies.
    pub content_type: &'static str,
    /// Seconds when a request names none (row C72): 3600; line-seize 15.
    pub default_expires: u32,
    /// PUBLISH may name it.
    pub publishable: bool,
    /// An initial or modifying PUBLISH without a body is a 400 (row C71).
    pub mandatory_body: bool,
    /// The end of a subscription by time is told with a NOTIFY (row C120).
    pub timeout_notification: bool,
    /// A refresh keeps its entity-tag (row C75).
    pub etag_not_new: bool,
    /// Watchers need the presentity's permission; otherwise every subscription is active.
    pub authorized: bool,
    /// The package whose watchers this one lists (RFC 3857): set for `.winfo` templates.
    pub winfo_of: Option<&'static str>,
    /// The state is a set of entries with a version: NOTIFY may carry only what changed.
    pub partial: bool,
    /// Header fields of a PUBLISH that each NOTIFY repeats (row C60 `extra_hdrs`), canonical names.
    pub extra_headers: &'static [&'static str],
    /// No 423, however short (line-seize).
    pub brief: bool,
}

impl About {
    /// A publishable whole-state package with mandatory body: what most packages are.
    pub const fn new(name: &'static str, content_type: &'static str) -> Self {
        Self {
            name,
            content_type,
            default_expires: 3600,
            publishable: true,
            mandatory_body: true,
            timeout_notification: true,
            etag_not_new: false,
            authorized: false,
            winfo_of: None,
            partial: false,
            extra_headers: &[],
            brief: false,
        }
    }
}

/// A published document, as a composer sees it. Lists of them are newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// The body as published (after [`Package::prepare`]); empty when the publication has none.
    pub body: &'a [u8],
    /// Header lines to repeat, each ended by CRLF; empty when there are none.
    pub extra_headers: &'a str,
}

/// One element of a partial package's state, such as one `<dialog>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What tells it from the others, such as the dialog's `id`.
    pub id: Box<str>,
    /// The element as it is written into a document.
    pub bytes: Box<[u8]>,
}

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// Not what its media type says: 415 for XML that does not parse (row C71).
    Malformed,
    /// It parses but breaks a rule of the package: 400.
    Invalid,
    /// Over a limit of depth or count: 413.
    TooLarge,
}

/// Options of the configuration that hooks look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// C16 `bla_fix_remote_target`.
    pub bla_fix_remote_target: bool,
    /// C17 `notify_offline_body`.
    pub notify_offline_body: bool,
}

/// An event package. All default methods describe a package whose newest document is its state.
pub trait Package: Sync {
    /// The fixed facts.
    fn about(&self) -> &About;

    /// The media type is one that a PUBLISH may carry. Case does not matter, parameters are cut off.
    fn takes(&self, media_type: &str) -> bool {
        media_type.eq_ignore_ascii_case(self.about().content_type)
    }

    /// Check a published body, not empty, of a media type that [`Self::takes`] knows.
    fn validate_publish(&self, aor: &str, body: &[u8]) -> Result<(), BodyError> {
        let _ = (aor, body);
        Ok(())
    }

    /// Check the body of a SUBSCRIBE (filters and the like), not empty.
    fn validate_subscribe(&self, media_type: &str, body: &[u8]) -> Result<(), BodyError> {
        let _ = (media_type, body);
        Ok(())
    }

    /// The body to keep instead of the one published (row C16); `None` keeps it as it is.
    fn prepare(&self, options: Options, body: &[u8]) -> Option<Vec<u8>> {
        let _ = (options, body);
        None
    }

    /// A modifying PUBLISH came late: `new` would take the state back (dialog, RFC 4235 3.7.1), so
    /// `old` stays. The PUBLISH is answered 200 all the same.
    fn regresses(&self, old: &[u8], new: &[u8]) -> bool {
        let _ = (old, new);
        false
    }

    /// The composed document (row C121) of whole-state packages; `None` when nothing is to be said.
    fn aggregate(&self, aor: &str, documents: &[Document<'_>]) -> Option<Vec<u8>> {
        let _ = aor;
        documents.first().filter(|newest| !newest.body.is_empty()).map(|newest| newest.body.into())
    }

    /// The header lines that go with [`Self::aggregate`], each ended by CRLF (call-info).
    fn headers(&self, documents: &[Document<'_>]) -> String {
        documents.first().map_or_else(String::new, |newest| newest.extra_headers.into())
    }

    /// The closed document after the last publication ended; `last` was its body (rows C35, C122).
    fn offline_body(&self, aor: &str, last: &[u8]) -> Option<Vec<u8>> {
        let _ = (aor, last);
        None
    }

    /// The document when nothing is published (row C17; message-summary has one always).
    fn empty_body(&self, aor: &str, options: Options) -> Option<Vec<u8>> {
        let _ = (aor, options);
        None
    }

    /// Partial packages: the composed entries, each id once, in the order they are to be written.
    fn entries(&self, aor: &str, documents: &[Document<'_>]) -> Vec<Entry> {
        let _ = (aor, documents);
        Vec::new()
    }

    /// Partial packages: how the end of an entry is told, such as the dialog in state terminated;
    /// `None` when its last form said so already.
    fn ended(&self, entry: &Entry) -> Option<Entry> {
        let _ = entry;
        None
    }

    /// Partial packages: append a document with this version, full (all entries are given) or partial
    /// (only those that changed), to `out`.
    fn write(&self, aor: &str, version: u32, full: bool, entries: &[&Entry], out: &mut Vec<u8>) {
        let _ = (aor, version, full, entries, out);
    }
}

/// A package with only fixed facts: pass-through of the newest document.
pub struct Plain(pub About);

impl Package for Plain {
    fn about(&self) -> &About {
        &self.0
    }
}

/// Every package, in the order of Allow-Events.
pub static ALL: &[&dyn Package] = &[
    &Plain(About { authorized: true, ..About::new("presence", "application/pidf+xml") }),
    &Plain(About {
        publishable: false,
        winfo_of: Some("presence"),
        partial: true,
        ..About::new("presence.winfo", "application/watcherinfo+xml")
    }),
    &Plain(About { partial: true, ..About::new("dialog", "application/dialog-info+xml") }),
    &Plain(About { partial: true, ..About::new("dialog;sla", "application/dialog-info+xml") }),
    &Plain(About::new("message-summary", "application/simple-message-summary")),
    &Plain(About::new("reg", "application/reginfo+xml")),
    &Plain(About {
        timeout_notification: false,
        ..About::new("xcap-diff", "application/xcap-diff+xml")
    }),
    &Plain(About::new("as-feature-event", "application/x-as-feature-event+xml")),
    &Plain(About {
        mandatory_body: false,
        extra_headers: &["Call-Info"],
        ..About::new("call-info", "")
    }),
    &Plain(About {
        mandatory_body: false,
        default_expires: 15,
        timeout_notification: false,
        extra_headers: &["Call-Info"],
        brief: true,
        ..About::new("line-seize", "")
    }),
];

/// The package of this name; names are compared as they are (RFC 6665 8.2.1).
pub fn find(name: &str) -> Option<PackageId> {
    let place = ALL.iter().position(|package| package.about().name == name)?;
    u8::try_from(place).ok().map(PackageId)
}

/// A registered package.
///
/// # Panics
/// Never for an id that [`find`] gave.
pub fn get(id: PackageId) -> &'static dyn Package {
    ALL[usize::from(id.0)]
}
