//! What an answer says, and how it is written from the request or its retransmission. A completed
//! transaction keeps an [`Answer`] and nothing more.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use pharos_parser::message::Essential;
use pharos_parser::write::{HeadWriter, ResponseHead, echo, record_route, response, status_line};
use pharos_parser::{Message, Name};

use super::incoming::Marks;
use super::listen::write_contact;
use super::response::destination;
use crate::Config;
use crate::net::Path;
use crate::presence;
use crate::presence::package::PackageId;
use crate::wire::{Keys, TxnKey};

/// The methods that are served, for Allow.
pub const ALLOW: &str = "ACK, CANCEL, OPTIONS, PUBLISH, SUBSCRIBE";

/// A final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status, 200 to 699.
    pub status: u16,
    /// The headers that go with it.
    pub detail: Detail,
}

/// What an answer carries beside what every answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    None,
    /// SIP-ETag (derived from the request, [`super::Incoming::entity_tag`]) and Expires, seconds.
    Publication(u32),
    /// SIP-ETag as in SIP-If-Match and Expires 0: the publication is removed (row C77).
    Removed,
    /// Expires in seconds, our Contact, the Record-Route of the request.
    Subscription(u32),
    /// Min-Expires, seconds (423).
    MinExpires(u32),
    /// Retry-After, seconds (500, 503).
    RetryAfter(u32),
    /// Accept with the body types of the package (406, 415).
    Accept(PackageId),
    /// Accept-Encoding: identity only (415).
    AcceptEncoding,
    /// Allow-Events with all packages (489).
    AllowEvents,
    /// Allow with the methods served (405).
    Allow,
    /// Unsupported with what Require asked for (420); only for an answer given at once.
    Unsupported,
    /// Everything an OPTIONS asks for (RFC 3261 11.2).
    Capabilities,
}

impl Answer {
    /// A status and nothing else.
    pub const fn status(status: u16) -> Self {
        Self { status, detail: Detail::None }
    }

    /// A status with its detail.
    pub const fn with(status: u16, detail: Detail) -> Self {
        Self { status, detail }
    }
}

/// An answer in six bytes, as a completed transaction keeps it: the status in ten bits, above them
/// which detail, then the number that goes with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    what: u16,
    /// Aligned as bytes are.
    number: [u8; 4],
}

impl Packed {
    pub(super) const fn of(answer: Answer) -> Self {
        let (kind, number) = match answer.detail {
            Detail::None => (0, 0),
            Detail::Publication(seconds) => (1, seconds),
            Detail::Removed => (2, 0),
            Detail::Subscription(seconds) => (3, seconds),
            Detail::MinExpires(seconds) => (4, seconds),
            Detail::RetryAfter(seconds) => (5, seconds),
            Detail::Accept(package) => (6, package.0 as u32),
            Detail::AcceptEncoding => (7, 0),
            Detail::AllowEvents => (8, 0),
            Detail::Allow => (9, 0),
            Detail::Unsupported => (10, 0),
            Detail::Capabilities => (11, 0),
        };
        debug_assert!(answer.status < 1 << 10, "a status has three digits");
        Self { what: kind << 10 | answer.status, number: number.to_le_bytes() }
    }

    pub(super) const fn unpack(self) -> Answer {
        let number = u32::from_le_bytes(self.number);
        let detail = match self.what >> 10 {
            1 => Detail::Publication(number),
            2 => Detail::Removed,
            3 => Detail::Subscription(number),
            4 => Detail::MinExpires(number),
            5 => Detail::RetryAfter(number),
            6 => Detail::Accept(PackageId(number as u8)),
            7 => Detail::AcceptEncoding,
            8 => Detail::AllowEvents,
            9 => Detail::Allow,
            10 => Detail::Unsupported,
            11 => Detail::Capabilities,
            _ => Detail::None,
        };
        Answer::with(self.what & 0x3ff, detail)
    }
}

/// The request that is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'m> {
    pub(super) msg: &'m Message<'m>,
    /// Its mandatory headers, when they can be read.
    pub(super) head: Option<&'m Essential<'m>>,
    pub(super) path: Path,
    pub(super) txn: TxnKey,
    pub(super) hash: u64,
    pub(super) marks: &'m Marks,
}

impl Asked<'_> {
    /// Where the answer goes when it is a datagram.
    pub(super) fn destination(&self) -> SocketAddr {
        let source = self.path.peer;
        self.head.map_or(source, |head| destination(&head.via, source))
    }

    /// Appends the header lines that every answer copies.
    fn write_echo(&self, keys: &Keys, head: &Essential<'_>, out: &mut Vec<u8>) {
        let tag = head.to.tag().is_none().then(|| self.marks.tag(keys, self.hash, self.txn));
        let tag = tag.as_ref().map(|tag| tag.as_bytes());
        echo(self.msg, Some(&head.via), tag, self.path.peer, out);
    }
}

/// Appends the whole answer. The same request and answer give the same bytes every time.
pub(super) fn write_answer(
    config: &Config,
    keys: &Keys,
    asked: &Asked<'_>,
    answer: Answer,
    out: &mut Vec<u8>,
) {
    let mut writer = match asked.head {
        Some(head) => {
            status_line(answer.status, reason_phrase(answer.status), out);
            asked.write_echo(keys, head, out);
            HeadWriter::new(out)
        }
        None => {
            let tag = asked.marks.tag(keys, asked.hash, asked.txn);
            let head = ResponseHead {
                status: answer.status,
                reason: reason_phrase(answer.status),
                to_tag: Some(tag.as_bytes()),
                source: asked.path.peer,
                record_route: false,
            };
            response(asked.msg, &head, out)
        }
    };
    match answer.detail {
        Detail::Subscription(_) => writer = record_route(asked.msg, writer),
        Detail::Unsupported => {
            for option in asked.msg.require().flatten() {
                writer = writer.header(Name::Unsupported, option);
            }
        }
        Detail::Removed => writer = repeat_entity_tag(asked.msg, writer),
        _ => {}
    }
    let about = (asked.path, asked.txn, asked.hash, asked.marks);
    write_end(config, write_detail(config, keys, about, answer.detail, writer));
}

/// What an answer needs of its request, kept while the answer waits: so that the request is read
/// once.
#[derive(Clone, Debug)]
pub(super) struct Echo {
    lines: Box<[u8]>,
    /// Where the lines of Record-Route start, which only some answers have, and where that of the
    /// entity-tag does.
    routes: usize,
    tag: usize,
}

impl Echo {
    pub(super) fn of(keys: &Keys, asked: &Asked<'_>, head: &Essential<'_>) -> Self {
        let mut lines = Vec::with_capacity(512);
        asked.write_echo(keys, head, &mut lines);
        let routes = lines.len();
        let _ = record_route(asked.msg, HeadWriter::new(&mut lines));
        let tag = lines.len();
        let _ = repeat_entity_tag(asked.msg, HeadWriter::new(&mut lines));
        Self { lines: lines.into_boxed_slice(), routes, tag }
    }

    /// As [`write_answer`].
    pub(super) fn write_answer(
        &self,
        config: &Config,
        keys: &Keys,
        about: (Path, TxnKey, u64, &Marks),
        answer: Answer,
        out: &mut Vec<u8>,
    ) {
        status_line(answer.status, reason_phrase(answer.status), out);
        let (routes, tag) = (self.routes, self.tag);
        out.extend_from_slice(self.lines.get(..routes).unwrap_or_default());
        out.extend_from_slice(match answer.detail {
            Detail::Subscription(_) => self.lines.get(routes..tag).unwrap_or_default(),
            Detail::Removed => self.lines.get(tag..).unwrap_or_default(),
            _ => b"",
        });
        write_end(config, write_detail(config, keys, about, answer.detail, HeadWriter::new(out)));
    }
}

/// SIP-ETag with the tag that the request named.
fn repeat_entity_tag<'b>(msg: &Message<'_>, writer: HeadWriter<'b>) -> HeadWriter<'b> {
    match msg.sip_if_match() {
        Ok(Some(tag)) => writer.header(Name::SipEtag, tag),
        _ => writer,
    }
}

fn write_end(config: &Config, writer: HeadWriter<'_>) {
    let server = config.server.as_bytes();
    if server.is_empty() { writer.end() } else { writer.header(Name::Server, server).end() }
}

fn write_detail<'b>(
    config: &Config,
    keys: &Keys,
    (path, txn, hash, marks): (Path, TxnKey, u64, &Marks),
    detail: Detail,
    writer: HeadWriter<'b>,
) -> HeadWriter<'b> {
    match detail {
        // The request itself has what these say.
        Detail::None | Detail::Unsupported => writer,
        Detail::Publication(expires) => {
            let tag = marks.entity_tag(keys, hash, txn);
            writer.header(Name::SipEtag, tag.as_bytes()).number(Name::Expires, expires)
        }
        Detail::Removed => writer.number(Name::Expires, 0),
        Detail::Subscription(expires) => writer
            .header_with(Name::Contact, |out| {
                write_contact(config, path.listener, path.local, out);
            })
            .number(Name::Expires, expires),
        Detail::MinExpires(seconds) => writer.number(Name::MinExpires, seconds),
        Detail::RetryAfter(seconds) => writer.number(Name::RetryAfter, seconds),
        Detail::Accept(package) => {
            writer.header(Name::Accept, presence::accept(package).as_bytes())
        }
        Detail::AcceptEncoding => writer.header(Name::AcceptEncoding, b"identity"),
        Detail::AllowEvents => {
            writer.header(Name::AllowEvents, presence::allow_events().as_bytes())
        }
        Detail::Allow => writer.header(Name::Allow, ALLOW.as_bytes()),
        Detail::Capabilities => writer
            .header(Name::Allow, ALLOW.as_bytes())
            .header_with(Name::Accept, |out| {
                for id in 0..PackageId::COUNT {
                    if id > 0 {
                        out.extend_from_slice(b", ");
                    }
                    out.extend_from_slice(presence::accept(PackageId(id as u8)).as_bytes());
                }
            })
            .header(Name::AcceptEncoding, b"identity")
            .header(Name::AllowEvents, presence::allow_events().as_bytes()),
    }
}

/// The default phrase of a status (RFC 3261 21, RFC 3903, RFC 6665).
pub(super) const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        487 => "Request Terminated",
        489 => "Bad Event",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        414 => "Request-URI Too Long",
        513 => "Message Too Large",
        603 => "Decline",
        _ if status < 300 => "Success",
        _ if status < 500 => "Request Failed",
        _ => "Server Failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_unpacked_as_it_was() {
        let details = [
            Detail::None,
            Detail::Publication(u32::MAX),
            Detail::Removed,
            Detail::Subscription(3_600),
            Detail::MinExpires(60),
            Detail::RetryAfter(7),
            Detail::Accept(PackageId::AS_FEATURE_EVENT),
            Detail::AcceptEncoding,
            Detail::AllowEvents,
            Detail::Allow,
            Detail::Unsupported,
            Detail::Capabilities,
        ];
        for detail in details {
            for status in [200, 489, 699] {
                let answer = Answer::with(status, detail);
                assert_eq!(Packed::of(answer).unpack(), answer);
            }
        }
    }
}
