//! Several listeners, IPv6, advertised names: which socket speaks, and what it calls itself.

use std::net::SocketAddr;

use pharos_engine::config::{Cidr, Listener};
use pharos_engine::net::Transport;
use pharos_sim::documents::pidf;
use pharos_sim::{SERVER, Setup, Span, World, check};

const MINUTE: Span = Span::seconds(60);

fn listen(setup: &mut Setup, bound: &str, advertise: Option<(&str, u16)>) {
    let bound = bound.parse().expect("an address");
    let advertise = advertise.map(|(host, port)| (host.into(), port));
    setup.config.listeners.push(Listener { transport: Transport::Udp, bound, advertise });
}

/// Row C61, `socket_info`: a dialog stays with the socket that it came by, also over
/// a crash.
#[test]
fn a_dialog_stays_with_its_listener() {
    let world = World::new(|setup| listen(setup, "192.0.2.1:5070", None));
    let second = SocketAddr::new(SERVER, 5070);
    let alice = world.phone("alice");
    let bob = world.phone("bob").to_listener(second);
    let watch = bob.subscribe("alice", "presence");
    assert_eq!(watch.ok.contact(), "sip:presence@192.0.2.1:5070");
    assert_eq!(watch.notify().from, second);
    alice.publish(&pidf("alice", "p", "open"));
    let notify = watch.notify();
    assert_eq!(notify.from, second);
    assert!(notify.header("Via").contains("192.0.2.1:5070"), "{notify}");
    assert_eq!(notify.contact(), "sip:presence@192.0.2.1:5070");
    world.crash();
    assert_eq!(watch.next(MINUTE).expect("the state after a crash").from, second);
    check::all(&world.history());
}

/// `advertise`: what others see of a listener behind an address translation.
#[test]
fn an_advertised_name_is_what_others_see() {
    let public = Some(("p.example.com", 5099));
    let world = World::new(|setup| listen(setup, "192.0.2.1:5070", public));
    let bob = world.phone("bob").to_listener(SocketAddr::new(SERVER, 5070));
    let watch = bob.subscribe("alice", "presence");
    assert_eq!(watch.ok.contact(), "sip:presence@p.example.com:5099");
    let notify = watch.notify();
    assert!(notify.header("Via").starts_with("SIP/2.0/UDP p.example.com:5099;"), "{notify}");
    assert_eq!(notify.contact(), "sip:presence@p.example.com:5099");
    watch.refresh(600).expect(200);
}

/// RFC 5118: IPv6 references in brackets, everywhere.
#[test]
fn ipv6_is_served_like_ipv4() {
    let world = World::new(|setup| {
        listen(setup, "[2001:db8::1]:5060", None);
        let network = "2001:db8::".parse().expect("a network");
        setup.config.trusted.push(Cidr { network, prefix: 32 });
    });
    let server: SocketAddr = "[2001:db8::1]:5060".parse().expect("an address");
    let alice = world.phone("alice");
    let bob = world.phone("bob").to_listener(server).reached_at("sip:bob@[2001:db8::20]:5060");
    bob.moves_to("[2001:db8::20]:5060".parse().expect("an address"));
    let watch = bob.subscribe("alice", "presence");
    assert_eq!(watch.ok.contact(), "sip:presence@[2001:db8::1]:5060");
    assert_eq!(watch.ok.parameter("Via", "received"), Some("2001:db8::20"));
    assert_eq!(watch.notify().uri(), "sip:bob@[2001:db8::20]:5060");
    alice.publish(&pidf("alice", "p", "open"));
    let notify = watch.notify();
    assert_eq!(notify.from, server);
    assert!(notify.header("Via").contains("[2001:db8::1]:5060"), "{notify}");
    world.crash();
    assert!(watch.next(MINUTE).expect("the state after a crash").body.contains("open"));
    check::all(&world.history());
}

/// A presentity of an address literal is one too.
#[test]
fn an_ip_literal_may_be_a_domain() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let body = pidf("alice", "p", "open").replace("alice@example.com", "alice@[2001:db8::9]");
    let request = alice
        .publish_request("presence", "application/pidf+xml", &body)
        .uri("sip:alice@[2001:db8::9]:5060")
        .set("To", "<sip:alice@[2001:db8::9]>");
    alice.send(&request).expect(200);
    let notify = bob.subscribe("sip:alice@[2001:DB8::9]", "presence").notify();
    assert!(notify.body.contains("open"), "{notify}");
}
