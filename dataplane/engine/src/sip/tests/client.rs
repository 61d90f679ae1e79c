//! Client transactions: the timers, and what each outcome is.

use super::{Bench, Out, Told, UDP, by_udp, dialog, header, respond};
use crate::counters::Count;
use crate::limits::{CLIENTS_MAX, CLIENTS_PER_DESTINATION_MAX};
use crate::reject::Reject;
use crate::sip::{Dialog, Refused, User};
use pharos_parser::Method;

const PEER: &str = "127.0.0.1:5070";

fn peer() -> Dialog {
    dialog("sip:bob@127.0.0.1:5070", PEER)
}

/// RFC 3261 17.1.2.2: Timer E doubles from T1 to T2, Timer F ends it after 64*T1.
#[test]
fn timers_e_and_f() {
    let mut bench = Bench::new();
    bench.notify(&mut peer(), b"").unwrap();
    let first = bench.out();
    let again = bench.wait_ms(32_000);
    let times: Vec<u64> = again.iter().map(|(at, _)| *at).collect();
    let want = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(times, want);
    assert!(again.iter().all(|(_, out)| *out == first[0]));
    assert_eq!(bench.told, [Told::Timeout]);
    assert!(bench.sip.is_drained());
    assert_eq!(bench.wait_ms(100_000), []);
}

/// RFC 3261 17.1.2.2: after a provisional response Timer E is T2.
#[test]
fn a_provisional_response_slows_timer_e() {
    let mut bench = Bench::new();
    bench.notify(&mut peer(), b"").unwrap();
    let request = bench.out()[0].text().to_string();
    bench.wait_ms(100);
    bench.refused(by_udp(PEER), &respond(&request, 100));
    let times: Vec<u64> = bench.wait_ms(31_900).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [500, 4500, 8500, 12500, 16500, 20500, 24500, 28500]);
    assert_eq!(bench.told, [Told::Timeout]);
}

/// RFC 3261 12.2.1.1 and 8.1.1: what a request within a dialog looks like.
#[test]
fn a_request_within_a_dialog() {
    let mut bench = Bench::new();
    let mut dialog = peer();
    dialog.routes = ["<sip:127.0.0.1:5080;lr>", "<sip:p2.example;lr>"]
        .map(|route| route.as_bytes().into())
        .into();
    bench.notify(&mut dialog, b"body").unwrap();
    let out = bench.out();
    let [Out::Datagram(to, text)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(to.to_string(), "127.0.0.1:5080");
    let branch = header(text, "Via").split("branch=").nth(1).unwrap();
    let want = format!(
        "NOTIFY sip:bob@127.0.0.1:5070 SIP/2.0\n\
         Via: SIP/2.0/UDP 127.0.0.1:5060;rport;branch={branch}\n\
         Max-Forwards: 70\n\
         Route: <sip:127.0.0.1:5080;lr>\n\
         Route: <sip:p2.example;lr>\n\
         From: <sip:alice@example.com>;tag=ours\n\
         To: <sip:bob@example.com>;tag=theirs\n\
         Call-ID: call-1\n\
         CSeq: 1 NOTIFY\n\
         Contact: <sip:presence@127.0.0.1:5060>\n\
         Event: presence\n\
         Subscription-State: active;expires=600\n\
         Content-Length: 4\n\nbody"
    );
    assert_eq!(text.replace("\r\n", "\n"), want);
    assert_eq!(dialog.local_cseq, 1);
}

/// RFC 3261 12.2.1.1: a strict router becomes the Request-URI, the remote target the last Route.
#[test]
fn a_strict_router() {
    let mut bench = Bench::new();
    let mut dialog = peer();
    dialog.routes = [(*b"<sip:127.0.0.1:5080>").into(), (*b"<sip:p2.example;lr>").into()].into();
    bench.notify(&mut dialog, b"").unwrap();
    let out = bench.out();
    let text = out[0].text();
    assert!(text.starts_with("NOTIFY sip:127.0.0.1:5080 SIP/2.0\r\n"));
    let routes = "Route: <sip:p2.example;lr>\r\nRoute: <sip:bob@127.0.0.1:5070>\r\n";
    assert!(text.contains(routes));
}

/// RFC 3261 17.1.3 and Timer K: the first final response is the outcome, repeats are absorbed.
#[test]
fn a_final_response_ends_it() {
    let mut bench = Bench::new();
    bench.notify(&mut peer(), b"").unwrap();
    let request = bench.out()[0].text().to_string();
    let ok = respond(&request, 200);
    for _ in 0..2 {
        assert_eq!(bench.refused(by_udp(PEER), &ok), []);
    }
    assert_eq!(bench.told, [Told::Final(200)]);
    assert_eq!(bench.core.counters.rejected(Reject::StaleResponse), 1);
    assert_eq!(bench.wait_ms(40_000), []);
}

/// RFC 3261 8.1.3.3, 17.1.3: two Vias, or another method in the CSeq, are no answer to this
/// request.
#[test]
fn responses_that_do_not_match() {
    let mut bench = Bench::new();
    bench.notify(&mut peer(), b"").unwrap();
    let request = bench.out()[0].text().to_string();
    let ok = respond(&request, 200);
    bench.refused(by_udp(PEER), &ok.replace("NOTIFY", "OPTIONS"));
    let two = ok.replace("From:", "Via: SIP/2.0/UDP 127.0.0.1:1;branch=z9hG4bKy\nFrom:");
    bench.refused(by_udp(PEER), &two);
    assert_eq!(bench.told, []);
    assert_eq!(bench.core.counters.rejected(Reject::BadResponse), 2);
}

/// RFC 3261 18.4: a transport error is taken as a 503.
#[test]
fn an_unreachable_destination() {
    let mut bench = Bench::new();
    bench.notify(&mut peer(), b"").unwrap();
    bench.notify(&mut dialog("sip:b@127.0.0.1:5071", "127.0.0.1:5071"), b"").unwrap();
    bench.out();
    bench.sip.datagram_refused(&mut bench.core, UDP, PEER.parse().unwrap());
    bench.out();
    assert_eq!(bench.told, [Told::Unreachable]);
    assert_eq!(bench.sip.under_way(), 1);
}

/// At most 256 for each destination, and one dead destination holds up no other.
#[test]
fn windows() {
    let mut bench = Bench::new();
    for _ in 0..CLIENTS_PER_DESTINATION_MAX {
        bench.notify(&mut peer(), b"").unwrap();
    }
    let full = PEER.parse().unwrap();
    let mut more = peer();
    assert_eq!(bench.notify(&mut more, b""), Err(Refused::DestinationFull(full)));
    assert_eq!(more.local_cseq, 0);
    assert!(!bench.sip.has_room_for(full));
    let mut other = dialog("sip:b@127.0.0.1:5071", "127.0.0.1:5071");
    bench.notify(&mut other, b"").unwrap();
    let request = bench.out()[0].text().to_string();
    bench.refused(by_udp(PEER), &respond(&request, 200));
    assert!(bench.sip.has_room_for(full));
    bench.notify(&mut more, b"").unwrap();
    let mut port = 6_000;
    while bench.sip.under_way() < CLIENTS_MAX {
        port += 1;
        let contact = format!("sip:b@127.0.0.1:{port}");
        bench.notify(&mut dialog(&contact, PEER), b"").unwrap();
    }
    assert!(!bench.sip.has_room());
    assert_eq!(bench.notify(&mut peer(), b""), Err(Refused::ShardFull));
    bench.out();
    bench.wait_ms(32_000);
    assert!(bench.sip.is_drained() && bench.sip.has_room_for(full));
}

/// A branch of an earlier run, or of nobody, finds nothing.
#[test]
fn a_response_to_another_run() {
    let mut first = Bench::new();
    first.notify(&mut peer(), b"").unwrap();
    let request = first.out()[0].text().to_string();
    let mut config = super::config();
    config.seed = [5; 32];
    let mut second = Bench::with(config);
    second.notify(&mut peer(), b"").unwrap();
    second.refused(by_udp(PEER), &respond(&request, 200));
    assert_eq!(second.told, []);
    assert_eq!(second.core.counters.rejected(Reject::StaleResponse), 1);
}

fn invite(bench: &mut Bench) -> String {
    let mut dialog = peer();
    let (core, sip) = (&mut bench.core, &mut bench.sip);
    sip.request(core, &mut dialog, Method::Invite, b"", b"", User::Notify(1)).unwrap();
    bench.out()[0].text().to_string()
}

/// RFC 3261 17.1.1.2: Timer A doubles without a cap, Timer B ends it.
#[test]
fn timers_a_and_b() {
    let mut bench = Bench::new();
    invite(&mut bench);
    let times: Vec<u64> = bench.wait_ms(32_000).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 15500, 31500]);
    assert_eq!(bench.told, [Told::Timeout]);
}

/// RFC 3261 17.1.1.3: each repeat of a refusal gets the ACK, for Timer D.
#[test]
fn a_refused_invite_is_acknowledged() {
    let mut bench = Bench::new();
    let request = invite(&mut bench);
    bench.refused(by_udp(PEER), &respond(&request, 180));
    assert_eq!(bench.wait_ms(60_000), []);
    let busy = respond(&request, 486);
    let ack = bench.refused(by_udp(PEER), &busy);
    let text = ack[0].text();
    assert!(text.starts_with("ACK sip:bob@127.0.0.1:5070 SIP/2.0\r\n"));
    assert_eq!(header(text, "Via"), header(&request, "Via"));
    assert_eq!(header(text, "CSeq"), "1 ACK");
    assert_eq!(bench.refused(by_udp(PEER), &busy), ack);
    assert_eq!(bench.told, [Told::Final(486)]);
    bench.wait_ms(32_000);
    assert_eq!(bench.refused(by_udp(PEER), &busy), []);
    assert!(bench.sip.is_drained());
}

/// RFC 6026 7.2: each 2xx goes to the user, for Timer M.
#[test]
fn an_accepted_invite_passes_each_2xx() {
    let mut bench = Bench::new();
    let request = invite(&mut bench);
    let ok = respond(&request, 200);
    bench.refused(by_udp(PEER), &ok);
    bench.refused(by_udp(PEER), &ok);
    assert_eq!(bench.told, [Told::Final(200), Told::Final(200)]);
    bench.wait_ms(32_000);
    bench.refused(by_udp(PEER), &ok);
    assert_eq!(bench.told.len(), 2);
}

/// An INVITE that rings is given up after Timer C.
#[test]
fn ringing_ends() {
    let mut bench = Bench::new();
    let request = invite(&mut bench);
    bench.refused(by_udp(PEER), &respond(&request, 180));
    bench.wait_ms(179_999);
    assert_eq!(bench.told, []);
    bench.wait_ms(1);
    assert_eq!(bench.told, [Told::Timeout]);
    assert_eq!(bench.core.counters.count(Count::Timeouts), 1);
}

/// What an operator reads about a request that failed.
#[test]
fn failures_are_written() {
    let mut bench = Bench::new();
    bench.notify(&mut peer(), b"").unwrap();
    bench.out();
    bench.sip.datagram_refused(&mut bench.core, UDP, PEER.parse().unwrap());
    let line = "NOTIFY to <sip:bob@example.com>;tag=theirs, Call-ID call-1: \
        127.0.0.1:5070 cannot be reached";
    assert_eq!(bench.out(), [Out::Log(line.into())]);
}
