//! rvoip-sip-core: every header typed at once, so that both depths are the same.

use std::hint::black_box;

use rvoip_sip_core::types::event::EventType;
use rvoip_sip_core::{Message as Sip, Request, TypedHeader, Uri, parse_message};

use super::{Parser, Typed};
use crate::{Message, Told};

pub const PARSER: Parser = Parser {
    name: "rvoip-sip-core",
    lazy: |message| {
        black_box(&read(black_box(&message.bytes)));
    },
    typed: Some(Typed {
        read: |message| {
            black_box(&read(black_box(&message.bytes)));
        },
        told,
    }),
};

fn read(bytes: &[u8]) -> Request {
    match parse_message(bytes).expect("a message") {
        Sip::Request(request) => request,
        Sip::Response(_) => panic!("a request"),
    }
}

fn told(message: &Message) -> Told {
    let request = read(&message.bytes);
    let aor = |uri: &Uri| format!("{}@{}", uri.user.as_deref().expect("a user"), uri.host.as_str());
    let mut told =
        Told { target: aor(request.uri()), body: request.body().len(), ..Told::default() };
    for header in request.all_headers() {
        match header {
            TypedHeader::Via(via) => {
                let top = &via.0[0];
                told.sent_by = format!("{}:{}", top.host().as_str(), top.port().expect("a port"));
                told.branch = top.branch().expect("a branch").into();
            }
            TypedHeader::From(from) => {
                told.from = aor(&from.0.uri);
                told.from_tag = from.0.tag().expect("a tag").into();
            }
            TypedHeader::To(to) => told.to = aor(&to.0.uri),
            TypedHeader::CallId(id) => told.call_id = id.as_str().into(),
            TypedHeader::CSeq(cseq) => told.cseq = cseq.seq,
            TypedHeader::MaxForwards(hops) => told.max_forwards = hops.0.into(),
            TypedHeader::Event(event) => {
                told.event = match &event.event_type {
                    EventType::Token(name) => name.clone(),
                    EventType::Package(name) => name.clone(),
                };
            }
            TypedHeader::Expires(expires) => told.expires = expires.0,
            TypedHeader::SipIfMatch(tag) => told.if_match = Some(tag.tag().into()),
            TypedHeader::Contact(contact) => {
                let uri = &contact.address().expect("an address").uri;
                told.contact = Some(format!("{}:{}", aor(uri), uri.port.expect("a port")));
            }
            TypedHeader::ContentType(kind) => told.content_type = Some(kind.to_string()),
            _ => {}
        }
    }
    told
}
