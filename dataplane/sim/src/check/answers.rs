//! RFC 3261 17.2: no transaction is answered twice differently, as long as the process lives. What
//! a crash does to it is the matter of another check.

use std::collections::BTreeMap;

use super::Found;
use crate::history::History;

pub(super) fn check(history: &History) -> Found {
    let mut answers = BTreeMap::new();
    for sent in history.sent().filter(|item| !history.strange(item)) {
        let sip = &sent.sip;
        // An overload answer keeps nothing: the retransmission may find room.
        if sip.status() < 200 || sip.status() == 503 {
            continue;
        }
        let key = (sent.life, sent.peer, sip.branch().to_owned(), sip.method().to_owned());
        let tag = sip.parameter("To", "tag").map(str::to_owned);
        let answer = (sip.status(), sip.etag().to_owned(), tag, sip.expires());
        let first = answers.entry(key).or_insert_with(|| answer.clone());
        if *first != answer {
            return Err(format!("answered with {first:?}, then\n{sip}"));
        }
    }
    Ok(())
}
