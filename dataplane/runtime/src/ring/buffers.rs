//! The provided buffers: memory the kernel puts datagrams into without being asked for each.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::{BufRingEntry, RecvMsgOut};

use crate::address::{self, NAME_BYTES};

/// The only buffer group of a shard's ring; all its sockets draw from it.
pub(super) const GROUP: u16 = 0;
/// What the kernel puts before the name: four 32-bit lengths and flags.
const OUT_BYTES: usize = 16;
/// Largest UDP payload there is.
const PAYLOAD_BYTES: usize = 65_507;
/// Control bytes of a received datagram: packet information of either family fits.
pub(super) const RECEIVE_CONTROL_BYTES: usize = 64;
/// Where the payload begins: lengths, name and control messages have fixed places.
const PAYLOAD_START: usize = OUT_BYTES + NAME_BYTES + RECEIVE_CONTROL_BYTES;
/// One buffer. Not a power of two on purpose: the heads of all buffers would share cache sets.
const BUFFER_BYTES: usize = (PAYLOAD_START + PAYLOAD_BYTES).next_multiple_of(64);
const PAGE_BYTES: usize = 4_096;

/// A buffer that holds a datagram. Give it back once the datagram has been handled.
#[derive(Debug)]
#[must_use = "a buffer that is not given back is lost to the kernel"]
pub(crate) struct Filled {
    id: u16,
    length: u32,
}

/// A received datagram, in place.
#[derive(Debug)]
pub(crate) struct Datagram<'a> {
    /// The source.
    pub(crate) peer: SocketAddr,
    /// The address of ours it was sent to, when the socket reports it.
    pub(crate) local: Option<IpAddr>,
    /// The payload.
    pub(crate) bytes: &'a [u8],
}

/// The memory of the buffer ring and of its buffers.
#[derive(Debug)]
pub(crate) struct Buffers {
    memory: NonNull<u8>,
    total: usize,
    first_buffer: usize,
    entries: u16,
    tail: u16,
    /// Name and control lengths that the receive operation was armed with.
    shape: Box<libc::msghdr>,
}

impl Filled {
    /// Buffer `id` of a completion that says `length` bytes are in use.
    pub(super) fn new(id: u16, length: u32) -> Self {
        Self { id, length }
    }
}

impl Buffers {
    /// Map `entries` (a power of two) buffers and offer all of them to `ring`.
    pub(super) fn register(ring: &IoUring, entries: u16) -> io::Result<Self> {
        assert!(entries.is_power_of_two(), "the kernel masks the tail");
        let ring_bytes = usize::from(entries) * size_of::<BufRingEntry>();
        let first_buffer = ring_bytes.next_multiple_of(PAGE_BYTES);
        let total = first_buffer + usize::from(entries) * BUFFER_BYTES;
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches nothing
        // that exists.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                total,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let shape = Box::new(super::receive_header());
        let mut buffers = Self { memory, total, first_buffer, entries, tail: 0, shape };
        // SAFETY: the page-aligned area holds `entries` entries, and stays mapped until after the
        // ring is closed (`Ring::close` drops the ring before the buffers).
        unsafe {
            let address = memory.as_ptr() as u64;
            ring.submitter().register_buf_ring_with_flags(address, entries, GROUP, 0)?;
        }
        for id in 0..entries {
            buffers.offer(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// The datagram in a buffer; `None` when the kernel cut it off or its source has no IP address.
    pub(crate) fn datagram(&self, filled: &Filled) -> Option<Datagram<'_>> {
        let length = (filled.length as usize).min(BUFFER_BYTES);
        let start = self.buffer(filled.id);
        // SAFETY: the buffer lies in the mapping (`buffer` asserts it); the kernel has completed
        // the operation that filled it and does not write again before `give_back` offers it, which
        // needs `&mut self` while this borrow lives.
        let bytes = unsafe { std::slice::from_raw_parts(start.as_ptr(), length) };
        let out = RecvMsgOut::parse(bytes, &self.shape).ok()?;
        if out.is_payload_truncated() {
            return None;
        }
        let peer = address::read_name(out.name_data())?;
        let local = address::read_destination(out.control_data());
        let end = PAYLOAD_START.checked_add(out.payload_data().len())?;
        Some(Datagram { peer, local, bytes: bytes.get(PAYLOAD_START..end)? })
    }

    /// Offer a buffer to the kernel again; it sees it at the next [`Buffers::publish`].
    pub(crate) fn give_back(&mut self, filled: Filled) {
        self.offer(filled.id);
    }

    /// Let the kernel see what was given back.
    pub(crate) fn publish(&mut self) {
        // SAFETY: the tail lies in the first entry of the mapping, which is aligned to a page; both
        // sides access it atomically only.
        let tail = unsafe {
            let entry = self.memory.as_ptr().cast::<BufRingEntry>();
            AtomicU16::from_ptr(BufRingEntry::tail(entry).cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
    }

    fn offer(&mut self, id: u16) {
        let place = usize::from(self.tail & (self.entries - 1));
        let buffer = self.buffer(id).as_ptr() as u64;
        // SAFETY: `place` is below `entries`, so the entry lies in the mapping; the kernel reads an
        // entry only after the tail has passed it. Writing address, length and id leaves the tail,
        // which shares the first entry, untouched.
        let entry = unsafe { &mut *self.memory.as_ptr().cast::<BufRingEntry>().add(place) };
        entry.set_addr(buffer);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        assert!(id < self.entries, "the kernel names only buffers it was given");
        // SAFETY: the area after `first_buffer` holds `entries` buffers.
        unsafe { self.memory.add(self.first_buffer + usize::from(id) * BUFFER_BYTES) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `register`, and no borrow of it outlives `self`.
        unsafe {
            libc::munmap(self.memory.as_ptr().cast(), self.total);
        }
    }
}
