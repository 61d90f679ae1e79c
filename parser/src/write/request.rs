//! Requests.

use alloc::vec::Vec;

use super::HeadWriter;
use crate::header::Name;
use crate::method::Method;

/// What every request we send begins with. All values are of our own making or were checked when
/// they came in; line ends in them become spaces all the same.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: Method<'a>,
    /// The Request-URI.
    pub uri: &'a [u8],
    /// The Via value, such as `SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1`.
    pub via: &'a [u8],
    /// Max-Forwards (70).
    pub max_forwards: u8,
    /// The From value with its tag.
    pub from: &'a [u8],
    /// The To value, with its tag within a dialog.
    pub to: &'a [u8],
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The number of the CSeq.
    pub cseq: u32,
}

/// Starts a request: the request line and the six headers of RFC 3261 8.1.1.
pub fn request<'b>(head: &RequestHead<'_>, out: &'b mut Vec<u8>) -> HeadWriter<'b> {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    super::write_value(head.uri, out);
    out.extend_from_slice(b" SIP/2.0\r\n");
    HeadWriter::new(out)
        .header(Name::Via, head.via)
        .number(Name::MaxForwards, u32::from(head.max_forwards))
        .header(Name::From, head.from)
        .header(Name::To, head.to)
        .header(Name::CallId, head.call_id)
        .header_with(Name::CSeq, |out| {
            super::write_number(u64::from(head.cseq), out);
            out.push(b' ');
            out.extend_from_slice(head.method.as_bytes());
        })
}
