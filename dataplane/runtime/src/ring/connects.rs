//! Connections being made: each is a connect linked to a timeout, with its socket and address.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::types::{Fd, Timespec};
use io_uring::{opcode, squeue};
use pharos_engine::net::FlowId;
use socket2::Socket;

use crate::address::Name;

struct Connect {
    flow: FlowId,
    socket: Socket,
    name: Name,
    limit: Timespec,
}

/// Connections being made, by number. Boxed: the kernel reads name and limit.
#[derive(Default)]
pub(super) struct Connects {
    slots: Vec<Option<Box<Connect>>>,
}

impl Connects {
    /// A number with the two submissions, to be queued one after the other and linked.
    pub(super) fn begin(
        &mut self,
        flow: FlowId,
        socket: Socket,
        peer: SocketAddr,
        limit: Duration,
    ) -> (u32, squeue::Entry, squeue::Entry) {
        let limit = Timespec::from(limit);
        let connect = Box::new(Connect { flow, socket, name: Name::from(peer), limit });
        let index = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(None);
        }
        let connect = self.slots[index].insert(connect);
        let fd = Fd(connect.socket.as_raw_fd());
        let name = connect.name.bytes.as_ptr().cast::<libc::sockaddr>();
        let entry = opcode::Connect::new(fd, name, connect.name.length).build();
        let timeout = opcode::LinkTimeout::new(&raw const connect.limit).build();
        (index as u32, entry, timeout)
    }

    /// The kernel is done with a connect: its flow, and its socket or why there is none.
    pub(super) fn end(&mut self, index: u32, result: i32) -> (FlowId, io::Result<Socket>) {
        let connect = self.slots[index as usize].take().expect("a connect ends once");
        let outcome = match -result {
            0 => Ok(connect.socket),
            // The linked timeout cancels what it limits.
            libc::ECANCELED => Err(io::ErrorKind::TimedOut.into()),
            error => Err(io::Error::from_raw_os_error(error)),
        };
        (connect.flow, outcome)
    }
}
