//! ezk-sip-types: strings that share the message by counting references, typed on demand. The
//! shared bytes are made beforehand.

use std::hint::black_box;

use bytes::Bytes;
use ezk_sip_types::header::typed::{
    CSeq, CallID, Contact, ContentLength, ContentType, Event, Expires, FromTo, MaxForwards, Via,
};
use ezk_sip_types::msg::{Line, MessageLine, PullParser};
use ezk_sip_types::parse::Parse;
use ezk_sip_types::print::AppendCtx;
use ezk_sip_types::uri::SipUri;
use ezk_sip_types::{Headers, Name};

use super::{Parser, Typed};
use crate::{Message, Told};

pub const PARSER: Parser = Parser {
    name: "ezk-sip-types",
    lazy: |message| {
        black_box(&lazy(black_box(&message.shared)));
    },
    typed: Some(Typed {
        read: |message| {
            black_box(&read(black_box(&message.shared)));
        },
        told,
    }),
};

struct Lazy {
    line: MessageLine,
    headers: Headers,
    body: Bytes,
}

struct Read {
    lazy: Lazy,
    via: Via,
    from: FromTo,
    to: FromTo,
    call_id: CallID,
    cseq: CSeq,
    max_forwards: MaxForwards,
    event: Event,
    expires: Expires,
    contact: Option<Contact>,
    content_type: Option<ContentType>,
    content_length: ContentLength,
}

/// As the author's own stack does it.
fn lazy(bytes: &Bytes) -> Lazy {
    let text = |line| std::str::from_utf8(line).expect("text");
    let mut parser = PullParser::new(bytes, 0);
    let first = parser.next().expect("a line").expect("complete");
    let (_, line) = MessageLine::parse(bytes)(text(first)).expect("a start line");
    let mut headers = Headers::new();
    for line in &mut parser {
        let (_, line) = Line::parse(bytes, text(line.expect("complete"))).expect("a header");
        headers.insert(line.name, line.value);
    }
    let body = bytes.slice(parser.head_end()..);
    Lazy { line, headers, body }
}

fn read(bytes: &Bytes) -> Read {
    let lazy = lazy(bytes);
    let headers = &lazy.headers;
    Read {
        via: headers.get_named().expect("Via"),
        from: headers.get(Name::FROM).expect("From"),
        to: headers.get(Name::TO).expect("To"),
        call_id: headers.get_named().expect("Call-ID"),
        cseq: headers.get_named().expect("CSeq"),
        max_forwards: headers.get_named().expect("Max-Forwards"),
        event: headers.get_named().expect("Event"),
        expires: headers.get_named().expect("Expires"),
        contact: headers.try_get_named().map(|contact| contact.expect("Contact")),
        content_type: headers.try_get_named().map(|kind| kind.expect("Content-Type")),
        content_length: headers.get_named().expect("Content-Length"),
        lazy,
    }
}

fn told(message: &Message) -> Told {
    let read = read(&message.shared);
    // The user part has no public type: it is read off the printed URI.
    let aor = |uri: &SipUri| {
        let text = uri.default_print_ctx().to_string();
        let text = text.strip_prefix("sip:").expect("sip");
        text.split(';').next().unwrap_or_default().to_string()
    };
    let MessageLine::Request(line) = &read.lazy.line else { panic!("a request") };
    assert_eq!(read.content_length.0, read.lazy.body.len());
    Told {
        target: aor(&line.uri),
        sent_by: read.via.sent_by.default_print_ctx().to_string(),
        branch: read.via.params.get_val("branch").expect("a branch").to_string(),
        from: aor(&read.from.uri.uri),
        from_tag: read.from.tag.as_ref().expect("a tag").to_string(),
        to: aor(&read.to.uri.uri),
        call_id: read.call_id.0.to_string(),
        cseq: read.cseq.cseq,
        max_forwards: read.max_forwards.0.into(),
        event: read.event.0.to_string(),
        expires: read.expires.0,
        if_match: read
            .lazy
            .headers
            .get_raw(&Name::unknown("SIP-If-Match".into()))
            .next()
            .map(ToString::to_string),
        contact: read.contact.map(|contact| aor(&contact.uri.uri)),
        content_type: read.content_type.map(|kind| kind.0.to_string()),
        body: read.lazy.body.len(),
    }
}
