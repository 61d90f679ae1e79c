//! Responses (RFC 3261 8.2.6, RFC 3581 4).

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::{HeadWriter, write_number, write_value};
use crate::header::Name;
use crate::host::write_address;
use crate::message::Message;
use crate::scan;
use crate::via::{Rport, Via};

/// What a response says beside what it copies from the request.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// 100 to 699.
    pub status: u16,
    /// The reason phrase.
    pub reason: &'a str,
    /// The tag for a To that has none; not for 100.
    pub to_tag: Option<&'a [u8]>,
    /// Where the request came from, for `received` and `rport` of the topmost Via.
    pub source: SocketAddr,
    /// Copy Record-Route: responses that make a dialog (12.1.1).
    pub record_route: bool,
}

/// Starts a response: status line, all Via, From, To, Call-ID and CSeq as the request has them, the
/// topmost Via with `received` (when its host is not the source, or `rport` was asked for) and
/// `rport`.
pub fn response<'b>(
    request: &Message<'_>,
    head: &ResponseHead<'_>,
    out: &'b mut Vec<u8>,
) -> HeadWriter<'b> {
    status_line(head.status, head.reason, out);
    let tagged = head.to_tag.is_some()
        && request.value(Name::To).is_some_and(|value| has_tag(request, value));
    let via = request.via().ok();
    echo(request, via.as_ref(), head.to_tag.filter(|_| !tagged), head.source, out);
    let writer = HeadWriter::new(out);
    if head.record_route { record_route(request, writer) } else { writer }
}

/// The first line of a response.
pub fn status_line(status: u16, reason: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"SIP/2.0 ");
    write_number(u64::from(status), out);
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The header lines that every response copies from its request (8.2.6.2): all Via, From, To with
/// `to_tag` added, Call-ID and CSeq. `via` is the topmost Via, if it can be read.
pub fn echo(
    request: &Message<'_>,
    via: Option<&Via<'_>>,
    to_tag: Option<&[u8]>,
    source: SocketAddr,
    out: &mut Vec<u8>,
) {
    for (index, value) in request.values(Name::Via).enumerate() {
        out.extend_from_slice(b"Via: ");
        if index == 0 {
            top_via(value, via, source, out);
        } else {
            write_value(value, out);
        }
        out.extend_from_slice(b"\r\n");
    }
    let mut writer = HeadWriter::new(out);
    if let Some(from) = request.value(Name::From) {
        writer = writer.header(Name::From, from);
    }
    if let Some(to) = request.value(Name::To) {
        writer = writer.header_with(Name::To, |out| {
            write_value(to, out);
            if let Some(tag) = to_tag {
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(tag);
            }
        });
    }
    for name in [Name::CallId, Name::CSeq] {
        if let Some(value) = request.value(name) {
            writer = writer.header(name, value);
        }
    }
}

/// Copies Record-Route (12.1.1).
pub fn record_route<'b>(request: &Message<'_>, mut writer: HeadWriter<'b>) -> HeadWriter<'b> {
    for value in request.values(Name::RecordRoute) {
        writer = writer.header(Name::RecordRoute, value);
    }
    writer
}

/// Whether To has a tag; where it cannot be read, whether it looks like it.
fn has_tag(request: &Message<'_>, to: &[u8]) -> bool {
    match request.to() {
        Ok(address) => address.tag().is_some(),
        Err(_) => {
            scan::step(to.len());
            to.windows(5).any(|window| window.eq_ignore_ascii_case(b";tag="))
        }
    }
}

/// Writes the first Via line: its first element with `received` and `rport`, the others as they
/// are.
fn top_via(value: &[u8], via: Option<&Via<'_>>, source: SocketAddr, out: &mut Vec<u8>) {
    let (first, rest) = scan::element(value);
    match via {
        Some(via) => mended(first, via, source, out),
        None => write_value(first, out),
    }
    if let Some(rest) = rest {
        out.extend_from_slice(b", ");
        write_value(scan::trim(rest), out);
    }
}

/// RFC 3261 18.2.1 and RFC 3581 4: `received` when the sent-by is not the source address or `rport`
/// is asked for. What the client wrote there itself is replaced.
fn mended(text: &[u8], via: &Via<'_>, source: SocketAddr, out: &mut Vec<u8>) {
    let asked = via.rport() != Rport::Absent;
    let wanted = asked || via.host().address() != Some(source.ip());
    if !wanted && via.received().is_none() {
        return write_value(text, out);
    }
    let before = text.len().saturating_sub(via.params().as_bytes().len());
    write_value(scan::trim(text.get(..before).unwrap_or_default()), out);
    for param in via.params().iter() {
        if param.is("received") || param.is("rport") {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(param.name);
        if let Some(value) = param.value {
            out.push(b'=');
            write_value(value, out);
        }
    }
    if asked {
        out.extend_from_slice(b";rport=");
        write_number(u64::from(source.port()), out);
    }
    if wanted {
        out.extend_from_slice(b";received=");
        received(source.ip(), out);
    }
}

/// `via-received`: IPv6 without brackets (RFC 3261 25.1).
fn received(address: IpAddr, out: &mut Vec<u8>) {
    let start = out.len();
    write_address(address, out);
    if address.is_ipv6() {
        out.pop();
        out.remove(start);
    }
}
