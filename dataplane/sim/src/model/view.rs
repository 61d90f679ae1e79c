//! What a watcher knows: documents read with a few lines that split text, and applied as the
//! packages' RFCs say (3856, 3842, 3858 5.1, 4235 4).

use std::collections::{BTreeMap, BTreeSet};

use crate::message::Sip;

/// The states of a dialog in the order that it goes through them (RFC 4235 3.7.1).
pub const CALL_STATES: [&str; 5] = ["trying", "proceeding", "early", "confirmed", "terminated"];

/// What tells one published document from another, as far as watchers see it.
///
/// - `presence`: the notes of its tuples.
/// - `message-summary`: its counts.
/// - `dialog`: id and state of every dialog that is not over.
pub fn marks(event: &str, body: &str) -> BTreeSet<String> {
    match event {
        "presence" => between(body, "<note>", "<").collect(),
        "message-summary" => between(body, "Voice-Message: ", " ").collect(),
        "dialog" => {
            let live = |(id, state): (String, String)| {
                (state != "terminated").then(|| format!("{id} {state}"))
            };
            dialogs(body).filter_map(live).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// What stands between each `begin` and the next `end`.
fn between<'b>(body: &'b str, begin: &'b str, end: &'b str) -> impl Iterator<Item = String> + 'b {
    body.split(begin).skip(1).filter_map(move |rest| rest.split(end).next().map(str::to_owned))
}

/// Id and state of every dialog.
fn dialogs(body: &str) -> impl Iterator<Item = (String, String)> {
    body.split("<dialog ").skip(1).filter_map(|element| {
        let id = between(element, "id=\"", "\"").next()?;
        let state = element.split_once("<state").and_then(|(_, rest)| rest.split_once('>'))?;
        Some((id, state.1.split('<').next()?.to_owned()))
    })
}

/// Id, and URI with status, of every watcher.
fn watchers(body: &str) -> impl Iterator<Item = (String, String)> {
    body.split("<watcher ").skip(1).filter_map(|element| {
        let id = between(element, "id=\"", "\"").next()?;
        let status = between(element, "status=\"", "\"").next()?;
        let uri = element.split_once('>')?.1.split('<').next()?;
        Some((id, format!("{uri} {status}")))
    })
}

/// What one subscription has told its watcher.
#[derive(Clone, Debug, Default)]
pub struct View {
    version: Option<u64>,
    /// Of a partial package: text by id.
    items: BTreeMap<String, String>,
    /// Of the others: the marks of the last document.
    shown: BTreeSet<String>,
    cseq: u32,
    /// Subscription-State of the last NOTIFY.
    pub state: String,
}

impl View {
    /// The next NOTIFY that arrives. One that others have overtaken is ignored (RFC 3261 12.2.2).
    ///
    /// # Errors
    /// It does not follow on the last one.
    pub fn take(&mut self, event: &str, notify: &Sip) -> Result<(), String> {
        if notify.cseq() <= self.cseq {
            return Ok(());
        }
        self.cseq = notify.cseq();
        notify.state().clone_into(&mut self.state);
        match event {
            "dialog" | "presence.winfo" if notify.body.is_empty() => Ok(()),
            "dialog" => self.take_part(notify, dialogs(&notify.body).collect()),
            "presence.winfo" => self.take_part(notify, watchers(&notify.body).collect()),
            _ => {
                self.shown = marks(event, &notify.body);
                Ok(())
            }
        }
    }

    /// A full document replaces, a partial one adds and must be the next version.
    fn take_part(&mut self, notify: &Sip, told: Vec<(String, String)>) -> Result<(), String> {
        let version = notify.attribute("version").and_then(|text| text.parse().ok());
        let version: u64 = version.ok_or_else(|| format!("no version in\n{notify}"))?;
        let before = self.items.clone();
        if notify.attribute("state") == Some("full") {
            self.items.clear();
        } else if self.version.is_none_or(|last| version != last + 1) {
            return Err(format!("partial {version} after {:?} in\n{notify}", self.version));
        }
        self.version = Some(version);
        for (id, text) in told {
            if before.get(&id).is_some_and(|known| goes_back(known, &text)) {
                return Err(format!("{id} went back from {} in\n{notify}", before[&id]));
            }
            match text.ends_with("terminated") {
                true => self.items.remove(&id),
                false => self.items.insert(id, text),
            };
        }
        Ok(())
    }

    /// What it comes to, as [`marks`] says it.
    pub fn marks(&self, event: &str) -> BTreeSet<String> {
        match event {
            "dialog" => self.items.iter().map(|(id, state)| format!("{id} {state}")).collect(),
            "presence.winfo" => self.items.values().cloned().collect(),
            _ => self.shown.clone(),
        }
    }
}

fn goes_back(known: &str, told: &str) -> bool {
    let place = |state: &str| CALL_STATES.iter().position(|known| *known == state);
    place(known).zip(place(told)).is_some_and(|(known, told)| told < known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents;
    use crate::message::Request;
    use crate::setup::SERVER;
    use pharos_engine::Instant;

    fn notify(cseq: u32, body: &str) -> Sip {
        let request = Request::bare("NOTIFY", "sip:bob@192.0.2.9")
            .set("CSeq", format!("{cseq} NOTIFY"))
            .set("Subscription-State", "active;expires=9")
            .body("text/xml", body);
        Sip::read(Instant(0), (SERVER, 5060).into(), false, &request.bytes())
    }

    #[test]
    fn documents_are_read_for_their_marks() {
        let one = |text: &str| BTreeSet::from([text.to_owned()]);
        let pidf = documents::pidf_with_note("a", "t", "open", "n7");
        assert_eq!(marks("presence", &pidf), one("n7"));
        assert_eq!(marks("message-summary", &documents::summary(3, 1)), one("3/1"));
        let call = documents::dialog("a", 0, "full", "d1", "early");
        assert_eq!(marks("dialog", &call), one("d1 early"));
        let over = documents::dialog("a", 0, "full", "d1", "terminated");
        assert!(marks("dialog", &over).is_empty());
    }

    #[test]
    fn partial_documents_follow_or_are_refused() {
        let mut view = View::default();
        let dialog = |version, kind, state| documents::dialog("a", version, kind, "d1", state);
        view.take("dialog", &notify(1, &dialog(4, "full", "early"))).unwrap();
        view.take("dialog", &notify(2, &dialog(5, "partial", "confirmed"))).unwrap();
        assert_eq!(view.marks("dialog"), BTreeSet::from(["d1 confirmed".to_owned()]));
        let mut gap = view.clone();
        assert!(gap.take("dialog", &notify(3, &dialog(7, "partial", "terminated"))).is_err());
        let mut back = view.clone();
        assert!(back.take("dialog", &notify(3, &dialog(6, "partial", "early"))).is_err());
        view.take("dialog", &notify(3, &dialog(6, "partial", "terminated"))).unwrap();
        assert!(view.marks("dialog").is_empty());
        view.take("dialog", &notify(1, &dialog(9, "full", "early"))).unwrap();
        assert!(view.marks("dialog").is_empty(), "an overtaken one is ignored");
    }
}
