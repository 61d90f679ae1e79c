//! Sockets for many datagrams: sent and received in batches, with buffers that do not overflow.

mod sys;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

pub use sys::{Inbox, end_with_us, process_time, wait_readable};

/// Bytes of receive buffer asked for: 25 000 datagrams of 1 KiB as the kernel accounts them.
const BUFFER: i32 = 64 << 20;

/// Messages to be sent from one socket.
#[derive(Debug)]
pub struct Outbox {
    local: String,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Outbox {
    /// One more message: what `write` appends, given the address that it comes from.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>, &str)) {
        write(&mut self.bytes, &self.local);
        self.ends.push(self.bytes.len());
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// A source port: a socket connected to the server, with what it is about to send.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
    local: SocketAddr,
    /// What goes out with the next [`Port::flush`].
    pub out: Outbox,
}

impl Port {
    /// A port of loopback towards a server.
    ///
    /// # Errors
    /// The system has no socket for us.
    pub fn open(server: SocketAddr) -> io::Result<Self> {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        enlarge(&socket);
        let local = socket.local_addr()?;
        let out = Outbox { local: local.to_string(), bytes: Vec::new(), ends: Vec::new() };
        Ok(Self { socket, local, out })
    }

    /// Its address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The socket, to wait for it.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends all that waits. A datagram that the kernel refuses is lost, like one on the way.
    pub fn flush(&mut self) {
        if !self.out.is_empty() {
            sys::send_all(&self.socket, self.out.messages());
            self.out.clear();
        }
    }

    /// Takes what has come, as much as the inbox holds; how many.
    pub fn receive(&self, inbox: &mut Inbox) -> usize {
        inbox.fill(&self.socket)
    }
}

/// Large buffers, past `net.core.rmem_max` where we may.
pub fn enlarge(socket: &UdpSocket) {
    sys::set_buffers(socket, BUFFER);
}

/// Datagrams that the kernel dropped for want of buffer at the sockets bound to `port`.
pub fn drops(port: u16) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    tables
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .map(|t| sum(&t, port))
        .sum()
}

fn sum(table: &str, port: u16) -> u64 {
    let wanted = format!(":{port:04X}");
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&wanted)))
        .filter_map(|fields| fields.last()?.parse::<u64>().ok())
        .sum()
}

/// How long to sleep at least: waking more often costs more than it shows.
pub const NAP: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_arrive_whole_and_in_order() {
        let peer = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let mut port = Port::open(peer.local_addr().expect("bound")).expect("a port");
        for n in 0..200_u32 {
            port.out.add(|bytes, _| bytes.extend_from_slice(&n.to_be_bytes()));
        }
        port.flush();
        let mut buffer = [0; 16];
        for n in 0..200_u32 {
            let (length, from) = peer.recv_from(&mut buffer).expect("sent");
            assert_eq!((&buffer[..length], from), (&n.to_be_bytes()[..], port.local()));
        }
        for n in 0..100_u32 {
            peer.send_to(&n.to_be_bytes(), port.local()).expect("sent");
        }
        let (mut inbox, mut next) = (Inbox::default(), 0_u32);
        while next < 100 {
            let count = port.receive(&mut inbox);
            for index in 0..count {
                assert_eq!(inbox.get(index), next.to_be_bytes());
                next += 1;
            }
        }
        assert_eq!(port.receive(&mut inbox), 0);
    }

    #[test]
    fn dropped_datagrams_are_counted_by_port() {
        let table = "  sl  local_address\n\
            1: 0100007F:13C4 00000000:0000 07 00000000:00000000 00:00000000 0 0 0 5 2 0 17\n\
            2: 0100007F:13C5 00000000:0000 07 00000000:00000000 00:00000000 0 0 0 5 2 0 9\n";
        assert_eq!((sum(table, 0x13C4), sum(table, 0x13C5), sum(table, 80)), (17, 9, 0));
    }
}
