//! Via (RFC 3261 20.42) and response routing parameters (RFC 3581).

use core::net::{IpAddr, Ipv6Addr};

use crate::error::{ParseError, Reason};
use crate::host::Host;
use crate::params::{Param, Params};
use crate::scan::{self, Cursor, TOKEN, VALUE};
use crate::uri::read::port;

/// The transport of a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each variant is the transport of that name
pub enum ViaTransport<'a> {
    Udp,
    Tcp,
    Tls,
    Sctp,
    Ws,
    Wss,
    /// Any other token.
    Other(&'a [u8]),
}

impl<'a> ViaTransport<'a> {
    fn of(token: &'a [u8]) -> Self {
        for (text, transport) in [
            (&b"UDP"[..], Self::Udp),
            (b"TCP", Self::Tcp),
            (b"TLS", Self::Tls),
            (b"WS", Self::Ws),
            (b"WSS", Self::Wss),
            (b"SCTP", Self::Sctp),
        ] {
            if scan::same_text(token, text) {
                return transport;
            }
        }
        Self::Other(token)
    }
}

/// `rport` as it stands (RFC 3581).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rport {
    /// Not there.
    Absent,
    /// There without a value: the client asks for it.
    Asked,
    /// Filled in.
    Port(u16),
}

/// One Via.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    bytes: &'a [u8],
    transport: ViaTransport<'a>,
    sent_by: &'a [u8],
    host: Host<'a>,
    port: Option<u16>,
    branch: Option<&'a [u8]>,
    received: Option<IpAddr>,
    rport: Rport,
    params: Params<'a>,
}

/// Every branch of RFC 3261 starts with this, in any case (8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

impl<'a> Via<'a> {
    /// Reads one Via that fills the input.
    ///
    /// # Errors
    /// The rule that is broken, and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let transport = sent_protocol(&mut cursor)?;
        let start = cursor.rest();
        let (host, port) = sent_by(&mut cursor)?;
        let sent_by =
            start.get(..start.len().saturating_sub(cursor.rest().len())).unwrap_or_default();
        let mut seen = Seen { branch: None, received: None, rport: Rport::Absent, wrong: false };
        let params = Params::read(&mut cursor, |param| seen.param(param))?;
        if seen.wrong {
            let at = scan::offset_in(value, params.as_bytes());
            return Err(ParseError::new(Reason::ViaParams, at));
        }
        Ok(Self {
            bytes: value,
            transport,
            sent_by,
            host,
            port,
            branch: seen.branch,
            received: seen.received,
            rport: seen.rport,
            params,
        })
    }

    /// As it was written, without parameters' surroundings.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The transport.
    #[must_use]
    pub fn transport(&self) -> ViaTransport<'a> {
        self.transport
    }

    /// Host and port as written: part of the transaction's key (RFC 3261 17.2.3).
    #[must_use]
    pub fn sent_by(&self) -> &'a [u8] {
        self.sent_by
    }

    /// The host of sent-by.
    #[must_use]
    pub fn host(&self) -> Host<'a> {
        self.host
    }

    /// The port of sent-by.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The branch.
    #[must_use]
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.branch
    }

    /// The branch when it is one of RFC 3261: the magic cookie and something after it.
    #[must_use]
    pub fn rfc3261_branch(&self) -> Option<&'a [u8]> {
        self.branch.filter(|branch| {
            branch
                .split_at_checked(MAGIC_COOKIE.len())
                .is_some_and(|(head, id)| scan::same_text(head, MAGIC_COOKIE) && !id.is_empty())
        })
    }

    /// `received`.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        self.received
    }

    /// `rport`.
    #[must_use]
    pub fn rport(&self) -> Rport {
        self.rport
    }

    /// All parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

/// What the parameters say, as they pass.
struct Seen<'a> {
    branch: Option<&'a [u8]>,
    received: Option<IpAddr>,
    rport: Rport,
    wrong: bool,
}

impl<'a> Seen<'a> {
    fn param(&mut self, param: &Param<'a>) {
        if param.is("branch") {
            let value = param.value.filter(|value| scan::all(value, TOKEN));
            self.wrong |= value.is_none() || self.branch.is_some();
            self.branch = value;
        } else if param.is("received") {
            let value = param.value.and_then(received);
            self.wrong |= value.is_none() || self.received.is_some();
            self.received = value;
        } else if param.is("rport") {
            self.wrong |= self.rport != Rport::Absent;
            self.rport = match param.value.map(port) {
                None => Rport::Asked,
                Some(Some(port)) => Rport::Port(port),
                Some(None) => {
                    self.wrong = true;
                    Rport::Asked
                }
            };
        } else if param.is("ttl") {
            self.wrong |= param.value.and_then(scan::number).is_none_or(|ttl| ttl > 255);
        } else if param.is("maddr") {
            self.wrong |= param.value.is_none_or(|value| Host::parse(value).is_err());
        }
    }
}

/// `IPv4address / IPv6address`, and the bracketed form, which RFC 5118 4.5 asks to accept as well.
fn received(value: &[u8]) -> Option<IpAddr> {
    if let Some(address) = Host::parse(value).ok().and_then(|host| host.address()) {
        return Some(address);
    }
    let text = core::str::from_utf8(value.get(..value.len().min(46))?).ok()?;
    text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// `"SIP" SLASH "2.0" SLASH transport LWS`
fn sent_protocol<'a>(cursor: &mut Cursor<'a>) -> Result<ViaTransport<'a>, ParseError> {
    for (text, transport) in
        [(b"SIP/2.0/UDP ", ViaTransport::Udp), (b"SIP/2.0/TCP ", ViaTransport::Tcp)]
    {
        if cursor.rest().starts_with(text) {
            cursor.advance(text.len());
            cursor.lws();
            return Ok(transport);
        }
    }
    any_sent_protocol(cursor)
}

/// As [`sent_protocol`], of any protocol and with blanks.
#[inline(never)]
fn any_sent_protocol<'a>(cursor: &mut Cursor<'a>) -> Result<ViaTransport<'a>, ParseError> {
    cursor.lws();
    let start = *cursor;
    let fault = || start.fault(Reason::SentProtocol);
    let name = cursor.token().filter(|name| scan::same_text(name, b"SIP")).ok_or_else(fault)?;
    let version = cursor.eat_spaced(b'/').then(|| cursor.token()).flatten();
    if name.is_empty() || version != Some(b"2.0") || !cursor.eat_spaced(b'/') {
        return Err(fault());
    }
    let transport = cursor.token().ok_or_else(fault)?;
    let before = cursor.position();
    cursor.lws();
    if cursor.position() == before {
        return Err(fault());
    }
    Ok(ViaTransport::of(transport))
}

/// `host [ COLON port ]`
fn sent_by<'a>(cursor: &mut Cursor<'a>) -> Result<(Host<'a>, Option<u16>), ParseError> {
    let start = *cursor;
    let host = match Host::plain(cursor.rest()) {
        Some((host, rest)) => {
            cursor.take(cursor.rest().len().saturating_sub(rest.len()));
            host
        }
        None => {
            let end = scan::find(b']', cursor.rest()).map_or(0, |at| at.saturating_add(1));
            Host::parse(cursor.take(end)).map_err(|_| start.fault(Reason::SentBy))?
        }
    };
    if !cursor.eat_spaced(b':') {
        return Ok((host, None));
    }
    let digits = *cursor;
    let port = port(cursor.take_while(VALUE)).ok_or_else(|| digits.fault(Reason::Port))?;
    Ok((host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain() {
        let text = b"SIP/2.0/UDP host5.example.com:5062;branch=z9hG4bKkdju43234;rport";
        let via = Via::parse(text).unwrap();
        assert_eq!(via.transport(), ViaTransport::Udp);
        assert_eq!(via.sent_by(), b"host5.example.com:5062");
        assert_eq!(via.host(), Host::Name(b"host5.example.com"));
        assert_eq!(via.port(), Some(5062));
        assert_eq!(via.rfc3261_branch(), Some(&b"z9hG4bKkdju43234"[..]));
        assert_eq!(via.rport(), Rport::Asked);
    }

    /// RFC 4475 3.1.1.1: whitespace wherever the grammar lets it be.
    #[test]
    fn spaced_and_folded() {
        let via =
            Via::parse(b"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 : 5;rport=9;branch=390skdjuw");
        let via = via.unwrap();
        assert_eq!((via.port(), via.rport()), (Some(5), Rport::Port(9)));
        assert_eq!(via.branch(), Some(&b"390skdjuw"[..]));
        assert_eq!(via.rfc3261_branch(), None);
    }

    /// RFC 5118 4.5: `received` with and without brackets.
    #[test]
    fn received_in_both_forms() {
        for text in ["[2001:db8::9:255]", "2001:db8::9:255"] {
            let via = format!("SIP/2.0/UDP [2001:db8::9:1];received={text};branch=z9hG4bKas3-111");
            let via = Via::parse(via.as_bytes()).unwrap();
            assert_eq!(via.received(), Some("2001:db8::9:255".parse::<IpAddr>().unwrap()));
        }
    }

    #[test]
    fn faults() {
        for (text, reason) in [
            ("", Reason::SentProtocol),
            ("SIP/3.0/UDP a.com", Reason::SentProtocol),
            ("SIP/2.0/UDP", Reason::SentProtocol),
            ("SIP/2.0/UDP ;branch=z9hG4bKa", Reason::SentBy),
            ("SIP/2.0/UDP a.com:;x", Reason::Port),
            ("SIP/2.0/UDP a.com:99999", Reason::Port),
            ("SIP/2.0/UDP a.com b.com", Reason::Trailing),
            ("SIP/2.0/UDP a.com;;,;,,", Reason::GenericParam),
            ("SIP/2.0/UDP a.com;branch=a;branch=b", Reason::ViaParams),
            ("SIP/2.0/UDP a.com;branch", Reason::ViaParams),
            ("SIP/2.0/UDP a.com;received=b.com", Reason::ViaParams),
            ("SIP/2.0/UDP a.com;rport=x", Reason::ViaParams),
            ("SIP/2.0/UDP a.com;ttl=256", Reason::ViaParams),
        ] {
            assert_eq!(Via::parse(text.as_bytes()).unwrap_err().reason, reason, "{text}");
        }
    }
}
