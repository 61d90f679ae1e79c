//! Every message that the server sent has the headers of RFC 3261 8.1.1 or 8.2.6, its
//! Content-Length is its body's, and the server's own parser reads it.

use super::Found;
use crate::history::{History, Item};
use crate::message::Sip;

pub(super) fn check(history: &History) -> Found {
    // Keep-alives are two bytes or four.
    for sent in history.sent().filter(|item| item.bytes.len() > 4) {
        whole(sent).map_err(|what| format!("{what} in\n{}", sent.sip))?;
    }
    Ok(())
}

fn whole(sent: &Item) -> Found {
    let sip = &sent.sip;
    // These repeat what could be read of a broken request.
    if matches!(sip.status(), 400 | 505) {
        return Ok(());
    }
    match pharos_parser::Message::parse(&sent.bytes) {
        Ok(message) if message.fault().is_none() => {}
        Ok(message) => return Err(format!("{:?}", message.fault())),
        Err(error) => return Err(format!("{error:?}")),
    }
    for name in ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"] {
        wanted(sip, name)?;
    }
    if sip.header("Content-Length") != sip.body.len().to_string() {
        return Err(format!("a body of {} bytes", sip.body.len()));
    }
    if sip.is_request() {
        if sip.header("Max-Forwards") != "70" {
            return Err("another Max-Forwards than 70".into());
        }
        if !sip.branch().starts_with("z9hG4bK") {
            return Err("a branch without the cookie of RFC 3261 8.1.1.7".into());
        }
    }
    if sip.method() == "NOTIFY" && sip.is_request() {
        for name in ["Event", "Subscription-State", "Contact"] {
            wanted(sip, name)?;
        }
        if !sip.body.is_empty() {
            wanted(sip, "Content-Type")?;
        }
    }
    Ok(())
}

fn wanted(sip: &Sip, name: &str) -> Found {
    if sip.has(name) { Ok(()) } else { Err(format!("no {name}")) }
}
