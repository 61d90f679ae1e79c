//! A SIP message as an index over its bytes.
//!
//! The index holds 8 bytes per header line: which name it is, where the line starts and where its
//! value begins and ends. Nothing of a value is looked at before an accessor is called.

mod access;
mod index;
mod lines;
mod start;

use crate::error::{ParseError, Reason};
use crate::header::Name;
use crate::limits::MAX_HEADERS;
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
    entries: [Entry; MAX_HEADERS],
    count: u8,
    /// By name: index of its first line, or [`NONE`].
    first: [u8; Name::COUNT],
    /// Names that have more than one line, by [`Name::bit`].
    repeated: u64,
    body_at: usize,
    fault: Option<ParseError>,
}

impl<'a> Message<'a> {
    /// Finds the start line and the header lines of a message that fills the input. Line ends before
    /// the start line are passed over (RFC 3261 7.5); a bare LF ends a line as well.
    ///
    /// # Errors
    /// Only when there is nothing to answer to: no start line, or more than [`crate::limits`] allow.
    /// What else is wrong in start line and line structure is in [`Message::fault`], and what is wrong
    /// in a value is said by its accessor.
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
