//! `dialog` and `dialog;sla` (RFC 4235): the dialogs of all publishers as one set, told whole on
//! SUBSCRIBE and by what changed afterwards (row C115).
//!
//! A publication always holds the whole state of its publisher: a partial document is merged into
//! what it changes before it is stored, so that nothing is lost over a restart. For `dialog;sla`
//! the remote target is put right on the way in (row C16).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use pharos_parser::dialog_info::{
    self, Dialog, DialogInfo, DialogInfoError, DialogState, NAMESPACE, part,
};
use pharos_parser::xml::{self, Outline, unescape};

use super::dialogs::same_dialog;
use super::entity::write_uri;
use super::{Accepted, BodyError, Document, Info, Inputs, Package, PackageId, Publish, View};

const DIALOG_INFO: &str = "application/dialog-info+xml";

/// Both packages: they differ in their constants and in row C16.
pub(super) struct DialogPackage(pub(super) &'static Info);

pub(super) static DIALOG: Info = Info {
    publish_types: &[DIALOG_INFO],
    notify_type: DIALOG_INFO,
    full_state: false,
    rfc_interval: 1_000,
    ..Info::new(PackageId::DIALOG, "dialog")
};

pub(super) static DIALOG_SLA: Info = Info {
    event_type: "dialog",
    publish_types: &[DIALOG_INFO],
    notify_type: DIALOG_INFO,
    full_state: false,
    rfc_interval: 1_000,
    ..Info::new(PackageId::DIALOG_SLA, "dialog;sla")
};

impl Package for DialogPackage {
    fn info(&self) -> &'static Info {
        self.0
    }

    fn validate_publish(&self, publish: &Publish<'_>) -> Result<Accepted, BodyError> {
        publish.needs_body(self.0)?;
        let info = dialog_info::validate(publish.body).map_err(|error| match error {
            DialogInfoError::Xml(error) => BodyError::of_xml(error),
            DialogInfoError::Root => BodyError::NotUnderstood,
            _ => BodyError::Invalid,
        })?;
        let previous = publish.previous.and_then(|body| DialogInfo::read(body).ok());
        let merged = previous.and_then(|previous| merge(publish.aor, &previous, &info));
        let body = merged.as_deref().unwrap_or(publish.body);
        if body.len() > xml::MAX_LENGTH {
            // Partial documents could add to the publication without end.
            return Err(BodyError::TooLarge);
        }
        let fixes = self.0.id == PackageId::DIALOG_SLA && publish.config.bla_fix_remote_target;
        let fixed = if fixes { fix_remote_targets(body) } else { None };
        Ok(fixed.or(merged).map_or(Accepted::AsIs, Accepted::Rewritten))
    }

    fn aggregate(&self, inputs: &Inputs<'_>, view: &mut View) -> bool {
        view.update_dialogs(inputs.publications)
    }
}

/// The publication's next state, when it is not just the new document: a partial one keeps the
/// dialogs that it does not name, and no dialog goes back to a state it has left (RFC 4235 3.7.1).
fn merge(aor: &str, previous: &DialogInfo<'_>, new: &DialogInfo<'_>) -> Option<Vec<u8>> {
    let olds: BTreeMap<&str, &Dialog<'_>> =
        previous.dialogs.iter().map(|old| (old.id.as_ref(), old)).collect();
    let before = |dialog: &Dialog<'_>| {
        let old = olds.get(dialog.id.as_ref()).copied();
        old.filter(|old| same_dialog(old, dialog) && goes_back(old, dialog))
    };
    if !new.partial && new.dialogs.iter().all(|dialog| before(dialog).is_none()) {
        return None;
    }
    let mut out = Vec::with_capacity(previous.outline.text().len() + new.outline.text().len());
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<dialog-info");
    xml::declare("", NAMESPACE, &mut out);
    out.extend_from_slice(b" version=\"0\" state=\"full\" entity=\"");
    write_uri(aor, &mut out);
    out.extend_from_slice(b"\">");
    let bindings = [("", NAMESPACE)];
    if new.partial {
        let named: BTreeSet<&str> = new.dialogs.iter().map(|dialog| dialog.id.as_ref()).collect();
        let stays = |old: &&Dialog<'_>| {
            old.state != Some(DialogState::Terminated) && !named.contains(old.id.as_ref())
        };
        for old in previous.dialogs.iter().filter(stays) {
            previous.outline.copy_child(&old.child, &bindings, &mut out);
        }
    }
    for dialog in &new.dialogs {
        match before(dialog) {
            Some(old) => previous.outline.copy_child(&old.child, &bindings, &mut out),
            None => new.outline.copy_child(&dialog.child, &bindings, &mut out),
        }
    }
    out.extend_from_slice(b"</dialog-info>\r\n");
    Some(out)
}

/// Would the same dialog return to a state that it has left? Phones that number their lines and
/// send no Call-ID begin a new dialog under an id whose last one is over.
fn goes_back(old: &Dialog<'_>, new: &Dialog<'_>) -> bool {
    let numbered = old.call_id.is_none() || new.call_id.is_none();
    old.state > new.state && !(numbered && old.state == Some(DialogState::Terminated))
}

/// Row C16: Polycom phones put their own URI into `<remote><target uri>`; the remote identity is
/// what the other phones of the line must call. `None` when nothing needs to change.
fn fix_remote_targets(body: &[u8]) -> Option<Vec<u8>> {
    let info = DialogInfo::read(body).ok()?;
    let text = info.outline.text();
    let mut out = Vec::with_capacity(body.len() + 64);
    let mut copied = 0;
    for dialog in &info.dialogs {
        let start = dialog.child.tag.start;
        let Some((from, to, identity)) = wrong_target(info.outline.text_of(&dialog.child)) else {
            continue;
        };
        out.extend_from_slice(text.get(copied..start + from)?.as_bytes());
        xml::escape(&identity, &mut out);
        copied = start + to;
    }
    if copied == 0 {
        return None;
    }
    out.extend_from_slice(text.get(copied..)?.as_bytes());
    Some(out)
}

/// Start and end of the remote target's URI within the text of a dialog, and the remote identity,
/// where they differ.
fn wrong_target(dialog: &str) -> Option<(usize, usize, String)> {
    let dialog = Outline::of_text(dialog).ok()?;
    let remote_part = part(&dialog, "remote")?;
    let remote = Outline::of_text(dialog.text_of(&remote_part)).ok()?;
    let identity_part = part(&remote, "identity")?;
    let identity = Outline::of_text(remote.text_of(&identity_part)).ok()?;
    let identity = unescape(identity.content());
    let identity = identity.trim();
    let uri = part(&remote, "target")?.tag.attribute("uri")?;
    let from = remote_part.tag.start + uri.value_at;
    let differs = unescape(uri.value) != identity && !identity.is_empty();
    differs.then(|| (from, from + uri.value.len(), identity.into()))
}

/// A dialog-info document of these elements (RFC 4235 4.1), its version blank.
pub(super) fn write<'e>(
    aor: &str,
    full: bool,
    elements: impl Iterator<Item = &'e [u8]>,
) -> Document {
    let mut document = Document::new(DIALOG_INFO, Vec::with_capacity(768));
    let out = &mut document.bytes;
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<dialog-info");
    xml::declare("", NAMESPACE, out);
    out.extend_from_slice(b" version=\"");
    document.push_version_field();
    let out = &mut document.bytes;
    out.extend_from_slice(b"state=\"");
    out.extend_from_slice(if full { b"full" } else { b"partial" });
    out.extend_from_slice(b"\" entity=\"");
    write_uri(aor, out);
    out.extend_from_slice(b"\">");
    for element in elements {
        out.extend_from_slice(element);
    }
    out.extend_from_slice(b"</dialog-info>\r\n");
    document
}

#[cfg(test)]
mod tests;
