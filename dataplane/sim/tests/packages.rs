//! The event packages beside presence: rows C14 to C16, C82, C115, M10 to M16.

use pharos_sim::documents::{DIALOG_INFO, SUMMARY, dialog, pidf, summary};
use pharos_sim::{Sip, Span, World, check};

const MINUTE: Span = Span::seconds(60);

fn version(notify: &Sip) -> u32 {
    notify.attribute("version").unwrap_or_else(|| panic!("{notify}")).parse().expect("a number")
}

/// RFC 4235 3.7, row C115: full on SUBSCRIBE, partial on PUBLISH, the version is the watcher's.
#[test]
fn dialog_state_is_full_and_then_partial() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish_as("dialog", DIALOG_INFO, &dialog("alice", 0, "full", "d1", "early"));
    let watch = bob.subscribe("alice", "dialog");
    let first = watch.notify();
    assert_eq!(first.header("Content-Type"), DIALOG_INFO);
    assert!(first.body.contains("state=\"full\"") && first.body.contains("d1"), "{first}");
    card.modify(&dialog("alice", 1, "full", "d1", "confirmed")).expect(200);
    let second = watch.notify();
    assert!(second.body.contains("confirmed"), "{second}");
    assert_eq!(version(&second), version(&first) + 1);
    check::all(&world.history());
}

/// RFC 4235 3.7.1: the state of a dialog does not go back.
#[test]
fn dialog_state_does_not_regress() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card =
        alice.publish_as("dialog", DIALOG_INFO, &dialog("alice", 0, "full", "d1", "confirmed"));
    let watch = bob.subscribe("alice", "dialog");
    watch.notify();
    card.modify(&dialog("alice", 1, "full", "d1", "trying")).expect(200);
    world.settle();
    let shown = watch.last();
    assert!(!shown.body.contains(">trying<"), "{shown}");
    card.modify(&dialog("alice", 2, "full", "d1", "terminated")).expect(200);
    world.settle();
    let shown = watch.last();
    assert!(shown.body.contains("terminated"), "{shown}");
}

/// Row M12: who subscribes where nothing is known gets an empty document of that presentity.
#[test]
fn no_dialog_is_an_empty_document() {
    let world = World::default();
    let notify = world.phone("bob").subscribe("alice", "dialog").notify();
    assert!(notify.body.contains("<dialog-info"), "{notify}");
    assert!(notify.body.contains("state=\"full\""), "{notify}");
    assert!(notify.body.contains("entity=\"sip:alice@example.com\""), "{notify}");
    assert!(!notify.body.contains("<dialog "), "{notify}");
}

/// Rows C14, C82: dialog state shows in presence as on-the-phone, and leaves it again.
#[test]
fn a_call_shows_in_presence_when_mixed() {
    for mixed in [true, false] {
        let world = World::new(|setup| setup.config.presence.mix_dialog_presence = mixed);
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        alice.publish(&pidf("alice", "p", "open"));
        let watch = bob.subscribe("alice", "presence");
        watch.notify();
        let call = dialog("alice", 0, "full", "d1", "confirmed");
        let card = alice.publish_as("dialog", DIALOG_INFO, &call);
        if !mixed {
            watch.quiet(MINUTE);
            continue;
        }
        let busy = watch.notify();
        assert!(busy.body.contains("on-the-phone"), "{busy}");
        assert!(busy.body.contains("<basic>open</basic>"), "{busy}");
        card.modify(&dialog("alice", 1, "full", "d1", "terminated")).expect(200);
        let free = watch.notify();
        assert!(!free.body.contains("on-the-phone"), "{free}");
    }
}

/// RFC 3842 5.2, row M11: a message summary is checked and handed on.
#[test]
fn message_summary_is_checked_and_passed() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "message-summary");
    watch.notify();
    let card = alice.publish_as("message-summary", SUMMARY, &summary(2, 8));
    let notify = watch.notify();
    assert_eq!(notify.header("Content-Type"), SUMMARY);
    assert!(notify.body.contains("Messages-Waiting: yes"), "{notify}");
    assert!(notify.body.contains("Voice-Message: 2/8 (0/0)"), "{notify}");
    for broken in ["Messages-Waiting: perhaps\r\n", "Voice-Message: 1/2\r\n", "hello\r\n"] {
        let answer = card.modify(broken);
        assert!(matches!(answer.status(), 400 | 415), "{broken}: {answer}");
    }
    watch.quiet(MINUTE);
}

/// Rows M13 to M16: registered, published and handed on as they are.
#[test]
fn pass_through_packages_hand_the_body_on() {
    let reginfo =
        "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\"/>";
    let diff = "<xcap-diff xmlns=\"urn:ietf:params:xml:ns:xcap-diff\" xcap-root=\"http://x/\"/>";
    for (event, kind, body) in [
        ("reg", "application/reginfo+xml", reginfo),
        ("xcap-diff", "application/xcap-diff+xml", diff),
    ] {
        let world = World::default();
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        let watch = bob.subscribe("alice", event);
        watch.notify();
        alice.publish_as(event, kind, body);
        let notify = watch.notify();
        assert_eq!((notify.header("Content-Type"), notify.header("Event")), (kind, event));
        assert!(notify.body.contains(body.split(' ').next().unwrap()), "{notify}");
    }
}

/// Row M13: call-info travels in a header, not in a body.
#[test]
fn call_info_travels_in_a_header() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "call-info");
    watch.notify();
    let line = "<sip:example.com>;appearance-index=1;appearance-state=seized";
    let request = alice.publish_request("call-info", "", "").set("Call-Info", line);
    alice.send(&request).expect(200);
    let notify = watch.notify();
    assert_eq!((notify.header("Call-Info"), notify.body.as_str()), (line, ""));
}

/// Row C15: the presentity of dialog;sla is the Contact user at the From domain.
#[test]
fn shared_lines_are_found_by_the_contact_user() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("line1"));
    let request = bob
        .subscribe_request("somewhere", "dialog;sla")
        .set("Contact", "<sip:line1@192.0.2.11:5060>");
    let watch = bob.subscribe_by(&request);
    watch.notify();
    let line = alice
        .publish_request("dialog;sla", DIALOG_INFO, &dialog("line1", 0, "full", "d1", "early"))
        .uri("sip:line1@example.com")
        .set("To", "<sip:line1@example.com>");
    alice.send(&line).expect(200);
    let notify = watch.notify();
    assert!(notify.body.contains("d1"), "{notify}");
    assert!(notify.header("Event").starts_with("dialog;sla"), "{notify}");
}

/// Each package is for itself.
#[test]
fn packages_do_not_mix() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "message-summary");
    watch.notify();
    alice.publish(&pidf("alice", "p", "open"));
    watch.quiet(MINUTE);
}
