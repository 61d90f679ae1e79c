//! Finding the lines of a head.

use super::{Entry, Message, NONE, start};
use crate::error::{ParseError, Reason};
use crate::header::Name;
use crate::limits::{MAX_HEAD, MAX_HEADERS};
use crate::scan::{self, LWS, TOKEN};

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
    let empty = Entry { line: 0, value: 0, end: 0, name: Name::Other };
    let mut message = Message {
        bytes,
        start,
        entries: [empty; MAX_HEADERS],
        count: 0,
        first: [NONE; Name::COUNT],
        repeated: 0,
        body_at: usize::MAX,
        fault: fault.map(|error| error.shifted(blank)),
    };
    message.read_lines(blank.saturating_add(next))?;
    Ok(message)
}

impl<'a> Message<'a> {
    /// Reads header lines from `at` on, up to the empty line.
    fn read_lines(&mut self, mut at: usize) -> Result<(), ParseError> {
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            match rest {
                [b'\r', b'\n', ..] => {
                    self.body_at = at.saturating_add(2);
                    return Ok(());
                }
                [b'\n', ..] => {
                    self.body_at = at.saturating_add(1);
                    return Ok(());
                }
                [] => {
                    self.note(ParseError::new(Reason::HeadEnd, at));
                    return Ok(());
                }
                _ => {}
            }
            let (length, next) = logical_line(rest);
            let end = at.saturating_add(length);
            if end > MAX_HEAD {
                return Err(ParseError::new(Reason::HeadTooLong, MAX_HEAD));
            }
            self.add(at, rest.get(..length).unwrap_or(rest))?;
            at = at.saturating_add(next);
        }
    }

    /// Adds the line that starts at `at`.
    fn add(&mut self, at: usize, line: &'a [u8]) -> Result<(), ParseError> {
        let split = scan::find(b':', line).and_then(|colon| line.split_at_checked(colon));
        let Some((before, after)) = split else {
            self.note(ParseError::new(Reason::HeaderName, at));
            return Ok(());
        };
        let name_bytes = blanks_off(before);
        let name = Name::of(name_bytes);
        if name == Name::Other && !scan::all(name_bytes, TOKEN) {
            self.note(ParseError::new(Reason::HeaderName, at));
            return Ok(());
        }
        let value = scan::trim(after.get(1..).unwrap_or_default());
        let value_at = at.saturating_add(scan::offset_in(line, value));
        let index = self.count;
        let slot = self.entries.get_mut(usize::from(index));
        let slot = slot.ok_or_else(|| ParseError::new(Reason::TooManyHeaders, at))?;
        // The end of the line is within MAX_HEAD, so all three fit.
        let offset = |at| u16::try_from(at).unwrap_or(u16::MAX);
        *slot = Entry {
            line: offset(at),
            value: offset(value_at),
            end: offset(value_at.saturating_add(value.len())),
            name,
        };
        self.count = index.saturating_add(1);
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
    fn note(&mut self, fault: ParseError) {
        self.fault.get_or_insert(fault);
    }
}

/// Length of the line with its continuation lines but without its end, and where the next begins.
#[inline]
fn logical_line(rest: &[u8]) -> (usize, usize) {
    let mut from = 0_usize;
    loop {
        let tail = rest.get(from..).unwrap_or_default();
        let Some(at) = scan::find(b'\n', tail) else { return (rest.len(), rest.len()) };
        let end = from.saturating_add(at);
        let next = end.saturating_add(1);
        match rest.get(next) {
            Some(b' ' | b'\t') => from = next,
            _ => return (end, next),
        }
    }
}

/// Without SP and HTAB at the end (HCOLON).
fn blanks_off(mut name: &[u8]) -> &[u8] {
    while let [rest @ .., last] = name
        && scan::is(*last, LWS)
        && !matches!(last, b'\r' | b'\n')
    {
        scan::step(1);
        name = rest;
    }
    name
}
