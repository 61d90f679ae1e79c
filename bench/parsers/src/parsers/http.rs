//! httparse: no SIP, but how fast lines can be found.

use std::hint::black_box;

use super::Parser;
use crate::Message;

pub const PARSER: Parser = Parser { name: "httparse (HTTP)", lazy, typed: None };

fn lazy(message: &Message) {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(black_box(&message.http)).expect("a request");
    assert!(status.is_complete());
    black_box(&request);
}
