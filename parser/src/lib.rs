//! SIP messages, URIs and framing as views over the bytes they came in.
//!
//! Nothing here copies, allocates per header or fails early: [`Message::parse`] finds the lines of
//! the head and notes what each is; the typed accessors ([`Message::via`], [`Message::from`], ...)
//! read a header when somebody asks for it and say what is wrong with it and where. So a request
//! with a broken Contact can still be answered by its Via, From, To, Call-ID and CSeq.
//!
//! Every function takes time linear in its input, and none panics on any input.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]
extern crate alloc;

pub mod address;
pub mod date;
pub mod dialog_info;
pub mod digest;
pub mod error;
pub mod event;
pub mod field;
pub mod frame;
pub mod header;
pub mod host;
pub mod limits;
pub mod media;
pub mod message;
pub mod message_summary;
pub mod method;
pub mod params;
pub mod pidf;
mod scan;
pub mod uri;
pub mod via;
pub mod write;
pub mod xml;

#[cfg(test)]
mod linear;

pub use address::{Address, Contact};
pub use error::{FrameError, ParseError, Reason};
pub use frame::{Frame, Framer};
pub use header::Name;
pub use host::Host;
pub use message::{Header, Message, StartLine};
pub use method::Method;
pub use params::{Param, Params};
pub use scan::unquote;
pub use uri::{Scheme, Uri};
pub use via::Via;
