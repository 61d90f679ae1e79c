//! Header lines and the end of a message.

use alloc::vec::Vec;

use super::{write_number, write_value};
use crate::header::Name;

/// Writes header lines after a start line; [`HeadWriter::body`] or [`HeadWriter::end`] completes
/// the message with its Content-Length.
#[derive(Debug)]
#[must_use = "a message without its end is none"]
pub struct HeadWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> HeadWriter<'b> {
    /// After a start line, and perhaps header lines, that are already in the buffer.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A header whose value may come from outside.
    pub fn header(self, name: Name, value: &[u8]) -> Self {
        self.header_with(name, |out| write_value(value, out))
    }

    /// A header with a number.
    pub fn number(self, name: Name, number: u32) -> Self {
        self.header_with(name, |out| write_number(u64::from(number), out))
    }

    /// A header whose value the closure appends: text of our own making.
    pub fn header_with(self, name: Name, value: impl FnOnce(&mut Vec<u8>)) -> Self {
        self.out.extend_from_slice(name.as_str().as_bytes());
        self.out.extend_from_slice(b": ");
        value(self.out);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Whole header lines of our own making, each with its CRLF.
    pub fn raw(self, lines: &[u8]) -> Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// The end of a message without a body.
    pub fn end(self) {
        self.out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }

    /// The end of a message with a body of this type.
    pub fn body(self, content_type: &str, body: &[u8]) {
        self.body_with(content_type, |out| out.extend_from_slice(body));
    }

    /// The end of a message whose body the closure appends; the length is filled in afterwards.
    pub fn body_with(self, content_type: &str, write: impl FnOnce(&mut Vec<u8>)) {
        // Ten digits with blanks before them: HCOLON may be followed by any whitespace.
        const ROOM: usize = 10;
        let out = self.out;
        out.extend_from_slice(b"Content-Type: ");
        out.extend_from_slice(content_type.as_bytes());
        out.extend_from_slice(b"\r\nContent-Length: ");
        let length_at = out.len();
        out.extend_from_slice(&[b' '; ROOM]);
        out.extend_from_slice(b"\r\n\r\n");
        let body_at = out.len();
        write(out);
        let length = out.len().saturating_sub(body_at);
        let mut digits = Vec::with_capacity(ROOM);
        write_number(length as u64, &mut digits);
        let last = length_at.saturating_add(ROOM);
        let first = last.saturating_sub(digits.len());
        if let Some(room) = out.get_mut(first..last) {
            room.copy_from_slice(&digits);
        }
    }
}
