//! What watchers read, from the wire: composition, closed documents, dialogs of several publishers
//! (rows C14 to C17, C35, C71, C82, C115, C121, C122).

use pharos_parser::dialog_info::{self, DialogInfo, DialogState};
use pharos_sim::documents::{DIALOG_INFO, PIDF, SUMMARY, dialog, pidf, pidf_with_note, summary};
use pharos_sim::{Phone, Request, Sip, Span, World, check};

const MINUTE: Span = Span::seconds(60);

fn dialogs(state: &str, content: &str) -> String {
    format!(
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
         state=\"{state}\" entity=\"sip:alice@example.com\">{content}</dialog-info>"
    )
}

fn one(id: &str, state: &str) -> String {
    format!("<dialog id=\"{id}\" call-id=\"c-{id}\"><state>{state}</state></dialog>")
}

fn publish(phone: &Phone, event: &str, content_type: &str, body: &str) -> Sip {
    phone.send(&phone.publish_request(event, content_type, body))
}

/// The dialogs of a NOTIFY with their states, as RFC 4235 watchers would note them.
fn shown(notify: &Sip) -> Vec<(String, String)> {
    let info = dialog_info::validate(notify.body.as_bytes()).expect("dialog-info");
    let state =
        |state: Option<DialogState>| format!("{:?}", state.expect("a state")).to_lowercase();
    info.dialogs.iter().map(|dialog| (dialog.id.to_string(), state(dialog.state))).collect()
}

/// C121: two devices of one user are one document, the newest first; one leaves, the other stays.
#[test]
fn two_devices_are_one_document() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let desk = alice.publish(&pidf("alice", "desk", "open"));
    watch.notify();
    let mobile = alice.publish(&pidf_with_note("alice", "mobile", "open", "in the train"));
    let both = watch.notify();
    pharos_parser::pidf::validate(both.body.as_bytes()).expect("valid PIDF");
    let place = |id: &str| both.body.find(&format!("tuple id=\"{id}\"")).expect("its tuple");
    assert!(place("mobile") < place("desk"), "{both}");
    desk.modify(&pidf("alice", "desk", "closed")).expect(200);
    let both = watch.notify();
    let place = |id: &str| both.body.find(&format!("tuple id=\"{id}\"")).expect("its tuple");
    assert!(place("desk") < place("mobile"), "what changed last is the newest: {both}");
    mobile.remove().expect(200);
    let rest = watch.notify();
    assert!(rest.body.contains("desk") && !rest.body.contains("mobile"), "{rest}");
    watch.quiet(MINUTE);
    check::all(&world.history());
}

/// C35, C77, C122: the last publication ends, by itself or by hand: one NOTIFY, closed. Who comes
/// later is told the same.
#[test]
fn the_last_one_closes() {
    for by_hand in [true, false] {
        let world = World::default();
        let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
        let card = alice.publish(&pidf_with_note("alice", "desk", "open", "here"));
        let watch = bob.subscribe("alice", "presence");
        assert!(watch.notify().body.contains("open"));
        if by_hand {
            card.remove().expect(200);
        } else {
            watch.refresh(3600).expect(200);
            watch.notify();
            world.advance(Span::seconds(3_000));
            watch.refresh(3600).expect(200);
            watch.notify();
            world.advance(Span::seconds(600));
        }
        let closed = watch.notify();
        pharos_parser::pidf::validate(closed.body.as_bytes()).expect("valid PIDF");
        assert!(closed.body.contains("<tuple id=\"desk\"><status><basic>closed<"), "{closed}");
        assert!(!closed.body.contains("here"), "{closed}");
        let late = carol.subscribe("alice", "presence").notify();
        assert_eq!(late.body, closed.body);
        watch.quiet(MINUTE);
    }
}

/// C17: nothing published and `notify_offline_body`: a closed dummy; else a NOTIFY without body.
#[test]
fn nobody_home() {
    for dummy in [true, false] {
        let world = World::new(|setup| setup.config.presence.notify_offline_body = dummy);
        let notify = world.phone("bob").subscribe("alice", "presence").notify();
        assert_eq!(notify.has("Content-Type"), dummy, "{notify}");
        assert_eq!(notify.body.contains("<basic>closed</basic>"), dummy, "{notify}");
    }
}

/// C71, RFC 3903 6 step 6: not that document at all is 415 with Accept, a broken rule is 400.
#[test]
fn bad_documents_are_refused() {
    let world = World::default();
    let alice = world.phone("alice");
    let unclosed = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:a@b\">";
    let bomb = "<!DOCTYPE p [<!ENTITY a \"b\">]><p>&a;</p>";
    for body in [unclosed, bomb, "<p/>", "hello"] {
        let answer = publish(&alice, "presence", PIDF, body).expect(415);
        assert_eq!(answer.header("Accept"), PIDF, "{body}");
    }
    let another = "<tuple id=\"t\"><status/></tuple></presence>";
    let twice = pidf("alice", "t", "open").replace("</presence>", another);
    publish(&alice, "presence", PIDF, &twice).expect(400);
    publish(&alice, "presence", PIDF, &pidf("alice", "t", "unknown")).expect(200);
    publish(&alice, "presence", SUMMARY, &summary(1, 1)).expect(415);
    publish(&alice, "presence", PIDF, "").expect(400);
    publish(&alice, "dialog", DIALOG_INFO, &dialogs("full", "<dialog id=\"1\"/>")).expect(400);
    publish(&alice, "presence.winfo", PIDF, "<p/>").expect(489);
}

/// Architecture section 6: while a NOTIFY is in flight the union of the dialogs' changes waits.
#[test]
fn dialog_changes_unite() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "dialog");
    watch.notify();
    let desk = alice.publish_as("dialog", DIALOG_INFO, &dialogs("full", &one("a", "early")));
    watch.notify();
    bob.falls_silent();
    desk.modify(&dialogs("full", &one("a", "confirmed"))).expect(200);
    let slow = watch.notify();
    alice.publish_as("dialog", DIALOG_INFO, &dialogs("full", &one("b", "early")));
    desk.modify(&dialogs("full", &one("a", "terminated"))).expect(200);
    world.settle();
    bob.answers("200 OK");
    bob.tell(&slow.answer("200 OK", "bob", &[]));
    let united = watch.notify();
    assert_eq!(united.attribute("state"), Some("partial"), "{united}");
    let mut both = shown(&united);
    both.sort();
    assert_eq!(both, [("a".into(), "terminated".into()), ("b".into(), "early".into())]);
    check::all(&world.history());
}

/// RFC 4235: the dialogs of a publication that ends are over for its watchers.
#[test]
fn an_expired_publication_ends_its_dialogs() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let request =
        alice.publish_request("dialog", DIALOG_INFO, &dialogs("full", &one("a", "early")));
    let watch = bob.subscribe("alice", "dialog");
    watch.notify();
    alice.send(&request.set("Expires", 60)).expect(200);
    assert_eq!(shown(&watch.notify()), [("a".into(), "early".into())]);
    world.advance(Span::seconds(60));
    assert_eq!(shown(&watch.notify()), [("a".into(), "terminated".into())]);
    watch.quiet(MINUTE);
}

/// RFC 4235 with RFC 3903: what a partial PUBLISH leaves out stays, over a crash too.
#[test]
fn partial_publications_keep_the_rest() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let whole = dialogs("full", &[one("a", "early"), one("b", "confirmed")].concat());
    let card = alice.publish_as("dialog", DIALOG_INFO, &whole);
    card.modify(&dialogs("partial", &one("a", "confirmed"))).expect(200);
    world.crash();
    let notify = bob.subscribe("alice", "dialog").notify();
    let both = [("a".to_owned(), "confirmed".to_owned()), ("b".into(), "confirmed".into())];
    assert_eq!(shown(&notify), both);
}

/// After a crash a watcher gets one full document with a version above all it has seen.
#[test]
fn the_first_document_after_a_crash_is_full() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish_as("dialog", DIALOG_INFO, &dialog("alice", 0, "full", "a", "early"));
    let watch = bob.subscribe("alice", "dialog");
    watch.notify();
    card.modify(&dialog("alice", 1, "full", "a", "confirmed")).expect(200);
    let seen = watch.notify();
    world.crash();
    let first = watch.next(Span::seconds(30)).expect("a full document");
    assert_eq!(first.attribute("state"), Some("full"), "{first}");
    assert_eq!(shown(&first), [("a".into(), "confirmed".into())]);
    let version = |notify: &Sip| {
        let info = DialogInfo::read(notify.body.as_bytes()).expect("dialog-info");
        info.outline.root.attribute("version").unwrap().value.parse::<u32>().unwrap()
    };
    assert!(version(&first) > version(&seen) && first.cseq() > seen.cseq());
}

/// C14, C82, X12: one ringing call shows, a second phone's document stays, the end restores it.
#[test]
fn ringing_shows_in_presence() {
    let world = World::new(|setup| setup.config.presence.mix_dialog_presence = true);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let call = alice.publish_as("dialog", DIALOG_INFO, &dialogs("full", &one("a", "early")));
    let ringing = watch.notify();
    assert!(ringing.body.contains("Ringing") && ringing.body.contains("open"), "{ringing}");
    call.modify(&dialogs("full", &one("a", "confirmed"))).expect(200);
    assert!(watch.notify().body.contains("<rpid:on-the-phone/>"));
    call.modify(&dialogs("full", &one("a", "terminated"))).expect(200);
    let idle = watch.notify();
    assert!(!idle.body.contains("person") && idle.body.contains("open"), "{idle}");
    call.remove().expect(200);
    let gone = watch.notify();
    assert!(gone.body.contains("closed"), "{gone}");
    check::all(&world.history());
}

/// C16: Polycom's remote target is put right for dialog;sla, and left alone with the parameter off.
#[test]
fn polycom_targets_are_put_right() {
    for fixed in [true, false] {
        let world = World::new(|setup| setup.config.presence.bla_fix_remote_target = fixed);
        let (alice, line) = (world.phone("alice"), world.phone("line1"));
        let watch = line.subscribe("line1", "dialog;sla");
        watch.notify();
        let call = "<dialog id=\"1\"><state>confirmed</state><remote>\
            <identity>sip:carol@example.com</identity><target uri=\"sip:line1@example.com\"/>\
            </remote></dialog>";
        let request = alice
            .publish_request("dialog;sla", DIALOG_INFO, &dialogs("full", call))
            .uri("sip:line1@example.com")
            .set("To", "<sip:line1@example.com>");
        alice.send(&request).expect(200);
        let notify = watch.notify();
        let right = notify.body.contains("<target uri=\"sip:carol@example.com\"/>");
        assert_eq!(right, fixed, "{notify}");
    }
}

/// RFC 3842 3: when the mailbox's publication ends the lamp goes out.
#[test]
fn the_lamp_goes_out() {
    let world = World::default();
    let (alice, phone) = (world.phone("alice"), world.phone("alice"));
    let watch = phone.subscribe("alice", "message-summary");
    assert!(watch.notify().body.starts_with("Messages-Waiting: no\r\n"));
    let card = alice.publish_as("message-summary", SUMMARY, &summary(1, 0));
    assert!(watch.notify().body.starts_with("Messages-Waiting: yes\r\n"));
    card.remove().expect(200);
    assert!(watch.notify().body.starts_with("Messages-Waiting: no\r\n"));
}

/// C72, M13: line-seize lives 15 s and is below every `min_expires`; its Call-Info leaves with it.
#[test]
fn a_seized_line_is_free_again() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe_by(&bob.subscribe_request("alice", "line-seize").without("Expires"));
    assert_eq!(watch.ok.expires(), Some(15));
    watch.notify();
    let info = "<sip:example.com>;appearance-index=1;appearance-state=seized";
    let request: Request = alice.publish_request("line-seize", "", "").set("Call-Info", info);
    let ok = alice.send(&request.set("Expires", 5)).expect(200);
    assert_eq!(ok.expires(), Some(5));
    assert_eq!(watch.notify().header("Call-Info"), info);
    world.advance(Span::seconds(5));
    let free = watch.notify();
    assert!(!free.has("Call-Info") && free.body.is_empty(), "{free}");
    let end = watch.next(Span::seconds(20)).expect("the final NOTIFY");
    assert_eq!((end.state(), end.reason()), ("terminated", "timeout"));
}

/// Row C121: publishers with other prefixes and extensions are carried as they are.
#[test]
fn extensions_are_carried() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(
        "<p:presence xmlns:p=\"urn:ietf:params:xml:ns:pidf\" xmlns:x=\"urn:x\" \
         entity=\"sip:alice@example.com\"><p:tuple id=\"1\"><p:status><x:mood/></p:status>\
         </p:tuple></p:presence>",
    );
    alice.publish(&pidf("alice", "2", "open"));
    let notify = bob.subscribe("alice", "presence").notify();
    pharos_parser::pidf::validate(notify.body.as_bytes()).expect("valid PIDF");
    assert!(notify.body.contains("xmlns:x=\"urn:x\"") && notify.body.contains("<x:mood/>"));
}

/// Row C121: what was said last counts, also when an older publication was refreshed since and the
/// server has crashed.
#[test]
fn the_newest_stays_the_newest_over_a_crash() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let older = alice.publish(&pidf_with_note("alice", "t", "open", "older"));
    world.advance(Span::seconds(1));
    alice.publish(&pidf_with_note("alice", "t", "open", "newer"));
    older.refresh().expect(200);
    let watch = bob.subscribe("alice", "presence");
    let before = watch.notify();
    assert!(before.body.contains("newer"), "{before}");
    world.crash();
    let after = watch.next(Span::seconds(20)).expect("the whole state");
    assert_eq!(before.body, after.body);
}

/// RFC 3857 4.7.1, row C13: whoever asked once and is not decided about waits, each under an id of
/// its own, however often it asks.
#[test]
fn pending_fetchers_are_told_apart() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    let fetch = |phone: &Phone| {
        phone.send(&phone.subscribe_request("alice", "presence").set("Expires", 0)).expect(200);
    };
    fetch(&bob);
    let first = watch.notify();
    assert_eq!(first.attribute("status"), Some("waiting"), "{first}");
    fetch(&carol);
    let second = watch.notify();
    assert_ne!(first.attribute("id"), second.attribute("id"));
    fetch(&bob);
    watch.quiet(MINUTE);
    watch.refresh(3600).expect(200);
    let all = watch.notify();
    assert_eq!(all.body.matches("status=\"waiting\"").count(), 2, "{all}");
}
