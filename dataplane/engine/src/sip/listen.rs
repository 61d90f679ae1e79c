//! Our own addresses: which listener to send from, and how it is called in Via and Contact.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use pharos_parser::host::write_address;
use pharos_parser::write::write_number;

use crate::Config;
use crate::net::{ListenerId, Transport};

/// The listener to speak `transport` to `peer` from: `preferred` when it can, else the first that
/// can, one with the preferred one's address before others.
pub(super) fn choose(
    config: &Config,
    transport: Transport,
    peer: SocketAddr,
    preferred: ListenerId,
) -> Option<ListenerId> {
    let listeners = &config.listeners;
    let at = listeners.get(usize::from(preferred.0));
    let fits = |place: usize| {
        listeners.get(place).is_some_and(|listener| {
            listener.transport == transport && listener.bound.is_ipv4() == peer.is_ipv4()
        })
    };
    if fits(usize::from(preferred.0)) {
        return Some(preferred);
    }
    let same_address = |place: usize| {
        listeners.get(place).map(|listener| listener.bound.ip()) == at.map(|at| at.bound.ip())
    };
    let place = (0..listeners.len())
        .find(|place| fits(*place) && same_address(*place))
        .or_else(|| (0..listeners.len()).find(|place| fits(*place)))?;
    Some(ListenerId(place as u16))
}

/// Appends host and port of a listener: what it advertises, else its address, and where that is
/// unspecified `local`, the address of ours that the peer used.
pub(super) fn write_sent_by(config: &Config, id: ListenerId, local: IpAddr, out: &mut Vec<u8>) {
    let Some(listener) = config.listeners.get(usize::from(id.0)) else { return };
    let port = match &listener.advertise {
        Some((host, port)) => {
            out.extend_from_slice(host.as_bytes());
            *port
        }
        None => {
            let bound = listener.bound.ip();
            write_address(if bound.is_unspecified() { local } else { bound }, out);
            listener.bound.port()
        }
    };
    out.push(b':');
    write_number(u64::from(port), out);
}

/// Appends our Contact: `<sip:user@host:port>`, with the transport where it is not UDP.
pub fn write_contact(config: &Config, id: ListenerId, local: IpAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<sip:");
    if !config.presence.contact_user.is_empty() {
        pharos_parser::uri::write_user(config.presence.contact_user.as_bytes(), out);
        out.push(b'@');
    }
    write_sent_by(config, id, local, out);
    let transport = config.listeners.get(usize::from(id.0)).map(|listener| listener.transport);
    if transport == Some(Transport::Tcp) {
        out.extend_from_slice(b";transport=tcp");
    }
    out.push(b'>');
}
