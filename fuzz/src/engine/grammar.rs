//! Messages of user agents: by the grammar, with what the server said before, then spoilt.

use std::fmt::Write;

use pharos_parser::{Message, Method};

use super::draw::Draw;

/// What the server said, kept to be used in later requests: at most so many of each.
const HEARD: usize = 16;

/// A dialog of a SUBSCRIBE that was accepted.
struct Dialog {
    call_id: String,
    from_tag: String,
    to_tag: String,
    user: &'static str,
    event: &'static str,
    sequence: u32,
}

/// What a user agent remembers.
#[derive(Default)]
pub(super) struct Agent {
    etags: Vec<String>,
    dialogs: Vec<Dialog>,
    /// User and event of the last subscription asked for, by its serial number.
    asked: Vec<(String, &'static str, &'static str)>,
}

const USERS: [&str; 4] = ["alice", "b%40b", "carol", "d"];
const EVENTS: [&str; 12] = [
    "presence",
    "presence",
    "presence",
    "presence.winfo",
    "dialog",
    "dialog;sla",
    "message-summary",
    "call-info",
    "line-seize",
    "reg",
    "presence;id=x",
    "nonsense",
];
const CONTACTS: [&str; 7] = [
    "<sip:w@127.0.0.1:5070>",
    "<sip:w@10.1.1.1>;expires=5",
    "<sip:w@host.example>",
    "<sip:w@127.0.0.1:5070;transport=tcp>",
    "<sips:w@host.example>",
    "sip:w@[::1]:5070",
    "*",
];
const ACCEPTS: [&str; 3] =
    ["application/pidf+xml", "application/dialog-info+xml, text/plain", "application/*"];

impl Agent {
    /// Remember what a message of the server says: entity-tags and dialogs.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let Ok(msg) = Message::parse(bytes) else { return };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !msg.status().is_some_and(|status| (200..300).contains(&status)) {
            return;
        }
        if let Ok(Some(etag)) = msg.sip_etag() {
            self.etags.push(text(etag));
            cut(&mut self.etags);
        }
        let (Ok(call_id), Ok(from), Ok(to), Ok(cseq)) =
            (msg.call_id(), msg.from(), msg.to(), msg.cseq())
        else {
            return;
        };
        let (Some(from_tag), Some(to_tag)) = (from.tag(), to.tag()) else { return };
        let call_id = text(call_id);
        let asked = self.asked.iter().rev().find(|(asked, ..)| *asked == call_id);
        if cseq.method == Method::Subscribe
            && let Some(&(_, user, event)) = asked
        {
            let (from_tag, to_tag) = (text(from_tag), text(to_tag));
            self.dialogs.push(Dialog { call_id, from_tag, to_tag, user, event, sequence: 1 });
            cut(&mut self.dialogs);
        }
    }

    /// A request: new, or within what was heard.
    pub(super) fn request(&mut self, draw: &mut Draw<'_>) -> Vec<u8> {
        let mut bytes = match draw.below(12) {
            0..=3 => self.publish(draw),
            4..=6 => self.subscribe(draw),
            7..=8 => self.refresh(draw),
            9 => other(draw),
            10 => return raw(draw),
            _ => {
                let mut out = self.publish(draw);
                out.extend(raw(draw));
                out
            }
        };
        spoil(draw, &mut bytes);
        bytes
    }

    fn publish(&self, draw: &mut Draw<'_>) -> Vec<u8> {
        let user = draw.of(&USERS);
        let event = draw.of(&EVENTS);
        let mut extra = format!("Event: {event}\r\n");
        if let Some(index) = draw.index(self.etags.len()).filter(|_| draw.byte() & 1 == 1) {
            let _ = write!(extra, "SIP-If-Match: {}\r\n", self.etags[index]);
        }
        expires(draw, &mut extra);
        let (kind, body) = if draw.once_in(4) { ("", Vec::new()) } else { body(draw, user, event) };
        if !kind.is_empty() {
            let _ = write!(extra, "Content-Type: {kind}\r\n");
        }
        let serial = draw.byte();
        message("PUBLISH", user, &format!("p{serial}"), &format!("p{serial}"), "", 1, &extra, &body)
    }

    fn subscribe(&mut self, draw: &mut Draw<'_>) -> Vec<u8> {
        let (user, event, serial) = (draw.of(&USERS), draw.of(&EVENTS), draw.byte());
        let call_id = format!("s{serial}");
        self.asked.push((call_id.clone(), user, event));
        cut(&mut self.asked);
        let extra = subscription(draw, event);
        message("SUBSCRIBE", user, &call_id, &format!("f{serial}"), "", 1, &extra, b"")
    }

    /// A SUBSCRIBE in a dialog, in order or again or out of it.
    fn refresh(&mut self, draw: &mut Draw<'_>) -> Vec<u8> {
        let Some(index) = draw.index(self.dialogs.len()) else { return self.subscribe(draw) };
        let dialog = &mut self.dialogs[index];
        dialog.sequence = (dialog.sequence + draw.of(&[1, 1, 1, 0, 7])).min(1 << 20);
        let sequence = dialog.sequence - u32::from(draw.once_in(8));
        let extra = subscription(draw, dialog.event);
        let Dialog { call_id, from_tag, to_tag, user, .. } = dialog;
        let to_tag = format!(";tag={to_tag}");
        message("SUBSCRIBE", user, call_id, from_tag, &to_tag, sequence, &extra, b"")
    }
}

fn subscription(draw: &mut Draw<'_>, event: &str) -> String {
    let contact = draw.of(&CONTACTS);
    let mut extra = format!("Event: {event}\r\nContact: {contact}\r\n");
    expires(draw, &mut extra);
    match draw.below(8) {
        0 => {
            let _ = write!(extra, "Accept: {}\r\n", draw.of(&ACCEPTS));
        }
        1 => extra.push_str("Record-Route: <sip:10.0.0.9;lr>\r\n"),
        2 => extra.push_str("Supported: eventlist\r\nRequire: eventlist\r\n"),
        3 => extra.push_str("Suppress-If-Match: *\r\n"),
        _ => {}
    }
    extra
}

fn other(draw: &mut Draw<'_>) -> Vec<u8> {
    let method = draw.of(&["OPTIONS", "INVITE", "ACK", "CANCEL", "NOTIFY", "BYE", "MESSAGE"]);
    let serial = draw.byte();
    let extra = "Contact: <sip:w@127.0.0.1:5070>\r\nSubscription-State: active\r\n";
    let call_id = format!("{}{serial}", draw.of(&["s", "p", "o"]));
    message(method, draw.of(&USERS), &call_id, &format!("f{serial}"), "", 1, extra, b"")
}

fn expires(draw: &mut Draw<'_>, extra: &mut String) {
    let expires = draw.of(&["600", "60", "0", "5", "3600", "4294967295", "99999999999", "x", ""]);
    if !expires.is_empty() {
        let _ = write!(extra, "Expires: {expires}\r\n");
    }
}

/// The branch follows from what makes a transaction another one, so that the same choices make a
/// retransmission.
fn message(
    method: &str,
    user: &str,
    call_id: &str,
    from_tag: &str,
    to_tag: &str,
    sequence: u32,
    extra: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut out = format!(
        "{method} sip:{user}@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{call_id}{sequence};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:watcher@example.com>;tag={from_tag}\r\n\
         To: <sip:{user}@example.com>{to_tag}\r\nCall-ID: {call_id}\r\n\
         CSeq: {sequence} {method}\r\n{extra}Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

/// A document that suits the event, or bytes that may not be one.
fn body(draw: &mut Draw<'_>, user: &str, event: &str) -> (&'static str, Vec<u8>) {
    let word = draw.of(&["open", "closed", "busy", "&amp;", "<", ""]);
    let id = draw.of(&["a", "b", "c"]);
    if draw.once_in(8) {
        let length = draw.below(600);
        return ("application/pidf+xml", draw.raw(length).to_vec());
    }
    if event.starts_with("dialog") {
        let state = draw.of(&["confirmed", "terminated", "early", "trying"]);
        let (version, kind) = (draw.byte(), draw.of(&["full", "partial"]));
        let text = format!(
            "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
             version=\"{version}\" state=\"{kind}\" entity=\"sip:{user}@example.com\">\
             <dialog id=\"{id}\" call-id=\"{id}\" direction=\"initiator\"><state>{state}</state>\
             <local><target uri=\"sip:{user}@{word}\"/></local></dialog></dialog-info>"
        );
        return ("application/dialog-info+xml", text.into_bytes());
    }
    if event == "message-summary" {
        let text = format!("Messages-Waiting: yes\r\nVoice-Message: {}/1 (0/0)\r\n", draw.byte());
        return ("application/simple-message-summary", text.into_bytes());
    }
    let notes = "<note xml:lang=\"en\">n</note>".repeat(draw.below(20));
    let text = format!(
        "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         entity=\"sip:{user}@example.com\"><tuple id=\"{id}\"><status><basic>{word}</basic>\
         </status>{notes}</tuple></presence>"
    );
    ("application/pidf+xml", text.into_bytes())
}

/// The next bytes as they are: whole messages of the corpus come in so.
fn raw(draw: &mut Draw<'_>) -> Vec<u8> {
    let length = draw.below(2_048);
    draw.raw(length).to_vec()
}

/// Mostly nothing; else bytes replaced by ones that mean something, and an end too early.
fn spoil(draw: &mut Draw<'_>, bytes: &mut Vec<u8>) {
    let times = draw.of(&[0, 0, 0, 0, 0, 0, 1, 4]);
    for _ in 0..times {
        let at = draw.below(bytes.len().max(1));
        if let Some(byte) = bytes.get_mut(at) {
            *byte = draw.of(b"\r\n :;,<>@=\"\\a0\0\xff");
        }
    }
    if times > 0 && draw.once_in(4) {
        bytes.truncate(draw.below(bytes.len().max(1)));
    }
}

fn cut<T>(list: &mut Vec<T>) {
    if list.len() > HEARD {
        list.remove(0);
    }
}
