//! The dialogs of a presentity over all its publications, each with its own state machine.
//!
//! A dialog is known by `id`, and when both sides have them by Call-ID and tags. Its state only
//! goes forward (RFC 4235 3.7.1): of several publishers of one dialog the furthest counts, and a
//! document that takes a dialog back is overruled. An id without Call-ID that comes back after its
//! end is a new dialog: phones number their lines that way.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use pharos_parser::dialog_info::{Dialog, DialogInfo, DialogState, NAMESPACE};
use pharos_parser::xml::{Outline, escape};

use super::Published;
use super::table::Table;

/// Are these the same dialog? Equal ids, and nothing that both know tells them apart.
pub(super) fn same_dialog(one: &Dialog<'_>, other: &Dialog<'_>) -> bool {
    one.id == other.id && Identity::of(one).agrees(&Identity::of(other))
}

/// What tells two dialogs with one id apart.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Identity<'a> {
    call_id: Option<Cow<'a, str>>,
    local_tag: Option<Cow<'a, str>>,
    remote_tag: Option<Cow<'a, str>>,
}

impl<'a> Identity<'a> {
    fn of(dialog: &Dialog<'a>) -> Self {
        Self {
            call_id: dialog.call_id.clone(),
            local_tag: dialog.local_tag.clone(),
            remote_tag: dialog.remote_tag.clone(),
        }
    }

    fn agrees(&self, other: &Identity<'_>) -> bool {
        fn agree(one: &Option<Cow<'_, str>>, other: &Option<Cow<'_, str>>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        agree(&self.call_id, &other.call_id)
            && agree(&self.local_tag, &other.local_tag)
            && agree(&self.remote_tag, &other.remote_tag)
    }

    fn into_owned(self) -> Identity<'static> {
        let owned = |text: Option<Cow<'a, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Identity {
            call_id: owned(self.call_id),
            local_tag: owned(self.local_tag),
            remote_tag: owned(self.remote_tag),
        }
    }
}

/// A dialog as watchers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    identity: Identity<'static>,
    direction: Option<String>,
    state: DialogState,
    /// The furthest state that watchers may have seen before its end.
    furthest: DialogState,
    /// The element, ready for a document whose default namespace is dialog-info's.
    element: Vec<u8>,
}

/// A dialog as one publication has it now.
struct Told<'a> {
    outline: &'a Outline<'a>,
    dialog: &'a Dialog<'a>,
    state: DialogState,
    /// Place of the publication among all, the newest first.
    place: usize,
}

/// All dialogs of a presentity.
#[derive(Clone, Debug, Default)]
pub(super) struct Dialogs {
    table: Table<String, Known>,
    /// Dialogs that are over, told and dropped, but still stand in a publication.
    buried: BTreeMap<String, Identity<'static>>,
}

impl Dialogs {
    /// Elements of all dialogs that are not over.
    pub(super) fn live(&self) -> impl Iterator<Item = &[u8]> {
        self.table.live().map(|(_, known)| known.element.as_slice())
    }

    /// Elements that changed after this generation, in the order of their changes.
    pub(super) fn since(&self, since: u64) -> Option<impl Iterator<Item = &[u8]>> {
        self.table.since(since).map(|changed| changed.map(|(_, known)| known.element.as_slice()))
    }

    /// Everybody has been told up to this generation.
    pub(super) fn forget(&mut self, seen: u64) {
        self.table.forget(seen);
    }

    /// Bring the dialogs up to the publications, newest first. Gives the generation after it: each
    /// change makes one.
    pub(super) fn update(&mut self, publications: &[Published<'_>], mut generation: u64) -> u64 {
        let first = generation == 0;
        let mut infos: Vec<(u64, usize, DialogInfo<'_>)> = publications
            .iter()
            .enumerate()
            .filter_map(|(place, p)| Some((p.id, place, DialogInfo::read(p.body).ok()?)))
            .collect();
        infos.sort_by_key(|(publication, ..)| *publication);
        let told = told(&infos);
        self.buried.retain(|id, _| told.contains_key(id.as_str()));
        for (id, told) in &told {
            if first && told.state == DialogState::Terminated {
                // What was over before anybody watched is nobody's news.
                let identity = Identity::of(told.dialog).into_owned();
                self.buried.insert(id.clone(), identity);
            } else if let Some(known) = self.change(id, told) {
                generation += 1;
                let ended = known.state == DialogState::Terminated;
                if ended {
                    self.buried.insert(id.clone(), known.identity.clone());
                } else {
                    self.buried.remove(id);
                }
                self.table.set(id.clone(), known, ended, generation);
            }
        }
        let gone: Vec<(String, Known)> = self
            .table
            .live()
            .filter(|(id, _)| !told.contains_key(id.as_str()))
            .map(|(id, known)| (id.clone(), known.clone()))
            .collect();
        for (id, known) in gone {
            generation += 1;
            let over = known.over(&id);
            self.table.set(id, over, true, generation);
        }
        generation
    }

    /// What watchers are to know of a dialog now, if that is something new.
    fn change(&self, id: &str, told: &Told<'_>) -> Option<Known> {
        let identity = Identity::of(told.dialog);
        let ends = told.state == DialogState::Terminated;
        if let Some(buried) = self.buried.get(id).filter(|buried| buried.agrees(&identity)) {
            let reused = buried.call_id.is_none() || identity.call_id.is_none();
            if ends || !reused {
                return None;
            }
        } else if let Some((known, ended)) = self.table.get(id)
            && known.identity.agrees(&identity)
            && told.state < known.furthest
            && !(ended && identity.call_id.is_none())
        {
            return None;
        }
        let known = Known::of(id, told, identity.into_owned());
        let same = self.table.get(id).is_some_and(|(before, _)| before.element == known.element);
        (!same).then_some(known)
    }
}

impl Known {
    fn of(id: &str, told: &Told<'_>, identity: Identity<'static>) -> Self {
        let mut element = Vec::with_capacity(256);
        told.outline.copy_child(&told.dialog.child, &[("", NAMESPACE)], &mut element);
        if told.dialog.id != id {
            element = with_id(&element, id).unwrap_or(element);
        }
        let direction = told.dialog.direction.map(String::from);
        Self { identity, direction, state: told.state, furthest: told.state, element }
    }

    /// The end of a dialog whose publication is gone without saying so.
    fn over(&self, id: &str) -> Self {
        let mut out = b"<dialog".to_vec();
        let identity = &self.identity;
        let attributes = [
            ("id", Some(id)),
            ("call-id", identity.call_id.as_deref()),
            ("local-tag", identity.local_tag.as_deref()),
            ("remote-tag", identity.remote_tag.as_deref()),
            ("direction", self.direction.as_deref()),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                out.push(b' ');
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"=\"");
                escape(value, &mut out);
                out.push(b'"');
            }
        }
        out.extend_from_slice(b"><state>terminated</state></dialog>");
        Self { state: DialogState::Terminated, element: out, ..self.clone() }
    }
}

/// The element with another id.
fn with_id(element: &[u8], id: &str) -> Option<Vec<u8>> {
    let text = core::str::from_utf8(element).ok()?;
    let old = Outline::root_tag(text).ok()?.attribute("id")?;
    let mut out = Vec::with_capacity(element.len() + id.len());
    out.extend_from_slice(text.get(..old.value_at)?.as_bytes());
    escape(id, &mut out);
    out.extend_from_slice(text.get(old.value_at + old.value.len()..)?.as_bytes());
    Some(out)
}

/// Every dialog once, by the id that watchers get. One dialog in several publications has its
/// furthest state, as the newest that has it tells it. Different dialogs with one id are told apart
/// by a number behind the id of those in later publications: a modification changes no id.
fn told<'a>(infos: &'a [(u64, usize, DialogInfo<'a>)]) -> BTreeMap<String, Told<'a>> {
    let mut all: BTreeMap<String, Told<'a>> = BTreeMap::new();
    let mut taken: BTreeMap<&str, u32> = BTreeMap::new();
    for (_, place, info) in infos {
        let mut own = BTreeSet::new();
        for dialog in &info.dialogs {
            let Some(state) = dialog.state.filter(|_| own.insert(dialog.id.as_ref())) else {
                continue;
            };
            let told = Told { outline: &info.outline, dialog, state, place: *place };
            let copies = taken.entry(dialog.id.as_ref()).or_default();
            let same = (0..*copies)
                .map(|copy| numbered(&dialog.id, copy))
                .find(|id| all.get(id).is_some_and(|other| same_dialog(other.dialog, dialog)));
            if let Some(other) = same.and_then(|id| all.get_mut(&id)) {
                let newer = *place < other.place;
                if state > other.state || state == other.state && newer {
                    *other = told;
                }
                continue;
            }
            while all.contains_key(&numbered(&dialog.id, *copies)) {
                *copies += 1;
            }
            all.insert(numbered(&dialog.id, *copies), told);
            *copies += 1;
        }
    }
    all
}

fn numbered(id: &str, copy: u32) -> String {
    match copy {
        0 => id.into(),
        n => alloc::format!("{id}~{n}"),
    }
}
