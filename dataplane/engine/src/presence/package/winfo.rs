//! `presence.winfo`: who watches a presentity (RFC 3857) as watcherinfo documents (RFC 3858, row
//! C116).
//!
//! The state is not published but told by the core: [`View::set_watcher`] on every change of a
//! subscription's state, [`View::refresh_watcher`] when only its end moved. A winfo view is filled
//! when the first winfo subscriber comes and dropped with the last.

use alloc::string::String;
use alloc::vec::Vec;

use pharos_parser::xml::escape;

use super::entity::write_uri;
use super::table::Table;
use super::{Accepted, BodyError, Document, Info, Inputs, Package, PackageId, Publish, View};
use crate::Wall;

/// State of a watcher's subscription (RFC 3857 4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherStatus {
    /// Waits for the presentity's word.
    Pending,
    /// Is told.
    Active,
    /// Was pending when it ended, and is remembered.
    Waiting,
    /// Has ended: told once, then forgotten.
    Terminated,
}

/// What brought the watcher into its state (RFC 3857 4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherEvent {
    /// Its SUBSCRIBE.
    Subscribe,
    /// The presentity allowed it.
    Approved,
    /// Ended; may try again at once.
    Deactivated,
    /// Ended; may try again later.
    Probation,
    /// The presentity refused it.
    Rejected,
    /// It was not refreshed.
    Timeout,
    /// Nobody decided in time.
    Giveup,
    /// There is no such presentity any more.
    NoResource,
}

impl WatcherEvent {
    /// As RFC 3858 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Approved => "approved",
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::NoResource => "noresource",
        }
    }
}

impl WatcherStatus {
    /// As RFC 3858 writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Terminated => "terminated",
        }
    }
}

/// One watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watcher {
    /// AoR, normal form.
    pub aor: String,
    /// Display name of its From; empty when it has none.
    pub display_name: String,
    /// State.
    pub status: WatcherStatus,
    /// What led to it.
    pub event: WatcherEvent,
    /// When it subscribed first.
    pub since: Wall,
    /// When the subscription ends.
    pub expires: Wall,
}

/// All watchers by the number that names each for its life.
pub(super) type Watchers = Table<u64, Watcher>;

impl View {
    /// A watcher appeared or its state changed. `id` stays the same for the life of the watcher
    /// (also when it goes from pending to waiting) and is never another's. A terminated one is told
    /// to everybody who has not seen it and then forgotten. No effect on views of other packages.
    pub fn set_watcher(&mut self, id: u64, watcher: Watcher) {
        let ended = watcher.status == WatcherStatus::Terminated;
        let generation = self.generation() + 1;
        if let Some(watchers) = self.watchers_mut() {
            watchers.set(id, watcher, ended, generation);
            self.advance(generation);
        }
    }

    /// A watcher's subscription was refreshed: its end moves, nobody is told.
    pub fn refresh_watcher(&mut self, id: u64, expires: Wall) {
        if let Some(watcher) = self.watchers_mut().and_then(|watchers| watchers.quietly(&id)) {
            watcher.expires = expires;
        }
    }
}

/// The package.
pub(super) struct Winfo;

static INFO: Info = Info {
    notify_type: "application/watcherinfo+xml",
    publishable: false,
    full_state: false,
    req_auth: true,
    rfc_interval: 5_000,
    ..Info::new(PackageId::PRESENCE_WINFO, "presence.winfo")
};

impl Package for Winfo {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn validate_publish(&self, _publish: &Publish<'_>) -> Result<Accepted, BodyError> {
        Err(BodyError::MediaType)
    }

    fn aggregate(&self, _inputs: &Inputs<'_>, _view: &mut View) -> bool {
        false
    }
}

/// A watcherinfo document (RFC 3858 3) of these watchers.
pub(super) fn write<'w>(
    aor: &str,
    full: bool,
    watchers: impl Iterator<Item = (&'w u64, &'w Watcher)>,
    now: Wall,
) -> Document {
    let mut document = Document::new(INFO.notify_type, Vec::with_capacity(512));
    document.bytes.extend_from_slice(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
          <watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"",
    );
    document.push_version_field();
    let out = &mut document.bytes;
    out.extend_from_slice(b"state=\"");
    out.extend_from_slice(if full { b"full" } else { b"partial" });
    out.extend_from_slice(b"\"><watcher-list resource=\"");
    write_uri(aor, out);
    out.extend_from_slice(b"\" package=\"");
    out.extend_from_slice(PackageId::PRESENCE.info().name.as_bytes());
    out.extend_from_slice(b"\">");
    for (id, watcher) in watchers {
        write_watcher(*id, watcher, now, out);
    }
    out.extend_from_slice(b"</watcher-list></watcherinfo>\r\n");
    document
}

fn write_watcher(id: u64, watcher: &Watcher, now: Wall, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<watcher id=\"w");
    push_number(id, out);
    for (name, value) in [("event", watcher.event.name()), ("status", watcher.status.name())] {
        push_name(name, out);
        out.extend_from_slice(value.as_bytes());
    }
    // A waiting or terminated watcher has no subscription left that could expire.
    if matches!(watcher.status, WatcherStatus::Active | WatcherStatus::Pending) {
        push_name("expiration", out);
        push_number(watcher.expires.since(now).as_millis().div_ceil(1_000), out);
    }
    push_name("duration-subscribed", out);
    push_number(now.since(watcher.since).as_millis() / 1_000, out);
    if !watcher.display_name.is_empty() {
        push_name("display-name", out);
        escape(&watcher.display_name, out);
    }
    out.extend_from_slice(b"\">");
    write_uri(&watcher.aor, out);
    out.extend_from_slice(b"</watcher>");
}

/// Close the attribute before and open this one.
fn push_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\" ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
}

fn push_number(number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;

    use super::*;

    fn watcher(aor: &str, status: WatcherStatus, event: WatcherEvent) -> Watcher {
        Watcher {
            aor: aor.into(),
            display_name: String::new(),
            status,
            event,
            since: Wall(1_000_000),
            expires: Wall(1_600_500),
        }
    }

    fn body(document: &Document, version: u32) -> String {
        let mut out = Vec::new();
        Winfo.patch(document, version, &mut out);
        let text = String::from_utf8(out).unwrap();
        pharos_parser::xml::read(text.as_bytes()).expect("well-formed");
        text
    }

    fn view() -> View {
        let mut view = View::new(PackageId::PRESENCE_WINFO, "alice@example.com");
        view.set_watcher(
            7,
            watcher("bob@b.example", WatcherStatus::Active, WatcherEvent::Subscribe),
        );
        let mut carol = watcher("carol@c.example", WatcherStatus::Pending, WatcherEvent::Subscribe);
        carol.display_name = "Carol \"C\" <&>".into();
        view.set_watcher(9, carol);
        view
    }

    /// C116: full state on SUBSCRIBE with expiration, duration and display name.
    #[test]
    fn full_state() {
        let document = Winfo.subscribe_body(&view(), Wall(1_060_900));
        insta::assert_snapshot!(body(&document, 12));
    }

    /// C116, RFC 3858 3: partial state has only who changed, each once, with the latest state.
    #[test]
    fn partial_state_unites_changes() {
        let mut view = view();
        let seen = view.generation();
        let at = Wall(1_100_000);
        assert_eq!(Winfo.change_body(&view, seen, at), None);
        view.refresh_watcher(7, Wall(9_000_000));
        assert_eq!(Winfo.change_body(&view, seen, at), None, "a refresh tells nobody");
        let carol = |status, event| watcher("carol@c.example", status, event);
        view.set_watcher(9, carol(WatcherStatus::Active, WatcherEvent::Approved));
        view.set_watcher(9, carol(WatcherStatus::Terminated, WatcherEvent::Rejected));
        let document = Winfo.change_body(&view, seen, at).unwrap();
        insta::assert_snapshot!(body(&document, 13));
        assert!(!body(&Winfo.subscribe_body(&view, at), 0).contains("carol"), "told once only");
        view.forget(view.generation());
        let full = Winfo.change_body(&view, seen, at).unwrap();
        assert!(body(&full, 14).contains("state=\"full\""), "the end is forgotten: full state");
    }

    /// RFC 3857 4.7.1: all states and events by their names; waiting has no expiration.
    #[test]
    fn waiting_and_giveup() {
        let mut view = View::new(PackageId::PRESENCE_WINFO, "alice@example.com");
        let waiting = watcher("dave@d.example", WatcherStatus::Waiting, WatcherEvent::Timeout);
        view.set_watcher(1, waiting);
        let text = body(&Winfo.subscribe_body(&view, Wall(2_000_000)), 0);
        assert!(
            text.contains("event=\"timeout\" status=\"waiting\" duration-subscribed=\"1000\">")
        );
        assert!(!text.contains("expiration"));
        view.set_watcher(
            1,
            watcher("dave@d.example", WatcherStatus::Terminated, WatcherEvent::Giveup),
        );
        let text = body(&Winfo.change_body(&view, 2, Wall(2_000_000)).unwrap(), 1);
        assert!(text.contains("event=\"giveup\" status=\"terminated\""));
    }

    /// Id and status of every watcher in a document, and whether it is the whole state.
    fn told(text: &str) -> (bool, Vec<(String, String)>) {
        let document = pharos_parser::xml::read(text.as_bytes()).expect("well-formed");
        let root = document.root_element();
        let value =
            |node: roxmltree::Node<'_, '_>, name| String::from(node.attribute(name).unwrap());
        let watchers = root.descendants().filter(|node| node.has_tag_name((NAMESPACE, "watcher")));
        let each = watchers.map(|node| (value(node, "id"), value(node, "status"))).collect();
        (value(root, "state") == "full", each)
    }

    const NAMESPACE: &str = "urn:ietf:params:xml:ns:watcherinfo";

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]

        /// C116: whatever names watchers have and however many changes one document unites, a
        /// reader who applies every document knows who watches.
        #[test]
        fn readers_converge(
            steps in vec((0..90_u64, 0..4_usize, "\\PC{0,6}", 0..5_u8), 1..200),
        ) {
            use WatcherStatus::{Active, Pending, Terminated, Waiting};
            use std::collections::BTreeMap;
            let mut view = View::new(PackageId::PRESENCE_WINFO, "a\"<&>'@example.com");
            let (mut seen, mut reader) = (view.generation(), BTreeMap::new());
            let mut real = BTreeMap::new();
            for (id, status, name, then) in steps {
                let status = [Active, Pending, Waiting, Terminated][status];
                let aor = format!("{name}@b.example");
                let mut changed = watcher(&aor, status, WatcherEvent::Subscribe);
                changed.display_name = name;
                view.set_watcher(id, changed);
                real.insert(format!("w{id}"), String::from(status.name()));
                if then > 0 {
                    continue;
                }
                let document = Winfo.change_body(&view, seen, Wall(0)).unwrap();
                let (full, watchers) = told(&body(&document, 1));
                if full {
                    reader.clear();
                }
                reader.extend(watchers);
                for known in [&mut reader, &mut real] {
                    known.retain(|_, status| status != "terminated");
                }
                proptest::prop_assert_eq!(&reader, &real);
                seen = view.generation();
            }
        }
    }
}
