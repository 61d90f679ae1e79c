//! What must hold in every run, however it went: checks over all that passed at the door.

use std::collections::BTreeMap;

use crate::message::Sip;
use crate::wire::Wire;

fn read(wire: &Wire) -> Sip {
    Sip::read(wire.at, wire.peer, wire.stream, &wire.bytes)
}

/// Everything below.
///
/// # Panics
/// When one of them does not hold.
#[track_caller]
pub fn all(wire: &[Wire]) {
    sent_is_sip(wire);
    answers_agree(wire);
    notifies_rise(wire);
    one_notify_in_flight(wire);
}

/// Every message that the server sent has the headers of RFC 3261 8.1.1 or 8.2.6, its
/// Content-Length is its body's, and the server's own parser reads it.
///
/// # Panics
/// When one has not.
#[track_caller]
pub fn sent_is_sip(wire: &[Wire]) {
    for sent in wire.iter().filter(|wire| !wire.received && wire.bytes.len() > 4) {
        let sip = read(sent);
        // These repeat what could be read of a broken request.
        if matches!(sip.status(), 400 | 505) {
            continue;
        }
        match pharos_parser::Message::parse(&sent.bytes) {
            Ok(message) => assert_eq!(message.fault(), None, "in\n{sip}"),
            Err(error) => panic!("{error:?} in\n{sip}"),
        }
        for name in ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"] {
            assert_eq!(sip.headers(name).count().min(1), 1, "no {name} in\n{sip}");
        }
        assert_eq!(sip.header("Content-Length"), sip.body.len().to_string(), "in\n{sip}");
        if sip.is_request() {
            assert_eq!(sip.header("Max-Forwards"), "70", "in\n{sip}");
            assert!(sip.branch().starts_with("z9hG4bK"), "in\n{sip}");
        }
        if sip.method() == "NOTIFY" && sip.is_request() {
            for name in ["Event", "Subscription-State", "Contact"] {
                assert!(sip.has(name), "no {name} in\n{sip}");
            }
            assert!(sip.body.is_empty() || sip.has("Content-Type"), "in\n{sip}");
        }
    }
}

/// RFC 3261 17.2: all final answers to one transaction are the same one. Over a restart the answer
/// may be given anew, but says the same (entity-tag, To-tag, status). Only a copy that comes after
/// a restart and after the answer to a later request of its sender is another matter: a record
/// knows the last request that made it, and the sender waits for no answer to an earlier one.
///
/// # Panics
/// When two differ.
#[track_caller]
pub fn answers_agree(wire: &[Wire]) {
    let mut answers = BTreeMap::new();
    let mut latest: BTreeMap<_, String> = BTreeMap::new();
    for sent in wire.iter().filter(|wire| !wire.received) {
        let sip = read(sent);
        // An overload answer keeps nothing: the retransmission may find room.
        if sip.status() < 200 || sip.status() == 503 {
            continue;
        }
        let key = (sent.peer, sip.branch().to_owned(), sip.method().to_owned());
        let tag = sip.parameter("To", "tag").map(str::to_owned);
        let answer = (sip.status(), sip.etag().to_owned(), tag, sip.expires());
        let newest = latest.entry(sent.peer).or_default();
        let (life, first) = answers.entry(key).or_insert_with(|| {
            sip.branch().clone_into(newest);
            (sent.life, answer.clone())
        });
        let overtaken = *life != sent.life && newest != sip.branch();
        assert!(*first == answer || overtaken, "answered twice: {first:?}, then\n{sip}");
    }
}

/// Row C114: CSeq and, where the document has one, the version rise within a dialog, over every
/// restart. A fetch leaves nothing stored (row C96): its copy after a restart is a fetch again.
///
/// # Panics
/// When one does not.
#[track_caller]
pub fn notifies_rise(wire: &[Wire]) {
    let mut dialogs: BTreeMap<String, (u32, String, Option<u64>, u32)> = BTreeMap::new();
    for sent in wire.iter().filter(|wire| !wire.received) {
        let sip = read(sent);
        if sip.method() != "NOTIFY" || !sip.is_request() {
            continue;
        }
        let branch = sip.branch().to_owned();
        let root = sip.body.split("?>").last().unwrap_or_default();
        let versioned = root.contains("watcherinfo") || root.contains("dialog-info");
        let version = root.split_once(" version=").filter(|_| versioned).map(|(_, rest)| {
            let digits: String = rest[1..].chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().expect("a version is a number")
        });
        let now = (sip.cseq(), branch, version, sent.life);
        if let Some(before) = dialogs.get_mut(&dialog(&sip)) {
            let fetched_again = before.3 != now.3 && now.0 == 1 && sip.state() == "terminated";
            if before.1 == now.1 || fetched_again {
                continue;
            }
            assert!(now.0 > before.0, "CSeq {} after {} in\n{sip}", now.0, before.0);
            if before.2.is_some() && now.2.is_some() {
                assert!(now.2 > before.2, "version {:?} after {:?} in\n{sip}", now.2, before.2);
            }
            *before = (now.0, now.1, now.2.or(before.2), now.3);
        } else {
            dialogs.insert(dialog(&sip), now);
        }
    }
}

/// Row C118: a new NOTIFY leaves only when the one before it in its dialog is answered or its
/// transaction has ended (64*T1); a restart ends all.
///
/// # Panics
/// When two are in flight.
#[track_caller]
pub fn one_notify_in_flight(wire: &[Wire]) {
    let mut open: BTreeMap<String, (String, u64, u32)> = BTreeMap::new();
    for item in wire {
        let sip = read(item);
        if sip.method() != "NOTIFY" {
            continue;
        }
        let key = dialog(&sip);
        if item.received && sip.status() >= 200 {
            if open.get(&key).is_some_and(|(branch, ..)| branch == sip.branch()) {
                open.remove(&key);
            }
        } else if !item.received && sip.is_request() {
            let fresh = (sip.branch().to_owned(), item.at.0, item.life);
            if let Some((branch, since, life)) = open.get(&key) {
                let over = item.at.0 - since >= 31_999_000_000 || *life != item.life;
                assert!(*branch == fresh.0 || over, "two NOTIFYs in flight, last\n{sip}");
                if *branch == fresh.0 {
                    continue;
                }
            }
            open.insert(key, fresh);
        }
    }
}

/// A dialog as its two tags and Call-ID, whichever side sent.
fn dialog(sip: &Sip) -> String {
    let tag = |header| sip.parameter(header, "tag").unwrap_or_default().to_owned();
    format!("{} {} {}", sip.header("Call-ID"), tag("From"), tag("To"))
}
