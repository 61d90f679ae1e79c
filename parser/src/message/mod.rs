//! A SIP message as an index over its bytes.
//!
//! The index holds 8 bytes per header line: which name it is, where the line starts and where its
//! value begins and ends. Nothing of a value is looked at before an accessor is called.

mod access;
mod index;
mod lines;
mod start;

use smallvec::SmallVec;

use crate::error::{ParseError, Reason};
use crate::header::Name;
use crate::limits::USUAL_HEADERS;
use crate::method::Method;

pub use access::Essential;
pub use lines::{Header, Headers, Items, Values};
pub use start::StartLine;

/// One header line: offsets into the message.
#[derive(Clone, Copy, Debug)]
struct Entry {
    line: u16,
    value: u16,
    end: u16,
    name: Name,
}

/// No line of this name.
const NONE: u8 = u8::MAX;

/// A message, borrowed from the bytes it came in.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    start: StartLine<'a>,
    entries: SmallVec<[Entry; USUAL_HEADERS]>,
    /// By name: index of its first line, or [`NONE`].
    first: [u8; Name::COUNT],
    /// Names that have more than one line, by [`Name::bit`].
    repeated: u64,
    body_at: usize,
    fault: Option<ParseError>,
}

impl<'a> Message<'a> {
    /// Finds the start line and the header lines of a message that fills the input. Line ends
    /// before the start line are passed over (RFC 3261 7.5); a bare LF ends a line as well.
    ///
    /// # Errors
    /// Only when there is nothing to answer to: no start line, or more than [`crate::limits`]
    /// allow. What else is wrong in start line and line structure is in [`Message::fault`], and
    /// what is wrong in a value is said by its accessor.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        index::message(bytes)
    }

    /// The first fault in the start line or the line structure: answer 400, or 505 for
    /// [`Reason::SipVersion`].
    #[must_use]
    pub fn fault(&self) -> Option<ParseError> {
        self.fault
    }

    /// The start line.
    #[must_use]
    pub fn start_line(&self) -> &StartLine<'a> {
        &self.start
    }

    /// The method of a request.
    #[must_use]
    pub fn method(&self) -> Option<Method<'a>> {
        match self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI of a request, as written.
    #[must_use]
    pub fn request_uri(&self) -> Option<&'a [u8]> {
        match self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// The whole input.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The body: as long as Content-Length says, else all that follows the head. Bytes after it are
    /// ignored, a body that ends early is a fault (RFC 3261 18.3).
    ///
    /// # Errors
    /// [`Reason::HeadEnd`] without an end of the head, [`Reason::BodyTruncated`],
    /// [`Reason::ContentLength`], [`Reason::Repeated`].
    pub fn body(&self) -> Result<&'a [u8], ParseError> {
        let rest = self.bytes.get(self.body_at..);
        let rest = rest.ok_or_else(|| ParseError::new(Reason::HeadEnd, self.bytes.len()))?;
        match self.content_length()? {
            None => Ok(rest),
            Some(length) => usize::try_from(length)
                .ok()
                .and_then(|length| rest.get(..length))
                .ok_or_else(|| ParseError::new(Reason::BodyTruncated, self.bytes.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_HEADERS;
    use crate::scan;

    const PUBLISH: &[u8] = b"PUBLISH sip:alice@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP pua.example.com;branch=z9hG4bK652hsge, SIP/2.0/TCP p2;branch=z9hG4bK1\r\n\
        v: SIP/2.0/UDP p3\r\n\
        To: <sip:alice@example.com>\r\n\
        From: <sip:alice@example.com>;tag=1234wxyz\r\n\
        Call-ID: 81818181@pua.example.com\r\n\
        CSeq: 1 PUBLISH\r\n\
        Max-Forwards: 70\r\n\
        Expires: 3600\r\n\
        Event: presence\r\n\
        SIP-If-Match: dx200xyz\r\n\
        Supported:\r\n\
        X-Other : a\r\n b\r\n\
        Content-Type: application/pidf+xml\r\n\
        Content-Length: 4\r\n\r\nbodyrest";

    #[test]
    fn headers_in_order_by_name_and_by_element() {
        let message = Message::parse(PUBLISH).unwrap();
        assert_eq!(message.verify(), Ok(()));
        assert_eq!(message.headers().count(), 14);
        let via: Vec<_> = message.values(Name::Via).collect();
        assert_eq!(via.len(), 2);
        assert_eq!(message.items(Name::Via).count(), 3);
        assert_eq!(message.items(Name::Supported).count(), 0);
        assert!(message.has(Name::Supported) && !message.has(Name::Route));
        assert_eq!(message.value(Name::Route), None);
        assert_eq!(message.values(Name::Route).count(), 0);
        let other = message.headers().find(|header| header.name == Name::Other).unwrap();
        assert_eq!((other.name_bytes, other.value), (&b"X-Other"[..], &b"a\r\n b"[..]));
        assert_eq!(message.body(), Ok(&b"body"[..]));
        assert_eq!(message.sip_if_match(), Ok(Some(&b"dx200xyz"[..])));
    }

    #[test]
    fn line_ends_before_the_message_and_bare_ones_within() {
        let message = Message::parse(b"\r\n\r\nA sip:b SIP/2.0\nl: 1\n\nx").unwrap();
        assert_eq!(message.fault(), None);
        assert_eq!(message.body(), Ok(&b"x"[..]));
    }

    #[test]
    fn faults_of_lines_do_not_hide_the_others() {
        let message = Message::parse(
            b"A sip:b SIP/2.0\r\nno colon here\r\nbad name: x\r\n: y\r\nVia: SIP/2.0/UDP a\r\n\r\n",
        )
        .unwrap();
        let fault = message.fault().unwrap();
        assert_eq!((fault.reason, fault.offset), (Reason::HeaderName, 17));
        assert!(message.via().is_ok());
        assert_eq!(message.headers().count(), 1);
    }

    #[test]
    fn an_unfinished_head_is_a_fault() {
        for text in
            ["A sip:b SIP/2.0", "A sip:b SIP/2.0\r\nVia: x", "A sip:b SIP/2.0\r\nVia: x\r\n"]
        {
            let message = Message::parse(text.as_bytes()).unwrap();
            assert_eq!(message.fault().unwrap().reason, Reason::HeadEnd, "{text:?}");
            assert_eq!(message.body().unwrap_err().reason, Reason::HeadEnd, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_message() {
        for (text, reason) in [
            ("", Reason::Empty),
            ("\r\n\r\n", Reason::Empty),
            ("hello", Reason::StartLine),
            ("A sip:b", Reason::StartLine),
            ("A sip:b HTTP/1.1\r\n\r\n", Reason::StartLine),
            ("\0\u{1}", Reason::Method),
            ("SIP/2.0", Reason::StartLine),
            ("SIP/3.0 200 OK\r\n\r\n", Reason::SipVersion),
            ("SIP/2.0 20 OK\r\n\r\n", Reason::StatusCode),
            ("SIP/2.0 700 No\r\n\r\n", Reason::StatusCode),
        ] {
            assert_eq!(Message::parse(text.as_bytes()).unwrap_err().reason, reason, "{text:?}");
        }
    }

    #[test]
    fn limits() {
        let mut text = b"A sip:b SIP/2.0\r\n".to_vec();
        text.extend(b"X: y\r\n".repeat(MAX_HEADERS));
        assert_eq!(Message::parse(&text).unwrap().headers().count(), MAX_HEADERS);
        text.extend(b"X: y\r\n");
        assert_eq!(Message::parse(&text).unwrap_err().reason, Reason::TooManyHeaders);
        let mut text = b"A sip:b SIP/2.0\r\nX: ".to_vec();
        text.resize(crate::limits::MAX_HEAD + 1, b'y');
        assert_eq!(Message::parse(&text).unwrap_err().reason, Reason::HeadTooLong);
    }

    #[test]
    fn faults_tell_their_place_in_the_message() {
        let text = b"A sip:b SIP/2.0\r\nExpires: 1x\r\nTo: sip:a@b;tag=\r\nTo: x\r\nVia: q\r\n\r\n";
        let message = Message::parse(text).unwrap();
        let at = |error: ParseError| (error.reason, &text[error.offset as usize..][..2]);
        assert_eq!(at(message.expires().unwrap_err()), (Reason::DeltaSeconds, &b"1x"[..]));
        assert_eq!(at(message.to().unwrap_err()), (Reason::Repeated(Name::To), &b"x\r"[..]));
        assert_eq!(at(message.via().unwrap_err()), (Reason::SentProtocol, &b"q\r"[..]));
        assert_eq!(message.from().unwrap_err().reason, Reason::Missing(Name::From));
        assert_eq!(message.to().unwrap_err().to_string(), "a second To header at byte 52");
        assert_eq!(message.expires().unwrap_err().to_string(), "delta-seconds at byte 26");
    }

    #[test]
    fn contacts_one_star_or_several() {
        let parse = |contact: &str| {
            let text = format!("A sip:b SIP/2.0\r\n{contact}\r\n\r\n").into_bytes();
            let message = Message::parse(&text).unwrap();
            let all = message.contacts().map(|one| one.map(drop)).collect::<Result<Vec<_>, _>>();
            (all.map(|all| all.len()).map_err(|e| e.reason), message.contact().is_ok())
        };
        assert_eq!(parse("m: *"), (Ok(1), false));
        assert_eq!(parse("m: <sip:a@b>"), (Ok(1), true));
        assert_eq!(parse("m: <sip:a@b>, sip:c@d\r\nm: sip:e@f"), (Ok(3), false));
        assert_eq!(parse("m: *, <sip:a@b>"), (Err(Reason::ContactStar), false));
        assert_eq!(parse("m: *;expires=0"), (Err(Reason::ContactStar), false));
        assert_eq!(parse("Subject: x"), (Ok(0), true));
    }

    /// The views borrow from the input, not from the message.
    #[test]
    fn views_outlive_the_message() {
        let event = {
            let message = Message::parse(PUBLISH).unwrap();
            message.event().unwrap().unwrap()
        };
        assert_eq!(event.package(), b"presence");
        assert!(scan::offset_in(PUBLISH, event.package()) < PUBLISH.len());
    }
}
