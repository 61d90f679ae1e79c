//! SIP messages, URIs and framing as views over the bytes they came in.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod xml;

/// Why no message can be cut out of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The header block is longer than the limit.
    HeadersTooLong,
    /// Content-Length is over the limit.
    BodyTooLong,
    /// Content-Length is missing or not a number, or the start is no SIP message.
    Malformed,
}
