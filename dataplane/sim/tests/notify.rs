//! NOTIFY by RFC 6665 4.2.2: order, failure, pace; rows C18, C110, C114, C117, C118.

use pharos_sim::documents::{pidf, pidf_with_note};
use pharos_sim::{Phone, Publication, Span, World, check};
use pharos_storage::Kind;

const MINUTE: Span = Span::seconds(60);

fn note(card: &Publication, text: &str) {
    card.modify(&pidf_with_note("alice", "p", "open", text)).expect(200);
}

fn scene(world: &World) -> (Publication, Phone) {
    (world.phone("alice").publish(&pidf("alice", "p", "open")), world.phone("bob"))
}

/// C110: what every NOTIFY says, and that its CSeq goes up by one.
#[test]
fn a_notify_is_a_request_in_the_dialog() {
    let world = World::default();
    let (card, bob) = scene(&world);
    let watch = bob.subscribe("alice", "presence");
    let first = watch.notify();
    note(&card, "second");
    let second = watch.notify();
    assert_eq!(second.cseq(), first.cseq() + 1);
    for name in ["From", "To", "Call-ID", "Event", "Contact", "Max-Forwards"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    assert_eq!(first.header("Content-Type"), "application/pidf+xml");
    let left: u32 = second.parameter("Subscription-State", "expires").unwrap().parse().unwrap();
    assert!((3590..=3600).contains(&left), "{second}");
}

/// C118: at most one NOTIFY in flight; meanwhile the newest state waits, the ones between are gone.
#[test]
fn while_one_is_in_flight_the_newest_waits() {
    let world = World::default();
    let (card, bob) = scene(&world);
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.falls_silent();
    note(&card, "one");
    assert!(watch.notify().body.contains("one"));
    note(&card, "two");
    note(&card, "three");
    watch.quiet(Span::seconds(20));
    bob.answers("200 OK");
    // The silent one is a known transaction to the phone: it stays silent until Timer F, and that
    // ends the subscription (C18).
    watch.quiet(Span::seconds(40));
    check::all(&world.history());
}

/// C118: an answer that comes late lets the newest state through.
#[test]
fn a_late_answer_lets_the_newest_through() {
    let world = World::default();
    let (card, bob) = scene(&world);
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.falls_silent();
    note(&card, "one");
    let slow = watch.notify();
    note(&card, "two");
    note(&card, "three");
    watch.quiet(Span::seconds(3));
    bob.answers("200 OK");
    bob.tell(&slow.answer("200 OK", "bob", &[]));
    let next = watch.notify();
    assert!(next.body.contains("three"), "{next}");
    watch.quiet(MINUTE);
    check::all(&world.history());
}

/// One dead watcher delays no other.
#[test]
fn a_dead_watcher_delays_nobody() {
    let world = World::default();
    let (card, bob) = scene(&world);
    let dead: Vec<Phone> = (0..20).map(|i| world.phone(&format!("dead{i}"))).collect();
    for phone in &dead {
        phone.subscribe("alice", "presence").notify();
        phone.falls_silent();
    }
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    for text in ["one", "two", "three"] {
        note(&card, text);
        let before = world.now();
        let notify = watch.notify();
        assert!(notify.body.contains(text) && (notify.at - before).as_millis() < 50, "{notify}");
    }
}

/// C117, RFC 6665 4.2.2: these answers end the subscription.
#[test]
fn the_listed_answers_end_the_subscription() {
    for status in [404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
        let world = World::default();
        let (card, bob) = scene(&world);
        let watch = bob.subscribe("alice", "presence");
        watch.notify();
        bob.answers(&format!("{status} No"));
        note(&card, "refused");
        watch.notify();
        note(&card, "unseen");
        watch.quiet(MINUTE);
        watch.refresh(600).expect(481);
        assert_eq!(world.disk(|disk| disk.count(Kind::Subscription)), 0, "after {status}");
    }
}

/// C18: no answer at all is a 408, which ends the subscription, or not.
#[test]
fn a_timeout_ends_it_as_end_sub_on_timeout_says() {
    for ends in [true, false] {
        let world = World::new(|setup| setup.config.presence.end_sub_on_timeout = ends);
        let (card, bob) = scene(&world);
        let watch = bob.subscribe("alice", "presence");
        watch.notify();
        bob.falls_silent();
        note(&card, "unheard");
        world.advance(Span::seconds(40));
        bob.answers("200 OK");
        watch.refresh(600).expect(if ends { 481 } else { 200 });
    }
}

/// RFC 3261 17.1.2.2: a NOTIFY over UDP is sent again at T1, 2*T1, ... up to T2, for 64*T1.
#[test]
fn an_unanswered_notify_is_retransmitted() {
    let world = World::default();
    let (card, bob) = scene(&world);
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.falls_silent();
    let begin = world.now();
    note(&card, "unheard");
    world.advance(Span::seconds(60));
    let times: Vec<u64> = bob
        .seen_since(begin)
        .iter()
        .filter(|sip| sip.body.contains("unheard"))
        .map(|sip| sip.at.0 / 1_000_000)
        .collect();
    assert_eq!(times.len(), 11, "{times:?}");
    let gaps: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0] + 25) / 50 * 50).collect();
    assert_eq!(gaps, [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000, 4000, 4000]);
}

/// RFC 6665 4.2.2, RFC 3261 20.33: Retry-After keeps the subscription, and the state comes then.
#[test]
fn retry_after_is_waited_for() {
    let world = World::default();
    let (card, bob) = scene(&world);
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.answers_with("503 Busy", "Retry-After", 10);
    note(&card, "once more");
    let refused = watch.notify();
    bob.answers("200 OK");
    let again = watch.next(Span::seconds(30)).expect("another try");
    assert!((again.at - refused.at).as_millis() >= 10_000, "{again}");
    assert!(again.body.contains("once more") && again.cseq() > refused.cseq(), "{again}");
    watch.refresh(600).expect(200);
}

/// Row C81, RFC 3856 6.10: the pace of a package, where it is set.
#[test]
fn notifies_keep_the_pace_that_is_set() {
    let world = World::new(|setup| {
        setup.config.presence.notify_interval = vec![("presence".into(), 5_000)];
    });
    let (card, bob) = scene(&world);
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.advance(Span::seconds(10));
    for text in ["one", "two", "three"] {
        note(&card, text);
    }
    let first = watch.notify();
    assert!(first.body.contains("one"), "{first}");
    let second = watch.next(Span::seconds(6)).expect("the rest");
    assert!(second.body.contains("three"), "{second}");
    assert!((second.at - first.at).as_millis() >= 4_990, "{second}");
    watch.quiet(MINUTE);
}

/// C119: a watcher on TCP is notified on its connection.
#[test]
fn a_watcher_on_tcp_is_notified_on_its_connection() {
    let world = World::default();
    let card = world.phone("alice").publish(&pidf("alice", "p", "open"));
    let bob = world.phone("bob").tcp();
    bob.refuses_connections();
    let watch = bob.subscribe("alice", "presence");
    assert!(watch.notify().stream);
    note(&card, "again");
    assert!(watch.notify().stream);
    check::all(&world.history());
}

/// C119: when that connection is gone a new one is made.
#[test]
fn a_lost_connection_is_replaced() {
    let world = World::default();
    let card = world.phone("alice").publish(&pidf("alice", "p", "open"));
    let bob = world.phone("bob").tcp();
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.hangs_up();
    world.settle();
    note(&card, "anew");
    let notify = watch.notify();
    assert!(notify.stream && notify.body.contains("anew"), "{notify}");
}

/// The NOTIFY and the 2xx may cross; each is sent once, in the order RFC 6665 4.2.1.2 allows.
#[test]
fn a_watcher_hears_each_state_once() {
    let world = World::default();
    let (card, bob) = scene(&world);
    let watch = bob.subscribe("alice", "presence");
    world.settle();
    for round in 0..5 {
        note(&card, &format!("state {round}"));
        world.settle();
    }
    let bodies: Vec<String> = watch.notifies().into_iter().map(|sip| sip.body).collect();
    assert_eq!(bodies.len(), 6);
    let copies = bob.seen().iter().filter(|sip| sip.method() == "NOTIFY").count();
    assert_eq!(copies, 6, "no retransmission is needed");
}
