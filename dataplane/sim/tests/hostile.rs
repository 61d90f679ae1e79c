//! Bytes from strangers: no message, however broken, ends a shard or leaves anything behind.

use pharos_sim::documents::{DIALOG_INFO, PIDF, SUMMARY, dialog, pidf, summary};
use pharos_sim::{Phone, Random, Span, World, check};

/// Good messages of every kind, as a start.
fn samples(eve: &Phone) -> Vec<Vec<u8>> {
    let publish = eve.publish_request("presence", PIDF, &pidf("eve", "p", "open"));
    let call = dialog("eve", 0, "full", "d", "early");
    let subscribe = eve
        .subscribe_request("alice", "presence;id=4")
        .add("Record-Route", "<sip:192.0.2.77;lr>, <sip:p2.example.com>")
        .add("Accept", "application/pidf+xml, text/*;q=0.3")
        .add("Supported", "eventlist, path");
    let notify = eve.request("NOTIFY", "alice").set("Subscription-State", "active;expires=3");
    let mut all = vec![
        publish.bytes(),
        publish.clone().set("SIP-If-Match", "abc").set("Expires", 0).bytes(),
        eve.publish_request("dialog", DIALOG_INFO, &call).bytes(),
        eve.publish_request("message-summary", SUMMARY, &summary(1, 2)).bytes(),
        subscribe.bytes(),
        eve.subscribe_request("alice", "presence.winfo").set("Expires", 0).bytes(),
        eve.request("OPTIONS", "sip:[2001:db8::1]:5060;transport=tcp?x=y").bytes(),
        eve.request("INVITE", "tel:+1-201-555-0123;ext=4").bytes(),
        notify.bytes(),
        eve.request("CANCEL", "alice").bytes(),
        eve.request("ACK", "alice").bytes(),
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nCSeq: 1 NOTIFY\r\n\r\n"
            .to_vec(),
    ];
    let answer = eve.seen().last().map(|sip| sip.answer("200 OK", "t", &[]));
    all.extend(answer);
    all
}

/// One to five small wounds.
fn wound(random: &mut Random, bytes: &mut Vec<u8>) {
    const BITS: [&[u8]; 14] = [
        b"\r\n",
        b"\r\n\r\n",
        b"\0",
        b";",
        b"\"",
        b"<",
        b">",
        b"%",
        b"%zz",
        b",",
        b"\xff\xfe",
        b"99999999999999999999",
        b"-1",
        b"tag=",
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        match random.below(5) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = random.bits() as u8,
            2 => {
                let piece = BITS[random.below(BITS.len() as u64) as usize];
                drop(bytes.splice(at..at, piece.iter().copied()));
            }
            3 => {
                let end = (at + random.below(40) as usize).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let into = random.below(bytes.len() as u64 + 1) as usize;
                drop(bytes.splice(into..into, piece));
            }
            _ => {
                let end = (at + random.below(20) as usize).min(bytes.len());
                bytes.drain(at..end);
            }
        }
    }
}

/// RFC 3261 7 to 21 turned against the server: whatever comes, the next good request is served.
/// `SWARM_SEEDS=1000` looks further than the fixed seeds.
#[test]
fn wounded_messages_do_no_harm() {
    let asked = std::env::var("SWARM_SEEDS").ok().and_then(|number| number.parse().ok());
    for seed in 0..asked.unwrap_or(12) {
        let world = World::new(|setup| (setup.seed, setup.shards) = (seed, 1 + seed as u16 % 3));
        let (alice, bob) = (world.phone("alice"), world.phone("bob"));
        let strangers = [world.phone("eve"), world.phone("eve").tcp()];
        let watch = bob.subscribe("alice", "presence");
        watch.notify();
        let mut random = Random::new(seed);
        for round in 0..400_u32 {
            let eve = &strangers[round as usize % 2];
            let all = samples(eve);
            let mut bytes = all[random.below(all.len() as u64) as usize].clone();
            wound(&mut random, &mut bytes);
            eve.tell(&bytes);
            if round.is_multiple_of(50) {
                world.settle();
            }
        }
        world.advance(Span::seconds(3));
        alice.publish(&pidf("alice", "p", "open"));
        world.settle();
        assert!(watch.last().body.contains("open"));
        world.crash();
        world.advance(Span::seconds(100));
        watch.refresh(600).expect(200);
        check::one("form", &world.history());
    }
}
