//! Addresses as the configuration writes them: listeners, the control address, trusted networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use pharos_engine::config::{Cidr, Listener};
use pharos_engine::net::Transport;

/// A listener: `udp:127.0.0.1:5060`, `tcp:[::1]:5060`, either with ` as HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Socket(pub(crate) Listener);

impl FromStr for Socket {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (socket, alias) = match text.split_once(" as ") {
            Some((socket, alias)) => (socket.trim(), Some(alias.trim())),
            None => (text.trim(), None),
        };
        let (scheme, address) = socket
            .split_once(':')
            .ok_or("TRANSPORT:ADDRESS:PORT is wanted, such as udp:127.0.0.1:5060")?;
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" | "ws" | "wss" | "sctp" => {
                return Err(format!("transport {scheme} is not in this version; udp or tcp"));
            }
            _ => return Err(format!("transport {scheme} is unknown; udp or tcp")),
        };
        let bound = address_with_port(address, 5060)?;
        let advertise = alias.map(|alias| advertised(alias, bound.port())).transpose()?;
        Ok(Self(Listener { transport, bound, advertise }))
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.0.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        write!(out, "{scheme}:{}", self.0.bound)?;
        match &self.0.advertise {
            Some((host, port)) => write!(out, " as {host}:{port}"),
            None => Ok(()),
        }
    }
}

/// `ADDRESS[:PORT]`: an IPv4 address, an IPv6 address in brackets, or `*` for every IPv4 address.
fn address_with_port(text: &str, default: u16) -> Result<SocketAddr, String> {
    let any = text.strip_prefix('*').map(|rest| format!("{}{rest}", Ipv4Addr::UNSPECIFIED));
    let text = any.as_deref().unwrap_or(text);
    if !text.starts_with('[') && text.matches(':').count() > 1 {
        return Err(format!("{text} is not ADDRESS:PORT; IPv6 goes in brackets: [::1]:{default}"));
    }
    let alone = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| alone().map(|ip| SocketAddr::new(ip, default)))
        .map_err(|_| format!("{text} is not ADDRESS:PORT; a host name is not taken"))?;
    match address.port() {
        0 => Err("port 0 cannot be reached by anyone; name a port".into()),
        _ => Ok(address),
    }
}

/// The `HOST[:PORT]` after ` as `.
fn advertised(text: &str, default: u16) -> Result<(Box<str>, u16), String> {
    let host_end = if text.starts_with('[') {
        text.find(']').map_or(0, |end| end + 1)
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(host_end);
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0),
        None => port.is_empty().then_some(default),
    };
    let port = port.ok_or_else(|| format!("{text}: HOST:PORT is wanted after \"as\""))?;
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(ip) if ip.parse::<Ipv6Addr>().is_ok() => Ok((host.into(), port)),
        None if is_host_name(host) => Ok((host.to_ascii_lowercase().into(), port)),
        _ => Err(format!("{host} is neither a host name nor an address")),
    }
}

/// Letters, digits, hyphens, underscores in labels of at most 63, 253 in all.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// `control`: where metrics and health are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        address_with_port(text, 8888).map(Self)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// An entry of `trusted`; an address alone is itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) Cidr);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let network: IpAddr =
            address.parse().map_err(|_| format!("{address} is not an IPv4 or IPv6 address"))?;
        let bits = if network.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => (prefix.parse().ok().filter(|prefix| *prefix <= bits))
                .ok_or_else(|| format!("prefix /{prefix} is not a number from 0 to {bits}"))?,
        };
        let cidr = Cidr { network, prefix };
        match masked(cidr) {
            lowest if lowest == network => Ok(Self(cidr)),
            lowest => {
                Err(format!("bits are set behind the prefix; did you mean {lowest}/{prefix}?"))
            }
        }
    }
}

/// The first address of a network.
fn masked(cidr: Cidr) -> IpAddr {
    match cidr.network {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(cidr.prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(cidr.prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.0.network, self.0.prefix)
    }
}
