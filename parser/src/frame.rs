//! Cutting messages out of a byte stream (RFC 3261 18.3) with keep-alives between them (RFC 5626
//! 3.5.1).

use core::ops::Range;

use crate::error::FrameError;
use crate::header::Name;
use crate::limits;
use crate::scan;

/// What the bytes at the front of a stream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// CRLFCRLF, or the second half of one: answer CRLF. See [`Framer::next`] for how many bytes.
    KeepAlive(usize),
    /// CRLF: the answer to a keep-alive of ours, or a line end between messages.
    Pong(usize),
    /// One message: where it is in the given bytes. Consume up to its end.
    Message(Range<usize>),
    /// Come again with more bytes behind these.
    NeedMore,
}

/// Finds frames in a stream. It holds no bytes: the caller keeps those that are not consumed yet,
/// and the framer remembers how far it has looked, so that each byte is looked at once per pass
/// however small the pieces are that it comes in.
#[derive(Clone, Debug)]
pub struct Framer {
    head_max: usize,
    body_max: usize,
    /// Bytes of the head that hold no line end that is still to be looked at.
    scanned: usize,
    /// Start of the line that `scanned` is in.
    line: usize,
    /// Length of the message, once its head is complete.
    length: Option<usize>,
    /// The frame before this was a lone CRLF: another makes it a keep-alive.
    after_crlf: bool,
}

impl Default for Framer {
    fn default() -> Self {
        Self::new(limits::STREAM_HEAD, limits::STREAM_BODY)
    }
}

impl Framer {
    /// A framer that takes heads and bodies of at most so many bytes.
    #[must_use]
    pub fn new(head_max: usize, body_max: usize) -> Self {
        let head_max = head_max.min(limits::MAX_HEAD);
        Self { head_max, body_max, scanned: 0, line: 0, length: None, after_crlf: false }
    }

    /// Looks at the bytes that are not consumed yet. `bytes` starts where the last frame ended;
    /// after [`Frame::NeedMore`] it is the same bytes with more behind them. Every other frame says
    /// how many bytes it takes from the front: consume them before the next call.
    ///
    /// # Errors
    /// When no message can be cut out any more: the stream must be closed.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Frame, FrameError> {
        if self.scanned == 0 && self.length.is_none() {
            match bytes {
                [] | [b'\r'] => return Ok(Frame::NeedMore),
                [b'\r', b'\n', b'\r', b'\n', ..] if !self.after_crlf => {
                    return Ok(Frame::KeepAlive(4));
                }
                [b'\r', b'\n', ..] => {
                    let second = self.after_crlf;
                    self.after_crlf = !second;
                    return Ok(if second { Frame::KeepAlive(2) } else { Frame::Pong(2) });
                }
                [first, ..] if !scan::is(*first, scan::TOKEN) => return Err(FrameError::Malformed),
                _ => self.after_crlf = false,
            }
        }
        let length = match self.length {
            Some(length) => length,
            None => match self.head(bytes)? {
                Some(length) => *self.length.insert(length),
                None => return Ok(Frame::NeedMore),
            },
        };
        if bytes.len() < length {
            return Ok(Frame::NeedMore);
        }
        (self.scanned, self.line, self.length) = (0, 0, None);
        Ok(Frame::Message(0..length))
    }

    /// Goes on looking for the empty line; then gives the length of the whole message.
    fn head(&mut self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        while let Some(at) = scan::find(b'\n', bytes.get(self.scanned..).unwrap_or_default()) {
            let end = self.scanned.saturating_add(at);
            let line = bytes.get(self.line..end).unwrap_or_default();
            if self.line == 0 && !is_start_line(line) {
                return Err(FrameError::Malformed);
            }
            self.scanned = end.saturating_add(1);
            self.line = self.scanned;
            if self.scanned > self.head_max {
                return Err(FrameError::HeadersTooLong);
            }
            if matches!(line, [] | [b'\r']) {
                let head = bytes.get(..self.scanned).unwrap_or_default();
                let body = content_length(head).ok_or(FrameError::Malformed)?;
                let body = usize::try_from(body).map_err(|_| FrameError::BodyTooLong)?;
                if body > self.body_max {
                    return Err(FrameError::BodyTooLong);
                }
                return Ok(Some(self.scanned.saturating_add(body)));
            }
        }
        self.scanned = bytes.len();
        if self.scanned > self.head_max {
            return Err(FrameError::HeadersTooLong);
        }
        Ok(None)
    }
}

/// Whether a line has a SIP version where a start line has one.
fn is_start_line(line: &[u8]) -> bool {
    let line = scan::trim(line);
    let version = |text: &[u8]| text.get(..4).is_some_and(|text| scan::same_text(text, b"SIP/"));
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    scan::step(last.len());
    version(line) || version(last)
}

/// The value of Content-Length. It must be there on a stream (RFC 3261 20.14), and only once unless
/// all say the same.
fn content_length(head: &[u8]) -> Option<u64> {
    let mut found = None;
    let mut rest = head;
    while let Some((line, next)) = scan::split(b'\n', rest) {
        rest = next;
        if !matches!(line.first(), Some(b'c' | b'C' | b'l' | b'L')) {
            continue;
        }
        let Some((name, value)) = scan::split(b':', line) else { continue };
        if Name::of(scan::trim(name)) != Name::ContentLength {
            continue;
        }
        let mut value = scan::trim(value);
        // The value may be folded onto the next lines.
        while let [b' ' | b'\t', ..] = rest
            && let Some((more, next)) = scan::split(b'\n', rest)
        {
            rest = next;
            let more = scan::trim(more);
            if !value.is_empty() && !more.is_empty() {
                return None;
            }
            value = if value.is_empty() { more } else { value };
        }
        let length = number(value)?;
        if found.is_some_and(|found| found != length) {
            return None;
        }
        found = Some(length);
    }
    found
}

/// A decimal number; what does not fit counts as the largest, which is over every limit.
fn number(digits: &[u8]) -> Option<u64> {
    scan::step(digits.len());
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |value: u64, digit: &u8| {
        value.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
    };
    Some(digits.iter().fold(0, add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const MESSAGE: &[u8] = b"OPTIONS sip:a@b.com SIP/2.0\r\nVia: SIP/2.0/TCP c\r\nl: 4\r\n\r\nbody";

    /// All frames of a stream that comes in pieces of `size` bytes.
    fn cut(stream: &[u8], size: usize) -> Result<Vec<(usize, Frame)>, FrameError> {
        let mut framer = Framer::default();
        let (mut start, mut end) = (0, 0);
        let mut frames = Vec::new();
        loop {
            match framer.next(&stream[start..end])? {
                Frame::NeedMore if end == stream.len() => return Ok(frames),
                Frame::NeedMore => end = stream.len().min(end + size),
                frame => {
                    let taken = match &frame {
                        Frame::KeepAlive(bytes) | Frame::Pong(bytes) => *bytes,
                        Frame::Message(range) => range.end,
                        Frame::NeedMore => 0,
                    };
                    frames.push((start, frame));
                    start += taken;
                }
            }
        }
    }

    #[test]
    fn messages_and_keep_alives_in_pieces_of_any_size() {
        let stream = [MESSAGE, b"\r\n\r\n", MESSAGE, MESSAGE, b"\r\n"].concat();
        let length = MESSAGE.len();
        for size in [2, 3, 5, 7, 64, 1000] {
            let messages: Vec<_> = cut(&stream, size)
                .unwrap()
                .into_iter()
                .filter(|(_, frame)| matches!(frame, Frame::Message(_)))
                .collect();
            let whole = Frame::Message(0..length);
            let want = [0, length + 4, 2 * length + 4].map(|start| (start, whole.clone())).to_vec();
            assert_eq!(messages, want, "pieces of {size}");
        }
        let whole = cut(&stream, 1000).unwrap();
        assert_eq!(whole[1].1, Frame::KeepAlive(4));
        assert_eq!(whole[4].1, Frame::Pong(2));
    }

    /// RFC 5626 3.5.1: a keep-alive that comes in two segments is still answered.
    #[test]
    fn a_split_keep_alive_is_one() {
        let mut framer = Framer::default();
        assert_eq!(framer.next(b"\r"), Ok(Frame::NeedMore));
        assert_eq!(framer.next(b"\r\n"), Ok(Frame::Pong(2)));
        assert_eq!(framer.next(b""), Ok(Frame::NeedMore));
        assert_eq!(framer.next(b"\r\n"), Ok(Frame::KeepAlive(2)));
        assert_eq!(framer.next(b"\r\n"), Ok(Frame::Pong(2)));
        assert_eq!(framer.next(MESSAGE), Ok(Frame::Message(0..MESSAGE.len())));
        assert_eq!(framer.next(b"\r\n"), Ok(Frame::Pong(2)));
    }

    #[test]
    fn content_length_forms() {
        let frame = |head: &str| {
            let text = format!("A sip:b SIP/2.0\r\n{head}\r\n\r\n1234567890");
            Framer::default().next(text.as_bytes()).map(|frame| match frame {
                Frame::Message(range) => text.len() - range.end,
                other => panic!("{other:?}"),
            })
        };
        for (head, left) in [
            ("Content-Length: 10", 0),
            ("CONTENT-LENGTH : 0004 ", 6),
            ("l:\r\n 10", 0),
            ("Content-Length: 4\r\nl: 4", 6),
            ("Content-Type: a/b\r\nL:1", 9),
        ] {
            assert_eq!(frame(head), Ok(left), "{head}");
        }
        for head in ["X: 1", "l: ", "l: -1", "l: x", "l: 1\r\nl: 2", "l: 1\r\n 2", " l: 1"] {
            assert_eq!(frame(head), Err(FrameError::Malformed), "{head}");
        }
        let huge = "l: 99999999999999999999999999";
        assert_eq!(frame(huge), Err(FrameError::BodyTooLong));
    }

    #[test]
    fn limits_hold_before_the_bytes_are_there() {
        let mut framer = Framer::new(64, 100);
        assert_eq!(framer.next(b"A sip:b SIP/2.0\r\nl: 101\r\n\r\n"), Err(FrameError::BodyTooLong));
        let mut framer = Framer::new(64, 100);
        let long = [&b"A sip:b SIP/2.0\r\nX: "[..], &[b'x'; 64]].concat();
        assert_eq!(framer.next(&long), Err(FrameError::HeadersTooLong));
    }

    #[test]
    fn what_is_no_sip_is_refused_at_once() {
        let first_byte: &[u8] = &[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
        assert_eq!(Framer::default().next(first_byte), Err(FrameError::Malformed));
        let http = b"GET / HTTP/1.1\r\n";
        assert_eq!(Framer::default().next(http), Err(FrameError::Malformed));
    }
}
