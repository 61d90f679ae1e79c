//! Where a request of ours goes: Request-URI, Route headers and the next hop (RFC 3261 8.1.2,
//! 12.2.1.1).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use pharos_parser::{Address, Host, Scheme, Uri};

use super::Dialog;
use super::resolve::{Goal, GoalHost};
use crate::Config;
use crate::net::Transport;

/// Request-URI and Route headers of a request within a dialog.
#[derive(Debug)]
pub(super) struct Routing<'d> {
    /// The Request-URI.
    pub(super) uri: &'d [u8],
    /// Values of Route, in order: those of the route set that are sent, ...
    pub(super) routes: &'d [Box<[u8]>],
    /// ... and at last the remote target, when the first router is a strict one.
    pub(super) last: Option<&'d [u8]>,
    /// The next hop.
    pub(super) next: NextHop,
}

/// The next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NextHop {
    /// Back to where the peer was seen, by the way it came: NAT between us.
    Source,
    /// By RFC 3263.
    Goal(Goal),
}

/// RFC 3261 12.2.1.1; `None` when a URI cannot be sent to.
pub(super) fn routing<'d>(config: &Config, dialog: &'d Dialog) -> Option<Routing<'d>> {
    let Some((first, rest)) = dialog.routes.split_first() else {
        let target = Uri::parse(&dialog.target).ok()?;
        let next = if by_datagrams(config, dialog) && is_flow(config, &target, dialog.source) {
            NextHop::Source
        } else {
            NextHop::Goal(goal(&target)?)
        };
        return Some(Routing { uri: &dialog.target, routes: &[], last: None, next });
    };
    let router = *Address::parse_name_addr(first).ok()?.uri();
    let next = NextHop::Goal(goal(&router)?);
    Some(if router.is_loose() {
        Routing { uri: &dialog.target, routes: &dialog.routes, last: None, next }
    } else {
        Routing { uri: router.as_bytes(), routes: rest, last: Some(&dialog.target), next }
    })
}

/// What RFC 3263 starts from: `maddr` or host, port, transport. No TLS here, so no sips.
pub(super) fn goal(uri: &Uri<'_>) -> Option<Goal> {
    if uri.scheme() != Scheme::Sip {
        return None;
    }
    let host = match uri.param("maddr") {
        Some(maddr) => Host::parse(maddr).ok()?,
        None => uri.host()?,
    };
    let host = match host {
        Host::Address(address) => GoalHost::Address(address),
        Host::Name(_) => {
            let mut name = Vec::new();
            host.write(&mut name);
            GoalHost::Name(String::from_utf8(name).ok()?.into_boxed_str())
        }
    };
    let transport = match uri.param("transport") {
        None => None,
        Some(text) if text.eq_ignore_ascii_case(b"udp") => Some(Transport::Udp),
        Some(text) if text.eq_ignore_ascii_case(b"tcp") => Some(Transport::Tcp),
        Some(_) => return None,
    };
    Some(Goal { host, port: uri.port().filter(|port| *port != 0), transport })
}

/// The dialog came by datagrams: its source can be sent to. That of a stream cannot.
fn by_datagrams(config: &Config, dialog: &Dialog) -> bool {
    let listener = config.listeners.get(usize::from(dialog.listener.0));
    listener.is_some_and(|listener| listener.transport == Transport::Udp)
}

/// The peer is to be reached by the way it came: it asks for that (`ob`, RFC 5626 5.4), or it seems
/// to be behind NAT.
fn is_flow(config: &Config, target: &Uri<'_>, source: SocketAddr) -> bool {
    target.param("ob").is_some() || config.nat_auto && behind_nat(target, source)
}

/// `nat = "auto"`: the Contact is a private address that the request did not come from, or a
/// literal address other than the source's. A name says nothing about the source.
fn behind_nat(target: &Uri<'_>, source: SocketAddr) -> bool {
    let Some(Host::Address(contact)) = target.host() else { return false };
    let port = target.port().unwrap_or(super::resolve::SIP_PORT);
    contact.to_canonical() != source.ip().to_canonical()
        || (is_private(contact) && port != source.port())
}

/// RFC 1918, RFC 6598 (carrier-grade NAT), link-local, and IPv6 unique local addresses.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}
