//! Transactions and the general rules of a server: RFC 3261 8.2, 17.2, 18.2; RFC 3581; RFC 4320.

use pharos_sim::documents::{PIDF, pidf};
use pharos_sim::{Phone, Request, Span, World, check};
use pharos_storage::Kind;

fn publication(alice: &Phone) -> Request {
    alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"))
}

/// RFC 3261 17.2.2: a retransmission gets the same answer and does nothing.
#[test]
fn a_retransmission_gets_the_same_answer() {
    let world = World::default();
    let alice = world.phone("alice");
    let request = publication(&alice);
    let first = alice.send(&request).expect(200);
    for _ in 0..5 {
        alice.tell(&request.bytes());
        world.advance(Span::seconds(5));
    }
    let answers = alice.seen();
    assert_eq!(answers.len(), 6);
    assert!(answers.iter().all(|sip| sip.etag() == first.etag() && sip.expires() == Some(3600)));
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 1);
    check::all(&world.history());
}

/// RFC 3261 8.2.2.2: the same request by another way is a loop, not a new one.
#[test]
fn the_same_request_under_another_branch_is_482() {
    let world = World::default();
    let alice = world.phone("alice");
    let request = publication(&alice);
    alice.send(&request).expect(200);
    alice.send(&alice.again(&request)).expect(482);
    let subscribe = alice.subscribe_request("bob", "presence");
    alice.send(&subscribe).expect(200);
    alice.send(&alice.again(&subscribe)).expect(482);
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 1);
}

/// RFC 3261 8.2.6.2, 18.2.1, RFC 3581 4: the answer copies what it must and says where from.
#[test]
fn an_answer_copies_the_headers_of_its_request() {
    let world = World::default();
    let alice = world.phone("alice");
    let request = publication(&alice)
        .set("Via", "SIP/2.0/UDP phone.invalid:5060;rport;branch=z9hG4bKtop")
        .add("Via", "SIP/2.0/UDP 10.1.1.1;branch=z9hG4bKbelow")
        .set("From", "\"Alice, \\\"A\\\"\" <sip:alice@example.com>;tag=f1")
        .add("Timestamp", "54");
    let answer = alice.send(&request).expect(200);
    let vias: Vec<&str> = answer.headers("Via").flat_map(|via| via.split(", ")).collect();
    assert_eq!(vias.len(), 2);
    assert_eq!(answer.parameter("Via", "received"), Some("192.0.2.10"));
    assert_eq!(answer.parameter("Via", "rport"), Some("5060"));
    assert!(vias[1].contains("branch=z9hG4bKbelow"), "{answer}");
    assert_eq!(answer.header("From"), request.header("From"));
    assert_eq!(answer.header("Call-ID"), request.header("Call-ID"));
    assert_eq!(answer.header("CSeq"), request.header("CSeq"));
    assert!(answer.header("To").starts_with(request.header("To")), "{answer}");
    assert!(answer.parameter("To", "tag").is_some(), "{answer}");
}

/// RFC 3261 18.2.2: without rport the answer goes to the port in Via, of the source address.
#[test]
fn without_rport_the_answer_goes_to_the_port_in_via() {
    let world = World::default();
    let (alice, other) = (world.phone("alice"), world.phone("alice"));
    let behind = std::net::SocketAddr::new(alice.address().ip(), 7070);
    other.moves_to(behind);
    let via = format!("SIP/2.0/UDP {}:7070;branch=z9hG4bKnorport", alice.address().ip());
    alice.tell(&publication(&alice).set("Via", via).bytes());
    world.settle();
    assert_eq!(alice.seen().len(), 0);
    assert_eq!(other.seen().len(), 1);
}

/// RFC 3261 11.2: OPTIONS says what is served.
#[test]
fn options_says_what_is_served() {
    let world = World::default();
    let alice = world.phone("alice");
    let answer = alice.send(&alice.request("OPTIONS", "sip:192.0.2.1:5060")).expect(200);
    for method in ["PUBLISH", "SUBSCRIBE", "OPTIONS"] {
        assert!(answer.header("Allow").contains(method), "{answer}");
    }
    assert!(answer.header("Accept").contains(PIDF), "{answer}");
    assert!(answer.header("Allow-Events").contains("presence"), "{answer}");
    assert!(answer.has("Accept-Encoding") || answer.has("Supported"), "{answer}");
}

/// RFC 3261 8.2.1 and 21.5.2: a method served nowhere is 405 with Allow, or 501 when unknown.
#[test]
fn other_methods_are_405_or_501() {
    let world = World::default();
    let alice = world.phone("alice");
    let answer = alice.send(&alice.request("REFER", "alice"));
    assert!(matches!(answer.status(), 405), "{answer}");
    assert!(answer.header("Allow").contains("SUBSCRIBE"), "{answer}");
    alice.send(&alice.request("BREW", "alice")).expect(501);
}

/// RFC 3261 16.3: no hops left.
#[test]
fn max_forwards_and_version() {
    let world = World::default();
    let alice = world.phone("alice");
    let request = publication(&alice).set("Max-Forwards", 0);
    // A UAS that is the target answers all the same (RFC 3261 8.2): nothing is forwarded.
    let answer = alice.send(&request);
    assert!(matches!(answer.status(), 200 | 483), "{answer}");
    let text = String::from_utf8(publication(&alice).bytes()).unwrap();
    alice.tell(text.replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1).as_bytes());
    world.settle();
    assert_eq!(alice.seen().last().unwrap().status(), 505);
}

/// RFC 3261 8.2.2.3: Require and Unsupported.
#[test]
fn require_is_420_with_what_is_not_supported() {
    let world = World::default();
    let alice = world.phone("alice");
    let request = alice.subscribe_request("bob", "presence").set("Require", "foo, bar");
    let answer = alice.send(&request).expect(420);
    let named: Vec<&str> = answer.headers("Unsupported").flat_map(|v| v.split(", ")).collect();
    assert_eq!(named, ["foo", "bar"]);
}

/// RFC 3261 8.1.1: what a request must have. 400 where an answer can be sent at all.
#[test]
fn a_request_without_a_mandatory_header_is_400() {
    for name in ["From", "To", "Call-ID", "CSeq"] {
        let world = World::default();
        let alice = world.phone("alice");
        alice.tell(&publication(&alice).without(name).bytes());
        world.settle();
        let answers = alice.seen();
        assert!(answers.iter().all(|sip| sip.status() == 400), "{name}: {answers:?}");
        assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
    }
}

/// RFC 3261 20.16, 18.3: a CSeq method that is another, a Content-Length beyond the datagram.
#[test]
fn contradictions_are_400() {
    let world = World::default();
    let alice = world.phone("alice");
    alice.tell(&publication(&alice).set("CSeq", "1 SUBSCRIBE").bytes());
    world.settle();
    assert_eq!(alice.seen().last().unwrap().status(), 400);
    alice.tell(&publication(&alice).set("Content-Length", 9999).bytes());
    world.settle();
    assert_eq!(alice.seen().len(), 2);
    assert_eq!(alice.seen().last().unwrap().status(), 400);
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
}

/// RFC 3261 18.3: bytes beyond Content-Length in a datagram are dropped.
#[test]
fn bytes_beyond_content_length_are_dropped() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let mut bytes = publication(&alice).bytes();
    bytes.extend_from_slice(b"garbage");
    alice.tell(&bytes);
    world.settle();
    assert_eq!(alice.seen().last().unwrap().status(), 200);
    assert!(!bob.subscribe("alice", "presence").notify().body.contains("garbage"));
}

/// RFC 3261 9.2: CANCEL of what is not there is 481; of a PUBLISH it has no effect.
#[test]
fn cancel_of_nothing_is_481() {
    let world = World::default();
    let alice = world.phone("alice");
    alice.send(&alice.request("CANCEL", "bob")).expect(481);
}

/// RFC 3261 9.2: the CANCEL of an INVITE that is answered already is 200 and changes nothing.
#[test]
fn cancel_of_an_answered_invite_is_200() {
    let world = World::default();
    let alice = world.phone("alice");
    let invite = alice.request("INVITE", "bob");
    alice.tell(&invite.bytes());
    world.settle();
    let cancel = String::from_utf8(invite.bytes()).unwrap().replace("INVITE", "CANCEL");
    alice.tell(cancel.as_bytes());
    world.settle();
    let answers = alice.seen();
    let cancelled = answers.iter().find(|sip| sip.method() == "CANCEL").expect("an answer");
    assert_eq!(cancelled.status(), 200);
    assert!(answers.iter().all(|sip| sip.status() != 487), "{answers:?}");
}

/// RFC 3261 17.2.1, RFC 6026: an INVITE is refused, the answer is sent again until its ACK.
#[test]
fn an_invite_is_refused_until_acknowledged() {
    let world = World::default();
    let alice = world.phone("alice");
    let invite = alice.request("INVITE", "bob");
    alice.tell(&invite.bytes());
    world.advance(Span::seconds(4));
    let finals: Vec<_> = alice.seen().into_iter().filter(|sip| sip.status() >= 200).collect();
    assert!(finals.len() >= 3, "{finals:?}");
    assert!(matches!(finals[0].status(), 405 | 404 | 480 | 501), "{:?}", finals[0]);
    let ack = String::from_utf8(invite.bytes()).unwrap().replace("INVITE", "ACK");
    let to = format!("To: {}", finals[0].header("To"));
    alice.tell(ack.replace("To: <sip:bob@example.com>", &to).as_bytes());
    let count = alice.seen().len();
    world.advance(Span::seconds(40));
    assert!(alice.seen().len() <= count + 1, "the ACK ends the retransmissions");
}

/// RFC 4320 4.1: no provisional answer to another request than INVITE before it is late, and
/// silence rather than a 408.
#[test]
fn no_needless_provisional_answers() {
    let world = World::default();
    let alice = world.phone("alice");
    world.disk(|disk| disk.stall(Span::seconds(2)));
    alice.send(&publication(&alice)).expect(200);
    assert!(alice.seen().iter().all(|sip| sip.status() == 200));
}

/// Junk, half messages and stray answers get no answer and do no harm.
#[test]
fn junk_is_dropped() {
    let world = World::default();
    let alice = world.phone("alice");
    let good = publication(&alice).bytes();
    for length in (0..good.len() - 60).step_by(7) {
        alice.tell(&good[..length]);
    }
    for junk in
        [&b"\0\0\0\0"[..], b"hello", b"SIP/2.0 200 OK\r\n\r\n", b"\r\n\r\n\r\n", &[0xff; 900]]
    {
        alice.tell(junk);
    }
    world.settle();
    let answered = alice.seen();
    assert!(answered.iter().all(|sip| matches!(sip.status(), 0 | 400)), "{answered:?}");
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
    alice.publish(&pidf("alice", "p", "open"));
}

/// An answer to a NOTIFY that was never sent is dropped, whatever its branch pretends.
#[test]
fn a_forged_answer_is_dropped() {
    let world = World::default();
    let (alice, bob, eve) = (world.phone("alice"), world.phone("bob"), world.phone("eve"));
    let watch = bob.subscribe("alice", "presence");
    let notify = watch.notify();
    world.settle();
    let mut forged = notify.answer("481 Gone", "eve", &[]);
    let at = forged.windows(7).position(|w| w == b"z9hG4bK").unwrap() + 12;
    forged[at] ^= 1;
    eve.tell(&forged);
    world.settle();
    alice.publish(&pidf("alice", "p", "open"));
    assert!(watch.notify().body.contains("open"));
}

/// Compact header names and folded lines mean the same (RFC 3261 7.3.1, 7.3.3).
#[test]
fn compact_and_folded_headers_are_understood() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let text = String::from_utf8(publication(&alice).bytes()).unwrap();
    let compact = text
        .replace("From:", "f:")
        .replace("To: ", "t:\r\n ")
        .replace("Call-ID:", "i :")
        .replace("Event:", "o:")
        .replace("Content-Type:", "c:")
        .replace("Content-Length:", "l:")
        .replace("Via:", "v:");
    alice.tell(compact.as_bytes());
    world.settle();
    assert_eq!(alice.seen().last().unwrap().status(), 200);
    assert!(bob.subscribe("alice", "presence").notify().body.contains("open"));
}

/// Only loopback and trusted sources are served.
#[test]
fn a_source_that_is_not_trusted_is_not_served() {
    let world = World::default();
    let alice = world.phone("alice");
    alice.moves_to("198.51.100.7:5060".parse().unwrap());
    let answer = alice.try_send(&publication(&alice));
    assert!(answer.is_none_or(|sip| sip.status() == 403));
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 0);
}
