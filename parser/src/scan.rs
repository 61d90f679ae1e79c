//! Byte classes and the cursor: the only code that walks over input.
//!
//! In tests every primitive counts the bytes it looks at, so that linear time is a number.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::error::{ParseError, Reason};

/// `token` of RFC 3261: alphanumerics and `-.!%*_+`'~`.
pub(crate) const TOKEN: u8 = 1;
/// What may stand in a `gen-value` that is a token or a host: [`TOKEN`] and `[ ] :`.
pub(crate) const VALUE: u8 = 1 << 1;
/// `word` of RFC 3261 (Call-ID).
pub(crate) const WORD: u8 = 1 << 2;
/// SP, HTAB, CR, LF: within a header value line ends occur only as folding.
pub(crate) const LWS: u8 = 1 << 3;
/// Unreserved or user-unreserved: the user of a URI without escapes.
pub(crate) const USER: u8 = 1 << 4;
/// A hostname: alphanumerics, `-`, `.`; and `_`, which names in the field do have.
pub(crate) const HOST: u8 = 1 << 5;
/// `paramchar` without escapes: unreserved or `[ ] / : & + $`.
pub(crate) const PARAM: u8 = 1 << 6;
/// `hname` and `hvalue` without escapes: unreserved or `[ ] / ? : + $`.
pub(crate) const HEADER: u8 = 1 << 7;

static CLASSES: [u8; 256] = classes();

// Evaluated by the compiler alone: an index out of range would not build.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn add(mut table: [u8; 256], bytes: &[u8], class: u8) -> [u8; 256] {
    let mut at = 0;
    while at < bytes.len() {
        table[bytes[at] as usize] |= class;
        at += 1;
    }
    table
}

#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if (byte as u8).is_ascii_alphanumeric() {
            table[byte] = TOKEN | VALUE | WORD | USER | HOST | PARAM | HEADER;
        }
        byte += 1;
    }
    table = add(table, b"-.!%*_+`'~", TOKEN | VALUE | WORD);
    table = add(table, b"[]:", VALUE);
    table = add(table, b"()<>:\\\"/[]?{}", WORD);
    table = add(table, b" \t\r\n", LWS);
    table = add(table, b"-_.!~*'()", USER | PARAM | HEADER);
    table = add(table, b"&=+$,;?/", USER);
    table = add(table, b"-._", HOST);
    table = add(table, b"[]/:&+$", PARAM);
    add(table, b"[]/?:+$", HEADER)
}

/// Whether a byte is of a class.
#[inline]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// Whether all bytes are of a class, and there is one.
#[inline]
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    step(bytes.len());
    let classes = |byte: &u8| CLASSES.get(usize::from(*byte)).copied().unwrap_or(0);
    // To the end whatever comes: without a way out the loop is shorter.
    !bytes.is_empty() && bytes.iter().fold(class, |left, byte| left & classes(byte)) != 0
}

/// Whether these are the same letters in any case.
#[inline]
pub(crate) fn same_text(left: &[u8], right: &[u8]) -> bool {
    step(left.len());
    left.len() == right.len() && (left == right || left.eq_ignore_ascii_case(right))
}

/// Position of the first such byte.
#[inline]
pub(crate) fn find(needle: u8, bytes: &[u8]) -> Option<usize> {
    seen(memchr::memchr(needle, bytes), bytes)
}

/// Position of the first of two bytes.
pub(crate) fn find2(one: u8, two: u8, bytes: &[u8]) -> Option<usize> {
    seen(memchr::memchr2(one, two, bytes), bytes)
}

/// Position of the first of three bytes.
pub(crate) fn find3(one: u8, two: u8, three: u8, bytes: &[u8]) -> Option<usize> {
    seen(memchr::memchr3(one, two, three, bytes), bytes)
}

#[inline]
fn seen(found: Option<usize>, bytes: &[u8]) -> Option<usize> {
    step(found.unwrap_or(bytes.len()));
    found
}

/// Splits around the first such byte, which neither half has.
pub(crate) fn split(needle: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, tail) = bytes.split_at_checked(find(needle, bytes)?)?;
    Some((head, tail.get(1..).unwrap_or_default()))
}

/// [`LWS`] without a look at the table: most bytes are above them all.
#[inline(always)]
fn is_blank(byte: u8) -> bool {
    byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Without whitespace and folding at both ends.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        step(1);
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        step(1);
        bytes = rest;
    }
    bytes
}

/// Where `inner`, a part of `outer`, begins.
pub(crate) fn offset_in(outer: &[u8], inner: &[u8]) -> usize {
    inner.as_ptr().addr().saturating_sub(outer.as_ptr().addr())
}

/// A decimal number below 2^32; leading zeros are fine.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    step(digits.len());
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_u32;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        value = value.checked_mul(10)?.checked_add(u32::from(digit))?;
    }
    Some(value)
}

/// The first element of a comma-separated list, trimmed, and the rest after the comma. Commas
/// within quoted strings and angle brackets do not count.
pub(crate) fn element(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut cursor = Cursor::new(list);
    while let Some(at) = find3(b',', b'"', b'<', cursor.rest()) {
        cursor.advance(at);
        match cursor.peek() {
            Some(b',') => {
                let (head, tail) = list.split_at(cursor.position());
                return (trim(head), tail.get(1..));
            }
            Some(b'"') => {
                if cursor.quoted().is_none() {
                    break;
                }
            }
            _ => match find(b'>', cursor.rest()) {
                Some(end) => cursor.advance(end),
                None => break,
            },
        }
    }
    (trim(list), None)
}

/// The text of a token or quoted string: without quotes, and with `\x` as `x`.
#[must_use]
pub fn unquote(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = value else { return Cow::Borrowed(value) };
    if find(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte };
        text.push(*byte);
    }
    Cow::Owned(text)
}

/// A place in a slice that only moves forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// What is still to be read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes have been passed.
    pub(crate) fn position(&self) -> usize {
        self.length.saturating_sub(self.rest.len())
    }

    /// A fault here.
    pub(crate) fn fault(&self, reason: Reason) -> ParseError {
        ParseError::new(reason, self.position())
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    /// Passes a byte if it is this one.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        if here {
            self.advance(1);
        }
        here
    }

    /// Passes whitespace, then the byte if it is this one, then whitespace: SEMI, EQUAL, SLASH, ...
    #[inline]
    pub(crate) fn eat_spaced(&mut self, byte: u8) -> bool {
        let before = *self;
        self.lws();
        if self.eat(byte) {
            self.lws();
            return true;
        }
        *self = before;
        false
    }

    /// Passes `count` bytes and gives them.
    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at_checked(count).unwrap_or((self.rest, b""));
        self.rest = tail;
        head
    }

    /// Passes the bytes of a class and gives them.
    #[inline]
    pub(crate) fn take_while(&mut self, class: u8) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is(*byte, class)).unwrap_or(self.rest.len());
        step(end);
        self.take(end)
    }

    /// Passes whitespace and folding.
    #[inline]
    pub(crate) fn lws(&mut self) {
        while let [first, rest @ ..] = self.rest
            && is_blank(*first)
        {
            step(1);
            self.rest = rest;
        }
    }

    /// A token, if one is here.
    #[inline]
    pub(crate) fn token(&mut self) -> Option<&'a [u8]> {
        Some(self.take_while(TOKEN)).filter(|token| !token.is_empty())
    }

    /// The digits of a number below 2^32, if one is here.
    #[inline]
    pub(crate) fn number(&mut self) -> Option<u32> {
        let digits = self.rest.iter().position(|byte| !byte.is_ascii_digit());
        number(self.take(digits.unwrap_or(self.rest.len())))
    }

    /// A quoted string with its quotes, if a complete one is here.
    pub(crate) fn quoted(&mut self) -> Option<&'a [u8]> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.rest;
        self.advance(1);
        while let [byte, rest @ ..] = self.rest {
            step(1);
            self.rest = rest;
            match byte {
                b'"' => return start.get(..start.len().saturating_sub(rest.len())),
                b'\\' => self.advance(1),
                _ => {}
            }
        }
        None
    }

    /// Passes a comment in parentheses, which may hold others.
    pub(crate) fn comment(&mut self) -> Result<(), ParseError> {
        let start = *self;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            step(1);
            match byte {
                b'(' => depth = depth.saturating_add(1),
                b')' => depth = depth.saturating_sub(1),
                b'\\' => self.advance(1),
                _ => {}
            }
            self.advance(1);
            if depth == 0 {
                return Ok(());
            }
        }
        Err(start.fault(Reason::Comment))
    }
}

/// Counts bytes looked at, in tests.
#[cfg(not(test))]
#[inline(always)]
pub(crate) fn step(_bytes: usize) {}

#[cfg(test)]
pub(crate) use counter::step;

#[cfg(test)]
pub(crate) mod counter {
    use std::cell::Cell;

    std::thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
    }

    /// Adds a call and the bytes it looks at.
    pub(crate) fn step(bytes: usize) {
        STEPS.with(|steps| steps.set(steps.get() + bytes as u64 + 1));
    }

    /// Steps that a piece of work took.
    pub(crate) fn count(work: impl FnOnce()) -> u64 {
        let before = STEPS.with(Cell::get);
        work();
        STEPS.with(Cell::get) - before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_quotes_and_brackets_together() {
        let list = b"\"a, \\\"b\" <sip:c,d@e>;x=\"1,2\" , <sip:f>,, g ";
        let mut rest = Some(&list[..]);
        let mut found = Vec::new();
        while let Some(part) = rest {
            let (one, next) = element(part);
            found.push(one);
            rest = next;
        }
        let want: [&[u8]; 4] = [b"\"a, \\\"b\" <sip:c,d@e>;x=\"1,2\"", b"<sip:f>", b"", b"g"];
        assert_eq!(found, want);
    }

    #[test]
    fn comments_nest_and_escape() {
        let mut cursor = Cursor::new(b"(a (b) \\) c) d");
        assert!(cursor.comment().is_ok());
        assert_eq!(cursor.rest(), b" d");
        assert_eq!(Cursor::new(b"(a (b)").comment().unwrap_err().reason, Reason::Comment);
    }

    #[test]
    fn unquoting() {
        assert_eq!(&*unquote(b"plain"), b"plain");
        assert_eq!(&*unquote(b"\"a b\""), b"a b");
        assert_eq!(&*unquote(b"\"a\\\"\\\\b\""), b"a\"\\b");
        assert_eq!(&*unquote(b"\""), b"\"");
    }

    #[test]
    fn numbers_end_at_32_bits() {
        assert_eq!(number(b"0004294967295"), Some(u32::MAX));
        assert_eq!(number(b"4294967296"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"-1"), None);
        assert_eq!(number(b"1a"), None);
    }
}
