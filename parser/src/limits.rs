//! Every limit of this crate, with its reason.

/// Header lines of one message. The largest that carriers see in the field have some 60 (a long Via
/// and Record-Route path plus operator headers); twice that, at 8 bytes a line, is 1 KiB.
pub const MAX_HEADERS: usize = 128;

/// Header lines that a message's index holds without memory of its own: more than a request has
/// that crossed a few proxies. What is not there need not be moved.
pub(crate) const USUAL_HEADERS: usize = 32;

/// Bytes of start line and headers: offsets into the head fit 16 bits, which halves the index.
pub const MAX_HEAD: usize = u16::MAX as usize;

/// Parameters or headers of one URI that take part in a comparison (RFC 3261 19.1.4), which looks
/// each of the one up in the other. The RFCs define fewer than 20.
pub const MAX_URI_PARAMS: usize = 32;

/// Default limit of a head on a stream, bytes: what fits a datagram fits here.
pub const STREAM_HEAD: usize = MAX_HEAD;

/// Default limit of a body on a stream, bytes: presence documents and resource lists stay far
/// below.
pub const STREAM_BODY: usize = 256 * 1024;

// An entry names its header by one byte, and the first line of each name by another.
const _: () = assert!(MAX_HEADERS < u8::MAX as usize);
// A set of names is one word.
const _: () = assert!(crate::header::Name::COUNT <= 64);
