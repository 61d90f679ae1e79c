//! The resolver against a name server on loopback: records, none, failed, told apart.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SOA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record as DnsRecord, RecordType};
use pharos_control::resolve::Resolver;
use pharos_engine::io::{Query, QueryKind, Record, Resolved};

/// A name server that answers what `zone` says, on a thread that ends with the test.
fn server() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let address = socket.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let question = Message::from_vec(&buffer[..length]).expect("a DNS message");
            let bytes = zone(question).to_vec().expect("it fits");
            socket.send_to(&bytes, peer).expect("loopback takes it");
        }
    });
    address
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn zone(question: Message) -> Message {
    let asked = question.queries[0].clone();
    let mut answer = question.into_response();
    let asked_name = asked.name().to_ascii();
    let mut add = |ttl, data| {
        answer.answers.push(DnsRecord::from_rdata(asked.name().clone(), ttl, data));
    };
    match (asked_name.as_str(), asked.query_type()) {
        ("both.example.", RecordType::A) => add(60, RData::A(A::new(192, 0, 2, 1))),
        ("both.example.", RecordType::AAAA) => {
            add(30, RData::AAAA(AAAA::from(Ipv6Addr::LOCALHOST)));
        }
        ("half.example.", RecordType::A) => add(60, RData::A(A::new(192, 0, 2, 2))),
        ("_sip._udp.example.", RecordType::SRV) => {
            add(90, RData::SRV(SRV::new(10, 60, 5070, name("P1.Example."))));
            add(80, RData::SRV(SRV::new(20, 0, 5060, name("p2.example."))));
        }
        ("example.", RecordType::NAPTR) => {
            let (flags, service) = (b"s".to_vec(), b"SIP+D2U".to_vec());
            let target = name("_sip._udp.example.");
            let naptr = NAPTR::new(50, 10, flags.into(), service.into(), Box::default(), target);
            add(86_400 * 30, RData::NAPTR(naptr));
        }
        ("none.example." | "half.example.", _) => {
            let soa = SOA::new(name("ns.example."), name("h.example."), 1, 9, 9, 9, 40);
            answer.authorities.push(DnsRecord::from_rdata(name("example."), 40, RData::SOA(soa)));
            if asked_name == "none.example." {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        _ => answer.metadata.response_code = ResponseCode::ServFail,
    }
    answer
}

fn ask(text: &str, kind: QueryKind) -> Resolved {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let query = Query { name: text.into(), kind };
    let resolved = runtime.expect("an event loop").block_on(async {
        let resolver = Resolver::with_server(server()).expect("a resolver");
        resolver.resolve(query.clone()).await
    });
    assert_eq!(resolved.query, query, "the question comes back with its answer");
    resolved
}

/// RFC 3263 4.2: addresses of both families, for as long as the shorter of them lives.
#[test]
fn addresses_of_both_families_come_together() {
    let Resolved { records, ttl, failed, .. } = ask("both.example", QueryKind::Address);
    let v4 = Record::Address(Ipv4Addr::new(192, 0, 2, 1).into());
    let v6 = Record::Address(Ipv6Addr::LOCALHOST.into());
    assert_eq!((records, ttl, failed), (vec![v4, v6], 30, false));
}

#[test]
fn one_family_is_enough() {
    let Resolved { records, ttl, failed, .. } = ask("half.example", QueryKind::Address);
    let v4 = Record::Address(Ipv4Addr::new(192, 0, 2, 2).into());
    assert_eq!((records, ttl, failed), (vec![v4], 60, false));
}

/// RFC 2782; names come in lower case without the last dot.
#[test]
fn srv_records_keep_their_fields() {
    let Resolved { records, ttl, .. } = ask("_sip._udp.example", QueryKind::Srv);
    let srv = |priority, weight, port, target: &str| Record::Srv {
        priority,
        weight,
        port,
        target: target.into(),
    };
    assert_eq!(records, [srv(10, 60, 5070, "p1.example"), srv(20, 0, 5060, "p2.example")]);
    assert_eq!(ttl, 80);
}

/// RFC 3403; nobody is believed for more than a day.
#[test]
fn naptr_records_keep_their_fields_and_a_long_life_is_cut() {
    let Resolved { records, ttl, .. } = ask("example", QueryKind::Naptr);
    let naptr = Record::Naptr {
        order: 50,
        preference: 10,
        flags: "s".into(),
        service: "SIP+D2U".into(),
        replacement: "_sip._udp.example".into(),
    };
    assert_eq!((records, ttl), (vec![naptr], 86_400));
}

/// RFC 2308: "there is none" lives as long as the SOA says.
#[test]
fn none_is_an_answer_with_a_lifetime() {
    for kind in [QueryKind::Address, QueryKind::Srv, QueryKind::Naptr] {
        let Resolved { records, ttl, failed, .. } = ask("none.example", kind);
        assert_eq!((records, ttl, failed), (vec![], 40, false));
    }
}

#[test]
fn a_server_failure_is_not_taken_for_none() {
    let Resolved { records, failed, .. } = ask("broken.example", QueryKind::Address);
    assert_eq!((records, failed), (vec![], true));
}

#[test]
fn what_is_no_host_name_has_no_records() {
    let Resolved { records, failed, .. } = ask("a..b", QueryKind::Address);
    assert_eq!((records, failed), (vec![], false));
}
