//! What PUBLISH, SUBSCRIBE and the answers to NOTIFY say, in the terms of presence. Everything that
//! is read out of a message by this system is read here.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use pharos_parser::message::Essential;
use pharos_parser::write::write_value;
use pharos_parser::{Address, Message, Method, Name, ParseError, Scheme};

use super::package::{PackageId, Packages};
use super::refusal::Refusal;
use crate::reject::Reject;
use crate::route::write_local_aor;
use crate::sip::listen::write_contact;
use crate::sip::{Dialog, Incoming};
use crate::{Core, limits};

/// An Event header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'m> {
    /// Its package.
    pub(super) package: PackageId,
    /// Its `id` (row C99).
    pub(super) id: Option<&'m str>,
}

/// A body with what is said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'m> {
    /// Media type without parameters; empty when there is no body.
    pub(super) content_type: &'m str,
    /// The body; may be empty.
    pub(super) bytes: &'m [u8],
    /// It is not compressed or otherwise coded.
    pub(super) identity: bool,
}

impl From<ParseError> for Refusal {
    fn from(_: ParseError) -> Self {
        Reject::Malformed.into()
    }
}

/// The copy of a request that waited.
pub(super) fn message(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    Message::parse(bytes)
}

/// It is a PUBLISH; else it is a SUBSCRIBE.
pub(super) fn is_publish(message: &Message<'_>) -> bool {
    message.method() == Some(Method::Publish)
}

/// The AoR that a request is for.
pub(super) fn aor<'m>(request: &Incoming<'m>) -> Result<&'m str, Refusal> {
    if request.aor.len() > limits::AOR_MAX {
        return Err(Reject::AorTooLong.into());
    }
    core::str::from_utf8(request.aor).map_err(|_| Reject::NoAor.into())
}

/// Event (row C70): missing or of no package of ours is 489.
pub(super) fn event<'m>(message: &Message<'m>) -> Result<Event<'m>, Refusal> {
    let event = message.event()?.ok_or(Reject::BadEvent)?;
    let name = core::str::from_utf8(event.package()).map_err(|_| Reject::BadEvent)?;
    let sla = event.params().get("sla").is_some();
    let package = Packages::by_event(name, sla).ok_or(Reject::BadEvent)?;
    let id = event.id().map(core::str::from_utf8).transpose();
    Ok(Event { package, id: id.map_err(|_| Reject::Malformed)? })
}

/// SIP-If-Match.
pub(super) fn if_match<'m>(message: &Message<'m>) -> Result<Option<&'m [u8]>, Refusal> {
    Ok(message.sip_if_match()?)
}

/// Expires, seconds.
pub(super) fn expires(message: &Message<'_>) -> Result<Option<u32>, Refusal> {
    Ok(message.expires()?)
}

/// Call-ID, our tag and the peer's of a request within a dialog.
pub(super) fn dialog<'m>(head: &Essential<'m>) -> Option<(&'m [u8], &'m [u8], &'m [u8])> {
    Some((head.call_id, head.to.tag()?, head.from.tag().unwrap_or_default()))
}

/// The body and its type. A body without a type is malformed (RFC 3261 20.15).
pub(super) fn body<'m>(message: &Message<'m>) -> Result<Body<'m>, Refusal> {
    let bytes = message.body()?;
    if bytes.is_empty() {
        return Ok(Body { content_type: "", bytes, identity: true });
    }
    message.content_type()?.ok_or(Reject::Malformed)?;
    let value = message.value(Name::ContentType).unwrap_or_default();
    let value = value.split(|byte| *byte == b';').next().unwrap_or_default();
    let content_type = core::str::from_utf8(value.trim_ascii()).map_err(|_| Reject::Malformed)?;
    let mut identity = true;
    for coding in message.content_encoding() {
        identity &= coding?.eq_ignore_ascii_case(b"identity");
    }
    Ok(Body { content_type, bytes, identity })
}

/// The request has one of these headers.
pub(super) fn has_any(message: &Message<'_>, names: &[&str]) -> bool {
    !names.is_empty() && message.headers().any(|header| is_named(header.name_bytes, names))
}

/// The lines of these headers, for NOTIFY to repeat (row C60), each ended by CRLF.
pub(super) fn header_lines(message: &Message<'_>, names: &[&str]) -> Box<str> {
    let mut lines = Vec::new();
    for header in message.headers().filter(|header| is_named(header.name_bytes, names)) {
        if lines.len() + header.value.len() > limits::EXTRA_HEADERS_MAX {
            break;
        }
        lines.extend_from_slice(header.name_bytes);
        lines.extend_from_slice(b": ");
        write_value(header.value, &mut lines);
        lines.extend_from_slice(b"\r\n");
    }
    String::from_utf8(lines).unwrap_or_default().into()
}

fn is_named(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// The watcher or publisher: the AoR of From (row C92); a URI without AoR as it is.
pub(super) fn watcher(core: &Core, head: &Essential<'_>) -> Result<Box<str>, Refusal> {
    let uri = head.from.uri();
    let mut aor = Vec::new();
    if write_local_aor(core, uri, &mut aor).is_err() {
        aor.clear();
        if uri.write_aor(&mut aor).is_err() {
            aor.extend_from_slice(uri.as_bytes());
        }
    }
    let aor = String::from_utf8(aor).map_err(|_| Reject::Malformed)?;
    Ok(aor.into())
}

/// Accept takes the package's documents (row C100). Without Accept, and where there are no
/// documents, it does.
pub(super) fn accepts(message: &Message<'_>, notify_type: &str) -> Result<bool, Refusal> {
    if notify_type.is_empty() || !message.has(Name::Accept) {
        return Ok(true);
    }
    let mut accepted = false;
    for range in message.accept() {
        accepted |= range?.covers(notify_type);
    }
    Ok(accepted)
}

/// Accept as it will be stored; empty when there is none.
pub(super) fn accept_list(message: &Message<'_>) -> Box<str> {
    let mut list = String::new();
    for item in message.items(Name::Accept) {
        let item = core::str::from_utf8(item).unwrap_or_default();
        if item.is_empty() || list.len() + item.len() > limits::ACCEPT_MAX {
            continue;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(item);
    }
    list.into()
}

/// The URI of the one Contact, when it is one that a NOTIFY could be sent to.
pub(super) fn contact<'m>(message: &Message<'m>) -> Option<&'m [u8]> {
    let contact = message.contact().ok()??;
    let uri = contact.uri();
    let bytes = uri.as_bytes();
    let usable = matches!(uri.scheme(), Scheme::Sip | Scheme::Sips)
        && uri.host().is_some()
        && bytes.len() <= limits::URI_MAX;
    usable.then_some(bytes)
}

/// Retry-After of an answer, seconds.
pub(super) fn retry_after(response: &Message<'_>) -> Option<u32> {
    Some(response.retry_after().ok()??.seconds)
}

/// The dialog that a SUBSCRIBE makes (RFC 3261 12.1.1): NOTIFY leaves by the listener it came by.
pub(super) fn new_dialog(core: &Core, request: &Incoming<'_>) -> Result<Dialog, Refusal> {
    let message = request.msg;
    let target = contact(message).ok_or(Reject::NoContact)?;
    let head = &request.head;
    let mut routes = Vec::new();
    for route in message.record_routes() {
        route?;
    }
    for route in message.items(Name::RecordRoute) {
        routes.push(one_line(route));
    }
    let mut local_contact = Vec::new();
    let path = request.path;
    write_contact(&core.config, path.listener, path.local, &mut local_contact);
    let dialog = Dialog {
        call_id: head.call_id.into(),
        local_tag: request.local_tag(core).as_bytes().into(),
        remote_tag: head.from.tag().unwrap_or_default().into(),
        local_uri: without_tag(message.value(Name::To), &head.to),
        remote_uri: without_tag(message.value(Name::From), &head.from),
        target: target.into(),
        routes: routes.into(),
        local_cseq: 0,
        remote_cseq: head.cseq.number,
        local_contact: local_contact.into(),
        hash: request.hash,
        listener: path.listener,
        local: path.local,
        source: path.peer,
        flow: path.flow,
    };
    let strings = [&dialog.call_id, &dialog.remote_tag, &dialog.local_uri, &dialog.remote_uri];
    let routes: usize = dialog.routes.iter().map(|route| route.len()).sum();
    let length: usize = strings.iter().map(|part| part.len()).sum();
    if length + routes + dialog.target.len() > limits::DIALOG_MAX {
        return Err(Reject::DialogTooLarge.into());
    }
    // Records are text; a dialog that could not be stored as it is would not survive a restart.
    let text = |part: &[u8]| core::str::from_utf8(part).is_ok();
    let all = strings.iter().all(|part| text(part)) && text(&dialog.target);
    if !all || !dialog.routes.iter().all(|route| text(route)) {
        return Err(Reject::Malformed.into());
    }
    Ok(dialog)
}

/// From or To without its tag, on one line.
fn without_tag(value: Option<&[u8]>, address: &Address<'_>) -> Box<[u8]> {
    let value = value.unwrap_or_default();
    let params = address.params();
    let head = value.len().saturating_sub(params.as_bytes().len());
    let mut out = Vec::new();
    write_value(value.get(..head).unwrap_or_default().trim_ascii(), &mut out);
    for param in params.iter().filter(|param| !param.is("tag")) {
        out.push(b';');
        out.extend_from_slice(param.name);
        if let Some(value) = param.value {
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
    out.into()
}

fn one_line(value: &[u8]) -> Box<[u8]> {
    let mut out = Vec::new();
    write_value(value.trim_ascii(), &mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::trial;

    const SUBSCRIBE: &str = "SUBSCRIBE sip:alice@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKa\r\n\
        From: \"Bob; the <builder>\" <sip:Bob@Example.com>;tag=77;x=y\r\n\
        To: Alice\r\n <sip:alice@example.com>\r\n\
        Call-ID: c@h\r\nCSeq: 9 SUBSCRIBE\r\n\
        Record-Route: <sip:p2.example.com;lr>, <sip:p1.example.com;lr>\r\n\
        Contact: <sip:bob@192.0.2.9:5070;ob>;expires=3\r\n\
        Event: dialog;sla;id=4\r\nAccept: application/dialog-info+xml, text/*\r\n\
        Content-Type: Text/Plain ; charset=x\r\nContent-Encoding: gzip\r\n\
        Content-Length: 2\r\n\r\nhi";

    /// RFC 3261 12.1.1: tags, URIs without tags, the route set in its order, the target.
    #[test]
    fn a_dialog_is_what_the_subscribe_says() {
        trial::with_request(SUBSCRIBE, |core, request| {
            let dialog = new_dialog(core, request).unwrap();
            assert_eq!(*dialog.remote_uri, *b"\"Bob; the <builder>\" <sip:Bob@Example.com>;x=y");
            assert_eq!(*dialog.local_uri, *b"Alice  <sip:alice@example.com>");
            assert_eq!((&*dialog.call_id, &*dialog.remote_tag), (&b"c@h"[..], &b"77"[..]));
            assert_eq!(*dialog.routes[0], *b"<sip:p2.example.com;lr>");
            assert_eq!(*dialog.routes[1], *b"<sip:p1.example.com;lr>");
            assert_eq!(*dialog.target, *b"sip:bob@192.0.2.9:5070;ob");
            assert_eq!((dialog.local_cseq, dialog.remote_cseq), (0, 9));
            assert_eq!(*dialog.local_contact, *b"<sip:presence@192.0.2.1:5060>");
            assert_eq!(&*watcher(core, &request.head).unwrap(), "Bob@example.com");
        });
    }

    /// Rows C99, C100; RFC 6665 8.2.1.
    #[test]
    fn event_accept_and_body_are_read() {
        trial::with_request(SUBSCRIBE, |_, request| {
            let event = event(request.msg).unwrap();
            assert_eq!((event.package, event.id), (PackageId::DIALOG_SLA, Some("4")));
            assert!(accepts(request.msg, "application/dialog-info+xml").unwrap());
            assert!(accepts(request.msg, "text/plain").unwrap());
            assert!(!accepts(request.msg, "application/pidf+xml").unwrap());
            assert!(accepts(request.msg, "").unwrap(), "a package without documents");
            assert_eq!(&*accept_list(request.msg), "application/dialog-info+xml,text/*");
            let body = body(request.msg).unwrap();
            assert_eq!(
                (body.content_type, body.bytes, body.identity),
                ("Text/Plain", &b"hi"[..], false)
            );
            assert!(has_any(request.msg, &["X-None", "event"]));
            assert_eq!(&*header_lines(request.msg, &["Event"]), "Event: dialog;sla;id=4\r\n");
        });
    }

    #[test]
    fn what_cannot_be_a_dialog_is_refused() {
        let star = SUBSCRIBE.replace("<sip:bob@192.0.2.9:5070;ob>;expires=3", "*");
        let tel = SUBSCRIBE.replace("sip:bob@192.0.2.9:5070;ob", "tel:+1");
        for text in [star, tel] {
            trial::with_request(&text, |core, request| {
                assert_eq!(new_dialog(core, request).unwrap_err().reject, Reject::NoContact);
            });
        }
        let long = format!("p{}.example.com", "x".repeat(5_000));
        let text = SUBSCRIBE.replace("p1.example.com", &long);
        trial::with_request(&text, |core, request| {
            assert_eq!(new_dialog(core, request).unwrap_err().reject, Reject::DialogTooLarge);
        });
    }
}
