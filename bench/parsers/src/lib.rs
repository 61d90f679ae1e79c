//! The SIP parser beside its peers: the same messages, read to the same depth by each.
//!
//! Two depths: *lazy* finds the start line and the headers, *typed* also reads what a presence
//! server needs of a PUBLISH or SUBSCRIBE. [`check`] holds each parser to it before anything is
//! measured: what it read of a message must be what the message says.

pub mod message;
pub mod parsers;

pub use message::{Message, Told};
pub use parsers::{ALL, Parser};

/// Each parser tells the same of each message.
///
/// # Panics
/// When one does not.
pub fn check() {
    for message in Message::all() {
        for parser in ALL {
            (parser.lazy)(&message);
            if let Some(typed) = &parser.typed {
                (typed.read)(&message);
                let told = (typed.told)(&message);
                assert_eq!(told, message.told, "{} reads the {}", parser.name, message.name);
            }
        }
    }
}

#[test]
fn all_read_the_same() {
    check();
}
