//! Finding the lines of a head.

use smallvec::SmallVec;

use super::{Entry, Message, NONE, start};
use crate::error::{ParseError, Reason};
use crate::header::{Name, WINDOW};
use crate::limits::{MAX_HEAD, MAX_HEADERS};
use crate::scan::{self, TOKEN};

/// Bytes of a value that are looked at word by word; few are longer.
const SHORT: usize = 64;

#[inline]
pub(super) fn message(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    scan::step(blank);
    let head = bytes.get(blank..).unwrap_or_default();
    if head.is_empty() {
        return Err(ParseError::new(Reason::Empty, blank));
    }
    let (line, next) = match line_feed(head, 0) {
        Some(end) => (head.get(..end).unwrap_or(head), end.saturating_add(1)),
        None => (head, head.len()),
    };
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (start, fault) = start::line(line).map_err(|error| error.shifted(blank))?;
    let mut message = Message {
        bytes,
        start,
        entries: SmallVec::new(),
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
    #[inline]
    fn read_lines(&mut self, mut at: usize) -> Result<(), ParseError> {
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            let step = match rest {
                [b'\r', b'\n', ..] => {
                    self.body_at = at.wrapping_add(2);
                    return Ok(());
                }
                _ => self.plain_line(at, rest),
            };
            let step = match step {
                Some(step) => step,
                None => match self.any_line(at, rest)? {
                    Some(step) => step,
                    None => return Ok(()),
                },
            };
            at = at.wrapping_add(step);
        }
    }

    /// Adds a line as nearly all are written: `Name: value` CR LF, no folding. Says how long it is;
    /// `None` when it is another, which is not yet added.
    #[inline(always)]
    fn plain_line(&mut self, at: usize, rest: &'a [u8]) -> Option<usize> {
        let padded;
        let window = match rest.first_chunk::<WINDOW>() {
            Some(window) => window,
            None => {
                padded = padded_window(rest);
                &padded
            }
        };
        let colon = colon(window)?;
        let name = Name::at_start(window, colon);
        if name == Name::Other && !scan::all(window.get(..colon)?, TOKEN) {
            return None;
        }
        let after = colon.wrapping_add(1);
        let value = after.wrapping_add(usize::from(*rest.get(after)? == b' '));
        let feed = line_feed(rest, value)?;
        let end = feed.wrapping_sub(1);
        let [last, b'\r', b'\n'] = rest.get(end.wrapping_sub(1)..)?.first_chunk::<3>()? else {
            return None;
        };
        let visible = *rest.get(value)? > b' ' && *last > b' ';
        let folded = matches!(rest.get(feed.wrapping_add(1)), Some(b' ' | b'\t'));
        if !visible || folded || at.wrapping_add(feed) > MAX_HEAD {
            return None;
        }
        self.push(at, at.wrapping_add(value), at.wrapping_add(end), name).ok()?;
        Some(feed.wrapping_add(1))
    }

    /// Adds a line of any kind; `None` at the end of the head.
    #[cold]
    fn any_line(&mut self, at: usize, rest: &'a [u8]) -> Result<Option<usize>, ParseError> {
        let Some(mut end) = scan::find(b'\n', rest) else {
            return self.unfinished(at, rest).map(|()| None);
        };
        let mut next = end.wrapping_add(1);
        if end == 0 {
            self.body_at = at.wrapping_add(next);
            return Ok(None);
        }
        if matches!(rest.get(next), Some(b' ' | b'\t')) {
            (end, next) = folded_line(rest, next);
        }
        self.add(at, rest.get(..end).unwrap_or_default())?;
        Ok(Some(next))
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
    fn add(&mut self, at: usize, line: &'a [u8]) -> Result<(), ParseError> {
        if at.wrapping_add(line.len()) > MAX_HEAD {
            return Err(ParseError::new(Reason::HeadTooLong, MAX_HEAD));
        }
        let split = scan::find(b':', line).and_then(|colon| line.split_at_checked(colon));
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
        self.push(at, value_at, end, name)
    }

    /// Notes a line whose end is within [`MAX_HEAD`], so that all offsets fit.
    #[inline(always)]
    fn push(
        &mut self,
        line: usize,
        value: usize,
        end: usize,
        name: Name,
    ) -> Result<(), ParseError> {
        let index = self.entries.len();
        if index >= MAX_HEADERS {
            return Err(ParseError::new(Reason::TooManyHeaders, line));
        }
        self.entries.push(Entry { line: line as u16, value: value as u16, end: end as u16, name });
        if let Some(first) = self.first.get_mut(name as usize) {
            if *first == NONE {
                *first = index as u8;
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

const ONES: u64 = 0x0101_0101_0101_0101;

/// The high bit of each byte that is this one, up to the first of them; those above it may lie.
#[inline(always)]
fn hits(chunk: [u8; 8], byte: u8) -> u64 {
    let word = u64::from_le_bytes(chunk) ^ ONES.wrapping_mul(u64::from(byte));
    word.wrapping_sub(ONES) & !word & ONES.wrapping_mul(0x80)
}

/// The last line of a message without a body is often shorter than a window.
#[inline(never)]
fn padded_window(rest: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    if let Some(start) = window.get_mut(..rest.len()) {
        start.copy_from_slice(rest);
    }
    window
}

/// Position of the first colon among the bytes that a known name may take.
#[inline(always)]
fn colon(window: &[u8; WINDOW]) -> Option<usize> {
    let (words, _) = window.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        scan::step(8);
        let hits = hits(*word, b':');
        if hits != 0 {
            return Some(index.wrapping_mul(8).wrapping_add((hits.trailing_zeros() / 8) as usize));
        }
    }
    None
}

/// Position of the first LF from `from` on.
#[inline(always)]
fn line_feed(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let (blocks, _) = rest.get(..SHORT).unwrap_or(rest).as_chunks::<16>();
    let mut at = from;
    for block in blocks {
        scan::step(16);
        // Without an early end this is one comparison of 16 bytes.
        if block.iter().fold(false, |found, byte| found | (*byte == b'\n')) {
            let (words, _) = block.as_chunks::<8>();
            let hits =
                words.iter().rev().fold(0_u128, |all, word| all << 64 | hits(*word, b'\n') as u128);
            return Some(at.wrapping_add((hits.trailing_zeros() / 8) as usize));
        }
        at = at.wrapping_add(16);
    }
    far_line_feed(bytes, at)
}

#[cold]
fn far_line_feed(bytes: &[u8], from: usize) -> Option<usize> {
    Some(scan::find(b'\n', bytes.get(from..)?)?.wrapping_add(from))
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
