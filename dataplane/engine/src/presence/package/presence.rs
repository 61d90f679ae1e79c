//! `presence` (RFC 3856): PIDF documents of all publications as one (rows C121, C122, C17).
//!
//! Tuples, persons and devices with the same id *within their own kind* are one element of which
//! the newest counts. The original compared ids across the kinds, so that a person went missing
//! when some other device had happened to number a tuple alike; ids of different kinds name
//! different things (RFC 4479 3), and losing state is worse than an xs:ID used twice.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use pharos_parser::pidf::{self, Kind, NAMESPACE, PidfError};
use pharos_parser::xml::{self, Outline};
use smallvec::SmallVec;

use super::entity::{names, write_uri};
use super::{Accepted, BodyError, Document, Info, Inputs, Package, PackageId, Publish, View, mix};

const PIDF: &str = "application/pidf+xml";
const PROLOG: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n";

/// The package.
pub(super) struct Presence;

static INFO: Info = Info {
    publish_types: &[PIDF],
    notify_type: PIDF,
    req_auth: true,
    winfo: true,
    rfc_interval: 5_000,
    ..Info::new(PackageId::PRESENCE, "presence")
};

impl Package for Presence {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn validate_publish(&self, publish: &Publish<'_>) -> Result<Accepted, BodyError> {
        publish.needs_body(&INFO)?;
        match pidf::validate(publish.body) {
            Ok(()) => Ok(Accepted::AsIs),
            Err(PidfError::Xml(error)) => Err(BodyError::of_xml(error)),
            Err(PidfError::Root) => Err(BodyError::NotUnderstood),
            Err(_) => Err(BodyError::Invalid),
        }
    }

    fn aggregate(&self, inputs: &Inputs<'_>, view: &mut View) -> bool {
        let mixed = match inputs.config.mix_dialog_presence {
            true => mix::document(inputs.aor, inputs.dialogs, inputs.publications.is_empty()),
            false => None,
        };
        let bodies = mixed.as_deref().into_iter();
        let bodies = bodies.chain(inputs.publications.iter().map(|published| published.body));
        let document = match compose(inputs.aor, bodies) {
            Some(bytes) => Document::new(PIDF, bytes),
            None => match view.document().filter(|last| last.has_body()) {
                Some(last) if inputs.config.generate_offline_body => {
                    self.offline_body(inputs, last).unwrap_or_else(|| self.empty_body(inputs))
                }
                _ => self.empty_body(inputs),
            },
        };
        view.set(document)
    }

    /// Row C122: the root and the first tuple, closed. What else the tuple's status said no longer
    /// holds and is left out.
    fn offline_body(&self, inputs: &Inputs<'_>, last: &Document) -> Option<Document> {
        let outline = Outline::read(&last.bytes).ok()?;
        let ids = outline.children.iter().map(|child| pidf::classify(&outline, child));
        let id = ids.into_iter().find_map(|(kind, id)| id.filter(|_| kind == Kind::Tuple));
        let entity = Entity::of(&outline, inputs.aor);
        Some(closed(inputs.aor, entity, id.as_deref().unwrap_or(DUMMY_TUPLE)))
    }

    /// Row C17: a closed document, or with `notify_offline_body` off none.
    fn empty_body(&self, inputs: &Inputs<'_>) -> Document {
        match inputs.config.notify_offline_body {
            true => closed(inputs.aor, Entity::Rebuilt, DUMMY_TUPLE),
            false => Document::default(),
        }
    }
}

/// Id of the tuple that stands for somebody of whom nothing is known.
const DUMMY_TUPLE: &str = "a";

/// What the root's `entity` will say (row C121).
#[derive(Clone, Copy)]
enum Entity<'a> {
    /// As the newest document says it: it names the presentity, be it as `pres:`.
    Kept(&'a str),
    /// `sip:user@host`.
    Rebuilt,
}

impl<'a> Entity<'a> {
    fn of(outline: &Outline<'a>, aor: &str) -> Self {
        let entity = outline.root.attribute("entity").map(|entity| entity.value);
        match entity.filter(|entity| names(entity, aor)) {
            Some(entity) => Self::Kept(entity),
            None => Self::Rebuilt,
        }
    }

    fn write(self, aor: &str, out: &mut Vec<u8>) {
        match self {
            // The value may have been quoted with either quote.
            Self::Kept(raw) => xml::escape(&xml::unescape(raw), out),
            Self::Rebuilt => write_uri(aor, out),
        }
    }
}

fn closed(aor: &str, entity: Entity<'_>, tuple: &str) -> Document {
    let mut out = Vec::with_capacity(256);
    open_root(aor, entity, &[("", NAMESPACE)], &mut out);
    out.extend_from_slice(b"<tuple id=\"");
    xml::escape(tuple, &mut out);
    out.extend_from_slice(b"\"><status><basic>closed</basic></status></tuple></presence>\r\n");
    Document::new(PIDF, out)
}

fn open_root(aor: &str, entity: Entity<'_>, bindings: &[(&str, &str)], out: &mut Vec<u8>) {
    out.extend_from_slice(PROLOG);
    out.extend_from_slice(b"<presence");
    for (prefix, namespace) in bindings {
        xml::declare(prefix, namespace, out);
    }
    out.extend_from_slice(b" entity=\"");
    entity.write(aor, out);
    out.extend_from_slice(b"\">");
}

/// One document of all bodies, newest first. Bodies that cannot be read (imported ones may be
/// anything) are left out; `None` when nothing is left.
fn compose<'a>(aor: &str, bodies: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let outlines: SmallVec<[Outline<'a>; 1]> = bodies
        .filter_map(|body| Outline::read(body).ok())
        .filter(|outline| outline.root.is(NAMESPACE, "presence"))
        .collect();
    match outlines.as_slice() {
        [] => None,
        [one] => alone(aor, one),
        several => Some(merge(aor, several)),
    }
}

/// The only publication: its bytes with the entity made right, and a prolog of ours, since its own
/// may announce an encoding or a version that our bytes have not.
fn alone(aor: &str, outline: &Outline<'_>) -> Option<Vec<u8>> {
    let (text, root) = (outline.text(), &outline.root);
    let mut out = Vec::with_capacity(PROLOG.len() + text.len() + aor.len() + 16);
    out.extend_from_slice(PROLOG);
    match root.attribute("entity") {
        Some(entity) if names(entity.value, aor) => {
            out.extend_from_slice(text.get(root.start..)?.as_bytes());
        }
        Some(entity) => {
            out.extend_from_slice(text.get(root.start..entity.value_at)?.as_bytes());
            write_uri(aor, &mut out);
            out.extend_from_slice(text.get(entity.value_at + entity.value.len()..)?.as_bytes());
        }
        None => {
            out.extend_from_slice(text.get(root.start..root.name_end())?.as_bytes());
            out.extend_from_slice(b" entity=\"");
            write_uri(aor, &mut out);
            out.push(b'"');
            out.extend_from_slice(text.get(root.name_end()..)?.as_bytes());
        }
    }
    Some(out)
}

/// Row C121. In the order that PIDF's schema wants: tuples, notes, the rest; each newest first.
fn merge(aor: &str, outlines: &[Outline<'_>]) -> Vec<u8> {
    let newest = &outlines[0];
    let declared: Vec<(&str, Cow<'_, str>)> = newest
        .declarations()
        .filter(|(prefix, namespace)| !prefix.is_empty() && !namespace.is_empty())
        .collect();
    let mut bindings: Vec<(&str, &str)> = Vec::with_capacity(declared.len() + 1);
    bindings.push(("", NAMESPACE));
    bindings.extend(declared.iter().map(|(prefix, namespace)| (*prefix, namespace.as_ref())));

    let length: usize = outlines.iter().map(|outline| outline.text().len()).sum();
    let mut out = Vec::with_capacity(length + 128);
    open_root(aor, Entity::of(newest, aor), &bindings, &mut out);
    let (mut notes, mut rest) = (Vec::new(), Vec::new());
    let mut seen: BTreeSet<(Kind, Cow<'_, str>)> = BTreeSet::new();
    for outline in outlines {
        for child in &outline.children {
            let (kind, id) = pidf::classify(outline, child);
            if id.is_some_and(|id| !seen.insert((kind, id))) {
                continue;
            }
            let part = match kind {
                Kind::Tuple => &mut out,
                Kind::Note => &mut notes,
                Kind::Person | Kind::Device | Kind::Other => &mut rest,
            };
            outline.copy_child(child, &bindings, part);
        }
    }
    out.append(&mut notes);
    out.append(&mut rest);
    out.extend_from_slice(b"</presence>\r\n");
    out
}

#[cfg(test)]
mod tests;
