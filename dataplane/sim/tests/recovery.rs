//! Crash and restart: what was acknowledged is there, what was not is not; rows C79, C80, C114.

use pharos_sim::documents::{DIALOG_INFO, PIDF, dialog, pidf, pidf_with_note};
use pharos_sim::{Span, World, check};
use pharos_storage::Kind;

const MINUTE: Span = Span::seconds(60);

/// An acknowledged publication lives on, with its tag; its end is where it was.
#[test]
fn a_publication_survives_a_crash() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let begin = world.now();
    world.crash();
    assert!(bob.subscribe("alice", "presence").notify().body.contains("open"));
    world.crash();
    world.advance(Span::seconds(3000));
    card.refresh().expect(200);
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    world.crash();
    let watch = bob.subscribe("alice", "presence");
    assert!(watch.notify().body.contains("<basic>closed"), "since {begin:?}");
}

/// It ends when it said, also when the process was down at that time.
#[test]
fn what_ended_while_down_is_told_at_the_start() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    alice.send(&request.set("Expires", 100)).expect(200);
    let short = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 100));
    let long = bob.subscribe("alice", "presence");
    short.notify();
    long.notify();
    world.kill();
    world.advance(Span::seconds(200));
    world.boot();
    let end = short.next(MINUTE).expect("the final NOTIFY");
    assert_eq!((end.state(), end.reason()), ("terminated", "timeout"));
    let offline = long.next(MINUTE).expect("the offline NOTIFY");
    assert!(offline.body.contains("<basic>closed</basic>"), "{offline}");
    assert_eq!(offline.state(), "active");
    check::all(&world.history());
}

/// C114: after a crash each dialog gets one full state, with a higher CSeq and version.
#[test]
fn after_a_crash_every_watcher_gets_one_full_state() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish_as("dialog", DIALOG_INFO, &dialog("alice", 0, "full", "d1", "early"));
    let watch = bob.subscribe("alice", "dialog");
    let first = watch.notify();
    card.modify(&dialog("alice", 1, "full", "d1", "confirmed")).expect(200);
    watch.notify();
    world.crash();
    let again = watch.next(MINUTE).expect("the state after a crash");
    assert!(again.body.contains("state=\"full\"") && again.body.contains("confirmed"), "{again}");
    assert!(again.cseq() > first.cseq() + 1, "{again}");
    watch.quiet(MINUTE);
    watch.refresh(600).expect(200);
    watch.notify();
    check::all(&world.history());
}

/// A clean stop sends none, and goes on where it was.
#[test]
fn after_a_clean_stop_nobody_is_told() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.restart();
    watch.quiet(MINUTE);
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    assert!(watch.notify().body.contains("closed"));
    watch.end().expect(200);
    assert_eq!(watch.notify().state(), "terminated");
    check::all(&world.history());
}

/// Architecture section 5, repeats: the retransmission of an acknowledged request gets the same
/// answer after a crash, for 64*T1, and creates nothing.
#[test]
fn a_retransmission_over_a_crash_gets_the_same_answer() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let publish = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    let subscribe = bob.subscribe_request("alice", "presence");
    let published = alice.send(&publish).expect(200);
    let watch = bob.subscribe_by(&subscribe);
    watch.notify();
    world.crash();
    alice.tell(&publish.bytes());
    bob.tell(&subscribe.bytes());
    world.advance(Span::seconds(5));
    let answers = alice.seen();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1].etag(), published.etag());
    let answers: Vec<_> = bob.seen().into_iter().filter(|sip| sip.status() == 200).collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1].parameter("To", "tag"), Some(watch.to_tag()));
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 1);
    assert_eq!(world.disk(|disk| disk.count(Kind::Subscription)), 1);
    check::all(&world.history());
}

/// So does that of a refresh, a modification and a removal, which name a tag that is gone.
#[test]
fn repeats_of_every_change_are_known_after_a_crash() {
    let world = World::default();
    let alice = world.phone("alice");
    for what in ["refresh", "modify", "remove"] {
        let card = alice.publish(&pidf("alice", what, "open"));
        let request = match what {
            "refresh" => card.request(""),
            "modify" => card.request(&pidf("alice", what, "closed")),
            _ => card.request("").set("Expires", 0),
        };
        let first = alice.send(&request).expect(200);
        world.crash();
        let before = world.now();
        alice.tell(&request.bytes());
        world.advance(Span::seconds(2));
        let repeat = alice.seen_since(before).pop().unwrap_or_else(|| panic!("no answer: {what}"));
        assert_eq!((repeat.status(), repeat.etag()), (200, first.etag()), "{what}");
        assert_eq!(repeat.expires(), first.expires(), "{what}");
    }
    check::all(&world.history());
}

/// And of the end of a subscription.
#[test]
fn the_repeat_of_an_unsubscribe_is_known_after_a_crash() {
    let world = World::default();
    let bob = world.phone("bob");
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let end = watch.request(0);
    bob.send(&end).expect(200);
    watch.notify();
    world.crash();
    let before = world.now();
    bob.tell(&end.bytes());
    world.advance(Span::seconds(2));
    let answers = bob.seen_since(before);
    assert!(
        answers.iter().any(|sip| sip.status() == 200 && sip.expires() == Some(0)),
        "{answers:?}"
    );
}

/// C80: a request that was not answered before the crash happens once or not at all, and its
/// retransmission brings the answer.
#[test]
fn a_crash_before_the_answer_is_healed_by_retransmission() {
    for delay in [0, 1, 2, 3, 5, 8] {
        let world = World::new(|setup| setup.commit_time = Span::millis(4));
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
        alice.post(&request);
        world.advance(Span::millis(delay));
        world.crash();
        world.advance(Span::seconds(2));
        alice.answer(&request).expect("an answer").expect(200);
        assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 1, "after {delay} ms");
        let body = bob.subscribe("alice", "presence").notify().body;
        assert_eq!(body.matches("<tuple").count(), 1, "{body}");
        check::all(&world.history());
    }
}

/// Another number of shards finds the same data.
#[test]
fn shards_may_change_over_a_restart() {
    let world = World::new(|setup| setup.lanes = 2);
    let bob = world.phone("bob");
    let users: Vec<_> = (0..12).map(|i| world.phone(&format!("user{i}"))).collect();
    let cards: Vec<_> = users.iter().map(|u| u.publish(&pidf("u", "p", "open"))).collect();
    let watches: Vec<_> = (0..12).map(|i| bob.subscribe(&format!("user{i}"), "presence")).collect();
    watches.iter().for_each(|watch| drop(watch.notify()));
    for shards in [4, 3, 1, 2] {
        world.shards(shards).crash();
        for (index, watch) in watches.iter().enumerate() {
            let state = watch.next(MINUTE).expect("the state after a crash");
            assert!(state.body.contains("open"), "{state}");
            let note = format!("user{index} with {shards}");
            cards[index].modify(&pidf_with_note("u", "p", "open", &note)).expect(200);
            assert!(watch.notify().body.contains(&note));
        }
    }
    check::all(&world.history());
}

/// In periodic mode a crash may lose the last period, a clean stop loses nothing.
#[test]
fn periodic_mode_keeps_all_over_a_clean_stop() {
    let world = World::new(|setup| setup.config.commit = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.restart();
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    assert!(watch.notify().body.contains("closed"));
    world.advance(Span::seconds(61));
    world.crash();
    card.refresh().expect(200);
    let state = watch.next(MINUTE).expect("the state after a crash");
    assert!(state.body.contains("closed"), "{state}");
    check::one("rising", &world.history());
}

/// `restart_notify_rate`: the states after a crash are paced.
#[test]
fn the_states_after_a_crash_are_paced() {
    let world = World::new(|setup| setup.config.presence.restart_notify_rate = 10);
    let alice = world.phone("alice");
    alice.publish(&pidf("alice", "p", "open"));
    let watchers: Vec<_> = (0..40).map(|i| world.phone(&format!("w{i}"))).collect();
    let watches: Vec<_> = watchers.iter().map(|w| w.subscribe("alice", "presence")).collect();
    world.settle();
    watches.iter().for_each(|watch| drop(watch.last()));
    world.crash();
    let begin = world.now();
    world.advance(Span::seconds(2));
    let early: usize = watchers.iter().map(|w| w.seen_since(begin).len()).sum();
    assert!(early <= 30, "{early} of 40 in two seconds");
    world.advance(Span::seconds(20));
    watchers.iter().for_each(|w| assert_eq!(w.seen_since(begin).len(), 1, "{}", w.aor()));
}

/// The numbers go on from above whatever was sent, over many crashes.
#[test]
fn cseq_never_goes_back_over_many_crashes() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    for round in 0..8 {
        bob.subscribe("alice", "presence").notify();
        world.advance(Span::millis(200 * round));
        world.crash();
    }
    world.advance(MINUTE);
    watch.refresh(600).expect(200);
    world.settle();
    check::all(&world.history());
}

/// Row C61: a dialog comes back whole: its Event id, its route set, its connection-less watcher.
#[test]
fn a_dialog_comes_back_whole() {
    let world = World::default();
    let (alice, proxy) = (world.phone("alice"), world.phone("proxy"));
    let (bob, carol) = (world.phone("bob").tcp(), world.phone("carol"));
    alice.publish(&pidf("alice", "p", "open"));
    let by_tcp = bob.subscribe_by(&bob.subscribe_request("alice", "presence;id=9"));
    let route = format!("<sip:{};lr>", proxy.address());
    carol.send(&carol.subscribe_request("alice", "presence").add("Record-Route", &route));
    by_tcp.notify();
    world.settle();
    let before = proxy.requests().len();
    world.shards(3).crash();
    let again = by_tcp.next(MINUTE).expect("the state after a crash");
    assert!(again.stream && again.body.contains("open"), "{again}");
    assert_eq!(again.parameter("Event", "id"), Some("9"));
    world.advance(MINUTE);
    let routed = proxy.requests();
    assert_eq!(routed.len(), before + 1);
    assert_eq!(routed[before].header("Route"), route);
    assert!(carol.requests().is_empty());
    check::all(&world.history());
}

/// Rows C62, C64: pending stays pending and waiting stays waiting.
#[test]
fn authorization_states_survive_a_crash() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let pending = bob.subscribe("alice", "presence");
    pending.notify();
    carol.subscribe_by(&carol.subscribe_request("alice", "presence").set("Expires", 60)).notify();
    world.advance(Span::seconds(70));
    world.crash();
    let again = pending.next(MINUTE).expect("the state after a crash");
    assert_eq!((again.state(), again.body.as_str()), ("pending", ""));
    let info = alice.subscribe("alice", "presence.winfo").notify();
    assert!(info.body.contains("sip:carol@example.com"), "{info}");
    assert!(info.body.contains("status=\"waiting\""), "{info}");
    assert!(info.body.contains("status=\"pending\""), "{info}");
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    pending.quiet(MINUTE);
}

/// Architecture section 5, clock: the wall clock goes on over the time that the process was down.
#[test]
fn time_while_down_counts() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    world.kill();
    world.advance(Span::seconds(3590));
    world.boot();
    assert!(bob.subscribe("alice", "presence").notify().body.contains("open"));
    world.advance(Span::seconds(15));
    card.refresh().expect(412);
}
