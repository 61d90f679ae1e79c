//! One file for each parser.

pub mod ezk;
pub mod http;
pub mod pharos;
pub mod rsip;
pub mod rsipstack;
pub mod rvoip;

use crate::{Message, Told};

/// A parser under measurement.
pub struct Parser {
    /// Its crate.
    pub name: &'static str,
    /// Finds start line and headers.
    pub lazy: fn(&Message),
    /// Reads the headers as well.
    pub typed: Option<Typed>,
}

/// The deeper of the two.
pub struct Typed {
    /// Reads what [`Told`] holds into the crate's own types.
    pub read: fn(&Message),
    /// The same, and says what it read.
    pub told: fn(&Message) -> Told,
}

/// Ours first, then the peers, then what is no SIP parser at all.
pub const ALL: &[Parser] =
    &[pharos::PARSER, rsipstack::PARSER, rsip::PARSER, ezk::PARSER, rvoip::PARSER, http::PARSER];
