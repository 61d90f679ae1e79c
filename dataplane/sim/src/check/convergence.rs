//! When faults have stopped, every good request is answered, and what every watcher has been told,
//! put together, is the last state that the model knows.

use std::collections::{BTreeMap, BTreeSet};

use pharos_engine::{Instant, Span};

use super::Found;
use crate::history::History;
use crate::model::{Model, Subscription};

/// What was under way when faults stopped may have failed for so long.
const TRANSACTION: Span = Span::seconds(32);
/// An answer, or news, that is due at the end may still be on its way.
const UNDER_WAY: Span = Span::seconds(1);

pub(super) fn check(history: &History) -> Found {
    answered(history)?;
    let Ok(model) = Model::replay(history) else {
        // What the model cannot follow is another check's finding.
        return Ok(());
    };
    for known in model.subscriptions() {
        // What a crash may take, a call's last state among it, a watcher may have seen.
        if let Some(what) = known.broken.as_ref().filter(|_| history.loss.0 == 0) {
            return Err(what.clone());
        }
        if known.is_sure(history.end) {
            told(&model, known, history.end)?;
        }
    }
    Ok(())
}

/// Subscriptions that the check can say something about.
pub(super) fn weight(history: &History) -> usize {
    let model = Model::replay(history);
    model.map_or(0, |model| model.subscriptions().filter(|s| s.is_sure(history.end)).count())
}

/// RFC 3261 17.2.2: no request of a good client stays without an answer, or finds the server busy.
fn answered(history: &History) -> Found {
    let begin = history.calm + TRANSACTION;
    let mut open: BTreeMap<_, Instant> = BTreeMap::new();
    let mut old = BTreeSet::new();
    for item in history.items.iter().filter(|item| !history.strange(item)) {
        let sip = &item.sip;
        let key = (item.peer, sip.branch(), sip.method());
        if item.received && sip.is_request() && matches!(sip.method(), "PUBLISH" | "SUBSCRIBE") {
            if item.at <= begin {
                old.insert(key);
            } else if !old.contains(&key) {
                open.entry(key).or_insert(item.at);
            }
        } else if !item.received && sip.status() >= 200 {
            if sip.status() == 503 && open.contains_key(&key) {
                return Err(format!("busy though nothing is wrong:\n{sip}"));
            }
            open.remove(&key);
        }
    }
    match open.into_iter().find(|(_, since)| history.end - *since > UNDER_WAY) {
        Some(((peer, branch, method), since)) => {
            Err(format!("{method} of {peer} since {since:?} without an answer: {branch}"))
        }
        None => Ok(()),
    }
}

fn told(model: &Model, known: &Subscription, end: Instant) -> Found {
    if known.view.state != "active" {
        // A pending watcher is told nothing but that.
        return match known.view.state.as_str() {
            "pending" => Ok(()),
            // A watcher that answers nothing.
            "" if known.is_unanswered() => Ok(()),
            _ => Err(format!("never told anything: {known:?}")),
        };
    }
    let shown = known.view.marks(&known.event);
    let (must, may) = match known.event.as_str() {
        "presence.winfo" => watchers(model, &known.aor, end),
        event => model.visible(&known.aor, event, end),
    };
    // Of a call that several publications tell of the furthest state counts: all or none is known.
    if known.event == "dialog" && must != may {
        return Ok(());
    }
    if must.is_subset(&shown) && shown.is_subset(&may) {
        return Ok(());
    }
    Err(format!("{known:?}\nshows {shown:?}\nmust {must:?}\nmay {may:?}"))
}

/// RFC 3858: who watches. The model does not know who was let in, so any state but the end will do.
fn watchers(model: &Model, aor: &str, end: Instant) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut must, mut may) = (BTreeSet::new(), BTreeSet::new());
    for known in model.subscriptions().filter(|s| s.event == "presence" && s.aor == aor) {
        let status = |status: &str| format!("{} {status}", known.watcher);
        if known.is_sure(end) && !known.view.state.is_empty() {
            must.insert(status(&known.view.state));
        }
        if known.is_possible(end) {
            may.extend(["active", "pending"].map(status));
        }
        may.insert(status("waiting"));
    }
    (must, may)
}
