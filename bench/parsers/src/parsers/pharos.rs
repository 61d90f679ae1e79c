//! The parser of this repository.

use std::hint::black_box;

use pharos_parser::event::Event;
use pharos_parser::media::MediaType;
use pharos_parser::message::Essential;
use pharos_parser::{Address, Message as Sip, Uri};

use super::{Parser, Typed};
use crate::{Message, Told};

pub const PARSER: Parser = Parser {
    name: "pharos-parser",
    lazy: |message| {
        black_box(&Sip::parse(black_box(&message.bytes)).expect("a message"));
    },
    typed: Some(Typed {
        read: |message| {
            black_box(&read(black_box(&message.bytes)));
        },
        told,
    }),
};

struct Read<'a> {
    target: Uri<'a>,
    head: Essential<'a>,
    event: Event<'a>,
    expires: Option<u32>,
    if_match: Option<&'a [u8]>,
    contact: Option<Address<'a>>,
    content_type: Option<MediaType<'a>>,
    body: &'a [u8],
}

fn read(bytes: &[u8]) -> Read<'_> {
    let message = Sip::parse(bytes).expect("a message");
    Read {
        target: message.target().expect("a URI"),
        head: message.essential().expect("the mandatory headers"),
        event: message.event().expect("Event").expect("there"),
        expires: message.expires().expect("Expires"),
        if_match: message.sip_if_match().expect("SIP-If-Match"),
        contact: message.contact().expect("Contact"),
        content_type: message.content_type().expect("Content-Type"),
        body: message.body().expect("a body"),
    }
}

fn told(message: &Message) -> Told {
    let read = read(&message.bytes);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let aor = |uri: &Uri<'_>| {
        let mut out = Vec::new();
        uri.write_aor(&mut out).expect("an address of record");
        text(&out)
    };
    let head = &read.head;
    Told {
        target: aor(&read.target),
        sent_by: text(head.via.sent_by()),
        branch: text(head.via.branch().expect("a branch")),
        from: aor(head.from.uri()),
        from_tag: text(head.from.tag().expect("a tag")),
        to: aor(head.to.uri()),
        call_id: text(head.call_id),
        cseq: head.cseq.number,
        max_forwards: head.max_forwards.expect("Max-Forwards").into(),
        event: text(read.event.package()),
        expires: read.expires.expect("Expires"),
        if_match: read.if_match.map(text),
        contact: read.contact.map(|contact| {
            let uri = contact.uri();
            format!("{}:{}", aor(uri), uri.port().expect("a port"))
        }),
        content_type: read
            .content_type
            .map(|kind| format!("{}/{}", text(kind.kind()), text(kind.subtype()))),
        body: read.body.len(),
    }
}
