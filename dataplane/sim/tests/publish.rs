//! PUBLISH by RFC 3903 section 6; rows C07, C10, C70 to C81, C83.

use pharos_sim::documents::{PIDF, pidf, pidf_with_note};
use pharos_sim::{Span, World, check};
use pharos_storage::{Kind, StoreError};

const MINUTE: Span = Span::seconds(60);

/// C73, RFC 3903 6 step 8: 200 with the entity-tag and the time granted.
#[test]
fn an_initial_publication_gets_a_tag_and_a_time() {
    let world = World::default();
    let alice = world.phone("alice");
    let card = alice.publish(&pidf("alice", "phone", "open"));
    assert_eq!(card.ok.expires(), Some(3600));
    assert!(!card.etag().is_empty());
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 1);
    check::all(&world.history());
}

/// C78: an entity-tag carries 128 bits that nobody can guess, and no two are alike.
#[test]
fn entity_tags_are_long_and_never_alike() {
    let world = World::default();
    let mut tags: Vec<String> = (0..40)
        .map(|i| world.phone(&format!("u{i}")).publish(&pidf("u", "t", "open")).etag())
        .collect();
    assert!(tags.iter().all(|tag| tag.len() >= 22), "{tags:?}");
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 40);
}

/// C75, RFC 3903 4.3: a refresh makes a new tag, lengthens the life and tells nobody.
#[test]
fn a_refresh_makes_a_new_tag_and_no_notify() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "phone", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let first = card.etag();
    world.advance(Span::seconds(3000));
    card.refresh().expect(200);
    assert_ne!(card.etag(), first);
    watch.quiet(Span::seconds(590));
    world.advance(Span::seconds(30));
    card.refresh().expect(200);
    assert_eq!(world.disk(|disk| disk.count(Kind::Body)), 1);
}

/// C76, RFC 3903 4.4: another document, another tag, a NOTIFY.
#[test]
fn a_modification_reaches_every_watcher() {
    let world = World::default();
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let card = alice.publish(&pidf("alice", "phone", "open"));
    let watches = [bob.subscribe("alice", "presence"), carol.subscribe("alice", "presence")];
    watches.iter().for_each(|watch| assert!(watch.notify().body.contains("open")));
    let first = card.etag();
    card.modify(&pidf("alice", "phone", "closed")).expect(200);
    assert_ne!(card.etag(), first);
    watches.iter().for_each(|watch| assert!(watch.notify().body.contains("closed")));
    check::all(&world.history());
}

/// C77, C35, C122, RFC 3903 4.5: removal tells the watchers once, with a closed document.
#[test]
fn removal_leaves_a_closed_document_and_one_notify() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "phone", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let tag = card.etag();
    let ok = card.remove().expect(200);
    assert_eq!(ok.expires(), Some(0));
    assert!(watch.notify().body.contains("<basic>closed</basic>"));
    watch.quiet(MINUTE);
    let late = alice.publish_request("presence", PIDF, "").set("SIP-If-Match", tag);
    alice.send(&late).expect(412);
}

/// C74, RFC 3903 6 step 4: only the current tag of this very presentity and package counts.
#[test]
fn a_tag_that_is_not_current_is_412() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "phone", "open"));
    let old = card.etag();
    card.refresh().expect(200);
    for tag in [old.as_str(), "never-given", &card.etag().to_uppercase()] {
        let request = alice.publish_request("presence", PIDF, "").set("SIP-If-Match", tag);
        alice.send(&request).expect(412);
    }
    let foreign = bob.publish_request("presence", PIDF, "").set("SIP-If-Match", card.etag());
    bob.send(&foreign).expect(412);
    let package = alice.publish_request("dialog", "", "").set("SIP-If-Match", card.etag());
    alice.send(&package).expect(412);
    card.refresh().expect(200);
}

/// C70, RFC 3903 6 step 2, RFC 6665 8.3.2: 489 names the packages.
#[test]
fn an_event_that_is_missing_or_unknown_is_489_with_the_packages() {
    let world = World::default();
    let alice = world.phone("alice");
    let good = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    let unknown = alice.again(&good).set("Event", "weather").set("Call-ID", "weather");
    for request in [good.without("Event"), unknown] {
        let answer = alice.send(&request).expect(489);
        let allowed = answer.header("Allow-Events");
        for package in ["presence", "presence.winfo", "dialog", "dialog;sla", "message-summary"] {
            let names: Vec<&str> = allowed.split(',').map(str::trim).collect();
            assert!(names.contains(&package), "{package} is not among {allowed}");
        }
    }
}

/// A package that cannot be published is not understood here: winfo is made by the server.
#[test]
fn watcher_information_cannot_be_published() {
    let world = World::default();
    let alice = world.phone("alice");
    let body = "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\"/>";
    let request = alice.publish_request("presence.winfo", "application/watcherinfo+xml", body);
    alice.send(&request).expect(489);
}

/// C81, RFC 3903 6 step 6, RFC 3261 8.2.3: the body must be of the package's type, unencoded.
#[test]
fn a_body_of_another_type_is_415_with_accept() {
    let world = World::default();
    let alice = world.phone("alice");
    let good = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    let answer = alice.send(&good.clone().set("Content-Type", "text/plain")).expect(415);
    assert!(answer.header("Accept").contains(PIDF), "{answer}");
    let zipped = alice.again(&good).set("Content-Encoding", "gzip").set("CSeq", "2 PUBLISH");
    let answer = alice.send(&zipped).expect(415);
    assert!(answer.has("Accept-Encoding"), "{answer}");
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
}

/// C71: XML that is none is refused and changes nothing.
#[test]
fn malformed_xml_is_refused() {
    let world = World::default();
    let alice = world.phone("alice");
    let entities = "<!DOCTYPE presence [<!ENTITY a \"aaaa\">]>\
        <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:alice@example.com\">\
        &a;</presence>";
    let bodies = ["<presence", "", "no xml at all", "<a></b>", entities];
    for body in bodies.into_iter().filter(|body| !body.is_empty()) {
        let answer = alice.send(&alice.publish_request("presence", PIDF, body));
        assert!(matches!(answer.status(), 400 | 415), "{body}: {answer}");
    }
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
}

/// C71, RFC 3903 6 step 6: an initial publication has a body.
#[test]
fn an_initial_publication_without_body_is_400() {
    let world = World::default();
    let alice = world.phone("alice");
    alice.send(&alice.publish_request("presence", PIDF, "")).expect(400);
}

/// C10, RFC 3903 6 step 5: 423 with Min-Expires; never for an hour and more (RFC 6665 4.2.1.1).
#[test]
fn too_brief_is_423_but_an_hour_never_is() {
    let world = World::new(|setup| setup.config.presence.min_expires = 7200);
    let alice = world.phone("alice");
    let brief = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    let answer = alice.send(&brief.clone().set("Expires", 3599)).expect(423);
    assert_eq!(answer.header("Min-Expires"), "7200");
    let hour = alice.again(&brief).set("Call-ID", "hour").set("Expires", 3600);
    alice.send(&hour).expect(200);
}

/// C10: the default of a minute; 0 switches it off.
#[test]
fn min_expires_is_a_minute_unless_switched_off() {
    for (least, expires, status) in [(60, 59, 423), (60, 60, 200), (0, 1, 200)] {
        let world = World::new(|setup| setup.config.presence.min_expires = least);
        let alice = world.phone("alice");
        let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
        alice.send(&request.set("Expires", expires)).expect(status);
    }
}

/// C72, C09: no Expires is the package's default, too much is the maximum, even 2^32-1 (row C72).
#[test]
fn expires_is_defaulted_and_clamped() {
    let world = World::new(|setup| setup.config.presence.max_expires_publish = 1800);
    let alice = world.phone("alice");
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    assert_eq!(alice.send(&request.clone().without("Expires")).expect(200).expires(), Some(1800));
    let greedy = alice.again(&request).set("Call-ID", "greedy").set("Expires", "4294967295");
    assert_eq!(alice.send(&greedy).expect(200).expires(), Some(1800));
}

/// C83: the end of a publication is exact, and the watchers see it as closed.
#[test]
fn a_publication_ends_when_it_said() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    alice.send(&request.set("Expires", 100)).expect(200);
    let begin = watch.notify().at;
    let end = watch.next(Span::seconds(101)).expect("the offline NOTIFY");
    assert!(end.body.contains("<basic>closed</basic>"), "{end}");
    let lived = (end.at - begin).as_millis();
    assert!((99_900..=100_110).contains(&lived), "it lived {lived} ms");
    watch.quiet(MINUTE);
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
    assert_eq!(world.disk(|disk| disk.count(Kind::Body)), 0);
}

/// C07: kept longer than said.
#[test]
fn expires_offset_keeps_it_longer_than_the_answer_says() {
    let world = World::new(|setup| setup.config.presence.expires_offset = 20);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    assert_eq!(alice.send(&request.set("Expires", 100)).expect(200).expires(), Some(100));
    let begin = watch.notify().at;
    let end = watch.next(Span::seconds(125)).expect("the offline NOTIFY");
    let lived = (end.at - begin).as_millis();
    assert!((119_900..=120_110).contains(&lived), "it lived {lived} ms");
}

/// C80: the 200 and the NOTIFY wait for the commit; retransmissions meanwhile are absorbed.
#[test]
fn nothing_is_said_before_the_commit() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.disk(|disk| disk.stall(Span::seconds(3)));
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    alice.post(&request);
    watch.quiet(Span::millis(2_500));
    assert!(alice.answer(&request).is_none());
    assert!(watch.notify().body.contains("open"));
    world.settle();
    alice.answer(&request).expect("an answer").expect(200);
    watch.quiet(MINUTE);
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 1);
    check::all(&world.history());
}

/// C80: a commit that failed is 503, nobody hears of the document, and the next try works.
#[test]
fn a_failed_commit_is_503_and_nothing_happened() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.settle();
    world.disk(|disk| disk.next_commit(Err(StoreError::Full)));
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    let answer = alice.send(&request).expect(503);
    assert!(answer.has("Retry-After"), "{answer}");
    watch.quiet(MINUTE);
    alice.publish(&pidf("alice", "p", "open"));
    assert!(watch.notify().body.contains("open"));
}

/// C81, RFC 3903 6 step 6: a body over the limit is 413.
#[test]
fn a_body_over_the_limit_is_413() {
    let world = World::default();
    let alice = world.phone("alice").tcp();
    let note = "x".repeat(60_000);
    let body = pidf_with_note("alice", "p", "open", &note);
    alice.send(&alice.publish_request("presence", PIDF, &body)).expect(413);
}

/// C81, RFC 3261 8.2.2.3.
#[test]
fn a_required_extension_is_420() {
    let world = World::default();
    let alice = world.phone("alice");
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    let answer = alice.send(&request.set("Require", "warp")).expect(420);
    assert_eq!(answer.header("Unsupported"), "warp");
}

/// C79: changes of one publication take effect in the order of arrival; the second of two that
/// name the same tag comes too late.
#[test]
fn of_two_changes_with_one_tag_the_second_is_412() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    let card = alice.publish(&pidf("alice", "p", "open"));
    world.settle();
    watch.last();
    let first = card.request(&pidf("alice", "p", "closed"));
    let second = card.request(&pidf_with_note("alice", "p", "open", "late"));
    alice.post(&first);
    alice.post(&second);
    world.settle();
    alice.answer(&first).expect("an answer").expect(200);
    alice.answer(&second).expect("an answer").expect(412);
    assert!(watch.notify().body.contains("closed"));
    watch.quiet(MINUTE);
}

/// C79 over several publications: a burst of one presentity is applied in order, and the watcher
/// ends with the last state.
#[test]
fn a_burst_ends_with_the_last_state() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    let card = alice.publish(&pidf("alice", "p", "open"));
    for round in 0..10 {
        card.modify(&pidf_with_note("alice", "p", "open", &format!("round {round}"))).expect(200);
    }
    world.settle();
    assert!(watch.last().body.contains("round 9"));
    check::all(&world.history());
}

/// C121: two devices are composed, the newest first; duplicates by id are shown once.
#[test]
fn publications_of_two_devices_are_composed() {
    let world = World::default();
    let (desk, bob) = (world.phone("alice"), world.phone("bob"));
    let mobile = world.phone("alice");
    desk.publish(&pidf("alice", "desk", "closed"));
    world.advance(Span::seconds(1));
    let card = mobile.publish(&pidf("alice", "mobile", "open"));
    let watch = bob.subscribe("alice", "presence");
    let body = watch.notify().body;
    let place = |id: &str| body.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{body}"));
    assert!(place("mobile") < place("desk"), "{body}");
    assert!(body.contains("entity=\"sip:alice@example.com\""), "{body}");
    card.modify(&pidf_with_note("alice", "desk", "open", "newer")).expect(200);
    let body = watch.notify().body;
    assert_eq!(body.matches("<tuple").count(), 1, "{body}");
    assert!(body.contains("newer"), "{body}");
}

/// C77, C121: what one device takes back the other still says.
#[test]
fn removal_of_one_of_two_shows_the_other() {
    let world = World::default();
    let (desk, bob) = (world.phone("alice"), world.phone("bob"));
    let mobile = world.phone("alice");
    desk.publish(&pidf("alice", "desk", "open"));
    let card = mobile.publish(&pidf("alice", "mobile", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    card.remove().expect(200);
    let body = watch.notify().body;
    assert!(body.contains("desk") && !body.contains("mobile"), "{body}");
    watch.quiet(MINUTE);
}

/// Periodic durability: the answer does not wait for the disk.
#[test]
fn in_periodic_mode_the_answer_does_not_wait() {
    let world = World::new(|setup| setup.config.commit = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.disk(|disk| disk.stall(Span::seconds(20)));
    alice.publish(&pidf("alice", "p", "open"));
    assert!(watch.notify().body.contains("open"));
    world.advance(Span::seconds(60));
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 1);
}
