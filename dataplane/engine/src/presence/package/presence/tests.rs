//! Presence documents: what is taken, composed and written.

use alloc::format;
use alloc::string::{String, ToString};

use proptest::collection::vec;

use super::*;
use crate::Wall;
use crate::config::PresenceConfig;
use crate::presence::package::Published;

const AOR: &str = "alice@example.com";
const OPEN: &str = "<status><basic>open</basic></status>";

fn pidf_of(content: &str) -> String {
    format!("{}<presence xmlns=\"{NAMESPACE}\" entity=\"sip:{AOR}\">{content}</presence>", prolog())
}

fn prolog() -> &'static str {
    core::str::from_utf8(PROLOG).unwrap()
}

fn tuple(id: &str, note: &str) -> String {
    format!("<tuple id=\"{id}\">{OPEN}<note>{note}</note></tuple>")
}

/// The document that watchers get of these bodies, newest first; it must be valid PIDF.
fn composed(bodies: &[&str]) -> String {
    let published: Vec<_> = bodies
        .iter()
        .map(|body| Published { id: 0, body: body.as_bytes(), headers: b"" })
        .collect();
    let mut view = View::new(PackageId::PRESENCE, AOR);
    aggregate(&mut view, &published, &[], &PresenceConfig::default());
    let document = Presence.subscribe_body(&view, Wall(0));
    pidf::validate(&document.bytes).expect("valid PIDF");
    String::from_utf8(document.bytes.clone()).unwrap()
}

fn aggregate(
    view: &mut View,
    publications: &[Published<'_>],
    dialogs: &[Published<'_>],
    config: &PresenceConfig,
) -> bool {
    Presence.aggregate(&Inputs { aor: AOR, publications, dialogs, config }, view)
}

fn publish(body: &[u8]) -> Result<Accepted, BodyError> {
    let config = PresenceConfig::default();
    Presence.validate_publish(&Publish {
        aor: AOR,
        content_type: "Application/PIDF+xml",
        body,
        previous: None,
        config: &config,
    })
}

/// C71 and RFC 3903 6: what is no PIDF is 415, a PIDF that breaks its rules 400.
#[test]
fn bodies_are_judged() {
    assert_eq!(publish(pidf_of(&tuple("t", "")).as_bytes()), Ok(Accepted::AsIs));
    assert_eq!(publish(b"<presence"), Err(BodyError::NotUnderstood));
    assert_eq!(publish(b"<presence entity='x'/>"), Err(BodyError::NotUnderstood));
    assert_eq!(publish(pidf_of("<tuple/>").as_bytes()), Err(BodyError::Invalid));
    assert_eq!(publish(b""), Err(BodyError::Missing));
    let deep = pidf_of(&["<x>".repeat(40), "</x>".repeat(40)].concat());
    assert_eq!(publish(deep.as_bytes()), Err(BodyError::TooLarge));
    assert_eq!((BodyError::NotUnderstood.status(), BodyError::Invalid.status()), (415, 400));
}

/// C121: one publication passes byte for byte when its entity is right.
#[test]
fn one_publication_passes_as_it_is() {
    let told = format!("{}\n<!-- end -->", pidf_of(&tuple("t", "x")));
    let root = told.strip_prefix(prolog()).unwrap();
    assert_eq!(composed(&[root]), told);
    let other = "\u{feff}<?xml version='1.1' encoding='UTF-16'?><!-- no such -->";
    assert_eq!(composed(&[&format!("{other}{root}")]), told, "the bytes are UTF-8 all the same");
    let pres = told.replace("\"sip:", "\"pres:");
    assert_eq!(composed(&[&pres]), pres, "the pres form names the same presentity");
}

/// C121: the entity is the presentity's, whatever was published.
#[test]
fn a_foreign_entity_is_made_right() {
    let body = pidf_of("<note>n</note>");
    assert_eq!(composed(&[&body.replace(AOR, "mallory@example.com")]), body);
    let (newer, older) = (body.replace(AOR, "m@x"), body.replace("sip:", "pres:"));
    assert!(composed(&[&newer, &older]).contains("entity=\"sip:alice@example.com\""));
    assert!(composed(&[&older, &newer]).contains("entity=\"pres:alice@example.com\""));
}

/// C121: newest first, tuples and persons told apart by id within their kind, the rest
/// concatenated.
#[test]
fn publications_are_merged() {
    let newer = format!(
        "<presence xmlns=\"{NAMESPACE}\" xmlns:dm=\"{}\" xmlns:rp=\"{}\" entity=\"sip:{AOR}\">\
         <note>new</note>{}<dm:person id=\"a\"><rp:activities><rp:away/></rp:activities>\
         </dm:person></presence>",
        pidf::DATA_MODEL,
        pidf::RPID,
        tuple("a", "newest"),
    );
    let older = format!(
        "<p:presence xmlns:p='{NAMESPACE}' xmlns='urn:x' xmlns:dm='{}' xmlns:rp='urn:other' \
         entity='sip:{AOR}'><p:tuple id='a'><p:status/></p:tuple>\
         <p:tuple id='b' p:mustUnderstand='1'>\
         <p:status><p:basic>closed</p:basic><rp:what/></p:status></p:tuple><dm:person id='b'/>\
         <dm:person id='a'>dropped</dm:person><p:note>old</p:note><strange/></p:presence>",
        pidf::DATA_MODEL,
    );
    insta::assert_snapshot!(composed(&[&newer, &older]));
    insta::assert_snapshot!(composed(&[&older, &newer]));
}

/// C121: what cannot be read is left out, and the rest still told.
#[test]
fn unreadable_bodies_are_left_out() {
    let good = pidf_of(&tuple("t", "x"));
    assert_eq!(composed(&["<presence", &good, "<other/>"]), good);
    let mut view = View::new(PackageId::PRESENCE, AOR);
    let cut = good.strip_suffix("</presence>").unwrap().as_bytes();
    for bad in [b"\xff", &b"<other/>"[..], b"<presence/>", b"no markup", cut] {
        let bad = [Published { id: 1, body: bad, headers: b"" }];
        aggregate(&mut view, &bad, &[], &PresenceConfig::default());
        assert!(!Presence.subscribe_body(&view, Wall(0)).has_body());
    }
}

/// C35, C122: when the last publication ends, the first tuple of what watchers saw is closed.
#[test]
fn the_end_is_told_closed() {
    let config = PresenceConfig::default();
    let mut view = View::new(PackageId::PRESENCE, AOR);
    let body = pidf_of(&format!("<note/>{}{}", tuple("t&quot;1", "x"), tuple("t2", "y")))
        .replace("\"sip:", "\"pres:");
    let published = [Published { id: 1, body: body.as_bytes(), headers: b"" }];
    assert!(aggregate(&mut view, &published, &[], &config));
    assert!(!aggregate(&mut view, &published, &[], &config), "nothing new, nobody told");
    assert!(aggregate(&mut view, &[], &[], &config));
    let document = Presence.change_body(&view, 1, Wall(0)).unwrap();
    pidf::validate(&document.bytes).unwrap();
    insta::assert_snapshot!(String::from_utf8(document.bytes.clone()).unwrap());
    assert!(!aggregate(&mut view, &[], &[], &config), "once is enough");
    assert_eq!(Presence.change_body(&view, 2, Wall(0)), None);
}

/// C17: nothing published is a NOTIFY without body, or the dummy of the wire formats.
#[test]
fn nothing_published() {
    let mut config = PresenceConfig::default();
    let mut view = View::new(PackageId::PRESENCE, AOR);
    assert!(aggregate(&mut view, &[], &[], &config));
    assert!(!Presence.subscribe_body(&view, Wall(0)).has_body());
    config.notify_offline_body = true;
    let mut view = View::new(PackageId::PRESENCE, AOR);
    aggregate(&mut view, &[], &[], &config);
    let bytes = Presence.subscribe_body(&view, Wall(0)).bytes.clone();
    assert!(String::from_utf8(bytes).unwrap().ends_with(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:alice@example.com\">\
         <tuple id=\"a\"><status><basic>closed</basic></status></tuple></presence>\r\n"
    ));
    config.generate_offline_body = false;
    config.notify_offline_body = false;
    let body = pidf_of("");
    let published = [Published { id: 1, body: body.as_bytes(), headers: b"" }];
    aggregate(&mut view, &published, &[], &config);
    assert!(aggregate(&mut view, &[], &[], &config));
    assert!(!Presence.subscribe_body(&view, Wall(0)).has_body(), "C35 off: no document");
}

/// C14, C82: a call shows in front of what was published, and its end takes it away.
#[test]
fn a_call_shows() {
    let config = PresenceConfig { mix_dialog_presence: true, ..PresenceConfig::default() };
    let call = "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0' state='full' \
        entity='sip:alice@example.com'><dialog id='1'><state>confirmed</state></dialog>\
        </dialog-info>";
    let body = pidf_of(&tuple("t", "x"));
    let published = [Published { id: 1, body: body.as_bytes(), headers: b"" }];
    let ringing = [Published { id: 2, body: call.as_bytes(), headers: b"" }];
    let mut view = View::new(PackageId::PRESENCE, AOR);
    aggregate(&mut view, &published, &[], &config);
    assert!(aggregate(&mut view, &published, &ringing, &config));
    let text = String::from_utf8(Presence.subscribe_body(&view, Wall(0)).bytes.clone()).unwrap();
    pidf::validate(text.as_bytes()).unwrap();
    assert!(text.contains("<rpid:on-the-phone/>") && text.contains("<tuple id=\"t\">"), "{text}");
    assert!(!text.contains("<tuple id=\"dialog\">"), "the phone has a tuple of its own");
    let over = call.replace("confirmed", "terminated");
    let over = [Published { id: 2, body: over.as_bytes(), headers: b"" }];
    assert!(aggregate(&mut view, &published, &over, &config));
    let text = String::from_utf8(Presence.subscribe_body(&view, Wall(0)).bytes.clone()).unwrap();
    assert_eq!(text, body);
    assert!(!aggregate(&mut view, &published, &ringing, &PresenceConfig::default()), "C14 off");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(128))]

    /// C121: whatever was validated composes to a valid document with every id once, newest first.
    #[test]
    fn composed_documents_are_valid(
        documents in vec(
            (vec((0..4_usize, 0..3_usize, "[ -~\u{e9}]{0,8}"), 0..6), 0..3_usize),
            1..5,
        ),
    ) {
        let bodies = documents.iter().map(|(parts, style)| arbitrary(parts, *style));
        let bodies: Vec<String> = bodies.collect();
        let bodies: Vec<&str> = bodies
            .iter()
            .map(String::as_str)
            .filter(|body| publish(body.as_bytes()).is_ok())
            .collect();
        if !bodies.is_empty() {
            let text = composed(&bodies);
            let outline = Outline::read(text.as_bytes()).unwrap();
            let mut found = ids(&outline);
            found.sort();
            let outlines = bodies.iter().map(|body| Outline::read(body.as_bytes()).unwrap());
            let mut wanted: Vec<_> = outlines.flat_map(|outline| ids(&outline)).collect();
            wanted.sort();
            wanted.dedup();
            proptest::prop_assert_eq!(found, wanted);
        }
    }

    /// Style rule 12: bytes from outside never panic, on any path.
    #[test]
    fn any_bytes_are_survived(
        body in "(<|>|/|presence|xmlns|=|'|\"|:|urn|a|tuple|id| |&|;|!|-|\\?|\\[){0,40}",
    ) {
        let _ = publish(body.as_bytes());
        let _ = compose(AOR, [body.as_bytes(), body.as_bytes()].into_iter());
        let _ = compose(AOR, [body.as_bytes()].into_iter());
    }
}

/// Kind and id of every element that has one.
fn ids(outline: &Outline<'_>) -> Vec<(Kind, String)> {
    let each = outline.children.iter().map(|child| pidf::classify(outline, child));
    each.filter_map(|(kind, id)| Some((kind, id?.to_string()))).collect()
}

/// A document of parts in one of three namespace styles.
fn arbitrary(parts: &[(usize, usize, String)], style: usize) -> String {
    let (prefix, root) = match style {
        0 => ("", format!("presence xmlns='{NAMESPACE}' xmlns:d='{}'", pidf::DATA_MODEL)),
        1 => (
            "p:",
            format!("p:presence xmlns:p='{NAMESPACE}' xmlns:d='{}' xmlns='u'", pidf::DATA_MODEL),
        ),
        _ => ("p:", format!("p:presence xmlns:d='{}' xmlns:p='{NAMESPACE}'", pidf::DATA_MODEL)),
    };
    let mut out = format!("<{root} entity='sip:x@y'>");
    for (kind, id, text) in parts {
        let mut escaped = Vec::new();
        xml::escape(text, &mut escaped);
        let text = String::from_utf8(escaped).unwrap();
        out.push_str(&match kind {
            0 => {
                format!("<{prefix}tuple id='{id}'><{prefix}status/><z k='{text}'/></{prefix}tuple>")
            }
            1 => format!("<d:person id='{id}'>{text}</d:person>"),
            2 => format!("<{prefix}note>{text}</{prefix}note>"),
            _ => format!("<e xmlns='v{id}'>{text}</e>"),
        });
    }
    out.push_str(&format!("</{}>", root.split(' ').next().unwrap()));
    out
}
