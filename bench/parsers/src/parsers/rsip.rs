//! rsip: headers as strings of their own, typed on demand.

use std::hint::black_box;

use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};
use rsip::{Header, Request, typed};

use super::{Parser, Typed};
use crate::{Message, Told};

pub const PARSER: Parser = Parser {
    name: "rsip",
    lazy: |message| {
        black_box(&lazy(black_box(&message.bytes)));
    },
    typed: Some(Typed {
        read: |message| {
            black_box(&read(black_box(&message.bytes)));
        },
        told,
    }),
};

struct Read {
    request: Request,
    via: typed::Via,
    from: typed::From,
    to: typed::To,
    cseq: typed::CSeq,
    max_forwards: u32,
    expires: u32,
    contact: Option<typed::Contact>,
    content_type: Option<typed::ContentType>,
}

fn lazy(bytes: &[u8]) -> Request {
    Request::try_from(bytes).expect("a request")
}

fn read(bytes: &[u8]) -> Read {
    let request = lazy(bytes);
    let headers = || request.headers().iter();
    let content_type = headers().find_map(|header| match header {
        Header::ContentType(kind) => Some(kind.typed().expect("Content-Type")),
        _ => None,
    });
    Read {
        via: request.via_header().expect("Via").typed().expect("Via"),
        from: request.from_header().expect("From").typed().expect("From"),
        to: request.to_header().expect("To").typed().expect("To"),
        cseq: request.cseq_header().expect("CSeq").typed().expect("CSeq"),
        max_forwards: request.max_forwards_header().expect("Max-Forwards").num().expect("a number"),
        expires: request.expires_header().expect("Expires").seconds().expect("a number"),
        contact: request.contact_header().ok().map(|contact| contact.typed().expect("Contact")),
        content_type,
        request,
    }
}

fn told(message: &Message) -> Told {
    let read = read(&message.bytes);
    let aor = |uri: &rsip::Uri| format!("{}@{}", uri.user().expect("a user"), uri.host());
    let headers = || read.request.headers().iter();
    let other = |name: &str| {
        headers().find_map(|header| match header {
            Header::Other(have, value) if have == name => Some(value.clone()),
            _ => None,
        })
    };
    Told {
        target: aor(&read.request.uri),
        sent_by: read.via.uri.host_with_port.to_string(),
        branch: read.via.branch().expect("a branch").value().into(),
        from: aor(&read.from.uri),
        from_tag: read.from.tag().expect("a tag").value().into(),
        to: aor(&read.to.uri),
        call_id: read.request.call_id_header().expect("Call-ID").value().into(),
        cseq: read.cseq.seq,
        max_forwards: read.max_forwards,
        event: headers()
            .find_map(|header| match header {
                Header::Event(event) => Some(event.value().into()),
                _ => None,
            })
            .expect("Event"),
        expires: read.expires,
        if_match: other("SIP-If-Match"),
        contact: read.contact.map(|contact| {
            format!("{}@{}", contact.uri.user().expect("a user"), contact.uri.host_with_port)
        }),
        content_type: read.content_type.map(|kind| kind.to_string()),
        body: read.request.body.len(),
    }
}
