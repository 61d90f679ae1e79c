//! Which shard serves whom, and where requests go: architecture section 4, RFC 3261 12.2, RFC 3263.

use std::net::IpAddr;

use pharos_sim::documents::{pidf, pidf_with_note};
use pharos_sim::{Span, World, check};

const MINUTE: Span = Span::seconds(60);

/// Whatever shard's socket a datagram comes to, the shard of the presentity serves it.
#[test]
fn every_number_of_shards_serves_the_same() {
    for shards in [1, 2, 4, 7] {
        let world = World::new(|setup| setup.shards = shards);
        let users: Vec<_> = (0..10).map(|i| world.phone(&format!("user{i}"))).collect();
        let cards: Vec<_> = users.iter().map(|u| u.publish(&pidf("u", "p", "open"))).collect();
        for (index, user) in users.iter().enumerate() {
            let watch = user.subscribe(&format!("user{}", (index + 1) % 10), "presence");
            assert!(watch.notify().body.contains("open"));
            let next = &cards[(index + 1) % 10];
            next.modify(&pidf_with_note("u", "p", "open", "new")).expect(200);
            assert!(watch.notify().body.contains("new"));
            watch.refresh(600).expect(200);
            watch.notify();
            watch.end().expect(200);
            assert_eq!(watch.notify().state(), "terminated");
            watch.refresh(600).expect(481);
        }
        check::all(&world.history());
    }
}

/// So over TCP, where the connection may belong to another shard than the presentity.
#[test]
fn every_number_of_shards_serves_tcp() {
    for shards in [1, 2, 4] {
        let world = World::new(|setup| setup.shards = shards);
        for index in 0..8 {
            let alice = world.phone(&format!("a{index}")).tcp();
            let bob = world.phone(&format!("b{index}")).tcp();
            bob.refuses_connections();
            let watch = bob.subscribe(&format!("a{index}"), "presence");
            watch.notify();
            alice.publish(&pidf("a", "p", "open"));
            let notify = watch.notify();
            assert!(notify.stream && notify.body.contains("open"), "{notify}");
        }
        check::all(&world.history());
    }
}

/// The same seed twice gives the same run, to the byte.
#[test]
fn one_seed_is_one_run() {
    let run = |seed| {
        let world = World::new(|setup| (setup.seed, setup.shards) = (seed, 3));
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        let watch = bob.subscribe("alice", "presence");
        let card = alice.publish(&pidf("alice", "p", "open"));
        world.crash();
        card.refresh().expect(200);
        world.advance(MINUTE);
        drop(watch);
        world.trace()
    };
    assert_eq!(run(1), run(1));
    assert_eq!(run(2), run(2));
    assert_ne!(run(1), run(2));
}

/// C101, RFC 3261 12.1.1: the Record-Route of the SUBSCRIBE, in its order, is the route set.
#[test]
fn a_notify_follows_the_route_set() {
    let world = World::default();
    let (alice, bob, proxy) = (world.phone("alice"), world.phone("bob"), world.phone("proxy"));
    let near = format!("<sip:{};lr>", proxy.address());
    let request = bob
        .subscribe_request("alice", "presence")
        .add("Record-Route", &near)
        .add("Record-Route", "<sip:far.example;lr>");
    let answer = bob.send(&request).expect(200);
    let routes: Vec<&str> =
        answer.headers("Record-Route").flat_map(|v| v.split(',').map(str::trim)).collect();
    assert_eq!(routes, [near.as_str(), "<sip:far.example;lr>"]);
    alice.publish(&pidf("alice", "p", "open"));
    world.settle();
    let notify = proxy.requests().pop().expect("a NOTIFY by the proxy");
    assert_eq!(notify.uri(), "sip:bob@192.0.2.11:5060");
    let routes: Vec<&str> =
        notify.headers("Route").flat_map(|v| v.split(',').map(str::trim)).collect();
    assert_eq!(routes, [near.as_str(), "<sip:far.example;lr>"]);
    assert!(bob.requests().is_empty());
}

/// RFC 3261 12.2.1.1: a first hop that is a strict router gets the request by its own URI.
#[test]
fn a_strict_router_is_named_in_the_request_uri() {
    let world = World::default();
    let (bob, proxy) = (world.phone("bob"), world.phone("proxy"));
    let strict = format!("<sip:{}>", proxy.address());
    let request = bob.subscribe_request("alice", "presence").add("Record-Route", strict);
    bob.send(&request).expect(200);
    world.settle();
    let notify = proxy.requests().pop().expect("a NOTIFY by the proxy");
    assert_eq!(notify.uri(), format!("sip:{}", proxy.address()));
    assert_eq!(notify.headers("Route").last(), Some("<sip:bob@192.0.2.10:5060>"));
}

/// RFC 3263 4.1, 4.2: NAPTR, then SRV, then an address; all asked once and kept.
#[test]
fn a_contact_by_name_is_resolved() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let bob = bob.reached_at("sip:bob@phones.example");
    let address = bob.address().ip();
    world.zone(|zone| {
        zone.naptr("phones.example", 10, "SIP+D2U", "_sip._udp.phones.example");
        zone.srv("_sip._udp.phones.example", 1, "p1.phones.example", 5060);
        zone.address("p1.phones.example", address, 300);
    });
    let route = "<sip:phones.example;lr>";
    let request = bob.subscribe_request("alice", "presence").add("Record-Route", route);
    let watch = bob.subscribe_by(&request);
    watch.notify();
    let asked = world.zone(|zone| zone.asked.len());
    alice.publish(&pidf("alice", "p", "open"));
    assert!(watch.notify().body.contains("open"));
    assert_eq!(world.zone(|zone| zone.asked.len()), asked, "the answers are kept");
}

/// RFC 3263 4.3: the next target takes over when the first does not answer.
#[test]
fn the_next_srv_target_takes_over() {
    let world = World::default();
    let bob = world.phone("bob");
    let address = bob.address().ip();
    world.zone(|zone| {
        zone.srv("_sip._udp.phones.example", 1, "down.phones.example", 5060);
        zone.srv("_sip._udp.phones.example", 2, "up.phones.example", 5060);
        zone.address("down.phones.example", IpAddr::from([192, 0, 2, 200]), 300);
        zone.address("up.phones.example", address, 300);
    });
    let route = "<sip:phones.example;lr>";
    let request = bob.subscribe_request("alice", "presence").add("Record-Route", route);
    let watch = bob.subscribe_by(&request);
    let notify = watch.next(MINUTE).expect("a NOTIFY by the second target");
    assert_eq!(notify.state(), "active");
}

/// A name that is nowhere ends the NOTIFY, not the shard; the others go on.
#[test]
fn a_name_that_is_nowhere_harms_nobody() {
    let world = World::default();
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let request =
        bob.subscribe_request("alice", "presence").add("Record-Route", "<sip:nowhere.example;lr>");
    bob.send(&request).expect(200);
    let watch = carol.subscribe("alice", "presence");
    watch.notify();
    alice.publish(&pidf("alice", "p", "open"));
    assert!(watch.notify().body.contains("open"));
    world.advance(MINUTE);
    alice.publish(&pidf("alice", "q", "open"));
    watch.notify();
}

/// `nat = "auto"`: a private Contact behind a NAT is reached at the source address.
#[test]
fn a_watcher_behind_a_nat_is_reached_at_its_source() {
    for auto in [true, false] {
        let world = World::new(|setup| setup.config.nat_auto = auto);
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        let bob = bob.reached_at("sip:bob@10.0.0.5:5060");
        let request = bob.subscribe_request("alice", "presence");
        bob.send(&request).expect(200);
        alice.publish(&pidf("alice", "p", "open"));
        world.settle();
        assert_eq!(!bob.requests().is_empty(), auto);
        let all_to_contact = bob.requests().iter().all(|n| n.uri() == "sip:bob@10.0.0.5:5060");
        assert!(all_to_contact, "the Request-URI stays the Contact");
    }
}
