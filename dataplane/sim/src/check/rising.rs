//! Row C114: CSeq and, where the document has one, the version rise within a dialog, over every
//! restart.
//!
//! A dialog whose end was told or whose subscriber knew nothing of it is over: a copy of its first
//! SUBSCRIBE that a new process gets begins it anew. So does the copy of a fetch (row C96), of what
//! the wall clock ended by a jump, and in periodic mode of what a crash took. And what a process
//! sends again to another place (RFC 3263 4.3) or over another transport (RFC 3261 18.1.1), if
//! late, is a copy of what it sent before.

use std::collections::{BTreeMap, BTreeSet};

use pharos_engine::{Instant, Span};

use super::Found;
use crate::history::{History, Item};
use crate::message::Sip;

#[derive(Default)]
struct Dialog {
    cseq: u32,
    version: Option<u64>,
    life: u32,
    over: bool,
    /// When the last was said, and how long it said that the subscription lasts.
    told: Instant,
    lasts: Span,
    /// All that was said, with the process and the number.
    said: BTreeSet<(u32, u32, String)>,
}

pub(super) fn check(history: &History) -> Found {
    let mut dialogs: BTreeMap<String, Dialog> = BTreeMap::new();
    for item in history.items.iter().filter(|item| item.sip.method() == "NOTIFY") {
        let sip = &item.sip;
        if !item.received && sip.is_request() {
            let dialog = dialogs.entry(sip.dialog()).or_default();
            next(dialog, item, history).map_err(|what| format!("{what} in\n{sip}"))?;
        } else if item.received && sip.status() >= 300 {
            dialogs.entry(sip.dialog()).or_default().over = true;
        }
    }
    Ok(())
}

fn next(dialog: &mut Dialog, item: &Item, history: &History) -> Found {
    let (sip, cseq, version) = (&item.sip, item.sip.cseq(), version(&item.sip));
    let text = format!("{} {}", sip.header("Subscription-State"), sip.body);
    let said = (item.life, cseq, text);
    if dialog.said.contains(&said) {
        return Ok(());
    }
    let ends = sip.state() == "terminated";
    let ahead = history.set_ahead(dialog.told, item.at);
    let ended = ahead > Span(0) && dialog.told + dialog.lasts < item.at + ahead;
    let lost = dialog.life != item.life && (history.loss.0 > 0 || ends || ended);
    if cseq == 1 && (dialog.over || lost) {
        *dialog = Dialog::default();
    }
    if cseq <= dialog.cseq {
        return Err(format!("CSeq {cseq} after {}", dialog.cseq));
    }
    if version.is_some() && version <= dialog.version {
        return Err(format!("version {version:?} after {:?}", dialog.version));
    }
    dialog.said.insert(said);
    (dialog.cseq, dialog.life, dialog.told) = (cseq, item.life, item.at);
    let lasts = sip.parameter("Subscription-State", "expires").and_then(|text| text.parse().ok());
    dialog.lasts = Span::seconds(lasts.unwrap_or(0));
    dialog.version = version.or(dialog.version);
    dialog.over = ends;
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
