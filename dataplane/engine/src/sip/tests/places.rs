//! Where requests go: flows, NAT, TCP for large ones, names and fail-over.

use super::{Bench, Out, Told, by_tcp, by_udp, config, dialog, header, respond};
use crate::config::Listener;
use crate::counters::Count;
use crate::io::{Query, QueryKind, Record};
use crate::limits::FLOW_IDLE_MS;
use crate::net::{FlowId, ShardId, Transport};

fn address(text: &str) -> Record {
    Record::Address(text.parse().unwrap())
}

fn srv(priority: u16, port: u16, target: &str) -> Record {
    Record::Srv { priority, weight: 1, port, target: target.into() }
}

fn sent_to(out: &[Out]) -> Vec<String> {
    let peers = out.iter().filter_map(|out| match out {
        Out::Datagram(peer, _) => Some(peer.to_string()),
        _ => None,
    });
    peers.collect()
}

/// `nat = "auto"`: a Contact other than the source is behind NAT, unless there is a Route.
#[test]
fn nat() {
    for (contact, source, route, want) in [
        ("sip:b@10.0.0.5:5060", "192.0.2.7:6123", None, "192.0.2.7:6123"),
        ("sip:b@192.0.2.8:5060", "192.0.2.7:6123", None, "192.0.2.7:6123"),
        ("sip:b@192.0.2.7:5060", "192.0.2.7:6123", None, "192.0.2.7:5060"),
        ("sip:b@100.64.1.1", "100.64.1.1:6123", None, "100.64.1.1:6123"),
        ("sip:b@10.0.0.5", "192.0.2.7:6123", Some("<sip:192.0.2.9;lr>"), "192.0.2.9:5060"),
    ] {
        let mut bench = Bench::new();
        let mut dialog = dialog(contact, source);
        dialog.routes = route.iter().map(|route| route.as_bytes().into()).collect();
        bench.notify(&mut dialog, b"").unwrap();
        assert_eq!(sent_to(&bench.out()), [want]);
    }
    let mut config = config();
    config.nat_auto = false;
    let mut bench = Bench::with(config);
    bench.notify(&mut dialog("sip:b@10.0.0.5:5060", "192.0.2.7:6123"), b"").unwrap();
    assert_eq!(sent_to(&bench.out()), ["10.0.0.5:5060"]);
}

/// RFC 5626 5.4: `ob` asks for the flow, whatever is configured; a stream's source is none.
#[test]
fn outbound_and_streams() {
    let mut config = config();
    config.nat_auto = false;
    let mut bench = Bench::with(config);
    let contact = "sip:b@127.0.0.1:5060;ob";
    bench.notify(&mut dialog(contact, "127.0.0.1:6123"), &[b'x'; 1_300]).unwrap();
    assert_eq!(sent_to(&bench.out()), ["127.0.0.1:6123"]);
    let mut bench = Bench::new();
    let mut streamed = dialog("sip:b@10.0.0.5;transport=tcp", "127.0.0.1:40000");
    streamed.listener = super::TCP;
    bench.notify(&mut streamed, b"").unwrap();
    let out = bench.out();
    let [Out::Connect(_, peer), _] = &out[..] else { panic!("{out:?}") };
    assert_eq!(peer.to_string(), "10.0.0.5:5060");
}

/// The connection a dialog came by carries its requests; when it goes, a new one to the Contact.
#[test]
fn an_existing_flow_comes_first() {
    let mut bench = Bench::new();
    let flow = FlowId::accepted(ShardId(0), 1);
    let path = by_tcp("127.0.0.1:40000", flow);
    bench.sip.seen(&mut bench.core, &path);
    let mut dialog = dialog("sip:b@127.0.0.1:5070;transport=tcp", "127.0.0.1:40000");
    dialog.flow = Some(flow);
    bench.notify(&mut dialog, b"").unwrap();
    let out = bench.out();
    assert!(matches!(&out[..], [Out::Stream(to, text)] if *to == flow && text.contains("/TCP ")));
    bench.sip.stream_closed(&mut bench.core, flow);
    let out = bench.out();
    let [Out::Connect(new, peer), Out::Stream(to, _)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((new, peer.to_string().as_str()), (to, "127.0.0.1:5070"));
    assert_eq!(bench.told, []);
}

#[test]
fn connections_are_used_again_and_closed_when_idle() {
    let mut bench = Bench::new();
    let mut dialog = dialog("sip:b@127.0.0.1:5070;transport=tcp", "127.0.0.1:40000");
    bench.notify(&mut dialog, b"").unwrap();
    let out = bench.out();
    let [Out::Connect(flow, _), Out::Stream(_, request)] = &out[..] else { panic!("{out:?}") };
    let (flow, request) = (*flow, request.clone());
    bench.sip.stream_opened(flow);
    bench.notify(&mut dialog, b"").unwrap();
    let second = bench.out();
    assert!(matches!(&second[..], [Out::Stream(to, _)] if *to == flow));
    bench.refused(by_tcp("127.0.0.1:5070", flow), &respond(&request, 200));
    bench.refused(by_tcp("127.0.0.1:5070", flow), &respond(second[0].text(), 200));
    assert_eq!(bench.told, [Told::Final(200), Told::Final(200)]);
    let idle = bench.wait_ms(FLOW_IDLE_MS);
    assert_eq!(idle, [(FLOW_IDLE_MS, Out::Close(flow))]);
    bench.notify(&mut dialog, b"").unwrap();
    assert!(matches!(&bench.out()[..], [Out::Connect(new, _), _] if *new != flow));
}

/// RFC 3261 18.1.1: a large request goes by TCP, and back to UDP when that is refused.
#[test]
fn large_requests_take_tcp_or_fall_back() {
    let mut bench = Bench::new();
    let body = vec![b'x'; 1_300];
    let mut dialog = dialog("sip:b@127.0.0.1:5070", "127.0.0.1:5070");
    bench.notify(&mut dialog, &body).unwrap();
    let out = bench.out();
    let [Out::Connect(flow, peer), Out::Stream(_, text)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(peer.to_string(), "127.0.0.1:5070");
    assert!(header(text, "Via").starts_with("SIP/2.0/TCP "));
    bench.sip.stream_closed(&mut bench.core, *flow);
    let out = bench.out();
    let [Out::Datagram(peer, again)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(peer.to_string(), "127.0.0.1:5070");
    assert!(header(again, "Via").starts_with("SIP/2.0/UDP "));
    // RFC 3263 4.3: another attempt is another transaction.
    assert_ne!(
        header(again, "Via").split("branch=").nth(1),
        header(text, "Via").split("branch=").nth(1)
    );
    bench.refused(by_udp("127.0.0.1:5070"), &respond(again, 200));
    assert_eq!(bench.told, [Told::Final(200)]);
    // Remembered for this destination, until it is time to try again.
    bench.notify(&mut dialog, &body).unwrap();
    assert_eq!(sent_to(&bench.out()), ["127.0.0.1:5070"]);
    bench.wait_ms(600_000);
    bench.notify(&mut dialog, &body).unwrap();
    assert!(matches!(&bench.out()[..], [Out::Connect(..), _]));
}

#[test]
fn tcp_that_does_not_come_about_in_two_seconds() {
    let mut bench = Bench::new();
    let body = vec![b'x'; 1_300];
    bench.notify(&mut dialog("sip:b@127.0.0.1:5070", "127.0.0.1:5070"), &body).unwrap();
    bench.out();
    assert_eq!(bench.wait_ms(1_999), []);
    let out: Vec<Out> = bench.wait_ms(1).into_iter().map(|(_, out)| out).collect();
    assert_eq!(sent_to(&out), ["127.0.0.1:5070"]);
    assert_eq!(bench.core.counters.count(Count::TcpFallbacks), 1);
    // One that is up in time stays.
    let mut bench = Bench::new();
    bench.notify(&mut dialog("sip:b@127.0.0.1:5070", "127.0.0.1:5070"), &body).unwrap();
    let out = bench.out();
    let [Out::Connect(flow, _), _] = &out[..] else { panic!("{out:?}") };
    bench.sip.stream_opened(*flow);
    assert_eq!(bench.wait_ms(31_999), []);
    assert_eq!(bench.told, []);
}

/// Not for peers behind NAT, not with `transport=udp`, not with `udp_mtu = 0`, not below it.
#[test]
fn large_requests_that_stay_with_udp() {
    let body = vec![b'x'; 1_300];
    for (contact, source) in [
        ("sip:b@127.0.0.1:5070;transport=udp", "127.0.0.1:5070"),
        ("sip:b@10.0.0.9:5070", "127.0.0.1:5070"),
    ] {
        let mut bench = Bench::new();
        bench.notify(&mut dialog(contact, source), &body).unwrap();
        assert_eq!(sent_to(&bench.out()), ["127.0.0.1:5070"]);
    }
    let mut config = config();
    config.udp_mtu = 0;
    let mut bench = Bench::with(config);
    let mut plain = dialog("sip:b@127.0.0.1:5070", "127.0.0.1:5070");
    bench.notify(&mut plain, &body).unwrap();
    assert_eq!(sent_to(&bench.out()), ["127.0.0.1:5070"]);
    let mut bench = Bench::new();
    bench.notify(&mut plain, &body[..600]).unwrap();
    assert_eq!(sent_to(&bench.out()), ["127.0.0.1:5070"]);
}

/// RFC 3263 4.3: the next server when one does not answer, says 503 or is unreachable.
#[test]
fn fail_over() {
    let mut bench = Bench::new();
    let mut dialog = dialog("sip:b@p.example", "127.0.0.1:5070");
    bench.notify(&mut dialog, b"").unwrap();
    let ask = |name: &str, kind| [Out::Ask(Query { name: name.into(), kind })];
    assert_eq!(bench.out(), ask("p.example", QueryKind::Naptr));
    bench.resolve("p.example", QueryKind::Naptr, Vec::new());
    assert_eq!(bench.out(), ask("_sip._udp.p.example", QueryKind::Srv));
    let servers = [(1, "192.0.2.1"), (2, "192.0.2.2"), (3, "192.0.2.3")]
        .map(|(priority, target)| srv(priority, 5061, target));
    bench.resolve("_sip._udp.p.example", QueryKind::Srv, servers.to_vec());
    bench.resolve("_sip._tcp.p.example", QueryKind::Srv, Vec::new());
    let first = bench.out();
    assert_eq!(sent_to(&first), ["192.0.2.1:5061"]);
    let second = bench.refused(by_udp("192.0.2.1:5061"), &respond(first[0].text(), 503));
    assert_eq!(sent_to(&second), ["192.0.2.2:5061"]);
    bench.sip.datagram_refused(&mut bench.core, super::UDP, "192.0.2.2:5061".parse().unwrap());
    let third = bench.out();
    assert_eq!(sent_to(&third), ["192.0.2.3:5061"]);
    bench.refused(by_udp("192.0.2.1:5061"), &respond(first[0].text(), 200));
    assert_eq!(bench.told, []);
    bench.refused(by_udp("192.0.2.3:5061"), &respond(third[0].text(), 503));
    assert_eq!(bench.told, [Told::Final(503)]);
}

#[test]
fn a_name_that_leads_nowhere() {
    let mut bench = Bench::new();
    let mut dialog = dialog("sip:b@p.example:5070", "127.0.0.1:5070");
    bench.notify(&mut dialog, b"").unwrap();
    bench.notify(&mut dialog, b"").unwrap();
    // One question for both.
    assert_eq!(bench.out().len(), 1);
    bench.resolve("p.example", QueryKind::Address, Vec::new());
    bench.out();
    assert_eq!(bench.told, [Told::Unreachable, Told::Unreachable]);
    assert!(bench.sip.is_drained());
    // The negative answer counts for the next one too.
    assert_eq!(bench.notify(&mut dialog, b""), Err(crate::sip::Refused::BadTarget));
}

#[test]
fn a_resolver_that_does_not_answer() {
    let mut bench = Bench::new();
    bench.notify(&mut dialog("sip:b@p.example:5070", "127.0.0.1:5070"), b"").unwrap();
    bench.wait_ms(32_000);
    assert_eq!(bench.told, [Told::Unreachable]);
    // The next request asks anew, and a late answer sends it alone.
    bench.out();
    bench.notify(&mut dialog("sip:b@p.example:5070", "127.0.0.1:5070"), b"").unwrap();
    assert!(matches!(&bench.out()[..], [Out::Ask(_)]));
    bench.resolve("p.example", QueryKind::Address, vec![address("192.0.2.1")]);
    assert_eq!(sent_to(&bench.out()), ["192.0.2.1:5070"]);
    bench.sip.check();
}

/// What is advertised stands in Via; IPv6 peers get the IPv6 listener.
#[test]
fn our_own_addresses() {
    let mut config = config();
    config.listeners[0].advertise = Some(("p.example".into(), 5090));
    config.listeners.push(Listener {
        transport: Transport::Udp,
        bound: "[::1]:5060".parse().unwrap(),
        advertise: None,
    });
    let mut bench = Bench::with(config);
    bench.notify(&mut dialog("sip:b@127.0.0.1:5070", "127.0.0.1:5070"), b"").unwrap();
    assert!(header(bench.out()[0].text(), "Via").starts_with("SIP/2.0/UDP p.example:5090;"));
    bench.notify(&mut dialog("sip:b@[::1]:5070", "[::1]:5070"), b"").unwrap();
    let out = bench.out();
    assert_eq!(sent_to(&out), ["[::1]:5070"]);
    assert!(header(out[0].text(), "Via").starts_with("SIP/2.0/UDP [::1]:5060;"));
}
