//! Sockets: made, bound and given their options here; who is on a port that we cannot have.

#![expect(unsafe_code, reason = "socket options and error queues that socket2 does not know")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};

use glommio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use crate::address::{self, Control, Name};
use crate::config::SocketBuffers;
use crate::spread::Program;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1_024;
/// Entries of an error queue read at a time: the queue is bounded by the socket's receive buffer.
const ERRORS_PER_DRAIN: usize = 256;

/// A datagram socket of one shard. All shards bind the same address (`SO_REUSEPORT`).
pub(crate) fn bind_udp(address: SocketAddr, buffers: SocketBuffers) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // The IPv4 half belongs to a listener of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    report_errors(&socket, address.ip())?;
    if address.ip().is_unspecified() {
        report_destination(&socket, address.ip())?;
    }
    // The kernel clamps silently; `getsockopt` tells what it gave.
    socket.set_recv_buffer_size(buffers.receive)?;
    socket.set_send_buffer_size(buffers.send)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A listening stream socket of one shard.
pub(crate) fn listen_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = stream_socket(address)?;
    socket.set_reuse_port(true)?;
    // Accepted sockets inherit it: a message leaves when it is written.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// A stream socket that may be bound where an old connection lingers.
fn stream_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    Ok(socket)
}

/// A stream socket to connect to `peer`, from the address of a listener when that is specified.
pub(crate) fn outgoing_tcp(source: IpAddr, peer: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(peer), Type::STREAM, Some(Protocol::TCP))?;
    if !source.is_unspecified() && source.is_ipv4() == peer.is_ipv4() {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    Ok(socket)
}

/// Raise a soft limit of this process (`RLIMIT_NOFILE`, `RLIMIT_MEMLOCK`) to its hard one, which
/// needs no privilege: shells and services hand out small soft limits for the sake of old programs.
pub(crate) fn raise_limit(which: libc::__rlimit_resource_t) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills, then reads, a structure of ours that lives over both calls.
    let result = unsafe {
        match libc::getrlimit(which, &raw mut limit) {
            0 if limit.rlim_cur < limit.rlim_max => {
                limit.rlim_cur = limit.rlim_max;
                libc::setrlimit(which, &raw const limit)
            }
            result => result,
        }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Hand a listening socket to this thread's executor.
pub(crate) fn glommio_listener(socket: Socket) -> TcpListener {
    // SAFETY: `into_raw_fd` gives up the only owner of an open descriptor; the listener becomes it.
    unsafe { TcpListener::from_raw_fd(socket.into_raw_fd()) }
}

/// Hand a connected socket to this thread's executor.
pub(crate) fn glommio_stream(socket: Socket) -> TcpStream {
    // SAFETY: `into_raw_fd` gives up the only owner of an open descriptor; the stream becomes it.
    unsafe { TcpStream::from_raw_fd(socket.into_raw_fd()) }
}

/// Bind `address` alone, without sharing, and let go again: what it was bound to (port 0 becomes a
/// number), or the error when somebody else has it. `SO_REUSEPORT` alone would join a group that
/// another server of the same user already has.
pub(crate) fn probe(address: SocketAddr, stream: bool) -> io::Result<SocketAddr> {
    let socket = if stream {
        stream_socket(address)?
    } else {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket
    };
    socket.bind(&address.into())?;
    if stream {
        socket.listen(1)?;
    }
    socket.local_addr()?.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Spread datagrams over the sockets of a `SO_REUSEPORT` group by what they say, not only by who
/// sends them. One call, on any socket of the group, after all of them are bound.
pub(crate) fn attach(socket: &Socket, program: &Program) -> io::Result<()> {
    let instructions: Vec<libc::sock_filter> = program
        .instructions()
        .iter()
        .map(|i| libc::sock_filter { code: i.code, jt: i.when, jf: i.otherwise, k: i.value })
        .collect();
    let filter = libc::sock_fprog {
        len: instructions.len() as u16,
        filter: instructions.as_ptr().cast_mut(),
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &filter)
}

/// Keep ICMP errors on the socket's error queue, with the destination they are about.
fn report_errors(socket: &Socket, ip: IpAddr) -> io::Result<()> {
    match ip {
        IpAddr::V4(_) => set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, &1_i32),
        IpAddr::V6(_) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &1_i32),
    }
}

/// Have each datagram say which address of ours it was sent to.
fn report_destination(socket: &Socket, ip: IpAddr) -> io::Result<()> {
    match ip {
        IpAddr::V4(_) => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, &1_i32),
        IpAddr::V6(_) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, &1_i32),
    }
}

fn set_option<T>(socket: &Socket, level: i32, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of a value that lives over the call; for a
    // filter program it copies the instructions, which the caller keeps until we return.
    let result = unsafe {
        let value = (&raw const *value).cast();
        libc::setsockopt(socket.as_raw_fd(), level, name, value, size_of::<T>() as u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Read the error queue: the destination and the error number of each entry.
pub(crate) fn drain_errors(socket: &Socket, mut each: impl FnMut(SocketAddr, i32)) {
    // Takes the pending error itself, which would otherwise fail the next send.
    let _ = socket.take_error();
    for _ in 0..ERRORS_PER_DRAIN {
        let Some((peer, error)) = next_error(socket) else { return };
        if let Some(peer) = peer {
            each(peer, error);
        }
    }
}

fn next_error(socket: &Socket) -> Option<(Option<SocketAddr>, i32)> {
    let mut name = Name::default();
    let mut control = Control::default();
    // SAFETY: all-zero is a valid message header: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_name = name.bytes.as_mut_ptr().cast();
    header.msg_namelen = name.bytes.len() as u32;
    header.msg_control = control.bytes.as_mut_ptr().cast();
    header.msg_controllen = control.bytes.len();
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: name and control are exclusively borrowed buffers of the lengths given and outlive
    // the call; there is no payload vector.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    if received < 0 {
        return None;
    }
    let control = &control.bytes[..header.msg_controllen.min(control.bytes.len())];
    let name = &name.bytes[..(header.msg_namelen as usize).min(name.bytes.len())];
    Some((address::read_name(name), address::read_error(control).unwrap_or(0)))
}

/// A datagram socket on loopback that behaves like one on the unspecified address.
#[cfg(test)]
pub(crate) fn udp_for_tests(address: SocketAddr) -> Socket {
    let socket = bind_udp(address, SocketBuffers::default()).expect("a free port on loopback");
    report_destination(&socket, address.ip()).expect("an option");
    socket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_seen_although_sockets_share_ports() {
        let first = bind_udp("127.0.0.1:0".parse().expect("an address"), SocketBuffers::default())
            .expect("bound");
        let address = first.local_addr().expect("bound").as_socket().expect("IP");
        assert!(bind_udp(address, SocketBuffers::default()).is_ok(), "shards share");
        let error = probe(address, false).expect_err("a stranger does not");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_probe_names_the_port() {
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        for stream in [false, true] {
            let probed = probe(any, stream).expect("a free port");
            assert_ne!(probed.port(), 0);
            assert_eq!(probe(probed, stream).expect("still free"), probed);
        }
    }

    #[test]
    fn an_ipv6_listener_leaves_ipv4_to_another() {
        let loopback: SocketAddr = "[::1]:0".parse().expect("an address");
        for socket in [bind_udp(loopback, SocketBuffers::default()), listen_tcp(loopback)] {
            assert!(socket.expect("bound").only_v6().expect("an option"));
        }
    }
}
