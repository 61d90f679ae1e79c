//! At a limit: an error answer with Retry-After and nothing that grows (architecture section 7).

use pharos_sim::documents::{PIDF, pidf};
use pharos_sim::{Span, World, check};
use pharos_storage::Kind;

/// `max_publications_per_presentity`.
#[test]
fn a_presentity_has_so_many_publications() {
    let world = World::new(|setup| setup.config.presence.max_publications_per_presentity = 3);
    let alice = world.phone("alice");
    let cards: Vec<_> =
        (0..3).map(|i| alice.publish(&pidf("alice", &format!("t{i}"), "open"))).collect();
    let fourth = alice.publish_request("presence", PIDF, &pidf("alice", "t4", "open"));
    let answer = alice.send(&fourth).expect(503);
    assert!(answer.has("Retry-After"), "{answer}");
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 3);
    cards[0].remove().expect(200);
    alice.publish(&pidf("alice", "t4", "open"));
}

/// `max_watchers_per_presentity`.
#[test]
fn a_presentity_has_so_many_watchers() {
    let world = World::new(|setup| setup.config.presence.max_watchers_per_presentity = 3);
    let bob = world.phone("bob");
    let watches: Vec<_> = (0..3).map(|_| bob.subscribe("alice", "presence")).collect();
    watches.iter().for_each(|watch| drop(watch.notify()));
    let answer = bob.send(&bob.subscribe_request("alice", "presence")).expect(503);
    assert!(answer.has("Retry-After"), "{answer}");
    bob.subscribe("carol", "presence").notify();
    watches[0].end().expect(200);
    watches[0].notify();
    bob.subscribe("alice", "presence").notify();
}

/// A presentity's queue of changes is bounded, and what is taken is carried out.
#[test]
fn a_flood_on_one_presentity_is_bounded() {
    let world = World::default();
    let alice = world.phone("alice");
    world.disk(|disk| disk.stall(Span::millis(900)));
    let requests: Vec<_> = (0..60)
        .map(|i| alice.publish_request("presence", PIDF, &pidf("alice", &format!("t{i}"), "open")))
        .collect();
    requests.iter().for_each(|request| alice.post(request));
    world.advance(Span::seconds(3));
    let statuses: Vec<u16> =
        requests.iter().map(|r| alice.answer(r).map_or(0, |sip| sip.status())).collect();
    let taken = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(taken + refused, 60, "{statuses:?}");
    assert!(taken >= 16 && refused > 0, "{statuses:?}");
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), taken);
    check::all(&world.history());
}

/// Architecture section 5: a slow lane is told before memory is taken.
#[test]
fn a_slow_disk_is_503_for_what_comes_new() {
    let world = World::default();
    let (alice, carol) = (world.phone("alice"), world.phone("carol"));
    world.disk(|disk| disk.stall(Span::seconds(10)));
    let early = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    alice.post(&early);
    world.advance(Span::seconds(2));
    let late = carol.publish_request("presence", PIDF, &pidf("carol", "p", "open"));
    let answer = carol.send(&late).expect(503);
    assert!(answer.has("Retry-After"), "{answer}");
    world.advance(Span::seconds(10));
    alice.answer(&early).expect("an answer").expect(200);
}

/// Architecture section 5: after 64*T1 there is no answer, and what still commits is undone.
#[test]
fn a_commit_after_the_transaction_died_is_undone() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    world.disk(|disk| disk.stall(Span::seconds(40)));
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    assert!(alice.try_send(&request).is_none());
    world.advance(Span::seconds(20));
    assert!(alice.answer(&request).is_none());
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
    assert_eq!(bob.subscribe("alice", "presence").notify().body, "");
}

/// The same for a request that has waited its turn: the time counts from its arrival.
#[test]
fn what_waited_too_long_for_its_turn_is_not_done() {
    let world = World::new(|setup| setup.commit_time = Span::seconds(24));
    let phones: Vec<_> = (0..3).map(|_| world.phone("alice")).collect();
    let publish = |phone: &pharos_sim::Phone| {
        let request = phone.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
        phone.post(&request);
        request
    };
    let requests: Vec<_> = phones.iter().map(publish).collect();
    world.advance(Span::seconds(100));
    let answered = phones.iter().zip(&requests).filter(|(p, r)| p.answer(r).is_some()).count();
    assert!((1..3).contains(&answered), "a commit takes 12 s at least, the third is too late");
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), answered);
    world.crash();
    assert_eq!(world.metric("presence_publications", None), answered as u64);
}

/// Long URIs, many headers, deep documents: an error answer or silence, never harm.
#[test]
fn oversized_requests_do_no_harm() {
    let world = World::default();
    let alice = world.phone("alice").tcp();
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    let long = format!("sip:{}@example.com", "a".repeat(5_000));
    alice.tell(&request.clone().uri(&long).bytes());
    let many = (0..500).fold(alice.again(&request), |r, i| r.add(&format!("X-{i}"), "y"));
    alice.tell(&many.bytes());
    let deep = format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000));
    alice.tell(&alice.publish_request("presence", PIDF, &deep).bytes());
    world.settle();
    assert!(
        alice.seen().iter().all(|sip| (400..500).contains(&sip.status())),
        "{:?}",
        alice.seen()
    );
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
    alice.publish(&pidf("alice", "p", "open"));
}
