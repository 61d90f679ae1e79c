//! Dialog documents: what is taken, composed and written.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::collection::vec;

use super::*;
use crate::Wall;
use crate::config::PresenceConfig;
use crate::presence::package::Published;

const AOR: &str = "alice@example.com";
const PACKAGE: DialogPackage = DialogPackage(&DIALOG);

fn info(state: &str, dialogs: &str) -> String {
    format!(
        "<dialog-info xmlns=\"{NAMESPACE}\" version=\"0\" state=\"{state}\" \
         entity=\"sip:{AOR}\">{dialogs}</dialog-info>"
    )
}

/// A dialog with an identity of its own.
fn dialog(id: &str, state: &str) -> String {
    format!("<dialog id=\"{id}\" call-id=\"c-{id}\"><state>{state}</state></dialog>")
}

/// A watched presentity whose publications change.
struct Line {
    view: View,
    /// Publication id and body, newest first.
    publications: Vec<(u64, String)>,
}

impl Line {
    fn new() -> Self {
        let mut line = Self { view: View::new(PackageId::DIALOG, AOR), publications: Vec::new() };
        assert!(line.update(), "the first time makes a generation");
        line
    }

    fn update(&mut self) -> bool {
        let published: Vec<_> = self
            .publications
            .iter()
            .map(|(id, body)| Published { id: *id, body: body.as_bytes(), headers: b"" })
            .collect();
        let config = PresenceConfig::default();
        let inputs = Inputs { aor: AOR, publications: &published, dialogs: &[], config: &config };
        PACKAGE.aggregate(&inputs, &mut self.view)
    }

    /// A publication appears or changes, and so is the newest.
    fn publish(&mut self, id: u64, dialogs: &str) -> bool {
        self.publications.retain(|(old, _)| *old != id);
        self.publications.insert(0, (id, info("full", dialogs)));
        self.update()
    }

    fn remove(&mut self, id: u64) -> bool {
        self.publications.retain(|(old, _)| *old != id);
        self.update()
    }

    /// The dialogs of the partial document for who has seen `since`.
    fn partial(&self, since: u64) -> String {
        let text = text(&PACKAGE.change_body(&self.view, since, Wall(0)).expect("news"));
        let (head, dialogs) = text.split_once("\">").unwrap();
        assert!(head.contains("state=\"partial\""), "{head}");
        dialogs.trim_end().strip_suffix("</dialog-info>").unwrap().into()
    }

    fn full(&self) -> String {
        text(&PACKAGE.subscribe_body(&self.view, Wall(0)))
    }
}

fn text(document: &Document) -> String {
    let mut out = Vec::new();
    PACKAGE.patch(document, 5, &mut out);
    dialog_info::validate(&out).expect("valid dialog-info");
    String::from_utf8(out).unwrap()
}

fn publish(info: &'static Info, previous: Option<&str>, body: &str) -> Result<String, BodyError> {
    let config = PresenceConfig::default();
    let publish = Publish {
        aor: AOR,
        content_type: "application/dialog-info+xml",
        body: body.as_bytes(),
        previous: previous.map(str::as_bytes),
        config: &config,
    };
    DialogPackage(info).validate_publish(&publish).map(|accepted| match accepted {
        Accepted::AsIs => body.into(),
        Accepted::Rewritten(bytes) => {
            dialog_info::validate(&bytes).expect("valid dialog-info");
            String::from_utf8(bytes).unwrap()
        }
    })
}

/// C115: full on SUBSCRIBE, partial with just the changed dialog on PUBLISH.
#[test]
fn full_first_then_what_changed() {
    let mut line = Line::new();
    assert!(line.publish(1, &[dialog("a", "early"), dialog("b", "confirmed")].concat()));
    let seen = line.view.generation();
    insta::assert_snapshot!(line.full());
    assert!(line.publish(1, &[dialog("a", "confirmed"), dialog("b", "confirmed")].concat()));
    assert_eq!(line.partial(seen), dialog("a", "confirmed"));
    assert!(!line.publish(1, &[dialog("a", "confirmed"), dialog("b", "confirmed")].concat()));
}

/// Architecture section 6: the union of changes, each dialog once with its latest state; RFC 4235
/// 3.7.1: what has ended is told once and then gone.
#[test]
fn changes_unite_and_ends_are_told_once() {
    let mut line = Line::new();
    let seen = line.view.generation();
    line.publish(1, &dialog("a", "early"));
    line.publish(2, &dialog("b", "trying"));
    line.publish(1, &dialog("a", "terminated"));
    assert_eq!(line.partial(seen), [dialog("b", "trying"), dialog("a", "terminated")].concat());
    assert!(!line.full().contains("c-a"), "full state has no dialogs that are over");
    line.view.forget(line.view.generation());
    assert!(!line.publish(1, &dialog("a", "terminated")), "told and forgotten");
    let seen = line.view.generation();
    line.publish(2, &dialog("b", "early"));
    assert_eq!(line.partial(seen), dialog("b", "early"));
}

/// RFC 4235 3.7.1: never back from terminated, nor from confirmed to early, in one publication or
/// between several.
#[test]
fn states_never_go_back() {
    let mut line = Line::new();
    line.publish(1, &dialog("a", "confirmed"));
    assert!(!line.publish(1, &dialog("a", "early")));
    assert!(!line.publish(2, &dialog("a", "proceeding")), "another publisher is behind");
    assert!(line.full().contains("confirmed"));
    assert!(line.publish(2, &dialog("a", "terminated")));
    assert!(!line.publish(1, &dialog("a", "confirmed")), "over is over");
    assert!(!line.full().contains("c-a"));
    assert!(line.publish(1, "<dialog id=\"a\" call-id=\"new\"><state>early</state></dialog>"));
    assert!(line.full().contains("call-id=\"new\""), "another call may have the number");
}

/// Phones that number lines instead of calls: an id without Call-ID lives again after its end.
#[test]
fn a_bare_id_can_be_used_again() {
    let bare = |state: &str| format!("<dialog id=\"1\"><state>{state}</state></dialog>");
    let mut line = Line::new();
    line.publish(1, &bare("confirmed"));
    assert!(!line.publish(1, &bare("early")), "within one life there is no way back");
    assert!(line.publish(1, &bare("terminated")));
    assert!(line.publish(1, &bare("early")), "a new call on the line");
    assert!(line.full().contains("early"));
}

/// A publication that ends takes its dialogs with it: watchers are told that they are over.
#[test]
fn dialogs_end_with_their_publication() {
    let mut line = Line::new();
    let seen = line.view.generation();
    line.publish(
        1,
        "<dialog id=\"a\" call-id=\"c\" local-tag=\"l&quot;\" direction=\"initiator\">\
        <state>confirmed</state><local><identity>sip:a@b</identity></local></dialog>",
    );
    assert!(line.remove(1));
    assert_eq!(
        line.partial(seen),
        "<dialog id=\"a\" call-id=\"c\" local-tag=\"l&quot;\" direction=\"initiator\">\
         <state>terminated</state></dialog>"
    );
    assert!(!line.remove(1));
    assert!(line.publish(2, &dialog("a", "early")), "and may come back with a new one");
}

/// What was over before anybody watched is no news, now or later.
#[test]
fn old_ends_are_not_told() {
    let mut line = Line { view: View::new(PackageId::DIALOG, AOR), publications: Vec::new() };
    line.publish(1, &[dialog("a", "terminated"), dialog("b", "early")].concat());
    let seen = line.view.generation();
    line.publish(1, &[dialog("a", "terminated"), dialog("b", "confirmed")].concat());
    assert_eq!(line.partial(seen), dialog("b", "confirmed"));
}

/// RFC 4235 4.1.2: ids are unique in what watchers get, and stay with their dialogs.
#[test]
fn equal_ids_of_different_calls_are_told_apart() {
    let call = |call: &str, state: &str| {
        format!("<dialog id=\"1\" call-id=\"{call}\"><state>{state}</state></dialog>")
    };
    let mut line = Line::new();
    line.publish(1, &call("x", "early"));
    line.publish(2, &call("y", "early"));
    assert!(line.full().contains("<dialog id=\"1\" call-id=\"x\">"));
    assert!(line.full().contains("<dialog id=\"1~1\" call-id=\"y\">"));
    let seen = line.view.generation();
    line.publish(1, &call("x", "confirmed"));
    assert_eq!(
        line.partial(seen),
        call("x", "confirmed"),
        "the newest publication has its id still"
    );
    line.publish(3, "<dialog id=\"1~1\" call-id=\"z\"><state>early</state></dialog>");
    assert!(line.full().contains("<dialog id=\"1~1~1\" call-id=\"z\">"));
}

/// RFC 4235 with RFC 3903: a partial PUBLISH changes what it names; what is stored is whole.
#[test]
fn partial_publications_are_merged() {
    let before = info(
        "full",
        &[dialog("a", "early"), dialog("b", "early"), dialog("c", "terminated")].concat(),
    );
    let partial = info("partial", &dialog("a", "confirmed"));
    let after = publish(&DIALOG, Some(&before), &partial).unwrap();
    assert!(after.contains("state=\"full\""));
    assert!(after.ends_with(&format!(
        "{}{}</dialog-info>\r\n",
        dialog("b", "early"),
        dialog("a", "confirmed")
    )));
    assert_eq!(publish(&DIALOG, None, &partial).unwrap(), partial);
    let full = info("full", &dialog("b", "confirmed"));
    assert_eq!(publish(&DIALOG, Some(&before), &full).unwrap(), full);
    let late =
        info("full", &[dialog("a", "trying"), dialog("c", "early"), dialog("d", "early")].concat());
    let after = publish(&DIALOG, Some(&before), &late).unwrap();
    let kept = [dialog("a", "early"), dialog("c", "terminated"), dialog("d", "early")].concat();
    assert!(after.contains(&kept), "no dialog goes back: {after}");
    let bare =
        |state: &str| info("full", &format!("<dialog id='1'><state>{state}</state></dialog>"));
    let (over, ringing) = (bare("terminated"), bare("early"));
    assert_eq!(publish(&DIALOG, Some(&over), &ringing).unwrap(), ringing, "a new call on the line");
}

/// Partial publications add up to a document that still has the bounds of one.
#[test]
fn partial_publications_do_not_grow_without_end() {
    let many = |from: usize| -> String {
        (from..from + 400).map(|id| dialog(&id.to_string(), "early")).collect()
    };
    let mut stored = info("full", &many(0));
    for round in 1..9 {
        match publish(&DIALOG, Some(&stored), &info("partial", &many(round * 400))) {
            Ok(merged) => stored = merged,
            Err(error) => {
                assert_eq!((error, round), (BodyError::TooLarge, 2));
                return;
            }
        }
    }
    panic!("{} bytes", stored.len());
}

/// C71 and RFC 3903 6.
#[test]
fn bodies_are_judged() {
    assert_eq!(publish(&DIALOG, None, "<dialog-info"), Err(BodyError::NotUnderstood));
    assert_eq!(publish(&DIALOG, None, "<presence/>"), Err(BodyError::NotUnderstood));
    let stateless = info("full", "<dialog id='1'/>");
    assert_eq!(publish(&DIALOG, None, &stateless), Err(BodyError::Invalid));
    assert_eq!(publish(&DIALOG, None, ""), Err(BodyError::Missing));
}

/// C16: Polycom's remote target becomes the remote identity, for dialog;sla alone, and only there.
#[test]
fn the_remote_target_is_put_right() {
    let polycom = info(
        "full",
        "<dialog id=\"1\"><state>confirmed</state><local><identity>sip:a@x</identity>\
         <target uri=\"sip:a@x\"/></local><remote>\
         <identity display=\"B\">sip:b&amp;c@x\n</identity>\
         <target uri='sip:a@x'><param pname=\"x\" pval=\"1\"/></target></remote></dialog>\
         <dialog id=\"2\"><state>early</state><remote><identity>sip:d@x</identity>\
         <target uri=\"sip:d@x\"/></remote></dialog>",
    );
    let right = polycom.replacen("uri='sip:a@x'", "uri='sip:b&amp;c@x'", 1);
    assert_eq!(publish(&DIALOG_SLA, None, &polycom).unwrap(), right);
    assert_eq!(publish(&DIALOG_SLA, None, &right).unwrap(), right);
    assert_eq!(publish(&DIALOG, None, &polycom).unwrap(), polycom);
}

/// Prefixes of the publisher travel with the dialog.
#[test]
fn namespaces_are_carried() {
    let mut line = Line::new();
    let body = format!(
        "<d:dialog-info xmlns:d='{NAMESPACE}' xmlns:s='urn:s' version='1' state='full' \
         entity='sip:a@b'><d:dialog id='1'><d:state>early</d:state><s:x/></d:dialog>\
         </d:dialog-info>"
    );
    line.publications.push((1, body));
    line.update();
    insta::assert_snapshot!(line.full());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(128))]

    /// A watcher that applies every document it gets knows what the publications say, and never
    /// sees a state go back, however many changes one document unites.
    #[test]
    fn watchers_converge(
        steps in vec((1..4_u64, 0..3_usize, 0..6_usize, proptest::bool::ANY), 1..40),
    ) {
        use dialog_info::DialogState::Terminated;
        use std::collections::BTreeMap;
        let states = ["trying", "proceeding", "early", "confirmed", "terminated"];
        let mut line = Line::new();
        let (mut seen, mut table) = (line.view.generation(), BTreeMap::new());
        let mut bodies: BTreeMap<u64, BTreeMap<usize, usize>> = BTreeMap::new();
        for (publication, id, state, notify) in steps {
            let own = bodies.entry(publication).or_default();
            match state {
                5 => own.clear(),
                state => drop(own.insert(id, state)),
            }
            let dialogs: String = own
                .iter()
                .map(|(id, state)| dialog(&format!("{publication}-{id}"), states[*state]))
                .collect();
            line.publish(publication, &dialogs);
            if !notify {
                continue;
            }
            let Some(document) = PACKAGE.change_body(&line.view, seen, Wall(0)) else { continue };
            let text = text(&document);
            let info = DialogInfo::read(text.as_bytes()).unwrap();
            for dialog in &info.dialogs {
                let before = table.insert(dialog.id.clone().into_owned(), dialog.state);
                let alive = before.filter(|before| *before != Some(Terminated));
                let regressed = alive.is_some_and(|before| before > dialog.state);
                proptest::prop_assert!(!regressed, "{} went back", dialog.id);
            }
            table.retain(|_, state| *state != Some(Terminated));
            seen = line.view.generation();
            line.view.forget(seen);
            let full = line.full();
            let full = DialogInfo::read(full.as_bytes()).unwrap();
            let full: BTreeMap<_, _> =
                full.dialogs.iter().map(|d| (d.id.clone().into_owned(), d.state)).collect();
            proptest::prop_assert_eq!(&table, &full);
        }
    }

    /// Style rule 12: bytes from outside never panic.
    #[test]
    fn any_bytes_are_survived(
        body in "(<|>|/|dialog|dialog-info|state|xmlns|=|'|\"|:|urn|id| |&|;|!|-|full){0,60}",
    ) {
        let _ = publish(&DIALOG_SLA, Some(&body), &body);
        let _ = fix_remote_targets(body.as_bytes());
        let mut line = Line::new();
        line.publications.push((1, body));
        line.update();
        let _ = line.full();
    }
}
