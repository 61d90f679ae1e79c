//! Finding the lines of a head.

use super::{Entry, Message, NONE, StartLine, start};
use crate::error::{ParseError, Reason};
use crate::header::Name;
use crate::limits::{MAX_HEAD, MAX_HEADERS};
use crate::scan::{self, TOKEN};

#[inline]
pub(super) fn message(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    scan::step(blank);
    let head = bytes.get(blank..).unwrap_or_default();
    if head.is_empty() {
        return Err(ParseError::new(Reason::Empty, blank));
    }
    let (line, next) = match scan::find(b'\n', head) {
        Some(end) => (head.get(..end).unwrap_or(head), end.saturating_add(1)),
        None => (head, head.len()),
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (start, fault) = start::line(line).map_err(|error| error.shifted(blank))?;
    let fault = fault.map(|error| error.shifted(blank));
    read(bytes, start, fault, blank.saturating_add(next))
}

/// The message whose header lines begin at `at`. Its kilobyte is made where it is returned to:
/// hence one value, changed in place.
#[inline]
fn read<'a>(
    bytes: &'a [u8],
    start: StartLine<'a>,
    fault: Option<ParseError>,
    at: usize,
) -> Result<Message<'a>, ParseError> {
    let empty = Entry { line: 0, value: 0, end: 0, name: Name::Other };
    let mut result = Ok(Message {
        bytes,
        start,
        entries: [empty; MAX_HEADERS],
        count: 0,
        first: [NONE; Name::COUNT],
        repeated: 0,
        body_at: usize::MAX,
        fault,
    });
    let error = result.as_mut().ok().and_then(|message| message.read_lines(at).err());
    if let Some(error) = error {
        result = Err(error);
    }
    result
}

impl<'a> Message<'a> {
    /// Reads header lines from `at` on, up to the empty line.
    fn read_lines(&mut self, mut at: usize) -> Result<(), ParseError> {
        let bytes = self.bytes;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(mut end) = scan::find(b'\n', rest) else {
                return self.unfinished(at, rest);
            };
            let mut next = end.wrapping_add(1);
            if end < 2 && matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]) {
                self.body_at = at.wrapping_add(next);
                return Ok(());
            }
            if matches!(rest.get(next), Some(b' ' | b'\t')) {
                (end, next) = folded_line(rest, next);
            }
            self.add(at, rest.get(..end).unwrap_or_default())?;
            at = at.wrapping_add(next);
        }
    }

    /// The message ends within a line, or before the empty one.
    #[cold]
    fn unfinished(&mut self, at: usize, line: &'a [u8]) -> Result<(), ParseError> {
        if !line.is_empty() {
            self.add(at, line)?;
        }
        self.note(ParseError::new(Reason::HeadEnd, self.bytes.len()));
        Ok(())
    }

    /// Adds the line that starts at `at`.
    #[inline]
    fn add(&mut self, at: usize, line: &'a [u8]) -> Result<(), ParseError> {
        if at.wrapping_add(line.len()) > MAX_HEAD {
            return Err(ParseError::new(Reason::HeadTooLong, MAX_HEAD));
        }
        let split = colon(line).and_then(|colon| line.split_at_checked(colon));
        let Some((before, [_, after @ ..])) = split else {
            self.note(ParseError::new(Reason::HeaderName, at));
            return Ok(());
        };
        let name_bytes = blanks_off(before);
        let name = Name::of(name_bytes);
        if name == Name::Other && !scan::all(name_bytes, TOKEN) {
            self.note(ParseError::new(Reason::HeaderName, at));
            return Ok(());
        }
        let value = scan::trim(after);
        let value_at = at.wrapping_add(scan::offset_in(line, value));
        let end = value_at.wrapping_add(value.len());
        let index = self.count;
        let Some(slot) = self.entries.get_mut(usize::from(index)) else {
            return Err(ParseError::new(Reason::TooManyHeaders, at));
        };
        // The end of the line is within MAX_HEAD, so all three fit.
        *slot = Entry { line: at as u16, value: value_at as u16, end: end as u16, name };
        self.count = index.wrapping_add(1);
        if let Some(first) = self.first.get_mut(name as usize) {
            if *first == NONE {
                *first = index;
            } else {
                self.repeated |= name.bit();
            }
        }
        Ok(())
    }

    /// Keeps the first fault.
    #[cold]
    fn note(&mut self, fault: ParseError) {
        self.fault.get_or_insert(fault);
    }
}

/// Where the line ends that goes on at `from`, which is a continuation, and where the next begins.
#[cold]
fn folded_line(rest: &[u8], mut from: usize) -> (usize, usize) {
    loop {
        let tail = rest.get(from..).unwrap_or_default();
        let Some(at) = scan::find(b'\n', tail) else { return (rest.len(), rest.len()) };
        let end = from.wrapping_add(at);
        let next = end.wrapping_add(1);
        match rest.get(next) {
            Some(b' ' | b'\t') => from = next,
            _ => return (end, next),
        }
    }
}

/// Position of the first colon, 8 bytes at a time: names are short.
#[inline]
fn colon(line: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut at = 0_usize;
    while let Some(chunk) = line.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        scan::step(8);
        let word = u64::from_le_bytes(*chunk) ^ (ONES.wrapping_mul(0x3a));
        let hits = word.wrapping_sub(ONES) & !word & (ONES.wrapping_mul(0x80));
        if hits != 0 {
            return Some(at.wrapping_add((hits.trailing_zeros() / 8) as usize));
        }
        at = at.wrapping_add(8);
    }
    let tail = line.get(at..).unwrap_or_default();
    scan::step(tail.len());
    tail.iter().position(|byte| *byte == b':').map(|found| at.wrapping_add(found))
}

/// Without SP and HTAB at the end (HCOLON).
#[inline]
fn blanks_off(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = name {
        scan::step(1);
        name = rest;
    }
    name
}
