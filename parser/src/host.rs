//! Hosts: names, IPv4 addresses and bracketed IPv6 addresses.

use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use crate::error::Reason;
use crate::scan::{self, HOST};

/// The host of a URI or a Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A host name, as written.
    Name(&'a [u8]),
    /// A literal address.
    Address(IpAddr),
}

impl<'a> Host<'a> {
    /// Reads a host: `hostname / IPv4address / IPv6reference`.
    ///
    /// # Errors
    /// [`Reason::Host`] when it is none of them.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Reason> {
        if let [b'[', inner @ .., b']'] = bytes {
            return Ok(Self::Address(IpAddr::V6(ipv6(inner).ok_or(Reason::Host)?)));
        }
        match Self::plain(bytes) {
            Some((host, [])) => Ok(host),
            _ => Err(Reason::Host),
        }
    }

    /// A name or an IPv4 address at the start of the bytes, and what follows it.
    #[inline]
    pub(crate) fn plain(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if let Some((address, rest)) = quad(bytes) {
            return Some((Self::Address(IpAddr::V4(address)), rest));
        }
        let (length, top) = name(bytes)?;
        let (text, rest) = bytes.split_at_checked(length)?;
        // A top label starts with a letter, so that an address is never mistaken for a name.
        let host = match top {
            b'0'..=b'9' => return None,
            _ => Self::Name(text),
        };
        Some((host, rest))
    }

    /// The address, when it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::Address(address) => Some(*address),
        }
    }

    /// Appends the normal form: names in lower case and without the root's dot, addresses as their
    /// RFCs write them, IPv6 in brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Name(name) => {
                let name = name.strip_suffix(b".").unwrap_or(name);
                out.extend(name.iter().map(u8::to_ascii_lowercase));
            }
            Self::Address(address) => write_address(*address, out),
        }
    }
}

/// Appends an address as a host: IPv6 in brackets.
pub fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = match address {
        IpAddr::V4(address) => return write_dotted(address, out),
        IpAddr::V6(address) => write!(Sink(out), "[{address}]"),
    };
}

/// In every answer, so without the formatting machinery.
fn write_dotted(address: Ipv4Addr, out: &mut Vec<u8>) {
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        crate::write::write_number(u64::from(octet), out);
    }
}

/// Text into bytes.
struct Sink<'a>(&'a mut Vec<u8>);

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn address<T: FromStr>(bytes: &[u8]) -> Option<T> {
    // The longest address text has 45 bytes; anything longer is not looked at.
    scan::step(bytes.len().min(46));
    core::str::from_utf8(bytes.get(..bytes.len().min(46))?).ok()?.parse().ok()
}

/// An IPv6 address. The grammar of RFC 3261 lets an embedded IPv4 address follow three colons,
/// which is read as two (RFC 5118 4.10).
fn ipv6(inner: &[u8]) -> Option<Ipv6Addr> {
    if let Some(address) = address(inner) {
        return Some(address);
    }
    let inner = inner.get(..inner.len().min(46))?;
    let at = inner.windows(3).position(|window| window == b":::")?;
    let (head, tail) = inner.split_at_checked(at.saturating_add(2))?;
    address::<Ipv4Addr>(tail.strip_prefix(b":")?)?;
    address(&[head, tail.get(1..)?].concat())
}

/// An IPv4 address at the start, four numbers up to 255 without leading zeros, and what follows it:
/// nothing that a name could go on with.
#[inline]
fn quad(bytes: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut octets = [0_u8; 4];
    let mut rest = bytes;
    for (index, octet) in octets.iter_mut().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let mut value = 0_u32;
        let start = rest;
        while let [digit @ b'0'..=b'9', tail @ ..] = rest {
            scan::step(1);
            value = value.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0')));
            if value > 255 || (start.first() == Some(&b'0') && start.len() > rest.len()) {
                return None;
            }
            rest = tail;
        }
        if start.len() == rest.len() {
            return None;
        }
        *octet = u8::try_from(value).ok()?;
    }
    let ends = !rest.first().is_some_and(|byte| scan::is(*byte, HOST));
    ends.then(|| (Ipv4Addr::from(octets), rest))
}

/// The length of the name at the start and the first byte of its last label: no label is empty or
/// starts or ends with a hyphen. One dot may follow. What stands behind is no part of a name.
#[inline]
fn name(bytes: &[u8]) -> Option<(usize, u8)> {
    let inner = |byte: &u8| *byte >= b'0' && scan::is(*byte, HOST);
    let mut rest = bytes;
    let mut top = None;
    let end = loop {
        // A label begins here.
        match rest.first() {
            Some(first) if inner(first) => top = Some(*first),
            Some(b'.' | b'-') => return None,
            _ => break rest,
        }
        rest = loop {
            let length = rest.iter().position(|byte| !inner(byte)).unwrap_or(rest.len());
            scan::step(length);
            rest = rest.get(length..)?;
            let [b'-', tail @ ..] = rest else { break rest };
            let hyphens = tail.iter().position(|byte| *byte != b'-').unwrap_or(tail.len());
            scan::step(hyphens);
            rest = tail.get(hyphens..)?;
            if !rest.first().is_some_and(inner) {
                return None;
            }
        };
        match rest {
            [b'.', tail @ ..] => rest = tail,
            _ => break rest,
        }
    };
    Some((bytes.len().saturating_sub(end.len()), top?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        Host::parse(text).ok()?.write(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn hosts() {
        for (text, want) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("a-b_c.d1", "a-b_c.d1"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
            ("[::ffff:192.0.2.10]", "[::ffff:192.0.2.10]"),
            ("localhost", "localhost"),
            ("[2001:db8:::192.0.2.1]", "[2001:db8::c000:201]"),
            ("[:::192.0.2.1]", "[::c000:201]"),
        ] {
            assert_eq!(normal(text.as_bytes()).as_deref(), Some(want));
        }
    }

    /// The standard library reads the same IPv4 addresses.
    #[test]
    fn dotted_quads() {
        let parts = ["", "0", "00", "01", "1", "9", "10", "99", "100", "199", "255", "256", "999"];
        let more = ["0255", "1a", "+1", " 1", "1.", "-1"];
        for first in parts.iter().chain(&more) {
            for second in parts.iter().chain(&more) {
                for text in [
                    format!("{first}.{second}.1.1"),
                    format!("1.1.{first}.{second}"),
                    format!("{first}.{second}.1"),
                    format!("{first}.{second}.1.1.1"),
                ] {
                    let quad = quad(text.as_bytes()).filter(|(_, rest)| rest.is_empty());
                    assert_eq!(quad.map(|(quad, _)| quad), text.parse().ok(), "{text}");
                }
            }
        }
    }

    #[test]
    fn not_hosts() {
        for text in [
            "",
            ".",
            "a..b",
            "-a.com",
            "a-.com",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "[::1",
            "::1",
            "[1.2.3.4]",
            "a b",
            "a@b",
            "[2001:db8::1::2]",
            "[2001:db8:::1]",
            "[2001::db8:::192.0.2.1]",
            "[fe80::1%25eth0]",
        ] {
            assert_eq!(normal(text.as_bytes()), None, "{text}");
        }
    }
}
