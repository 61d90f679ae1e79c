//! What an answer says, and how it is written from the request or its retransmission. A completed
//! transaction keeps an [`Answer`] and nothing more.

use alloc::vec::Vec;

use pharos_parser::write::{HeadWriter, ResponseHead, response};
use pharos_parser::{Message, Name};

use super::listen::write_contact;
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
    /// Unsupported with what Require asked for (420).
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

const _: () = assert!(size_of::<Answer>() <= 12);

/// The request that is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'m> {
    pub(super) msg: &'m Message<'m>,
    pub(super) path: Path,
    pub(super) txn: TxnKey,
    pub(super) hash: u64,
}

/// Appends the whole answer. The same request and answer give the same bytes every time.
pub(super) fn write_answer(
    config: &Config,
    keys: &Keys,
    asked: &Asked<'_>,
    answer: Answer,
    out: &mut Vec<u8>,
) {
    let tag = keys.tag(asked.hash, asked.txn);
    let head = ResponseHead {
        status: answer.status,
        reason: reason_phrase(answer.status),
        to_tag: (answer.status > 100).then_some(tag.as_bytes()),
        source: asked.path.peer,
        record_route: matches!(answer.detail, Detail::Subscription(_)),
    };
    let mut writer =
        write_detail(config, keys, asked, answer.detail, response(asked.msg, &head, out));
    if !config.server.is_empty() {
        writer = writer.header(Name::Server, config.server.as_bytes());
    }
    writer.end();
}

fn write_detail<'b>(
    config: &Config,
    keys: &Keys,
    asked: &Asked<'_>,
    detail: Detail,
    writer: HeadWriter<'b>,
) -> HeadWriter<'b> {
    match detail {
        Detail::None => writer,
        Detail::Publication(expires) => {
            let tag = keys.entity_tag(asked.hash, asked.txn);
            writer.header(Name::SipEtag, tag.as_bytes()).number(Name::Expires, expires)
        }
        Detail::Removed => {
            let tag = asked.msg.sip_if_match().ok().flatten().unwrap_or_default();
            writer.header(Name::SipEtag, tag).number(Name::Expires, 0)
        }
        Detail::Subscription(expires) => writer
            .header_with(Name::Contact, |out| {
                write_contact(config, asked.path.listener, asked.path.local, out);
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
        Detail::Unsupported => {
            let mut writer = writer;
            for option in asked.msg.require().flatten() {
                writer = writer.header(Name::Unsupported, option);
            }
            writer
        }
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
