//! Server transactions: what a retransmission gets.

use super::{Bench, Out, by_tcp, by_udp, config, header};
use crate::counters::Count;
use crate::net::{FlowId, Path, ShardId};
use crate::reject::Reject;
use crate::sip::{Answer, Detail, Incoming, Marks};

const PUBLISH: &str = "\
PUBLISH sip:alice@example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKp1;rport
Max-Forwards: 70
From: <sip:alice@example.com>;tag=f1
To: <sip:alice@example.com>
Call-ID: c1
CSeq: 1 PUBLISH
Event: presence
Content-Length: 0

";

const INVITE: &str = "\
INVITE sip:alice@example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKi1
Max-Forwards: 70
From: <sip:bob@example.com>;tag=f1
To: <sip:alice@example.com>
Call-ID: c1
CSeq: 1 INVITE
Content-Length: 0

";

fn ack() -> String {
    INVITE.replace("INVITE", "ACK")
}

/// RFC 3261 17.2.2: an answered request gets the same bytes for 64*T1, then counts as new.
#[test]
fn a_repeat_gets_the_same_answer_until_timer_j() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    let ok = Answer::with(200, Detail::Publication(3600));
    let first = bench.take(path, PUBLISH, |core, sip, it| sip.answer(core, &it, &ok));
    assert_eq!(first.len(), 1);
    assert!(header(first[0].text(), "SIP-ETag").len() == 32);
    assert_eq!(header(first[0].text(), "Expires"), "3600");
    bench.wait_ms(31_999);
    assert_eq!(bench.refused(path, PUBLISH), first);
    bench.wait_ms(1);
    bench.take(path, PUBLISH, |core, sip, it| sip.answer(core, &it, &ok));
    assert_eq!(bench.passed, ["PUBLISH", "PUBLISH"]);
}

/// A crash forgets transactions, but not what the answer is made of.
#[test]
fn the_same_request_gets_the_same_tags_after_a_restart() {
    let path = by_udp("127.0.0.1:5070");
    let ok = Answer::with(200, Detail::Publication(3600));
    let answer = || Bench::new().take(path, PUBLISH, |core, sip, it| sip.answer(core, &it, &ok));
    assert_eq!(answer(), answer());
}

#[test]
fn a_repeat_of_a_waiting_request_is_absorbed() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    let mut kept = None;
    let none = bench.take(path, PUBLISH, |core, sip, it| kept = Some(sip.defer(core, &it)));
    assert_eq!(none, []);
    assert_eq!(bench.refused(path, PUBLISH), []);
    assert!(!bench.sip.is_drained());
    let kept = kept.unwrap();
    assert_eq!(kept.bytes(), PUBLISH.replace('\n', "\r\n").as_bytes());
    bench.sip.answer_deferred(&mut bench.core, kept, &Answer::status(200));
    let answered = bench.out();
    assert!(answered[0].text().starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(bench.refused(path, PUBLISH), answered);
    assert!(bench.sip.is_drained());
}

/// An answer that waited is the same, byte for byte, as one given at once and as one given again.
#[test]
fn a_late_answer_is_no_other_answer() {
    let path = by_udp("127.0.0.1:5070");
    let routed = PUBLISH.replace("Call-ID", "SIP-If-Match: x1\nRecord-Route: <sip:p;lr>\nCall-ID");
    for detail in [
        Detail::None,
        Detail::Publication(60),
        Detail::Removed,
        Detail::Subscription(60),
        Detail::MinExpires(60),
        Detail::AllowEvents,
    ] {
        let answer = Answer::with(200, detail);
        let mut bench = Bench::new();
        let at_once = bench.take(path, &routed, |core, sip, it| sip.answer(core, &it, &answer));
        for copies in [true, false] {
            let mut bench = Bench::new();
            let mut kept = None;
            bench.take(path, &routed, |core, sip, it| {
                kept =
                    Some(if copies { sip.defer(core, &it) } else { sip.defer_answer(core, &it) });
            });
            bench.sip.answer_deferred(&mut bench.core, kept.unwrap(), &answer);
            assert_eq!(bench.out(), at_once, "{detail:?}");
            assert_eq!(bench.refused(path, &routed), at_once, "{detail:?}");
        }
        let routes = at_once[0].text().contains("Record-Route: <sip:p;lr>\r\n");
        assert_eq!(routes, matches!(detail, Detail::Subscription(_)));
        assert_eq!(at_once[0].text().contains("SIP-ETag: x1\r\n"), detail == Detail::Removed);
    }
}

/// RFC 4320 4.2: no answer after 64*T1, it could only collide with a later transaction.
#[test]
fn an_answer_after_the_transaction_is_not_sent() {
    let mut bench = Bench::new();
    let mut kept = None;
    bench.take(by_udp("127.0.0.1:5070"), PUBLISH, |core, sip, it| {
        kept = Some(sip.defer(core, &it));
    });
    bench.wait_ms(32_000);
    bench.sip.answer_deferred(&mut bench.core, kept.unwrap(), &Answer::status(200));
    assert_eq!(bench.out(), []);
    assert_eq!(bench.core.counters.count(Count::LateAnswers), 1);
}

/// RFC 3261 8.2.2.2
#[test]
fn the_same_request_by_another_way_is_merged() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    bench.take(path, PUBLISH, |core, sip, it| sip.answer(core, &it, &Answer::status(200)));
    let other = PUBLISH.replace("z9hG4bKp1", "z9hG4bKp2");
    let answer = bench.refused(path, &other);
    assert!(answer[0].text().starts_with("SIP/2.0 482 "));
    assert_eq!(bench.core.counters.rejected(Reject::Merged), 1);
    let within = other.replace("To: <sip:alice@example.com>", "To: <sip:alice@example.com>;tag=x");
    bench.take(path, &within, |core, sip, it| sip.answer(core, &it, &Answer::status(200)));
    assert_eq!(bench.passed, ["PUBLISH", "PUBLISH"]);
}

/// RFC 3261 17.2.2: Timer J is zero on streams.
#[test]
fn an_answer_to_a_stream_is_not_kept() {
    let mut bench = Bench::new();
    let flow = FlowId::accepted(ShardId(0), 1);
    let path = by_tcp("127.0.0.1:40000", flow);
    for _ in 0..2 {
        let out = bench.take(path, PUBLISH, |core, sip, it| {
            sip.answer(core, &it, &Answer::status(200));
        });
        assert!(matches!(&out[..], [Out::Stream(to, _)] if *to == flow));
    }
    assert_eq!(bench.passed.len(), 2);
}

/// RFC 3261 18.2.2: the stream is gone, so the answer opens another to the port of sent-by.
#[test]
fn an_answer_whose_stream_is_gone_goes_to_the_via() {
    let mut bench = Bench::new();
    let flow = FlowId::accepted(ShardId(0), 1);
    let path = by_tcp("127.0.0.1:40000", flow);
    let mut kept = None;
    bench.take(path, PUBLISH, |core, sip, it| kept = Some(sip.defer(core, &it)));
    bench.sip.stream_closed(&mut bench.core, flow);
    bench.sip.answer_deferred(&mut bench.core, kept.unwrap(), &Answer::status(200));
    let out = bench.out();
    let [Out::Connect(new, peer), Out::Stream(to, _)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((new, peer.to_string().as_str()), (to, "127.0.0.1:5070"));
}

/// RFC 3261 17.2.1: Timer G doubles up to T2, Timer H ends it after 64*T1.
#[test]
fn a_refused_invite_is_answered_again_until_timer_h() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    let first = bench.refused(path, INVITE);
    assert!(first[0].text().starts_with("SIP/2.0 405 "));
    assert!(header(first[0].text(), "Allow").contains("SUBSCRIBE"));
    let times: Vec<u64> = bench.wait_ms(40_000).into_iter().map(|(at, _)| at).collect();
    let want = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(times, want);
    assert_eq!(bench.sip.invites.len(), 0);
}

/// RFC 3261 17.2.1: a repeated INVITE gets the answer; the ACK stops all, and is absorbed for Timer
/// I.
#[test]
fn an_ack_confirms_the_refusal() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    let first = bench.refused(path, INVITE);
    assert_eq!(bench.refused(path, INVITE), first);
    assert_eq!(bench.refused(path, &ack()), []);
    assert_eq!(bench.refused(path, &ack()), []);
    assert_eq!(bench.wait_ms(4_999), []);
    assert_eq!(bench.sip.invites.len(), 1);
    bench.wait_ms(1);
    assert_eq!(bench.sip.invites.len(), 0);
    assert_eq!(bench.refused(path, &ack()), []);
    assert_eq!(bench.core.counters.rejected(Reject::StrayAck), 1);
}

/// RFC 3261 9.2: with a final answer sent, CANCEL changes nothing, but is answered.
#[test]
fn cancel_of_an_answered_invite() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    let refusal = bench.refused(path, INVITE);
    let cancel = INVITE.replace("INVITE", "CANCEL");
    let out = bench.refused(path, &cancel);
    assert_eq!(out.len(), 1);
    assert!(out[0].text().starts_with("SIP/2.0 200 OK\r\n"));
    assert_eq!(header(out[0].text(), "To"), header(refusal[0].text(), "To"));
    let stray = cancel.replace("z9hG4bKi1", "z9hG4bKi2");
    let out = bench.refused(path, &stray);
    assert!(out[0].text().starts_with("SIP/2.0 481 "));
}

/// Let `then` have [`INVITE`] as a user of the transactions gets it: nothing here takes one yet.
fn handed_in<R>(
    bench: &mut Bench,
    path: Path,
    then: impl FnOnce(&mut Bench, &Incoming<'_>) -> R,
) -> R {
    let text = INVITE.replace('\n', "\r\n");
    let msg = pharos_parser::Message::parse(text.as_bytes()).unwrap();
    let head = msg.essential().unwrap();
    let via = [head.via.branch().unwrap(), head.via.sent_by()];
    let parts = [head.call_id, head.from.tag().unwrap(), b"INVITE"];
    let txn = bench.core.keys.transaction(parts, 1, via);
    let hash = bench.core.aor_hash(b"alice@example.com");
    let marks = Marks::default();
    then(bench, &Incoming { msg: &msg, head, path, txn, aor: b"", hash, marks })
}

/// RFC 3261 9.2 and 17.2.1: an INVITE that waits gets 100, then by CANCEL its 487.
#[test]
fn cancel_of_a_waiting_invite() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    let waiting =
        handed_in(&mut bench, path, |bench, incoming| bench.sip.defer(&mut bench.core, incoming));
    let trying = bench.out();
    assert!(trying[0].text().starts_with("SIP/2.0 100 Trying\r\n"));
    assert_eq!(bench.refused(path, INVITE), trying);
    let out = bench.refused(path, &INVITE.replace("INVITE", "CANCEL"));
    let lines: Vec<_> = out.iter().map(|out| out.text().lines().next().unwrap()).collect();
    assert_eq!(lines, ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]);
    // What its user says afterwards changes nothing.
    bench.sip.answer_deferred(&mut bench.core, waiting, &Answer::status(486));
    assert_eq!(bench.out(), []);
    assert_eq!(bench.refused(path, &ack()), []);
    assert_eq!(bench.wait_ms(4_999), []);
}

/// RFC 6026 7.1: an accepted INVITE is kept for Timer L, its repeats are absorbed.
#[test]
fn an_accepted_invite_absorbs_repeats() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    handed_in(&mut bench, path, |bench, incoming| {
        bench.sip.answer(&mut bench.core, incoming, &Answer::status(200));
    });
    assert_eq!(bench.out().len(), 1);
    assert_eq!(bench.refused(path, INVITE), []);
    assert_eq!(bench.wait_ms(31_999), []);
    assert_eq!(bench.sip.invites.len(), 1);
    bench.wait_ms(1);
    assert_eq!(bench.sip.invites.len(), 0);
}

#[test]
fn draining_answers_new_requests_with_503_and_repeats_as_before() {
    let mut bench = Bench::with(config());
    let path = by_udp("127.0.0.1:5070");
    let ok = Answer::status(200);
    let first = bench.take(path, PUBLISH, |core, sip, it| sip.answer(core, &it, &ok));
    bench.sip.drain();
    assert_eq!(bench.refused(path, PUBLISH), first);
    let out = bench.refused(path, &PUBLISH.replace("c1", "c2").replace("p1", "p2"));
    assert!(out[0].text().starts_with("SIP/2.0 503 "));
    let seconds: u32 = header(out[0].text(), "Retry-After").parse().unwrap();
    assert!(crate::limits::RETRY_AFTER_S.contains(&seconds));
}
