//! What is refused before anybody looks into it, and where a message goes.

use super::{Bench, Out, TCP, by_tcp, by_udp, config, header};
use crate::config::Cidr;
use crate::counters::Count;
use crate::net::{FlowId, ShardId};
use crate::reject::Reject;
use crate::sip::{Answer, Origin};

const PUBLISH: &str = "\
PUBLISH sip:alice@example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKp1
Max-Forwards: 70
From: <sip:alice@example.com>;tag=f1
To: <sip:alice@example.com>
Call-ID: c1
CSeq: 1 PUBLISH
Content-Length: 0

";

fn status(bench: &mut Bench, text: &str, want: u16, why: Reject) -> String {
    let out = bench.refused(by_udp("127.0.0.1:5070"), text);
    let sent: Vec<_> = out.iter().filter(|out| matches!(out, Out::Datagram(..))).collect();
    assert_eq!(sent.len(), 1, "{out:?}");
    let text = sent[0].text();
    assert!(text.starts_with(&format!("SIP/2.0 {want} ")), "{text}");
    assert_eq!(bench.core.counters.rejected(why), 1);
    text.to_string()
}

#[test]
fn each_reason_has_its_status() {
    let local = || {
        let mut config = config();
        config.domains = vec!["example.com".into()];
        Bench::with(config)
    };
    for (from, to, want, why) in [
        ("SIP/2.0\nVia", "SIP/3.0\nVia", 505, Reject::Version),
        ("Max-Forwards: 70", "Max-Forwards: x", 400, Reject::Malformed),
        ("1 PUBLISH", "1 SUBSCRIBE", 400, Reject::Malformed),
        ("PUBLISH", "REGISTER", 405, Reject::MethodNotAllowed),
        ("PUBLISH", "MESSAGE", 405, Reject::MethodNotAllowed),
        ("PUBLISH", "FROBNICATE", 501, Reject::UnknownMethod),
        ("PUBLISH", "NOTIFY", 481, Reject::NoDialog),
        ("sip:alice@example.com SIP", "sip:alice@other.example SIP", 404, Reject::ForeignDomain),
        ("sip:alice@example.com SIP", "sip:example.com SIP", 404, Reject::NoAor),
        ("sip:alice@example.com SIP", "tel:+15551234 SIP", 416, Reject::Scheme),
        ("Call-ID", "Require: frob\nCall-ID", 420, Reject::BadExtension),
        ("Length: 0", "Length: 5", 400, Reject::Malformed),
    ] {
        status(&mut local(), &PUBLISH.replace(from, to), want, why);
    }
}

/// RFC 3261 16.3: only who would forward looks at the hops; an endpoint takes the request.
#[test]
fn no_hops_left() {
    let none = PUBLISH.replace("Max-Forwards: 70", "Max-Forwards: 0");
    let mut bench = Bench::new();
    bench.take(by_udp("127.0.0.1:5070"), &none, |core, sip, it| {
        sip.answer(core, &it, &Answer::status(200));
    });
    assert_eq!(bench.passed, ["PUBLISH"]);
    let mut config = config();
    config.domains = vec!["other.example".into()];
    status(&mut Bench::with(config), &none, 483, Reject::TooManyHops);
}

#[test]
fn refusals_carry_what_helps() {
    let text = PUBLISH.replace("Call-ID", "Require: frob, nicate\nCall-ID");
    let answer = status(&mut Bench::new(), &text, 420, Reject::BadExtension);
    assert!(answer.contains("\r\nUnsupported: frob\r\nUnsupported: nicate\r\n"));
    let text = PUBLISH.replace("PUBLISH", "REFER");
    let answer = status(&mut Bench::new(), &text, 405, Reject::MethodNotAllowed);
    assert!(header(&answer, "Allow").contains("PUBLISH"));
}

/// RFC 3261 11.2, and 8.2.7: the same request gets the same answer, without state.
#[test]
fn options_says_what_we_can() {
    let mut bench = Bench::new();
    let path = by_udp("127.0.0.1:5070");
    let options = PUBLISH.replace("PUBLISH", "OPTIONS").replace("sip:alice@", "sip:");
    let out = bench.refused(path, &options);
    assert!(out[0].text().starts_with("SIP/2.0 200 OK\r\n"));
    for name in ["Allow", "Accept", "Accept-Encoding", "Allow-Events"] {
        assert!(!header(out[0].text(), name).is_empty());
    }
    assert_eq!(bench.refused(path, &options), out);
    assert_eq!(bench.sip.servers.len(), 0);
    bench.sip.drain();
    assert!(bench.refused(path, &options)[0].text().starts_with("SIP/2.0 503 "));
}

#[test]
fn strangers_get_403_and_trusted_networks_do_not() {
    let mut bench = Bench::new();
    let out = bench.refused(by_udp("192.0.2.1:5060"), PUBLISH);
    let source: std::net::SocketAddr = "192.0.2.1:5060".parse().unwrap();
    assert!(out.iter().any(|out| {
        matches!(out, Out::Datagram(to, text) if text.contains(" 403 ") && *to == source)
    }));
    assert!(out.iter().any(|out| {
        matches!(out, Out::Log(line) if line.contains("PUBLISH from 192.0.2.1:5060, Call-ID c1"))
    }));
    assert_eq!(bench.core.counters.rejected(Reject::Untrusted), 1);
    let mut config = config();
    config.trusted = vec![
        Cidr { network: "192.0.2.0".parse().unwrap(), prefix: 24 },
        Cidr { network: "2001:db8::".parse().unwrap(), prefix: 32 },
    ];
    for (source, passes) in [
        ("192.0.2.200:1", 1),
        ("192.0.3.1:1", 0),
        ("[2001:db8:1::1]:1", 1),
        ("[2001:db9::1]:1", 0),
        ("[::ffff:192.0.2.1]:1", 1),
        ("[::1]:1", 1),
    ] {
        let mut bench = Bench::with(config.clone());
        bench.take(by_udp(source), PUBLISH, |_, _, _| {});
        assert_eq!(bench.passed.len(), passes, "{source}");
    }
}

/// RFC 3261 18.2.2 and RFC 3581 4.
#[test]
fn where_an_answer_goes() {
    for (via, want) in [
        ("127.0.0.1:5070;branch=z9hG4bKp1", "127.0.0.1:5070"),
        ("127.0.0.1;branch=z9hG4bKp1", "127.0.0.1:5060"),
        ("pc.example:5070;branch=z9hG4bKp1", "127.0.0.1:5070"),
        ("10.0.0.1:5070;branch=z9hG4bKp1;rport", "127.0.0.1:6000"),
        ("10.0.0.1:5070;branch=z9hG4bKp1;maddr=127.0.0.9", "127.0.0.9:5070"),
    ] {
        let text = PUBLISH.replace("127.0.0.1:5070;branch=z9hG4bKp1", via);
        let mut bench = Bench::new();
        let out = bench.take(by_udp("127.0.0.1:6000"), &text, |core, sip, it| {
            sip.answer(core, &it, &Answer::status(200));
        });
        let [Out::Datagram(peer, text)] = &out[..] else { panic!("{out:?}") };
        assert_eq!(peer.to_string(), want);
        assert_eq!(text.contains("rport=6000"), via.contains("rport"));
        let literal = via.starts_with("127.0.0.1");
        assert_eq!(text.contains("received=127.0.0.1"), !literal);
    }
}

#[test]
fn keep_alives_and_junk() {
    let mut bench = Bench::new();
    let flow = FlowId::accepted(ShardId(0), 9);
    let out = bench.refused(by_tcp("127.0.0.1:40000", flow), "\n\n");
    assert_eq!(out, [Out::Stream(flow, "\r\n".into())]);
    assert_eq!(bench.refused(by_tcp("127.0.0.1:40000", flow), "\n"), []);
    assert_eq!(bench.refused(by_udp("127.0.0.1:5070"), "\n\n"), []);
    assert_eq!(bench.core.counters.count(Count::KeepAlives), 3);
    let out = bench.refused(by_udp("127.0.0.1:5070"), "hello\n");
    assert!(matches!(&out[..], [Out::Log(_)]));
    assert_eq!(bench.core.counters.rejected(Reject::Unreadable), 1);
}

/// RFC 3261 8.1.3.3 and 18.1.2: nothing is told to anybody about responses that are not ours.
#[test]
fn foreign_responses_are_dropped() {
    let mut bench = Bench::new();
    let text = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx\n\
        From: <sip:a@b>;tag=1\nTo: <sip:a@b>;tag=2\nCall-ID: c\nCSeq: 1 NOTIFY\n\n";
    assert_eq!(bench.refused(by_udp("127.0.0.1:5070"), text), []);
    assert_eq!(bench.core.counters.rejected(Reject::ForeignBranch), 1);
    let ack = PUBLISH.replace("PUBLISH", "ACK");
    assert_eq!(bench.refused(by_udp("127.0.0.1:5070"), &ack), []);
    assert_eq!(bench.core.counters.rejected(Reject::StrayAck), 1);
}

#[test]
fn a_stream_that_cannot_be_cut_is_answered_and_closed() {
    let mut bench = Bench::new();
    let flow = FlowId::accepted(ShardId(0), 9);
    let path = by_tcp("127.0.0.1:40000", flow);
    bench.sip.seen(&mut bench.core, &path);
    let text = PUBLISH.replace('\n', "\r\n");
    let error = pharos_parser::FrameError::BodyTooLong;
    bench.sip.receive_unframed(&mut bench.core, path, text.as_bytes(), error);
    let out = bench.out();
    assert!(out.iter().any(|out| matches!(out, Out::Stream(_, text) if text.contains(" 413 "))));
    assert_eq!(out.last(), Some(&Out::Close(flow)));
    assert_eq!(path.listener, TCP);
}

/// A message for another shard's AoR goes there, and an answer for a
/// connection of another shard as well.
#[test]
fn messages_and_answers_cross_the_mesh() {
    let shard = |shard: u16| {
        let mut config = config();
        config.shards = 8;
        config.shard = ShardId(shard);
        Bench::with(config)
    };
    let mut probe = shard(0);
    let owner = probe.core.shard_of(probe.core.aor_hash(b"alice@example.com"));
    let other = ShardId((owner.0 + 1) % 8);
    let flow = FlowId::accepted(other, 1);
    let path = by_tcp("127.0.0.1:40000", flow);
    let mut receiver = shard(other.0);
    assert_eq!(receiver.refused(path, PUBLISH), [Out::Message(owner)]);
    let mut owning = shard(owner.0);
    let out = owning.take_from(Origin::Shard, path, PUBLISH, |core, sip, it| {
        sip.answer(core, &it, &Answer::status(200));
    });
    assert_eq!(out, [Out::Send(flow)]);
    receiver.sip.relay(&mut receiver.core, flow, b"SIP/2.0 200 OK\r\n\r\n");
    assert_eq!(receiver.out(), [Out::Stream(flow, "SIP/2.0 200 OK\r\n\r\n".into())]);
    // When the connection goes, whoever may send on it is told.
    receiver.sip.stream_closed(&mut receiver.core, flow);
    assert_eq!(receiver.out(), [Out::FlowGone(owner, flow)]);
    probe.sip.stream_closed(&mut probe.core, flow);
    assert_eq!(probe.out(), []);
}
