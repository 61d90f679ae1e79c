//! What happens when things cross: ends during a NOTIFY, refreshes during a change, busy
//! presentities beside quiet ones; architecture section 6, RFC 6665 4.2.

use pharos_sim::documents::{pidf, pidf_with_note};
use pharos_sim::{Phone, Publication, Sip, Span, Subscription, World, check};

const MINUTE: Span = Span::seconds(60);

fn note(card: &Publication, text: &str) {
    card.modify(&pidf_with_note("alice", "p", "open", text)).expect(200);
}

/// A watcher whose last NOTIFY is not answered yet.
fn held(world: &World) -> (Publication, Phone, Subscription, Sip) {
    let card = world.phone("alice").publish(&pidf("alice", "p", "open"));
    let bob = world.phone("bob");
    let watch = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 60));
    watch.notify();
    bob.falls_silent();
    note(&card, "held");
    let slow = watch.notify();
    (card, bob, watch, slow)
}

fn answer(bob: &Phone, slow: &Sip) {
    bob.answers("200 OK");
    bob.tell(&slow.answer("200 OK", "bob", &[]));
}

/// Row C118: the last NOTIFY of an ended subscription waits for the one in flight.
#[test]
fn an_unsubscribe_during_a_notify_ends_after_it() {
    let world = World::default();
    let (card, bob, watch, slow) = held(&world);
    assert_eq!(watch.end().expect(200).expires(), Some(0));
    note(&card, "never shown");
    watch.quiet(Span::seconds(1));
    answer(&bob, &slow);
    let last = watch.notify();
    assert_eq!((last.state(), last.reason()), ("terminated", "timeout"));
    watch.quiet(MINUTE);
    check::all(&world.history());
}

/// Row C120: so does the last NOTIFY of one that ran out.
#[test]
fn an_end_by_time_during_a_notify_comes_after_it() {
    let world = World::default();
    let card = world.phone("alice").publish(&pidf("alice", "p", "open"));
    let bob = world.phone("bob");
    let watch = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 60));
    watch.notify();
    world.advance(Span::seconds(50));
    bob.falls_silent();
    note(&card, "held");
    let slow = watch.notify();
    watch.quiet(Span::seconds(15));
    watch.refresh(600).expect(481);
    answer(&bob, &slow);
    assert_eq!(watch.notify().reason(), "timeout");
    check::all(&world.history());
}

/// A refresh during a NOTIFY is answered at once; its own NOTIFY has the newest state.
#[test]
fn a_refresh_during_a_notify_is_answered_at_once() {
    let world = World::default();
    let (card, bob, watch, slow) = held(&world);
    let before = world.now();
    watch.refresh(600).expect(200);
    assert!((world.now() - before).as_millis() < 50);
    note(&card, "newest");
    watch.quiet(Span::seconds(1));
    answer(&bob, &slow);
    assert!(watch.notify().body.contains("newest"));
    watch.quiet(MINUTE);
    check::all(&world.history());
}

/// RFC 6665 4.4.1: the 2xx of a NOTIFY moves the remote target too.
#[test]
fn the_answer_to_a_notify_moves_the_remote_target() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    bob.answers_with("200 OK", "Contact", "<sip:bob3@192.0.2.11:5060>");
    let watch = bob.subscribe("alice", "presence");
    assert_eq!(watch.notify().uri(), "sip:bob@192.0.2.11:5060");
    alice.publish(&pidf("alice", "p", "open"));
    assert_eq!(watch.notify().uri(), "sip:bob3@192.0.2.11:5060");
}

/// Architecture section 3: a popular presentity does not keep the others waiting.
#[test]
fn a_popular_presentity_starves_nobody() {
    let world = World::default();
    let (alice, carol) = (world.phone("alice"), world.phone("carol"));
    let crowd: Vec<Phone> = (0..20).map(|i| world.phone(&format!("w{i}"))).collect();
    for round in 0..100 {
        // The queue of one presentity holds 16 changes.
        let some = &crowd[round % 2 * 10..][..10];
        let ask = |watcher: &Phone| watcher.post(&watcher.subscribe_request("alice", "presence"));
        some.iter().for_each(ask);
        world.settle();
    }
    let before: usize = crowd.iter().map(|watcher| watcher.requests().len()).sum();
    assert_eq!(before, 1000, "everybody has the first NOTIFY");
    let card = alice.publish(&pidf("alice", "p", "open"));
    let begin = world.now();
    carol.publish(&pidf("carol", "p", "open"));
    assert!((world.now() - begin).as_millis() < 10, "beside 1000 NOTIFYs");
    world.advance(Span::seconds(2));
    note(&card, "last");
    world.advance(Span::seconds(5));
    for watcher in &crowd {
        let notifies = watcher.requests();
        let shown = notifies.iter().filter(|sip| sip.body.contains("last")).count();
        assert_eq!(shown, 50, "{}", watcher.aor());
    }
    check::one("flight", &world.history());
}

/// Nothing changes for the watchers of a presentity when another of the same name elsewhere does.
#[test]
fn presentities_of_two_domains_are_two() {
    let world = World::default();
    let (here, there) = (world.phone("alice"), world.phone("alice").of("example.net"));
    let bob = world.phone("bob");
    let watch = bob.subscribe("sip:alice@example.net", "presence");
    watch.notify();
    here.publish(&pidf("alice", "p", "open"));
    watch.quiet(MINUTE);
    let body = pidf("alice", "p", "open").replace("example.com", "example.net");
    there.publish(&body);
    assert!(watch.notify().body.contains("alice@example.net"));
}

/// An orderly stop answers what is in flight and takes nothing new.
#[test]
fn an_orderly_stop_answers_what_it_took() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    world.disk(|disk| disk.stall(Span::millis(600)));
    let taken =
        alice.publish_request("presence", "application/pidf+xml", &pidf("alice", "p", "open"));
    alice.post(&taken);
    world.advance(Span::millis(10));
    world.drain();
    world.settle();
    alice.answer(&taken).expect("an answer").expect(200);
    let late = bob.try_send(&bob.subscribe_request("alice", "presence"));
    assert!(late.is_none_or(|sip| sip.status() == 503));
}
