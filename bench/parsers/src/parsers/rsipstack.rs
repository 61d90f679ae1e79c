//! rsipstack: headers as strings of their own, typed on demand.

use std::hint::black_box;

use rsipstack::sip::prelude::{HasHeaders, HeadersExt, ToTypedHeader};
use rsipstack::sip::{Header, Request, Uri, typed};

use super::{Parser, Typed};
use crate::{Message, Told};

pub const PARSER: Parser = Parser {
    name: "rsipstack",
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
}

fn lazy(bytes: &[u8]) -> Request {
    Request::try_from(bytes).expect("a request")
}

fn read(bytes: &[u8]) -> Read {
    let request = lazy(bytes);
    let number = |text: &str| text.parse().expect("a number");
    Read {
        via: request.via_header().expect("Via").typed().expect("Via"),
        from: request.from_header().expect("From").typed().expect("From"),
        to: request.to_header().expect("To").typed().expect("To"),
        cseq: request.cseq_header().expect("CSeq").typed().expect("CSeq"),
        max_forwards: number(request.max_forwards_header().expect("Max-Forwards").value()),
        expires: number(request.expires_header().expect("Expires").value()),
        contact: request.contact_header().ok().map(|contact| contact.typed().expect("Contact")),
        request,
    }
}

fn told(message: &Message) -> Told {
    let read = read(&message.bytes);
    let user = |uri: &Uri| uri.user().expect("a user").to_string();
    let aor = |uri: &Uri| format!("{}@{}", user(uri), uri.host());
    let headers = || read.request.headers().iter();
    Told {
        target: aor(&read.request.uri),
        sent_by: read.via.sent_by().to_string(),
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
        if_match: headers().find_map(|header| match header {
            Header::Other(name, value) if name == "SIP-If-Match" => Some(value.clone()),
            _ => None,
        }),
        contact: read
            .contact
            .map(|contact| format!("{}@{}", user(&contact.uri), contact.uri.host_with_port)),
        content_type: headers().find_map(|header| match header {
            Header::ContentType(kind) => Some(kind.value().into()),
            _ => None,
        }),
        body: read.request.body.len(),
    }
}
