//! Socket addresses and control messages as the kernel lays them out, read and written as bytes.
//!
//! Everything here is safe code over byte slices: what the kernel wrote into a provided buffer is
//! read like any other input, and what goes to it is written into fields of fixed size.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Room for the larger of `sockaddr_in` and `sockaddr_in6`.
pub(crate) const NAME_BYTES: usize = 28;
/// Room for the control messages we ask for: packet information of one family (40 bytes at most),
/// and, on an error queue, an extended error with its address (16 header, 16 error, 28 address).
pub(crate) const CONTROL_BYTES: usize = 128;

/// A socket address in the kernel's layout.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(8))]
pub(crate) struct Name {
    /// The bytes; the first `length` of them count.
    pub(crate) bytes: [u8; NAME_BYTES],
    /// Bytes in use.
    pub(crate) length: u32,
}

/// Control messages in the kernel's layout.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Control {
    /// The bytes; the first `length` of them count.
    pub(crate) bytes: [u8; CONTROL_BYTES],
    /// Bytes in use.
    pub(crate) length: usize,
}

impl Default for Control {
    fn default() -> Self {
        Self { bytes: [0; CONTROL_BYTES], length: 0 }
    }
}

/// `cmsghdr`: length in a word of the machine, level, type; the data follows, padded to words.
const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();
const _: () = assert!(HEADER_BYTES == 16, "the layout below is the one of 64-bit Linux");

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        let mut name = Self::default();
        let out = &mut name.bytes;
        out[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                out[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                out[4..8].copy_from_slice(&v4.ip().octets());
                name.length = 16;
            }
            SocketAddr::V6(v6) => {
                out[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                out[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
                out[8..24].copy_from_slice(&v6.ip().octets());
                out[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                name.length = 28;
            }
        }
        name
    }
}

/// Read a socket address that the kernel wrote; `None` when it is of another family or cut short.
pub(crate) fn read_name(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(take(bytes, 0)?);
    let port = u16::from_be_bytes(take(bytes, 2)?);
    match i32::from(family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(take::<4>(bytes, 4)?);
            Some(SocketAddr::from((ip, port)))
        }
        libc::AF_INET6 => {
            let flow = u32::from_ne_bytes(take(bytes, 4)?);
            let ip = Ipv6Addr::from(take::<16>(bytes, 8)?);
            let scope = u32::from_ne_bytes(take(bytes, 24)?);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, flow, scope)))
        }
        _ => None,
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// The control message that makes a datagram leave from `source` (`IP_PKTINFO`, `IPV6_PKTINFO`).
pub(crate) fn write_source(source: IpAddr) -> Control {
    let mut control = Control::default();
    let (level, kind, length) = match source {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO, 12),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, 20),
    };
    let out = &mut control.bytes;
    out[..8].copy_from_slice(&(HEADER_BYTES + length).to_ne_bytes());
    out[8..12].copy_from_slice(&level.to_ne_bytes());
    out[12..16].copy_from_slice(&kind.to_ne_bytes());
    match source {
        // in_pktinfo: interface, ipi_spec_dst (the source to use), ipi_addr.
        IpAddr::V4(ip) => out[20..24].copy_from_slice(&ip.octets()),
        // in6_pktinfo: address, interface.
        IpAddr::V6(ip) => out[16..32].copy_from_slice(&ip.octets()),
    }
    control.length = HEADER_BYTES + length.next_multiple_of(8);
    control
}

/// One control message: level, type and data.
type ControlMessage<'a> = (i32, i32, &'a [u8]);

/// The control messages in what the kernel wrote.
fn control_messages(bytes: &[u8]) -> impl Iterator<Item = ControlMessage<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(take(rest, 0)?);
        let level = i32::from_ne_bytes(take(rest, 8)?);
        let kind = i32::from_ne_bytes(take(rest, 12)?);
        let data = rest.get(HEADER_BYTES..length)?;
        rest = rest.get(length.next_multiple_of(8)..).unwrap_or(&[]);
        Some((level, kind, data))
    })
}

/// The address of ours that a datagram was sent to, from its packet information.
pub(crate) fn read_destination(control: &[u8]) -> Option<IpAddr> {
    control_messages(control).find_map(|(level, kind, data)| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            Some(IpAddr::from(Ipv4Addr::from(take::<4>(data, 8)?)))
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            Some(IpAddr::from(Ipv6Addr::from(take::<16>(data, 0)?)))
        }
        _ => None,
    })
}

/// The error number of an entry of an error queue (`sock_extended_err`).
pub(crate) fn read_error(control: &[u8]) -> Option<i32> {
    control_messages(control).find_map(|(level, kind, data)| match (level, kind) {
        (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {
            Some(i32::from_ne_bytes(take(data, 0)?))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_kernels_layout() {
        for text in ["127.0.0.1:5060", "[::1]:5061", "[fe80::1%3]:5060", "255.1.2.3:65535"] {
            let address: SocketAddr = text.parse().expect("an address");
            let name = Name::from(address);
            assert_eq!(read_name(&name.bytes[..name.length as usize]), Some(address));
        }
    }

    #[test]
    fn short_or_foreign_names_are_nothing() {
        let name = Name::from(SocketAddr::from(([127, 0, 0, 1], 5060)));
        for length in 0..8 {
            assert_eq!(read_name(&name.bytes[..length]), None);
        }
        assert_eq!(read_name(&[1, 0, 0, 0, 0, 0, 0, 0]), None, "a unix address");
    }

    #[test]
    fn the_ipv6_source_is_read_back() {
        let control = write_source("2001:db8::1".parse().expect("an address"));
        let bytes = &control.bytes[..control.length];
        assert_eq!(read_destination(bytes), "2001:db8::1".parse().ok());
    }

    #[test]
    fn control_messages_of_any_length_end() {
        let mut control = write_source("10.0.0.1".parse().expect("an address"));
        for length in 0..=255_u8 {
            control.bytes[0] = length;
            assert!(control_messages(&control.bytes).count() <= CONTROL_BYTES);
        }
    }
}
