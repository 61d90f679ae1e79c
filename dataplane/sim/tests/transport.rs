//! Datagrams and connections: RFC 3261 18, RFC 5626 3.5.1.

use pharos_parser::FrameError;
use pharos_sim::documents::{PIDF, pidf, pidf_with_note};
use pharos_sim::{Publication, Span, Subscription, World, check};

const MINUTE: Span = Span::seconds(60);

/// Keep-alives: CRLFCRLF on a connection is answered by CRLF; on UDP they are ignored.
#[test]
fn keep_alives_are_answered_on_connections() {
    let world = World::default();
    let (tcp, udp) = (world.phone("t").tcp(), world.phone("u"));
    tcp.tell(b"\r\n\r\n");
    udp.tell(b"\r\n\r\n");
    world.settle();
    assert_eq!(tcp.seen().len(), 1);
    let pong: Vec<_> =
        world.wire().into_iter().filter(|w| !w.received && w.stream).map(|w| w.bytes).collect();
    assert_eq!(pong, [Box::from(*b"\r\n")]);
}

/// RFC 3261 18.2.2: the answer goes back on the connection of the request, with no retransmission.
#[test]
fn answers_go_back_on_the_connection() {
    let world = World::default();
    let alice = world.phone("alice").tcp();
    let card = alice.publish(&pidf("alice", "p", "open"));
    assert!(card.ok.stream);
    assert!(card.refresh().expect(200).stream);
    check::all(&world.history());
}

/// RFC 3261 18.3: a stream that cannot be framed is answered where possible, and closed.
#[test]
fn a_stream_out_of_step_is_answered_and_closed() {
    let world = World::default();
    for (error, status) in [(FrameError::BodyTooLong, 413), (FrameError::Malformed, 400)] {
        let alice = world.phone("alice").tcp();
        let request = alice.publish_request("presence", PIDF, "x").set("Content-Length", 9_999_999);
        alice.garbles(&request.bytes(), error);
        world.settle();
        let answers = alice.seen();
        assert!(answers.iter().all(|sip| sip.status() == status), "{answers:?}");
        alice.publish(&pidf("alice", "p", "open"));
    }
}

/// RFC 3261 18.1.1: a NOTIFY over `udp_mtu` goes by TCP, if the watcher takes connections.
#[test]
fn a_large_notify_goes_by_tcp() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    assert!(!watch.notify().stream);
    alice.publish(&pidf_with_note("alice", "p", "open", &"x".repeat(2_000)));
    let large = watch.notify();
    assert!(large.stream && large.body.len() > 2_000, "{large}");
    assert!(large.header("Via").starts_with("SIP/2.0/TCP"), "{large}");
    check::all(&world.history());
}

fn the_next_goes_by_udp_at_once(world: &World, card: &Publication, watch: &Subscription) {
    let before = world.now();
    card.modify(&pidf_with_note("alice", "p", "open", &"y".repeat(2_000))).expect(200);
    let second = watch.notify();
    assert!(!second.stream && (second.at - before).as_millis() < 20, "{second}");
    check::all(&world.history());
}

/// RFC 3261 18.1.1: where TCP is refused it goes by UDP after all, and next time at once.
#[test]
fn a_large_notify_falls_back_to_udp() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    bob.refuses_connections();
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let card = alice.publish(&pidf_with_note("alice", "p", "open", &"x".repeat(2_000)));
    let first = watch.next(Span::seconds(5)).expect("the NOTIFY by UDP");
    assert!(!first.stream && first.body.len() > 2_000, "{first}");
    the_next_goes_by_udp_at_once(&world, &card, &watch);
}

/// Rather than wait for ever, so it does after 2 s when the attempt is swallowed by a firewall.
#[test]
fn a_swallowed_connection_falls_back_after_two_seconds() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    bob.swallows_connections();
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    let before = world.now();
    let card = alice.publish(&pidf_with_note("alice", "p", "open", &"x".repeat(2_000)));
    let first = watch.next(Span::seconds(5)).expect("the NOTIFY by UDP");
    let waited = (first.at - before).as_millis();
    assert!(!first.stream && (2_000..2_100).contains(&waited), "after {waited} ms");
    the_next_goes_by_udp_at_once(&world, &card, &watch);
}

/// RFC 3263 4.1: a Contact with `transport=tcp` is reached by TCP, whatever the SUBSCRIBE came by.
#[test]
fn a_contact_may_ask_for_tcp() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let bob = bob.reached_at("sip:bob@192.0.2.11:5060;transport=tcp");
    let watch = bob.subscribe("alice", "presence");
    assert!(!watch.ok.stream && watch.notify().stream);
    alice.publish(&pidf("alice", "p", "open"));
    assert!(watch.notify().stream);
}

/// Never for an explicit `transport=udp`, and never with `udp_mtu` 0.
#[test]
fn some_notifies_never_leave_udp() {
    for (mtu, contact) in
        [(1300, "sip:bob@192.0.2.11:5060;transport=udp"), (0, "sip:bob@192.0.2.11:5060")]
    {
        let world = World::new(|setup| setup.config.udp_mtu = mtu);
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        let watch = bob.reached_at(contact).subscribe("alice", "presence");
        watch.notify();
        alice.publish(&pidf_with_note("alice", "p", "open", &"x".repeat(2_000)));
        assert!(!watch.notify().stream);
    }
}

/// RFC 3261 8.1.3.1, 18.4: an unreachable port ends the transaction at once.
#[test]
fn an_icmp_error_ends_the_notify() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    bob.closes_socket(true);
    let begin = world.now();
    let card = alice.publish(&pidf("alice", "p", "open"));
    world.advance(MINUTE);
    let to_bob = |w: &pharos_sim::Wire| !w.received && w.at > begin && w.peer == bob.address();
    let sent = world.wire().into_iter().filter(to_bob).count();
    assert!(sent <= 2, "it is not repeated for 32 s");
    card.refresh().expect(200);
}

/// RFC 3261 18.2.2: the connection of a request may be gone before its answer. The answer opens one
/// to the sent-by address; where that is refused it is lost, and what was stored is told anyway.
#[test]
fn a_connection_may_die_before_the_answer() {
    for refused in [false, true] {
        let world = World::default();
        let alice = world.phone("alice").tcp();
        let bob = world.phone("bob");
        if refused {
            alice.refuses_connections();
        }
        let watch = bob.subscribe("alice", "presence");
        watch.notify();
        world.disk(|disk| disk.stall(Span::millis(50)));
        let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
        alice.post(&request);
        alice.hangs_up();
        world.settle();
        assert_eq!(alice.answer(&request).is_some(), !refused);
        assert!(watch.notify().body.contains("open"), "it was stored and is told");
    }
}
