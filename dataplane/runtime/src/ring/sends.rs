//! Datagrams on their way out: gathered over a turn, sent by one call for each socket.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::Socket;

use crate::address::{self, Control, Name};

/// Bytes that a slot keeps for its next datagram; larger buffers are returned to the allocator.
const KEEP_BYTES: usize = 4_096;
/// Datagrams the kernel takes in one call (`UIO_MAXIOV`).
const CALL: usize = 1_024;

/// What one send needs: the kernel reads vector, name, control and bytes during the call.
struct Slot {
    vector: libc::iovec,
    name: Name,
    control: Control,
    bytes: Vec<u8>,
    socket: u16,
    peer: SocketAddr,
    again: bool,
}

/// What waits to be sent, in order.
pub(super) struct Sends {
    /// The first `used` wait; the others keep their buffers.
    slots: Vec<Slot>,
    used: usize,
    limit: usize,
    headers: Vec<libc::mmsghdr>,
}

impl Sends {
    /// At most `limit` datagrams wait.
    pub(super) fn new(limit: u32) -> Self {
        Self { slots: Vec::new(), used: 0, limit: limit as usize, headers: Vec::new() }
    }

    /// True when no other datagram may wait.
    pub(super) fn is_full(&self) -> bool {
        self.used == self.limit
    }

    /// Queue one; false when too many wait.
    pub(super) fn push(
        &mut self,
        socket: u16,
        source: Option<IpAddr>,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        if self.is_full() {
            return false;
        }
        if self.used == self.slots.len() {
            self.slots.push(Slot {
                vector: libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 },
                name: Name::default(),
                control: Control::default(),
                bytes: Vec::new(),
                socket,
                peer,
                again: false,
            });
        }
        let slot = &mut self.slots[self.used];
        self.used += 1;
        slot.socket = socket;
        slot.peer = peer;
        slot.again = false;
        slot.name = Name::from(peer);
        slot.control.length = 0;
        if let Some(source) = source {
            slot.control = address::write_source(source);
        }
        slot.bytes.clear();
        slot.bytes.extend_from_slice(bytes);
        true
    }

    /// Send what waits. A datagram that the kernel refuses is told to `failed`; when a socket takes
    /// no more, the rest stays and that socket is returned.
    pub(super) fn flush(
        &mut self,
        sockets: &[Socket],
        mut failed: impl FnMut(u16, SocketAddr),
    ) -> Option<u16> {
        let mut sent = 0;
        let mut stuck = None;
        while sent < self.used {
            let socket = self.slots[sent].socket;
            let run = self.slots[sent..self.used].iter().take(CALL);
            let run = run.take_while(|slot| slot.socket == socket).count();
            match self.call(&sockets[usize::from(socket)], sent, run) {
                Ok(count) => sent += count,
                Err(libc::EINTR) => {}
                Err(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => {
                    stuck = Some(socket);
                    break;
                }
                // An error that another datagram caused is reported to whoever sends next, so one
                // more attempt tells whose it was.
                Err(error)
                    if is_pending_error(error)
                        && !std::mem::replace(&mut self.slots[sent].again, true) => {}
                Err(_) => {
                    failed(socket, self.slots[sent].peer);
                    sent += 1;
                }
            }
        }
        for slot in &mut self.slots[..sent] {
            if slot.bytes.capacity() > KEEP_BYTES {
                slot.bytes = Vec::new();
            }
        }
        self.slots[..self.used].rotate_left(sent);
        self.used -= sent;
        stuck
    }

    /// One call: how many of `run` datagrams from `first` on were taken, or why the first was not.
    fn call(&mut self, socket: &Socket, first: usize, run: usize) -> Result<usize, i32> {
        self.headers.clear();
        for slot in &mut self.slots[first..first + run] {
            slot.vector.iov_base = slot.bytes.as_mut_ptr().cast();
            slot.vector.iov_len = slot.bytes.len();
            let mut header = super::empty_header();
            header.msg_name = slot.name.bytes.as_mut_ptr().cast();
            header.msg_namelen = slot.name.length;
            header.msg_iov = &raw mut slot.vector;
            header.msg_iovlen = 1;
            if slot.control.length > 0 {
                header.msg_control = slot.control.bytes.as_mut_ptr().cast();
                header.msg_controllen = slot.control.length;
            }
            self.headers.push(libc::mmsghdr { msg_hdr: header, msg_len: 0 });
        }
        // SAFETY: the headers and all they point to lie in `self`, which nothing touches during the
        // call, and the kernel keeps none of the pointers after it.
        let taken = unsafe {
            let headers = self.headers.as_mut_ptr();
            libc::sendmmsg(socket.as_raw_fd(), headers, run as u32, libc::MSG_DONTWAIT)
        };
        match usize::try_from(taken) {
            Ok(taken) => Ok(taken),
            Err(_) => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)),
        }
    }
}

/// Errors that may belong to an earlier datagram of the same socket.
fn is_pending_error(error: i32) -> bool {
    matches!(
        error,
        libc::ECONNREFUSED
            | libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::EHOSTDOWN
            | libc::ENOPROTOOPT
            | libc::EPROTO
            | libc::EMSGSIZE
            | libc::EACCES
    )
}
