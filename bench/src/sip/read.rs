//! What a server sends, one pass over the lines of the header.

use std::str::from_utf8;

use memchr::{memchr, memmem};

use super::number;

/// Who a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A publisher.
    Publisher(u32),
    /// A watcher.
    Watcher(u32),
}

/// A message from the server.
#[derive(Debug)]
pub enum Message<'a> {
    /// The answer to one of our requests.
    Answer(Answer<'a>),
    /// A NOTIFY.
    Notify(Notify<'a>),
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u32,
    /// Who asked,
    pub actor: Actor,
    /// in which life,
    pub life: u32,
    /// with which CSeq.
    pub cseq: u32,
    /// `SIP-ETag`, or "".
    pub etag: &'a str,
    /// Tag of To, or "".
    pub tag: &'a str,
    /// URI of Contact, or "".
    pub target: &'a str,
}

/// A NOTIFY.
#[derive(Debug)]
pub struct Notify<'a> {
    /// Which watcher it is for,
    pub watcher: u32,
    /// in which of its lives.
    pub life: u32,
    /// CSeq number.
    pub cseq: u32,
    /// The lines that go into the answer, with their line ends.
    pub fields: Vec<&'a [u8]>,
}

/// Reads a datagram; none for what the generator has no use for.
pub fn message(bytes: &[u8]) -> Option<Message<'_>> {
    if bytes.starts_with(b"SIP/2.0 ") {
        Some(Message::Answer(answer(bytes)?))
    } else {
        Some(Message::Notify(notify(bytes)?))
    }
}

/// The transaction that a branch of ours names, wherever it stands first: also in a request that
/// was sent back as it was.
pub fn branch(bytes: &[u8]) -> Option<(Actor, u32, u32)> {
    let at = memmem::find(bytes, b"z9hG4bK-")? + 8;
    let rest = bytes.get(at..at + 27)?;
    let who = number(&rest[1..9])?;
    let actor = match rest[0] {
        b'p' => Actor::Publisher(who),
        b'w' => Actor::Watcher(who),
        _ => return None,
    };
    Some((actor, number(&rest[10..18])?, number(&rest[19..27])?))
}

fn answer(bytes: &[u8]) -> Option<Answer<'_>> {
    let status = number(bytes.get(8..11)?)?;
    let (actor, life, cseq) = branch(bytes)?;
    let mut answer = Answer { status, actor, life, cseq, etag: "", tag: "", target: "" };
    for line in lines(bytes) {
        if let Some(etag) = line.strip_prefix(b"SIP-ETag:") {
            answer.etag = from_utf8(etag.trim_ascii()).ok()?;
        } else if let Some(to) = line.strip_prefix(b"To:") {
            let tag = memmem::find(to, b";tag=").map(|at| to[at + 5..].trim_ascii());
            answer.tag = from_utf8(tag.unwrap_or_default()).ok()?;
        } else if let Some(contact) = line.strip_prefix(b"Contact:") {
            let inside = memchr(b'<', contact)?..memchr(b'>', contact)?;
            answer.target = from_utf8(contact.get(inside.start + 1..inside.end)?).ok()?;
        }
    }
    Some(answer)
}

fn notify(bytes: &[u8]) -> Option<Notify<'_>> {
    if !bytes.starts_with(b"NOTIFY ") {
        return None;
    }
    let mut notify = Notify { watcher: 0, life: 0, cseq: 0, fields: Vec::with_capacity(6) };
    for line in lines(bytes) {
        if let Some(id) = line.strip_prefix(b"Call-ID: w") {
            notify.watcher = number(id.get(..8)?)?;
            notify.life = number(id.get(9..17)?)?;
        } else if let Some(cseq) = line.strip_prefix(b"CSeq: ") {
            notify.cseq = number(cseq.split(|b| *b == b' ').next()?)?;
        } else if ![&b"Via:"[..], b"From:", b"To:"].iter().any(|name| line.starts_with(name)) {
            continue;
        }
        notify.fields.push(line);
    }
    (notify.cseq > 0).then_some(notify)
}

/// The lines of the header, each with its end, until the empty one.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)? + 1;
        let (line, after) = rest.split_at(end);
        rest = after;
        (line != b"\r\n").then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::write;

    #[test]
    fn answers_are_read() {
        let text = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK-w00000017-00000002-\
            00000003;rport=5\r\nTo: <sip:a@b>;tag=t-1\r\nContact: <sip:p@127.0.0.1:5060>\r\n\
            SIP-ETag: a1\r\n\r\n";
        let Some(Message::Answer(answer)) = message(text) else { panic!("an answer") };
        let wanted = Answer {
            status: 200,
            actor: Actor::Watcher(17),
            life: 2,
            cseq: 3,
            etag: "a1",
            tag: "t-1",
            target: "sip:p@127.0.0.1:5060",
        };
        assert_eq!(answer, wanted);
    }

    #[test]
    fn a_notify_is_answered_with_its_own_fields() {
        let text = b"NOTIFY sip:w@127.0.0.1:9 SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9\r\n\
            Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
            Call-ID: w00000004-00000009@bench.example\r\nCSeq: 31 NOTIFY\r\n\
            Content-Length: 4\r\n\r\nTo:\n";
        let Some(Message::Notify(notify)) = message(text) else { panic!("a NOTIFY") };
        assert_eq!((notify.watcher, notify.life, notify.cseq), (4, 9, 31));
        let mut out = Vec::new();
        write::accept(&mut out, &notify.fields);
        let wanted = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9\r\n\
            From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
            Call-ID: w00000004-00000009@bench.example\r\nCSeq: 31 NOTIFY\r\n\
            Content-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8(out).expect("text"), wanted);
    }

    #[test]
    fn what_is_none_of_ours_is_left() {
        assert!(message(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\r\n").is_none());
        assert!(message(b"").is_none() && message(b"\r\n\r\n").is_none());
    }
}
