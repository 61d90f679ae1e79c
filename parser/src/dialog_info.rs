//! dialog-info (RFC 4235 4): the dialogs of a document with their identity and state.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::xml::{Child, Outline, Tag, XmlError, read, unescape};

/// Namespace of dialog-info.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:dialog-info";

/// Why a document is no dialog-info to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogInfoError {
    /// Not well-formed, or over a limit.
    Xml(XmlError),
    /// The root is not `dialog-info` in its namespace.
    Root,
    /// `version`, `state` or `entity` is missing or none (RFC 4235 4.1.1).
    Attributes,
    /// A dialog has no `id`, or that of another (4.1.2).
    Id,
    /// A dialog has no state, or one that RFC 4235 does not know (4.1.3).
    State,
}

/// State of a dialog, in the order they are passed through (RFC 4235 3.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DialogState {
    /// INVITE sent or received, nothing answered.
    Trying,
    /// Answered provisionally without a tag.
    Proceeding,
    /// Answered provisionally with a tag: ringing.
    Early,
    /// Answered.
    Confirmed,
    /// Over; nothing follows.
    Terminated,
}

impl DialogState {
    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "trying" => Self::Trying,
            "proceeding" => Self::Proceeding,
            "early" => Self::Early,
            "confirmed" => Self::Confirmed,
            "terminated" => Self::Terminated,
            _ => return None,
        })
    }
}

/// One `dialog` element.
#[derive(Clone, Debug)]
pub struct Dialog<'a> {
    /// `id`, empty when there is none.
    pub id: Cow<'a, str>,
    /// `call-id`.
    pub call_id: Option<Cow<'a, str>>,
    /// `local-tag`.
    pub local_tag: Option<Cow<'a, str>>,
    /// `remote-tag`.
    pub remote_tag: Option<Cow<'a, str>>,
    /// `direction` as written: whether the entity called or was called.
    pub direction: Option<&'a str>,
    /// The state; `None` when there is no known one.
    pub state: Option<DialogState>,
    /// Its place.
    pub child: Child<'a>,
}

/// A document, one level of dialogs deep.
#[derive(Clone, Debug)]
pub struct DialogInfo<'a> {
    /// Where everything is.
    pub outline: Outline<'a>,
    /// `state="partial"`: dialogs that are not named are as they were.
    pub partial: bool,
    /// The dialogs in document order.
    pub dialogs: Vec<Dialog<'a>>,
}

impl<'a> DialogInfo<'a> {
    /// Read a document that was validated when it came; of any other bytes as much as makes sense.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DialogInfoError> {
        let outline = Outline::read(bytes).map_err(DialogInfoError::Xml)?;
        if !outline.root.is(NAMESPACE, "dialog-info") {
            return Err(DialogInfoError::Root);
        }
        let partial = outline.root.attribute("state").is_some_and(|state| state.value == "partial");
        let dialogs = outline
            .children
            .iter()
            .filter(|child| outline.local_name(child, NAMESPACE) == Some("dialog"))
            .map(|child| Self::dialog(&outline, child))
            .collect();
        Ok(Self { outline, partial, dialogs })
    }

    fn dialog(outline: &Outline<'a>, child: &Child<'a>) -> Dialog<'a> {
        let text = |name: &str| child.tag.attribute(name).map(|found| unescape(found.value));
        Dialog {
            id: text("id").unwrap_or_default(),
            call_id: text("call-id"),
            local_tag: text("local-tag"),
            remote_tag: text("remote-tag"),
            direction: child.tag.attribute("direction").map(|direction| direction.value),
            state: state_of(outline, child),
            child: *child,
        }
    }
}

/// The state written in a `dialog`.
fn state_of(outline: &Outline<'_>, dialog: &Child<'_>) -> Option<DialogState> {
    let inside = Outline::of_text(outline.text_of(dialog)).ok()?;
    let state = part(&inside, "state")?;
    let content = Outline::of_text(inside.text_of(&state)).ok()?;
    DialogState::from_name(unescape(content.content()).trim())
}

/// The first child of this local name with the prefix of its parent: how every dialog-info in the
/// field is written, whichever prefix that is.
pub fn part<'a>(parent: &Outline<'a>, local: &str) -> Option<Child<'a>> {
    let (prefix, _) = parent.root.split_name();
    let fits = |tag: &Tag<'_>| tag.split_name() == (prefix, local);
    parent.children.iter().find(|child| fits(&child.tag)).copied()
}

/// May this document be published?
pub fn validate(bytes: &[u8]) -> Result<DialogInfo<'_>, DialogInfoError> {
    read(bytes).map_err(DialogInfoError::Xml)?;
    let info = DialogInfo::read(bytes)?;
    let attribute = |name: &str| info.outline.root.attribute(name).map(|found| found.value);
    let version = attribute("version").map(str::parse::<u32>);
    let state = attribute("state");
    let entity = attribute("entity").is_some_and(|entity| !entity.trim().is_empty());
    if !matches!(version, Some(Ok(_))) || !matches!(state, Some("full" | "partial")) || !entity {
        return Err(DialogInfoError::Attributes);
    }
    let mut ids = BTreeSet::new();
    for dialog in &info.dialogs {
        if dialog.id.is_empty() || !ids.insert(dialog.id.clone()) {
            return Err(DialogInfoError::Id);
        }
        if dialog.state.is_none() {
            return Err(DialogInfoError::State);
        }
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn document(content: &str) -> String {
        alloc::format!(
            "<dialog-info xmlns='{NAMESPACE}' version='3' state='full' entity='sip:a@b'>\
             {content}</dialog-info>"
        )
    }

    fn error(content: &str) -> Option<DialogInfoError> {
        validate(document(content).as_bytes()).err()
    }

    /// RFC 4235 4.3's kind of document, also with a prefix of its own.
    #[test]
    fn dialogs_are_read() {
        let text = document(
            "<dialog id='as7d900as8' call-id='a84b4c76e66710' local-tag='1928301774' \
             direction='initiator'><state event='x' code='180'> early\n</state></dialog>\
             <dialog id='b'><state>terminated</state></dialog><x xmlns='y'/>",
        );
        let info = validate(text.as_bytes()).unwrap();
        assert!(!info.partial);
        let first = info.dialogs.first().unwrap();
        assert_eq!(
            (first.id.as_ref(), first.call_id.as_deref()),
            ("as7d900as8", Some("a84b4c76e66710"))
        );
        assert_eq!((first.remote_tag.as_deref(), first.direction), (None, Some("initiator")));
        let states: Vec<_> = info.dialogs.iter().map(|dialog| dialog.state).collect();
        assert_eq!(states, [Some(DialogState::Early), Some(DialogState::Terminated)]);
        let prefixed = alloc::format!(
            "<d:dialog-info xmlns:d='{NAMESPACE}' version='0' state='partial' entity='sip:a@b'>\
             <d:dialog id='1'><d:state>trying</d:state></d:dialog></d:dialog-info>"
        );
        let info = validate(prefixed.as_bytes()).unwrap();
        assert!(info.partial);
        assert_eq!(info.dialogs.first().unwrap().state, Some(DialogState::Trying));
    }

    #[test]
    fn broken_documents_are_named() {
        assert_eq!(error("<dialog><state>early</state></dialog>"), Some(DialogInfoError::Id));
        let twice = "<dialog id='1'><state>early</state></dialog>".repeat(2);
        assert_eq!(error(&twice), Some(DialogInfoError::Id));
        assert_eq!(error("<dialog id='1'/>"), Some(DialogInfoError::State));
        let odd = "<dialog id='1'><state>ringing</state></dialog>";
        assert_eq!(error(odd), Some(DialogInfoError::State));
        let root = validate(b"<dialog-info version='0' state='full' entity='x'/>").err();
        assert_eq!(root, Some(DialogInfoError::Root));
        for lacking in [
            "state='full' entity='x'",
            "version='-1' state='full' entity='x'",
            "version='1' state='half' entity='x'",
            "version='1' state='full'",
        ] {
            let text = alloc::format!("<dialog-info xmlns='{NAMESPACE}' {lacking}/>");
            assert_eq!(validate(text.as_bytes()).err(), Some(DialogInfoError::Attributes));
        }
    }

    /// RFC 4235 3.7.1: states only go forward.
    #[test]
    fn states_are_ordered() {
        let names = ["trying", "proceeding", "early", "confirmed", "terminated"];
        let states: Vec<_> = names.iter().filter_map(|name| DialogState::from_name(name)).collect();
        assert!(states.is_sorted() && states.len() == names.len());
    }
}
