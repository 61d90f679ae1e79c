//! SUBSCRIBE by RFC 6665 4.2.1; rows C08, C11, C13, C17, C90 to C101, C120.

use pharos_sim::documents::{PIDF, pidf};
use pharos_sim::{Span, World, check};
use pharos_storage::Kind;

const MINUTE: Span = Span::seconds(60);

/// C91, C110, RFC 6665 4.2.1.2: 2xx with Expires, Contact and a tag, then a NOTIFY at once.
#[test]
fn a_subscription_is_answered_and_notified_at_once() {
    let world = World::default();
    let bob = world.phone("bob");
    let watch = bob.subscribe("alice", "presence");
    assert_eq!((watch.ok.status(), watch.ok.expires()), (200, Some(3600)));
    assert!(!watch.to_tag().is_empty());
    assert_eq!(watch.ok.contact(), "sip:presence@192.0.2.1:5060");
    let notify = watch.notify();
    assert_eq!(notify.uri(), "sip:bob@192.0.2.10:5060");
    assert_eq!((notify.state(), notify.header("Event")), ("active", "presence"));
    assert!(matches!(notify.parameter("Subscription-State", "expires"), Some("3600" | "3599")));
    assert!(notify.header("From").contains("sip:alice@example.com"), "{notify}");
    assert!(notify.header("To").contains("sip:bob@example.com"), "{notify}");
    check::all(&world.history());
}

/// C17: without a publication the body is missing, or closed when asked for.
#[test]
fn nothing_published_is_no_body_or_a_closed_one() {
    for closed in [false, true] {
        let world = World::new(|setup| setup.config.presence.notify_offline_body = closed);
        let notify = world.phone("bob").subscribe("alice", "presence").notify();
        assert_eq!(notify.body.contains("<basic>closed</basic>"), closed, "{notify}");
        assert_eq!(notify.body.is_empty(), !closed, "{notify}");
    }
}

/// C96, RFC 6665 4.4.3: Expires 0 fetches the state once and leaves nothing.
#[test]
fn a_fetch_gets_one_notify_and_leaves_nothing() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 0));
    assert_eq!(watch.ok.expires(), Some(0));
    let notify = watch.notify();
    assert_eq!((notify.state(), notify.reason()), ("terminated", "timeout"));
    assert!(notify.body.contains("open"), "{notify}");
    watch.quiet(MINUTE);
    assert_eq!(world.disk(|disk| disk.count(Kind::Subscription)), 0);
    watch.refresh(600).expect(481);
}

/// RFC 6665 4.2.1.2: a refresh answers with the new time and shows the full state again.
#[test]
fn a_refresh_lengthens_it_and_shows_the_state() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 100));
    watch.notify();
    world.advance(Span::seconds(90));
    assert_eq!(watch.refresh(100).expect(200).expires(), Some(100));
    assert!(watch.notify().body.contains("open"));
    watch.quiet(Span::seconds(99));
    assert_eq!(watch.notify().state(), "terminated");
}

/// C95, RFC 6665 4.1.2.3: the end is answered and sealed by a last NOTIFY; then it is gone.
#[test]
fn an_unsubscribe_gets_a_final_notify() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    assert_eq!(watch.end().expect(200).expires(), Some(0));
    let last = watch.notify();
    assert_eq!((last.state(), last.reason()), ("terminated", "timeout"));
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    watch.quiet(MINUTE);
    watch.refresh(600).expect(481);
}

/// C120: the end by time is exact and says why.
#[test]
fn a_subscription_ends_when_it_said() {
    let world = World::default();
    let bob = world.phone("bob");
    let watch = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 60));
    let begin = watch.ok.at;
    watch.notify();
    let last = watch.next(Span::seconds(61)).expect("the final NOTIFY");
    assert_eq!((last.state(), last.reason()), ("terminated", "timeout"));
    let lived = (last.at - begin).as_millis();
    assert!((59_900..=60_110).contains(&lived), "it lived {lived} ms");
    watch.quiet(MINUTE);
    assert_eq!(world.disk(|disk| disk.count(Kind::Subscription)), 0);
}

/// C93: a dialog that is not there is 481, whichever of its three names is wrong.
#[test]
fn an_unknown_dialog_is_481() {
    let world = World::default();
    let bob = world.phone("bob");
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let strange = watch.request(600).set("Call-ID", "another");
    bob.send(&strange).expect(481);
    let strange = watch.request(600).set("From", "<sip:bob@example.com>;tag=another");
    bob.send(&strange).expect(481);
    let strange = watch.request(600).set("To", "<sip:alice@example.com>;tag=another");
    bob.send(&strange).expect(481);
    watch.refresh(600).expect(200);
}

/// C94, RFC 3261 12.2.2: a CSeq that is not higher is 500, and the dialog goes on.
#[test]
fn a_lower_cseq_is_500() {
    let world = World::default();
    let bob = world.phone("bob");
    let watch = bob.subscribe("alice", "presence");
    let high = watch.request(600).set("CSeq", "50 SUBSCRIBE");
    bob.send(&high).expect(200);
    bob.send(&watch.request(600).set("CSeq", "49 SUBSCRIBE")).expect(500);
    bob.send(&watch.request(600).set("CSeq", "51 SUBSCRIBE")).expect(200);
}

/// C94: a retransmission gets the same answer and no second NOTIFY.
#[test]
fn a_retransmission_is_absorbed() {
    let world = World::default();
    let bob = world.phone("bob");
    let request = bob.subscribe_request("alice", "presence");
    let watch = bob.subscribe_by(&request);
    watch.notify();
    bob.tell(&request.bytes());
    watch.quiet(MINUTE);
    let answers = bob.seen().into_iter().filter(|sip| sip.status() == 200).count();
    assert_eq!(answers, 2);
    check::all(&world.history());
}

/// C100, RFC 3261 20.1: a body type that the subscriber does not take is 406.
#[test]
fn an_accept_without_the_packages_type_is_406() {
    let world = World::default();
    let bob = world.phone("bob");
    let request = bob.subscribe_request("alice", "presence");
    bob.send(&request.clone().set("Accept", "text/plain")).expect(406);
    for (call, accept) in [("a", PIDF), ("b", "text/plain, application/*"), ("c", "*/*;q=0.1")] {
        let request = bob.again(&request).set("Call-ID", call).set("Accept", accept);
        bob.send(&request).expect(200);
    }
}

/// C10, RFC 6665 4.2.1.1: 423 with Min-Expires, but never for an hour and more; 0 is a fetch.
#[test]
fn too_brief_is_423() {
    let world = World::default();
    let bob = world.phone("bob");
    let request = bob.subscribe_request("alice", "presence").set("Expires", 59);
    assert_eq!(bob.send(&request).expect(423).header("Min-Expires"), "60");
    let watch = bob.subscribe("alice", "presence");
    watch.refresh(30).expect(423);
    watch.refresh(60).expect(200);
}

/// RFC 6665 4.2.1.1: the refusal of an hour is not allowed.
#[test]
fn an_hour_is_never_too_brief() {
    let world = World::new(|setup| setup.config.presence.min_expires = 7200);
    world.phone("bob").subscribe("alice", "presence");
}

/// C08, C72: the default is the package's, the maximum the configuration's.
#[test]
fn expires_is_defaulted_and_clamped() {
    let world = World::new(|setup| setup.config.presence.max_expires_subscribe = 600);
    let bob = world.phone("bob");
    let request = bob.subscribe_request("alice", "presence");
    assert_eq!(bob.send(&request.clone().set("Expires", 86_400)).expect(200).expires(), Some(600));
    let request = bob.again(&request).set("Call-ID", "none").without("Expires");
    assert_eq!(bob.send(&request).expect(200).expires(), Some(600));
}

/// C72: line-seize lives 15 seconds by default, which is not too brief (row C10).
#[test]
fn line_seize_lives_fifteen_seconds() {
    let world = World::default();
    let bob = world.phone("bob");
    let request = bob.subscribe_request("alice", "line-seize").without("Expires");
    assert_eq!(bob.subscribe_by(&request).ok.expires(), Some(15));
    let request = bob.subscribe_request("alice", "line-seize").set("Expires", 10);
    assert_eq!(bob.subscribe_by(&request).ok.expires(), Some(10));
}

/// C70: 489 with the packages.
#[test]
fn an_unknown_package_is_489() {
    let world = World::default();
    let bob = world.phone("bob");
    let request = bob.subscribe_request("alice", "weather");
    assert!(bob.send(&request).expect(489).header("Allow-Events").contains("presence"));
    let bare = bob.subscribe_request("alice", "presence").without("Event");
    bob.send(&bare).expect(489);
}

/// C99, RFC 6665 4.5.2 and 8.2.1: the id comes back in every NOTIFY.
#[test]
fn the_event_id_is_echoed() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe_by(&bob.subscribe_request("alice", "presence;id=7"));
    assert_eq!(watch.notify().parameter("Event", "id"), Some("7"));
    alice.publish(&pidf("alice", "p", "open"));
    assert_eq!(watch.notify().parameter("Event", "id"), Some("7"));
    watch.end().expect(200);
    assert_eq!(watch.notify().parameter("Event", "id"), Some("7"));
}

/// RFC 6665 4.4.1: each subscriber has its own dialog, also under one Call-ID.
#[test]
fn subscribers_with_one_call_id_are_apart() {
    let world = World::default();
    let (bob, carol) = (world.phone("bob"), world.phone("carol"));
    let first = bob.subscribe_request("alice", "presence").set("Call-ID", "shared");
    let second = carol.subscribe_request("alice", "presence").set("Call-ID", "shared");
    let (first, second) = (bob.subscribe_by(&first), carol.subscribe_by(&second));
    assert_ne!(first.to_tag(), second.to_tag());
    first.notify();
    second.notify();
    first.end().expect(200);
    assert_eq!(first.notify().state(), "terminated");
    second.quiet(MINUTE);
    second.refresh(600).expect(200);
}

/// C98: a phone that starts again subscribes by a new dialog; both live on their own.
#[test]
fn a_second_dialog_of_a_watcher_lives_beside_the_first() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watches = [bob.subscribe("alice", "presence"), bob.subscribe("alice", "presence")];
    watches.iter().for_each(|watch| assert_eq!(watch.notify().state(), "active"));
    alice.publish(&pidf("alice", "p", "open"));
    watches.iter().for_each(|watch| assert!(watch.notify().body.contains("open")));
}

/// C11: the user part of our Contact; empty = none.
#[test]
fn contact_user_names_the_server() {
    for (user, contact) in [("pres", "sip:pres@192.0.2.1:5060"), ("", "sip:192.0.2.1:5060")] {
        let world = World::new(|setup| setup.config.presence.contact_user = user.into());
        let watch = world.phone("bob").subscribe("alice", "presence");
        assert_eq!(watch.ok.contact(), contact);
        assert_eq!(watch.notify().contact(), contact);
        watch.refresh(600).expect(200);
    }
}

/// RFC 3261 12.1.1, 8.1.1.8: a dialog cannot be made without a Contact.
#[test]
fn a_subscription_needs_a_contact() {
    let world = World::default();
    let bob = world.phone("bob");
    bob.send(&bob.subscribe_request("alice", "presence").without("Contact")).expect(400);
}

/// C90, C102, C112: without rules and without `force_active` a watcher is pending and sees nothing.
#[test]
fn a_pending_watcher_sees_no_document() {
    for (late, status) in [(false, 200), (true, 202)] {
        let world = World::new(|setup| {
            setup.config.presence.force_active = false;
            setup.config.presence.subs_respond_202 = late;
        });
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        let card = alice.publish(&pidf("alice", "p", "open"));
        let watch = bob.subscribe("alice", "presence");
        assert_eq!(watch.ok.status(), status);
        let notify = watch.notify();
        assert_eq!((notify.state(), notify.body.as_str()), ("pending", ""));
        card.modify(&pidf("alice", "p", "closed")).expect(200);
        watch.quiet(MINUTE);
    }
}

/// C92: an AoR is one, however its URI is dressed.
#[test]
fn one_address_of_record_under_many_uris() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    for uri in [
        "sip:alice@EXAMPLE.com",
        "sip:alice@example.com:5099;transport=udp",
        "sips:alice@example.com",
        "pres:alice@example.com",
        "sip:%61lice@example.com",
    ] {
        let notify = bob.subscribe(uri, "presence").notify();
        assert!(notify.body.contains("open"), "{uri}: {notify}");
    }
    let notify = bob.subscribe("sip:Alice@example.com", "presence").notify();
    assert_eq!(notify.body, "", "the user part keeps its case");
}

/// With `domains` set, another domain is 404; an alias is the domain it stands for.
#[test]
fn only_our_domains_are_served() {
    let world = World::new(|setup| {
        setup.config.domains = vec!["example.com".into()];
        setup.config.domain_alias = vec![("old.example".into(), "example.com".into())];
    });
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    bob.send(&bob.subscribe_request("sip:alice@other.example", "presence")).expect(404);
    let far = world.phone("far").of("other.example");
    let request = far.publish_request("presence", PIDF, &pidf("far", "p", "open"));
    far.send(&request).expect(404);
    let watch = bob.subscribe("sip:alice@old.example", "presence");
    assert!(watch.notify().body.contains("open"));
}

/// RFC 6665 4.4.1: a refresh moves the remote target.
#[test]
fn a_refresh_updates_the_remote_target() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let moved = watch.request(600).set("Contact", "<sip:bob2@192.0.2.10:5060>");
    bob.send(&moved).expect(200);
    assert_eq!(watch.notify().uri(), "sip:bob2@192.0.2.10:5060");
    alice.publish(&pidf("alice", "p", "open"));
    assert_eq!(watch.notify().uri(), "sip:bob2@192.0.2.10:5060");
}
