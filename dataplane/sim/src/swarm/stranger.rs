//! A stranger: bytes that begin as good messages and were wounded on the way. Whatever comes, the
//! others are served as if it had not.

use pharos_engine::{Instant, Span};

use super::client::{Client, Mood, Scene};
use crate::documents::{DIALOG_INFO, PIDF, SUMMARY, dialog, pidf, summary};
use crate::phone::Phone;
use crate::random::Random;

/// See the module.
#[derive(Debug)]
pub(crate) struct Stranger(pub(crate) Phone);

/// Good messages of every kind, about nobody but the stranger itself.
fn samples(eve: &Phone) -> Vec<Vec<u8>> {
    let publish = eve.publish_request("presence", PIDF, &pidf("eve", "p", "open"));
    let call = dialog("eve", 0, "full", "d", "early");
    let subscribe = eve
        .subscribe_request("eve", "presence;id=4")
        .add("Record-Route", "<sip:192.0.2.77;lr>, <sip:p2.example.com>")
        .add("Accept", "application/pidf+xml, text/*;q=0.3")
        .add("Supported", "eventlist, path");
    let notify = eve.request("NOTIFY", "eve").set("Subscription-State", "active;expires=3");
    let mut all = vec![
        publish.bytes(),
        publish.clone().set("SIP-If-Match", "abc").set("Expires", 0).bytes(),
        eve.publish_request("dialog", DIALOG_INFO, &call).bytes(),
        eve.publish_request("message-summary", SUMMARY, &summary(1, 2)).bytes(),
        subscribe.bytes(),
        eve.subscribe_request("eve", "presence.winfo").set("Expires", 0).bytes(),
        eve.request("OPTIONS", "sip:[2001:db8::1]:5060;transport=tcp?x=y").bytes(),
        eve.request("INVITE", "tel:+1-201-555-0123;ext=4").bytes(),
        notify.bytes(),
        eve.request("CANCEL", "eve").bytes(),
        eve.request("ACK", "eve").bytes(),
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
                let piece = random.pick(&BITS);
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

impl Client for Stranger {
    fn act(&mut self, scene: &mut Scene<'_>) -> Instant {
        if scene.mood == Mood::Calm {
            return Instant(u64::MAX);
        }
        for _ in 0..scene.random.between(1, 4) {
            let mut bytes = scene.random.pick(&samples(&self.0)).clone();
            if scene.random.chance(90) {
                wound(scene.random, &mut bytes);
            }
            self.0.tell(&bytes);
        }
        scene.now + Span::millis(scene.random.between(50, scene.pause))
    }

    fn phone(&self) -> &Phone {
        &self.0
    }
}
