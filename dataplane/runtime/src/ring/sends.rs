//! Datagrams on their way out: everything the kernel may read lives here until its completion.

use std::net::{IpAddr, SocketAddr};

use io_uring::{opcode, squeue, types};
use socket2::Socket;
use std::os::fd::AsRawFd;

use crate::address::{self, Control, Name};

/// Bytes that a slot keeps for its next datagram; larger buffers are returned to the allocator.
const KEEP_BYTES: usize = 4_096;

/// What one send needs: the kernel reads header, vector, name, control and bytes.
struct Slot {
    header: libc::msghdr,
    vector: libc::iovec,
    name: Name,
    control: Control,
    bytes: Vec<u8>,
    socket: u16,
    peer: SocketAddr,
    again: bool,
}

/// A fixed number of slots, each free or in the kernel's hands.
pub(super) struct Sends {
    slots: Box<[Slot]>,
    free: Vec<u32>,
}

impl Sends {
    /// Room for `count` sends in flight.
    pub(super) fn new(count: u32) -> Self {
        let slot = || Slot {
            header: super::empty_header(),
            vector: libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 },
            name: Name::default(),
            control: Control::default(),
            bytes: Vec::new(),
            socket: 0,
            peer: SocketAddr::from(([0, 0, 0, 0], 0)),
            again: false,
        };
        Self { slots: (0..count).map(|_| slot()).collect(), free: (0..count).rev().collect() }
    }

    /// True when every slot is in the kernel's hands.
    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Fill a free slot; its number, or `None` when there is none.
    pub(super) fn fill(
        &mut self,
        socket: u16,
        source: Option<IpAddr>,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> Option<u32> {
        let index = self.free.pop()?;
        let slot = &mut self.slots[index as usize];
        slot.socket = socket;
        slot.peer = peer;
        slot.again = false;
        slot.name = Name::from(peer);
        slot.control = source.map(address::write_source).unwrap_or_default();
        slot.bytes.clear();
        slot.bytes.extend_from_slice(bytes);
        Some(index)
    }

    /// The submission of a filled slot. Its pointers stay good until [`Sends::done`]: the slots lie
    /// in a boxed slice that never moves or grows.
    pub(super) fn entry(&mut self, index: u32, sockets: &[Socket]) -> squeue::Entry {
        let slot = &mut self.slots[index as usize];
        slot.vector.iov_base = slot.bytes.as_mut_ptr().cast();
        slot.vector.iov_len = slot.bytes.len();
        slot.header.msg_name = slot.name.bytes.as_mut_ptr().cast();
        slot.header.msg_namelen = slot.name.length;
        slot.header.msg_iov = &raw mut slot.vector;
        slot.header.msg_iovlen = 1;
        slot.header.msg_controllen = slot.control.length;
        slot.header.msg_control = if slot.control.length == 0 {
            std::ptr::null_mut()
        } else {
            slot.control.bytes.as_mut_ptr().cast()
        };
        let socket = types::Fd(sockets[usize::from(slot.socket)].as_raw_fd());
        opcode::SendMsg::new(socket, &raw const slot.header).build()
    }

    /// True the first time it is asked about a filled slot: an error that another datagram caused
    /// is reported to whoever sends next, so one more attempt tells whose it was.
    pub(super) fn may_try_again(&mut self, index: u32) -> bool {
        !std::mem::replace(&mut self.slots[index as usize].again, true)
    }

    /// The socket and the destination of a slot.
    pub(super) fn target(&self, index: u32) -> (u16, SocketAddr) {
        let slot = &self.slots[index as usize];
        (slot.socket, slot.peer)
    }

    /// The kernel is done with a slot.
    pub(super) fn done(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if slot.bytes.capacity() > KEEP_BYTES {
            slot.bytes = Vec::new();
        }
        self.free.push(index);
        debug_assert!(self.free.len() <= self.slots.len(), "a slot is done once");
    }
}
