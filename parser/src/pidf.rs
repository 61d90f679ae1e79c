//! PIDF (RFC 3863) with the person and device elements of RFC 4479: what a published document must
//! be, and which of its parts is what.
//!
//! Extensions (RPID, CIPID and whatever comes) are neither demanded nor refused: RFC 3863 4.2.4 has
//! them carried.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use roxmltree::Node;
use smallvec::SmallVec;

use crate::xml::plain::{Plain, Step};
use crate::xml::{Child, Outline, XmlError, read, unescape};

/// Namespace of PIDF.
pub const NAMESPACE: &str = "urn:ietf:params:xml:ns:pidf";
/// Namespace of the data model: `person` and `device` (RFC 4479).
pub const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
/// Namespace of RPID (RFC 4480).
pub const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";

/// Why a document is no PIDF to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PidfError {
    /// Not well-formed, or over a limit.
    Xml(XmlError),
    /// The root is not `presence` in PIDF's namespace.
    Root,
    /// The root has no `entity` (RFC 3863 4.1.1).
    Entity,
    /// A tuple, person or device has no `id`, or one that another of its kind has (4.1.2).
    Id,
    /// A tuple has no `status` or several (4.1.2).
    Status,
}

/// The elements that documents are composed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A service: `tuple`.
    Tuple,
    /// `note` of the presentity as a whole.
    Note,
    /// `person`, RFC 4479.
    Person,
    /// `device`, RFC 4479.
    Device,
    /// Anything else, of any namespace.
    Other,
}

impl Kind {
    fn of(namespace: &str, local: &str) -> Self {
        match (namespace, local) {
            (NAMESPACE, "tuple") => Self::Tuple,
            (NAMESPACE, "note") => Self::Note,
            (DATA_MODEL, "person") => Self::Person,
            (DATA_MODEL, "device") => Self::Device,
            _ => Self::Other,
        }
    }

    /// Are elements of this kind told apart by `id`?
    pub const fn has_id(self) -> bool {
        matches!(self, Self::Tuple | Self::Person | Self::Device)
    }
}

/// What a child of the root is, and its `id`.
pub fn classify<'a>(outline: &Outline<'a>, child: &Child<'a>) -> (Kind, Option<Cow<'a, str>>) {
    let kind = Kind::of(&outline.namespace(child), child.tag.split_name().1);
    let id = child.tag.attribute("id").filter(|_| kind.has_id());
    (kind, id.map(|id| unescape(id.value)))
}

/// May this document be published?
pub fn validate(bytes: &[u8]) -> Result<(), PidfError> {
    match is_plain(bytes) {
        Some(()) => Ok(()),
        None => validate_tree(bytes),
    }
}

/// One pass for documents as nearly all are written; `None` says nothing about any other.
fn is_plain(bytes: &[u8]) -> Option<()> {
    let mut reader = Plain::new(bytes)?;
    let mut ids: SmallVec<[(Kind, &[u8]); 8]> = SmallVec::new();
    // Of the tuple that is open.
    let mut statuses = None;
    loop {
        match reader.next()? {
            Step::Open(element) => match (element.depth, &mut statuses) {
                (1, _) => {
                    let name = (element.namespace, element.local);
                    let entity = element.attribute("entity")?;
                    let usable = entity.first().is_some_and(u8::is_ascii_graphic);
                    if name != (NAMESPACE.as_bytes(), b"presence") || !usable {
                        return None;
                    }
                }
                (2, _) => {
                    let kind = Kind::of(text(element.namespace)?, text(element.local)?);
                    statuses = (kind == Kind::Tuple).then_some(0_usize);
                    if kind.has_id() {
                        let id = element.attribute("id").filter(|id| !id.is_empty())?;
                        if ids.contains(&(kind, id)) || ids.len() == ids.inline_size() {
                            return None;
                        }
                        ids.push((kind, id));
                    }
                }
                (3, Some(count)) => {
                    let status = (NAMESPACE.as_bytes(), &b"status"[..]);
                    let is_status = (element.namespace, element.local) == status;
                    *count = count.checked_add(usize::from(is_status))?;
                }
                _ => {}
            },
            Step::Close(2) if statuses.take().is_some_and(|count| count != 1) => return None,
            Step::Close(_) => {}
            Step::End => return Some(()),
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

/// As [`validate`], of any document.
fn validate_tree(bytes: &[u8]) -> Result<(), PidfError> {
    let document = read(bytes).map_err(PidfError::Xml)?;
    let root = document.root_element();
    if !root.has_tag_name((NAMESPACE, "presence")) {
        return Err(PidfError::Root);
    }
    if root.attribute("entity").is_none_or(|entity| entity.trim().is_empty()) {
        return Err(PidfError::Entity);
    }
    let mut ids: Vec<(Kind, &str)> = Vec::new();
    for child in root.children().filter(Node::is_element) {
        let name = child.tag_name();
        let kind = Kind::of(name.namespace().unwrap_or_default(), name.name());
        if kind == Kind::Tuple {
            validate_tuple(child)?;
        }
        if kind.has_id() {
            let id = child.attribute("id").filter(|id| !id.is_empty()).ok_or(PidfError::Id)?;
            ids.push((kind, id));
        }
    }
    ids.sort_unstable();
    match ids.windows(2).any(|pair| pair.first() == pair.last()) {
        true => Err(PidfError::Id),
        false => Ok(()),
    }
}

/// The value of `basic` is not looked at: RFC 3863 4.1.4 knows open and closed, but baresip
/// publishes `unknown` until its user says more, and refusing that would keep it from publishing at
/// all.
fn validate_tuple(tuple: Node<'_, '_>) -> Result<(), PidfError> {
    let statuses = tuple.children().filter(|node| node.has_tag_name((NAMESPACE, "status")));
    match statuses.count() {
        1 => Ok(()),
        _ => Err(PidfError::Status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::XmlReason;
    use alloc::string::String;

    fn document(content: &str) -> String {
        alloc::format!(
            "<presence xmlns='{NAMESPACE}' xmlns:dm='{DATA_MODEL}' entity='sip:a@b'>\
             {content}</presence>"
        )
    }

    fn verdict(content: &str) -> Result<(), PidfError> {
        validate(document(content).as_bytes())
    }

    const OPEN: &str = "<status><basic>open</basic></status>";

    #[test]
    fn real_documents_pass() {
        assert_eq!(verdict(""), Ok(()));
        let rich = alloc::format!(
            "<tuple id='t'>{OPEN}<contact priority='0.8'>sip:a@c</contact></tuple>\
             <note xml:lang='en'>hi</note><dm:person id='t'><x xmlns='y'/></dm:person>\
             <dm:device id='d'><dm:deviceID>urn:x</dm:deviceID></dm:device>"
        );
        assert_eq!(verdict(&rich), Ok(()), "ids of different kinds may be equal");
        assert_eq!(verdict("<tuple id='t'><status/></tuple>"), Ok(()), "basic is optional");
        let unknown = "<tuple id='t'><status><basic>unknown</basic></status></tuple>";
        assert_eq!(verdict(unknown), Ok(()), "baresip before its user says more");
    }

    /// RFC 3863 4.1: each rule has its reason.
    #[test]
    fn broken_documents_are_named() {
        let tuple = |id: &str| alloc::format!("<tuple id='{id}'>{OPEN}</tuple>");
        assert_eq!(verdict(&tuple("")), Err(PidfError::Id));
        assert_eq!(verdict(&alloc::format!("<tuple>{OPEN}</tuple>")), Err(PidfError::Id));
        let twice = [tuple("x"), "<dm:person id='p'/>".into(), tuple("x")].concat();
        assert_eq!(verdict(&twice), Err(PidfError::Id));
        assert_eq!(verdict("<tuple id='x'/>"), Err(PidfError::Status));
        assert_eq!(validate(b"<presence entity='sip:a@b'/>"), Err(PidfError::Root));
        let anonymous = alloc::format!("<presence xmlns='{NAMESPACE}'/>");
        assert_eq!(validate(anonymous.as_bytes()), Err(PidfError::Entity));
        let Err(PidfError::Xml(error)) = validate(b"<presence") else { panic!("no document") };
        assert_eq!(error.reason, XmlReason::Malformed);
    }

    #[test]
    fn children_are_classified_by_namespace() {
        let text =
            document("<tuple id='a&amp;b'/><note/><dm:person id='p'/><tuple xmlns='x' id='t'/>");
        let outline = Outline::read(text.as_bytes()).unwrap();
        let found: Vec<_> =
            outline.children.iter().map(|child| classify(&outline, child)).collect();
        assert_eq!(found.first(), Some(&(Kind::Tuple, Some("a&b".into()))));
        assert_eq!(found.get(1), Some(&(Kind::Note, None)));
        assert_eq!(found.get(2), Some(&(Kind::Person, Some("p".into()))));
        assert_eq!(found.get(3), Some(&(Kind::Other, None)));
    }
}
