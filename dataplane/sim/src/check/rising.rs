//! Row C114: CSeq and, where the document has one, the version rise within a dialog, over every
//! restart. A fetch leaves nothing stored (row C96): its copy after a restart is a fetch again.

use std::collections::BTreeMap;

use super::Found;
use crate::history::History;
use crate::message::Sip;

struct Last {
    cseq: u32,
    branch: String,
    version: Option<u64>,
    life: u32,
}

pub(super) fn check(history: &History) -> Found {
    let mut dialogs: BTreeMap<String, Last> = BTreeMap::new();
    for sent in history.sent() {
        let sip = &sent.sip;
        if sip.method() != "NOTIFY" || !sip.is_request() {
            continue;
        }
        let (cseq, branch, version) = (sip.cseq(), sip.branch().to_owned(), version(sip));
        let now = Last { cseq, branch, version, life: sent.life };
        let Some(before) = dialogs.get_mut(&sip.dialog()) else {
            dialogs.insert(sip.dialog(), now);
            continue;
        };
        let fetched_again = before.life != now.life && cseq == 1 && sip.state() == "terminated";
        if before.branch == now.branch && before.cseq == cseq || fetched_again {
            continue;
        }
        if cseq <= before.cseq {
            return Err(format!("CSeq {cseq} after {} in\n{sip}", before.cseq));
        }
        if before.version.is_some() && version.is_some() && version <= before.version {
            return Err(format!("version {version:?} after {:?} in\n{sip}", before.version));
        }
        *before = Last { version: version.or(before.version), ..now };
    }
    Ok(())
}

/// The version of a document that has one.
fn version(sip: &Sip) -> Option<u64> {
    let root = sip.body.split("?>").last().unwrap_or_default();
    let versioned = root.contains("watcherinfo") || root.contains("dialog-info");
    let (_, rest) = root.split_once(" version=").filter(|_| versioned)?;
    let digits: String = rest[1..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
