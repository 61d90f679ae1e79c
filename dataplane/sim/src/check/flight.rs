//! Row C118: a new NOTIFY leaves only when the one before it in its dialog is answered or its
//! transaction has ended (64*T1); a restart ends all.

use std::collections::BTreeMap;

use pharos_engine::{Instant, Span};

use super::Found;
use crate::history::History;

/// 64*T1, RFC 3261 17.1.2.2, but for a turn of the clock.
const TRANSACTION: Span = Span::millis(31_999);

pub(super) fn check(history: &History) -> Found {
    let mut open: BTreeMap<String, (String, Instant, u32)> = BTreeMap::new();
    for item in history.items.iter().filter(|item| item.sip.method() == "NOTIFY") {
        let sip = &item.sip;
        let key = sip.dialog();
        if item.received && sip.status() >= 200 {
            if open.get(&key).is_some_and(|(branch, ..)| branch == sip.branch()) {
                open.remove(&key);
            }
        } else if !item.received && sip.is_request() {
            if let Some((branch, since, life)) = open.get(&key) {
                if *branch == sip.branch() {
                    continue;
                }
                if item.at - *since < TRANSACTION && *life == item.life {
                    return Err(format!("two NOTIFYs in flight, last\n{sip}"));
                }
            }
            open.insert(key, (sip.branch().to_owned(), item.at, item.life));
        }
    }
    Ok(())
}
