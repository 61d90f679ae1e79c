//! The messages, written and read with no more than the measurement needs.

use std::io::Write;
use std::net::SocketAddr;

use crate::caller::Kind;

/// One presentity and what the server knows of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct User {
    /// Its number.
    pub(crate) number: usize,
    /// Entity-tag of its publication; empty = none yet.
    pub(crate) etag: String,
    /// CSeq of its last PUBLISH.
    pub(crate) cseq: u32,
}

/// Write a PUBLISH (RFC 3903). The branch names the user, so that the response finds it.
pub(crate) fn write(out: &mut Vec<u8>, user: &User, kind: Kind, local: SocketAddr) {
    let (n, cseq) = (user.number, user.cseq);
    let body = match kind {
        Kind::Refresh => String::new(),
        Kind::Initial | Kind::Modify => document(n, cseq),
    };
    out.clear();
    let _ = write!(
        out,
        "PUBLISH sip:user{n}@bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};branch=z9hG4bK-{n}-{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:user{n}@bench.example>;tag=t{n}\r\n\
         To: <sip:user{n}@bench.example>\r\n\
         Call-ID: publish-{n}@bench.example\r\n\
         CSeq: {cseq} PUBLISH\r\n\
         Event: presence\r\n\
         Expires: 3600\r\n"
    );
    if !user.etag.is_empty() && kind != Kind::Initial {
        let _ = write!(out, "SIP-If-Match: {}\r\n", user.etag);
    }
    if !body.is_empty() {
        out.extend_from_slice(b"Content-Type: application/pidf+xml\r\n");
    }
    let _ = write!(out, "Content-Length: {}\r\n\r\n{body}", body.len());
}

/// A PIDF document (RFC 3863) that differs from the one before.
fn document(n: usize, cseq: u32) -> String {
    let basic = if cseq.is_multiple_of(2) { "open" } else { "closed" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:user{n}@bench.example\">\r\n\
         <tuple id=\"phone\"><status><basic>{basic}</basic></status>\
         <contact priority=\"0.8\">sip:user{n}@bench.example</contact>\
         <note>turn {cseq}</note></tuple></presence>\r\n"
    )
}

/// What matters of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// Status code.
    pub(crate) status: u16,
    /// The user's number, from the branch,
    pub(crate) user: usize,
    /// and the CSeq of the request.
    pub(crate) cseq: u32,
    /// SIP-ETag; empty = none.
    pub(crate) etag: &'a str,
}

/// Read a response to one of ours.
pub(crate) fn read(bytes: &[u8]) -> Option<Response<'_>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let status = text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    let branch = text.split_once("z9hG4bK-")?.1;
    let end = branch.find(|c: char| !c.is_ascii_digit() && c != '-')?;
    let (user, cseq) = branch.get(..end)?.split_once('-')?;
    let etag = text.lines().find_map(|line| line.strip_prefix("SIP-ETag:"));
    Some(Response {
        status,
        user: user.parse().ok()?,
        cseq: cseq.parse().ok()?,
        etag: etag.unwrap_or_default().trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read() {
        let text = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK-17-3;rport=5\r\n\
            SIP-ETag: a1\r\n\r\n";
        let read = read(text).expect("a response");
        assert_eq!(read, Response { status: 200, user: 17, cseq: 3, etag: "a1" });
    }

    #[test]
    fn a_refresh_has_a_tag_and_no_body() {
        let user = User { number: 5, etag: "x9".into(), cseq: 2 };
        let mut out = Vec::new();
        write(&mut out, &user, Kind::Refresh, "127.0.0.1:9".parse().expect("an address"));
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("SIP-If-Match: x9\r\n") && text.ends_with("Length: 0\r\n\r\n"));
    }
}
