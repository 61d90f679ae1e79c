//! Requests, and the 200 to a NOTIFY.

use super::digits;

/// What a PUBLISH does (RFC 3903 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// A first document.
    Initial,
    /// The same for longer, no body.
    Refresh,
    /// Another document.
    Modify,
    /// The end of it, no body.
    Remove,
}

/// Names in a request that differ from one to the next.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// `address:port` that it comes from.
    pub local: &'a str,
    /// Who publishes or watches; with its kind the transaction's branch.
    pub actor: u32,
    /// How often the actor began anew: part of Call-ID and tag.
    pub life: u32,
    /// Whose presence it is.
    pub presentity: u32,
    /// `CSeq` number.
    pub cseq: u32,
}

/// A PUBLISH.
pub fn publish(out: &mut Vec<u8>, kind: Publish, names: Names<'_>, etag: &str) {
    let user = digits(names.presentity);
    let expires: &[u8] = if kind == Publish::Remove { b"0" } else { b"3600" };
    put(out, &[b"PUBLISH sip:user", &user, b"@bench.example SIP/2.0\r\n"]);
    via(out, b"p", names);
    put(out, &[b"From: <sip:user", &user, b"@bench.example>;tag=p", &user, b"\r\n"]);
    put(out, &[b"To: <sip:user", &user, b"@bench.example>\r\n"]);
    put(out, &[b"Call-ID: p", &user, b"-", &digits(names.life), b"@bench.example\r\n"]);
    put(out, &[b"CSeq: ", &digits(names.cseq), b" PUBLISH\r\n"]);
    put(out, &[b"Event: presence\r\nExpires: ", expires, b"\r\n"]);
    if kind != Publish::Initial {
        put(out, &[b"SIP-If-Match: ", etag.as_bytes(), b"\r\n"]);
    }
    if matches!(kind, Publish::Initial | Publish::Modify) {
        put(out, &[b"Content-Type: application/pidf+xml\r\nContent-Length: 400\r\n\r\n"]);
        document(out, &user, names.cseq);
    } else {
        put(out, &[b"Content-Length: 0\r\n\r\n"]);
    }
}

/// A PIDF document (RFC 3863) of 400 bytes that differs from the one before.
fn document(out: &mut Vec<u8>, user: &[u8], cseq: u32) {
    let basic: &[u8] = if cseq.is_multiple_of(2) { b"open</basic>  " } else { b"closed</basic>" };
    put(
        out,
        &[
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
              <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:user",
            user,
            b"@bench.example\">\r\n <tuple id=\"phone\">\r\n  <status><basic>",
            basic,
            b"</status>\r\n  <contact priority=\"0.8\">sip:user",
            user,
            b"@192.0.2.1:5060;transport=udp</contact>\r\n  <note>In the room with \
              a table, turn ",
            &digits(cseq),
            b"</note>\r\n  <timestamp>2025-03-01T08:30:00Z</timestamp>\r\n\
              </tuple>\r\n</presence>\r\n",
        ],
    );
}

/// A SUBSCRIBE that creates a dialog (no `tag`), refreshes it, or with `expires` 0 ends it.
pub fn subscribe(out: &mut Vec<u8>, names: Names<'_>, tag: &str, target: &str, expires: &str) {
    let (watcher, user) = (digits(names.actor), digits(names.presentity));
    if target.is_empty() {
        put(out, &[b"SUBSCRIBE sip:user", &user, b"@bench.example SIP/2.0\r\n"]);
    } else {
        put(out, &[b"SUBSCRIBE ", target.as_bytes(), b" SIP/2.0\r\n"]);
    }
    via(out, b"w", names);
    let life = digits(names.life);
    put(out, &[b"From: <sip:watcher", &watcher, b"@bench.example>;tag=w", &life, b"\r\n"]);
    put(out, &[b"To: <sip:user", &user, b"@bench.example>"]);
    if !tag.is_empty() {
        put(out, &[b";tag=", tag.as_bytes()]);
    }
    put(out, &[b"\r\nCall-ID: w", &watcher, b"-", &life, b"@bench.example\r\n"]);
    put(out, &[b"CSeq: ", &digits(names.cseq), b" SUBSCRIBE\r\n"]);
    put(out, &[b"Contact: <sip:watcher", &watcher, b"@", names.local.as_bytes(), b">\r\n"]);
    put(out, &[b"Event: presence\r\nAccept: application/pidf+xml\r\nExpires: "]);
    put(out, &[expires.as_bytes(), b"\r\nContent-Length: 0\r\n\r\n"]);
}

/// An OPTIONS to a server, over the transport named.
pub fn options(out: &mut Vec<u8>, transport: &str, server: &str, names: Names<'_>) {
    let id = digits(names.cseq);
    put(out, &[b"OPTIONS sip:", server.as_bytes(), b" SIP/2.0\r\nVia: SIP/2.0/"]);
    put(out, &[transport.as_bytes(), b" ", names.local.as_bytes(), b";branch=z9hG4bK-o"]);
    put(out, &[&digits(names.actor), b"-", &id, b";rport\r\nMax-Forwards: 70\r\n"]);
    put(out, &[b"From: <sip:load@bench.example>;tag=o\r\nTo: <sip:", server.as_bytes()]);
    put(out, &[b">\r\nCall-ID: o-", names.local.as_bytes(), b"-", &id, b"\r\nCSeq: ", &id]);
    put(out, &[b" OPTIONS\r\nContent-Length: 0\r\n\r\n"]);
}

/// The 200 to a NOTIFY: its own header fields back (RFC 3261 8.2.6.2).
pub fn accept(out: &mut Vec<u8>, fields: &[&[u8]]) {
    put(out, &[b"SIP/2.0 200 OK\r\n"]);
    put(out, fields);
    put(out, &[b"Content-Length: 0\r\n\r\n"]);
}

fn via(out: &mut Vec<u8>, kind: &[u8], names: Names<'_>) {
    put(out, &[b"Via: SIP/2.0/UDP ", names.local.as_bytes(), b";branch=z9hG4bK-", kind]);
    put(out, &[&digits(names.actor), b"-", &digits(names.life), b"-", &digits(names.cseq)]);
    put(out, &[b";rport\r\nMax-Forwards: 70\r\n"]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> =
        Names { local: "127.0.0.1:9", actor: 7, life: 1, presentity: 5, cseq: 12 };

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn documents_have_the_length_that_is_said() {
        for cseq in [12, 13] {
            let text = text(|out| {
                publish(out, Publish::Initial, Names { cseq, ..NAMES }, "");
            });
            let (head, body) = text.split_once("\r\n\r\n").expect("a body");
            assert!(head.ends_with("Content-Length: 400"));
            assert_eq!(body.len(), 400);
        }
    }

    #[test]
    fn a_refresh_has_a_tag_and_no_body() {
        let text = text(|out| publish(out, Publish::Refresh, NAMES, "x9"));
        assert!(text.contains("SIP-If-Match: x9\r\n") && text.ends_with("Length: 0\r\n\r\n"));
    }

    #[test]
    fn a_refresh_of_a_dialog_goes_to_its_target() {
        let text = text(|out| subscribe(out, NAMES, "t1", "sip:presence@127.0.0.1:5060", "3600"));
        assert!(text.starts_with("SUBSCRIBE sip:presence@127.0.0.1:5060 SIP/2.0\r\n"));
        assert!(text.contains("To: <sip:user00000005@bench.example>;tag=t1\r\n"));
    }
}
