//! A retransmission over a crash creates nothing new: where state is stored before it is answered,
//! the same request gets the same status, entity-tag, To-tag and expiry from the next process.
//!
//! Two things are beyond that promise. A record knows the last request that made it, so a copy that
//! comes after the answer to a later request about the same publication or dialog is another
//! matter; and nothing is known any more when the record's time has come, which a jump of the wall
//! clock brings early.

use std::collections::BTreeMap;

use pharos_engine::Instant;

use super::Found;
use crate::history::History;
use crate::message::Sip;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    etag: String,
    to_tag: Option<String>,
    expires: Option<u32>,
}

#[derive(Default)]
struct Known {
    /// What a transaction is about, by its branch: a publication or a dialog.
    about: BTreeMap<String, String>,
    /// The publication of an entity-tag.
    tags: BTreeMap<String, String>,
    /// The transaction that was answered last, by what it is about.
    latest: BTreeMap<String, String>,
    /// Life, time and answer by transaction.
    answers: BTreeMap<String, (u32, Instant, Answer)>,
}

pub(super) fn check(history: &History) -> Found {
    if history.loss.0 > 0 {
        return Ok(());
    }
    let mut known = Known::default();
    for item in history.items.iter().filter(|item| !history.strange(item)) {
        let sip = &item.sip;
        let branch = format!("{} {}", sip.branch(), item.peer);
        if item.received && sip.is_request() {
            known.arrived(branch, sip);
            continue;
        }
        // An overload answer keeps nothing: the retransmission may find room.
        if item.received || sip.status() < 200 || sip.status() == 503 {
            continue;
        }
        let about = known.about.get(&branch).cloned().unwrap_or_default();
        if !sip.etag().is_empty() {
            known.tags.entry(sip.etag().to_owned()).or_insert_with(|| about.clone());
        }
        let answer = Answer {
            status: sip.status(),
            etag: sip.etag().to_owned(),
            to_tag: sip.parameter("To", "tag").map(str::to_owned),
            expires: sip.expires(),
        };
        let Some((life, at, first)) = known.answers.get(&branch) else {
            known.latest.insert(about, branch.clone());
            known.answers.insert(branch, (item.life, item.at, answer));
            continue;
        };
        let overtaken = known.latest.get(&about) != Some(&branch);
        // A subscription may have ended meanwhile, for NOTIFY failed; whether it may is another
        // check's matter.
        let ended = sip.method() == "SUBSCRIBE" && sip.status() == 481;
        let excused = overtaken || ended || history.jumped(*at, item.at);
        if *first != answer && *life != item.life && !excused {
            return Err(format!("answered with {first:?}, after a crash with\n{sip}"));
        }
    }
    Ok(())
}

impl Known {
    fn arrived(&mut self, branch: String, sip: &Sip) {
        let about = match sip.method() {
            "PUBLISH" => self.tags.get(sip.header("SIP-If-Match")).unwrap_or(&branch).clone(),
            _ => sip.header("Call-ID").to_owned(),
        };
        self.about.entry(branch).or_insert(about);
    }
}
