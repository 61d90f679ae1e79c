//! Start lines (RFC 3261 7.1, 7.2).

use crate::error::{ParseError, Reason};
use crate::method::Method;
use crate::scan::{self, Cursor};

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request.
    Request {
        /// Its method.
        method: Method<'a>,
        /// Its Request-URI, as written.
        uri: &'a [u8],
    },
    /// A response.
    Response {
        /// 100 to 699.
        status: u16,
        /// The reason phrase; may be empty.
        reason: &'a [u8],
    },
}

type Read<'a> = Result<(StartLine<'a>, Option<ParseError>), ParseError>;

/// Reads a line without its end: the line, and what is wrong with one that is usable all the same.
pub(super) fn line(line: &[u8]) -> Read<'_> {
    match line.split_at_checked(4) {
        Some((head, _)) if scan::same_text(head, b"SIP/") => status_line(line),
        _ => request_line(line),
    }
}

/// `SIP-Version SP Status-Code SP Reason-Phrase`
fn status_line(line: &[u8]) -> Read<'_> {
    let (version, rest) =
        scan::split(b' ', line).ok_or_else(|| ParseError::new(Reason::StartLine, 0))?;
    if !scan::same_text(version, b"SIP/2.0") {
        return Err(ParseError::new(Reason::SipVersion, 0));
    }
    let (code, reason) = scan::split(b' ', rest).unwrap_or((rest, b""));
    let status = scan::number(code)
        .filter(|status| code.len() == 3 && (100..700).contains(status))
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(|| ParseError::new(Reason::StatusCode, scan::offset_in(line, code)))?;
    Ok((StartLine::Response { status, reason }, None))
}

/// `Method SP Request-URI SP SIP-Version` as nearly all write it.
fn request_line(line: &[u8]) -> Read<'_> {
    let plain = || {
        let (method, uri) = scan::split(b' ', line.strip_suffix(b" SIP/2.0")?)?;
        let usable = !uri.is_empty() && scan::find3(b' ', b'\t', b'\r', uri).is_none();
        let method = Method::of(method);
        let token = match method {
            Method::Other(bytes) => scan::all(bytes, scan::TOKEN),
            _ => true,
        };
        (usable && token).then_some((StartLine::Request { method, uri }, None))
    };
    plain().map_or_else(|| odd_request_line(line), Ok)
}

/// Any other request line; more whitespace than that is noted as a fault.
fn odd_request_line(line: &[u8]) -> Read<'_> {
    let mut cursor = Cursor::new(line);
    let method = cursor.token().ok_or_else(|| ParseError::new(Reason::Method, 0))?;
    if !matches!(cursor.peek(), Some(b' ' | b'\t')) {
        return Err(cursor.fault(Reason::StartLine));
    }
    let rest = scan::trim(cursor.rest());
    scan::step(rest.len());
    let space = rest.iter().rposition(|byte| matches!(byte, b' ' | b'\t'));
    let halves = space.and_then(|at| rest.split_at_checked(at));
    let (uri, version) = halves.ok_or_else(|| cursor.fault(Reason::StartLine))?;
    let (uri, version) = (scan::trim(uri), scan::trim(version));
    let version_at = scan::offset_in(line, version);
    if !is_version(version) {
        return Err(ParseError::new(Reason::StartLine, version_at));
    }
    let exact = method.len().saturating_add(uri.len()).saturating_add(version.len());
    let fault = if !scan::same_text(version, b"SIP/2.0") {
        Some(ParseError::new(Reason::SipVersion, version_at))
    } else if uri.is_empty() || scan::find3(b' ', b'\t', b'\r', uri).is_some() {
        Some(ParseError::new(Reason::RequestUri, scan::offset_in(line, uri)))
    } else if exact.saturating_add(2) != line.len() {
        Some(ParseError::new(Reason::RequestLine, 0))
    } else {
        None
    };
    Ok((StartLine::Request { method: Method::of(method), uri }, fault))
}

/// `"SIP" "/" 1*DIGIT "." 1*DIGIT`
fn is_version(version: &[u8]) -> bool {
    let Some((b"SIP/" | b"sip/" | b"Sip/", numbers)) = version.split_at_checked(4) else {
        return false;
    };
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    scan::step(numbers.len());
    scan::split(b'.', numbers).is_some_and(|(major, minor)| digits(major) && digits(minor))
}
