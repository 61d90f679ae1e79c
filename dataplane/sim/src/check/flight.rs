//! Row C118: a new NOTIFY leaves only when the one before it in its dialog is answered or its
//! transaction has ended (64*T1); a restart ends all. The same one may go another way as well.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use pharos_engine::{Instant, Span};

use super::Found;
use crate::history::{History, Item, Turn};

/// 64*T1, RFC 3261 17.1.2.2, but for the way from the owner of the dialog to the socket.
const TRANSACTION: Span = Span::millis(31_900);

struct Open {
    cseq: u32,
    since: Instant,
    life: u32,
    peer: SocketAddr,
    /// The server heard that it cannot be delivered, and may have given it up.
    lost: bool,
}

pub(super) fn check(history: &History) -> Found {
    let mut open: BTreeMap<String, Open> = BTreeMap::new();
    // What was seen of a dialog: a NOTIFY that goes another way after its answer is no new one.
    let mut highest: BTreeMap<String, u32> = BTreeMap::new();
    let mut turns = history.turns.iter().peekable();
    let notify = |item: &&Item| item.sip.method() == "NOTIFY" && !history.strange(item);
    for item in history.items.iter().filter(notify) {
        while let Some((_, turn)) = turns.next_if(|(at, _)| *at <= item.at) {
            if let Turn::Unreachable(gone) = turn {
                open.values_mut().filter(|it| it.peer == *gone).for_each(|it| it.lost = true);
            }
        }
        let (sip, key) = (&item.sip, item.sip.dialog());
        if item.received && sip.status() >= 200 {
            if open.get(&key).is_some_and(|open| open.cseq == sip.cseq()) {
                open.remove(&key);
            }
        } else if !item.received && sip.is_request() {
            if let Some(open) = open.get(&key).filter(|open| clash(open, item)) {
                let Open { cseq, since, .. } = open;
                let at = item.at;
                return Err(format!("{cseq} since {since:?} and another at {at:?}\n{sip}"));
            }
            if highest.get(&key).is_none_or(|highest| *highest < sip.cseq()) {
                highest.insert(key.clone(), sip.cseq());
                let (cseq, since, life, peer) = (sip.cseq(), item.at, item.life, item.peer);
                // What goes over a connection may have waited for it, and so began earlier.
                open.insert(key, Open { cseq, since, life, peer, lost: sip.stream });
            }
        }
    }
    Ok(())
}

fn clash(open: &Open, next: &Item) -> bool {
    let running = next.at - open.since < TRANSACTION && open.life == next.life;
    running && !open.lost && open.cseq != next.sip.cseq()
}
