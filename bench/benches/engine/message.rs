//! What user agents send, about as long as real ones do: a PUBLISH of some 400 bytes and a document
//! of 400, a SUBSCRIBE of 500.

use std::io::Write;

/// Seconds asked for: nothing ends while a measurement runs.
pub(crate) const EXPIRES: u32 = 8_000_000;
/// Length of a published document, bytes.
const DOCUMENT: usize = 400;

/// A PUBLISH (RFC 3903) of user `n`: with an entity-tag a later one, with a document one that
/// brings state, with `expires` 0 a removal.
pub(crate) fn publish(out: &mut Vec<u8>, n: usize, cseq: u32, tag: &str, body: bool, expires: u32) {
    let body = if body { document(n, cseq) } else { String::new() };
    let port = port(n);
    let _ = write!(
        out,
        "PUBLISH sip:user{n}@bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{n}-{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:user{n}@bench.example>;tag=t{n}\r\n\
         To: <sip:user{n}@bench.example>\r\n\
         Call-ID: publish-{n}@bench.example\r\n\
         CSeq: {cseq} PUBLISH\r\n\
         Event: presence\r\n\
         Expires: {expires}\r\n"
    );
    if !tag.is_empty() {
        let _ = write!(out, "SIP-If-Match: {tag}\r\n");
    }
    if !body.is_empty() {
        out.extend_from_slice(b"Content-Type: application/pidf+xml\r\n");
    }
    let _ = write!(out, "Content-Length: {}\r\n\r\n{body}", body.len());
}

/// A SUBSCRIBE (RFC 6665) of watcher `w` to user `n`; with a tag of ours within the dialog.
pub(crate) fn subscribe(out: &mut Vec<u8>, w: usize, n: usize, cseq: u32, tag: &str, expires: u32) {
    let port = port(w);
    let to = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let _ = write!(
        out,
        "SUBSCRIBE sip:user{n}@bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-w{w}-{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:watcher{w}@bench.example>;tag=w{w}\r\n\
         To: <sip:user{n}@bench.example>{to}\r\n\
         Call-ID: subscribe-{w}@bench.example\r\n\
         CSeq: {cseq} SUBSCRIBE\r\n\
         Contact: <sip:watcher{w}@127.0.0.1:{port}>\r\n\
         Event: presence\r\n\
         Accept: application/pidf+xml\r\n\
         Expires: {expires}\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

/// A keep-alive by OPTIONS.
pub(crate) fn options(out: &mut Vec<u8>, n: usize, cseq: u32) {
    let port = port(n);
    let _ = write!(
        out,
        "OPTIONS sip:bench.example SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-o{n}-{cseq};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:user{n}@bench.example>;tag=o{n}\r\n\
         To: <sip:bench.example>\r\n\
         Call-ID: options-{n}@bench.example\r\n\
         CSeq: {cseq} OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

/// The 200 to a request of the server's.
pub(crate) fn ok(out: &mut Vec<u8>, request: &str) {
    out.extend_from_slice(b"SIP/2.0 200 OK\r\n");
    let head = request.split_once("\r\n\r\n").map_or(request, |(head, _)| head);
    for line in head.split("\r\n") {
        if ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name)) {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}

/// The value of a header that the server wrote.
pub(crate) fn value<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    message.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Users sit at 64 addresses.
pub(crate) const fn port(n: usize) -> u16 {
    6_000 + (n % 64) as u16
}

/// A PIDF document (RFC 3863) that differs from the one before.
fn document(n: usize, cseq: u32) -> String {
    let basic = if cseq.is_multiple_of(2) { "open" } else { "closed" };
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:user{n}@bench.example\">\r\n\
         <tuple id=\"phone\"><status><basic>{basic}</basic></status>\
         <contact priority=\"0.8\">sip:user{n}@bench.example</contact><note>turn {cseq} "
    );
    let end = "</note></tuple></presence>\r\n";
    while text.len() + end.len() < DOCUMENT {
        text.push('.');
    }
    text + end
}
