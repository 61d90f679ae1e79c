//! Delivery beyond one watcher: fan-out, windows, and numbers that never run out.

use pharos_sim::documents::{pidf, pidf_with_note};
use pharos_sim::{Phone, Span, Subscription, World, check};

const MINUTE: Span = Span::seconds(60);

/// So many subscriptions of one phone, each in a dialog of its own, each shown the first state.
fn subscriptions(phone: &Phone, count: usize) -> Vec<Subscription> {
    (0..count)
        .map(|_| {
            let watch = phone.subscribe("alice", "presence");
            watch.notify();
            watch
        })
        .collect()
}

/// Everybody learns the news, also when it takes more than one turn, and nobody twice.
#[test]
fn hundreds_of_watchers_hear_it_once() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watches = subscriptions(&bob, 200);
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    world.settle();
    for watch in &watches {
        assert!(watch.notify().body.contains("<basic>closed"));
    }
    world.advance(MINUTE);
    assert!(watches.iter().all(|watch| watch.notifies().len() == 2));
    assert_eq!(world.metric("presence_fan_outs", None), 0);
    check::all(&world.history());
}

/// News that comes while older news is still going out reaches everybody.
#[test]
fn news_during_a_fan_out_reaches_everybody() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watches = subscriptions(&bob, 150);
    for note in ["first", "second", "third"] {
        card.modify(&pidf_with_note("alice", "p", "open", note)).expect(200);
    }
    world.advance(Span::seconds(5));
    assert!(watches.iter().all(|watch| watch.last().body.contains("third")));
    check::all(&world.history());
}

/// At most 256 NOTIFYs are under way to one destination; the others wait for it, and nobody else
/// does.
#[test]
fn a_full_window_delays_only_its_own_destination() {
    let world = World::new(|setup| setup.config.presence.end_sub_on_timeout = false);
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let crowd = subscriptions(&bob, 300);
    let other = carol.subscribe("alice", "presence");
    other.notify();
    bob.falls_silent();
    let begin = world.now();
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    assert!(other.notify().body.contains("<basic>closed"));
    world.settle();
    assert_eq!(world.metric("presence_notifies_blocked", None), 44);
    let told = crowd.iter().filter(|watch| watch.last().at > begin).count();
    assert_eq!(told, 256);
    bob.answers("200 OK");
    world.advance(Span::seconds(40));
    assert!(crowd.iter().all(|watch| watch.last().at > begin), "the window opened again");
    assert_eq!(world.metric("presence_notifies_blocked", None), 0);
}

/// A subscription that ends while it waits for a window leaves the line.
#[test]
fn who_waits_in_line_may_still_end() {
    let world = World::new(|setup| setup.config.presence.end_sub_on_timeout = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let crowd = subscriptions(&bob, 260);
    bob.falls_silent();
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    world.settle();
    assert_eq!(world.metric("presence_notifies_blocked", None), 4);
    for watch in &crowd {
        watch.end().expect(200);
    }
    bob.answers("200 OK");
    world.advance(Span::seconds(120));
    assert!(crowd.iter().all(|watch| watch.last().state() == "terminated"));
    assert_eq!(world.metric("presence_subscriptions", None), 0);
    assert_eq!(world.metric("presence_notifies_blocked", None), 0);
}

/// C114: after 1 024 NOTIFYs the next CSeqs are stored first; the watcher notices nothing, and no
/// crash brings an old one back.
#[test]
fn numbers_are_reserved_anew_when_they_run_out() {
    let world = World::default();
    let bob = world.phone("bob");
    let watch = bob.subscribe("alice", "presence");
    let first = watch.notify().cseq();
    for device in 0..11 {
        let id = format!("d{device}");
        let card = world.phone("alice").publish(&pidf("alice", &id, "open"));
        for turn in 1..100 {
            card.modify(&pidf_with_note("alice", &id, "open", &format!("n{turn}"))).expect(200);
        }
    }
    world.settle();
    assert_eq!(watch.last().cseq(), first + 1_100);
    world.crash();
    let after = watch.next(MINUTE).expect("the state after the crash");
    assert!(after.cseq() > first + 1_100 && after.body.contains("n99"), "{after}");
}

/// A reservation that the disk refuses is tried again; the news is late, not lost.
#[test]
fn a_refused_reservation_is_tried_again() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.kill();
    world.boot();
    world.disk(|disk| disk.next_commit(Err(pharos_storage::StoreError::Full)));
    let state = watch.next(Span::seconds(10)).expect("the state after the crash");
    assert!(state.body.contains("open"), "{state}");
    check::all(&world.history());
}

/// RFC 6665 4.2.2: 503 without Retry-After is no reason to end; the state comes later.
#[test]
fn a_503_is_tried_again_later() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.answers("503 Service Unavailable");
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    watch.notify();
    bob.answers("200 OK");
    let again = watch.next(MINUTE).expect("another try");
    assert!(again.body.contains("<basic>closed") && again.state() == "active", "{again}");
    watch.quiet(MINUTE);
}

/// Other failures neither end a subscription nor are repeated; the next state is told.
#[test]
fn a_500_waits_for_the_next_state() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.answers("500 Oops");
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    watch.notify();
    watch.quiet(MINUTE);
    bob.answers("200 OK");
    card.modify(&pidf("alice", "p", "open")).expect(200);
    assert!(watch.notify().body.contains("<basic>open"));
}
