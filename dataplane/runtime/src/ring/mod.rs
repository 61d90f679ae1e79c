//! The shard's own io_uring: multishot receives over provided buffers, connects, the eventfd that
//! other threads wake it by, and glommio's rings, so that it is the one place where a shard sleeps.
//! What is sent goes beside it, a batch in one `sendmmsg`: the kernel's path there is shorter than
//! through the ring.
//!
//! It is made on the shard's thread (`single_issuer`, `defer_taskrun`): completions appear only
//! when this thread enters the kernel, so handling one batch is never interrupted by the next.
#![expect(unsafe_code, reason = "submissions hand pointers to the kernel")]

mod buffers;
mod connects;
mod sends;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, TimeoutFlags, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use pharos_engine::net::FlowId;
use pharos_engine::{Instant, Span};
use socket2::Socket;

pub(crate) use buffers::{Buffers, Filled};
use connects::Connects;
use sends::Sends;

use crate::address::NAME_BYTES;
use crate::config::RingSize;
use crate::doorbell::Bell;

/// `IORING_ENTER_GETEVENTS`.
const GETEVENTS: u32 = 1;
/// `IORING_ENTER_EXT_ARG`.
const EXT_ARG: u32 = 8;
/// Wake-ups at which a gathering sleep ends before its time.
const GATHERED: u32 = 8;

/// `io_uring_getevents_arg`: what the kernel takes with `EXT_ARG`.
#[repr(C)]
struct Wait {
    signals: u64,
    signal_bytes: u32,
    gather_micros: u32,
    time: *const Timespec,
}

/// Completions the kernel may hold back for us before it has to allocate.
const COMPLETIONS: u32 = 4_096;
/// Turns that [`Ring::close`] waits for cancelled operations, and the time of one.
const CLOSE_TURNS: u32 = 1_000;
const CLOSE_TURN: Duration = Duration::from_millis(1);

/// What has happened.
#[derive(Debug)]
pub(crate) enum Done {
    /// A datagram arrived.
    Datagram {
        /// By this socket,
        socket: u16,
        /// in this buffer.
        filled: Filled,
    },
    /// A receive ended with an error, such as an ICMP answer to something we sent.
    ReceiveFailed {
        /// On this socket.
        socket: u16,
        /// Why.
        error: i32,
    },
    /// A datagram was not sent.
    SendFailed {
        /// From this socket,
        socket: u16,
        /// to here.
        peer: SocketAddr,
    },
    /// A connection is up, or could not be made.
    Connected {
        /// Which.
        flow: FlowId,
        /// Its socket, or why there is none.
        result: io::Result<Socket>,
    },
    /// Something happened in one of the rings that are watched.
    Called,
    /// Another thread rang, a socket has room again or the deadline passed: look at everything.
    Woken,
}

/// Kinds of operations, in the top byte of the user data; the rest is an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Receive = 1,
    Bell = 2,
    Watch = 3,
    Room = 4,
    Deadline = 5,
    Connect = 6,
    /// Its outcome says nothing: cancels, updates, linked timeouts.
    Aside = 7,
}

const fn mark(kind: Kind, index: u32) -> u64 {
    (kind as u64) << 56 | index as u64
}

/// The ring of one shard.
pub(crate) struct Ring {
    ring: IoUring,
    sockets: Vec<Socket>,
    receive: Box<libc::msghdr>,
    armed: Vec<bool>,
    sends: Sends,
    connects: Connects,
    bell: RawFd,
    bell_armed: bool,
    bell_count: Box<u64>,
    /// Rings of others, and whether they are being watched.
    watched: Vec<(RawFd, bool)>,
    /// One of them could not be watched.
    blind: bool,
    /// Waiting for a socket that takes no more.
    room_armed: bool,
    deadline: Option<Instant>,
    deadline_time: Box<Timespec>,
    /// The kernel can be told to wait a little for more.
    gathers: bool,
    /// What happened beside the completion queue.
    aside: VecDeque<Done>,
    in_flight: u32,
}

impl Ring {
    /// Make the ring on this thread; `sockets` are received from, `bell` wakes it.
    pub(crate) fn new(
        sockets: Vec<Socket>,
        bell: &Bell,
        size: RingSize,
    ) -> io::Result<(Self, Buffers)> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(size.submissions)?;
        let buffers = Buffers::register(&ring, size.buffers)?;
        let mut ring = Self {
            ring,
            armed: vec![false; sockets.len()],
            sockets,
            receive: Box::new(receive_header()),
            sends: Sends::new(size.sends),
            connects: Connects::default(),
            bell: bell.fd().as_raw_fd(),
            bell_armed: false,
            bell_count: Box::new(0),
            watched: Vec::new(),
            blind: false,
            room_armed: false,
            deadline: None,
            deadline_time: Box::new(Timespec::new()),
            gathers: true,
            aside: VecDeque::new(),
            in_flight: 0,
        };
        ring.arm();
        Ok((ring, buffers))
    }

    /// A socket of the ring.
    pub(crate) fn socket(&self, index: u16) -> &Socket {
        &self.sockets[usize::from(index)]
    }

    /// Tell when something happens in these rings.
    pub(crate) fn watch(&mut self, rings: &[RawFd]) {
        self.watched = rings.iter().map(|&fd| (fd, false)).collect();
    }

    /// True when [`Ring::watch`] was told of rings, and all of them are watched.
    pub(crate) fn is_watching(&self) -> bool {
        !self.watched.is_empty() && !self.blind
    }

    /// Arm what is not armed: receives that ended (buffers were given back meanwhile), the bell.
    pub(crate) fn arm(&mut self) {
        for index in 0..self.armed.len() {
            if self.armed[index] {
                continue;
            }
            let fd = Fd(self.sockets[index].as_raw_fd());
            let entry = opcode::RecvMsgMulti::new(fd, &raw const *self.receive, buffers::GROUP);
            self.armed[index] = self.push(entry.build(), Kind::Receive, index as u32);
        }
        if !self.bell_armed {
            let target = (&raw mut *self.bell_count).cast::<u8>();
            let entry = opcode::Read::new(Fd(self.bell), target, size_of::<u64>() as u32);
            self.bell_armed = self.push(entry.build(), Kind::Bell, 0);
        }
        for index in 0..self.watched.len() {
            let (fd, false) = self.watched[index] else { continue };
            let entry = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).multi(true);
            self.watched[index].1 = self.push(entry.build(), Kind::Watch, index as u32);
        }
    }

    /// Queue a datagram for the next [`Ring::flush`]; false when it had to be dropped because the
    /// network does not take what is already queued.
    pub(crate) fn send(
        &mut self,
        socket: u16,
        source: Option<IpAddr>,
        peer: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        if self.sends.is_full() {
            self.flush();
        }
        self.sends.push(socket, source, peer, bytes)
    }

    /// Send what is queued, as far as the sockets take it; the rest goes when they have room.
    pub(crate) fn flush(&mut self) {
        let Self { sends, sockets, aside, .. } = self;
        let stuck = sends.flush(sockets, |socket, peer| {
            aside.push_back(Done::SendFailed { socket, peer });
        });
        if let (Some(socket), false) = (stuck, self.room_armed) {
            let fd = Fd(self.sockets[usize::from(socket)].as_raw_fd());
            let entry = opcode::PollAdd::new(fd, libc::POLLOUT as u32).build();
            self.room_armed = self.push(entry, Kind::Room, 0);
        }
    }

    /// Begin to connect `socket` to `peer`, for at most `limit`.
    pub(crate) fn connect(&mut self, flow: FlowId, socket: Socket, peer: SocketAddr, limit: Span) {
        // The two submissions are linked, so they go to the kernel together.
        let queue = self.ring.submission();
        let room = queue.capacity() - queue.len();
        drop(queue);
        if room < 2 {
            self.enter();
        }
        let limit = Duration::from_nanos(limit.0);
        let (index, connect, timeout) = self.connects.begin(flow, socket, peer, limit);
        let connect = connect.flags(squeue::Flags::IO_LINK);
        if self.push(connect, Kind::Connect, index) {
            self.push(timeout, Kind::Aside, 0);
        } else {
            let (flow, result) = self.connects.end(index, -libc::EBUSY);
            self.aside.push_back(Done::Connected { flow, result });
        }
    }

    /// Submit what is queued and let the kernel post completions; never sleeps.
    pub(crate) fn enter(&mut self) {
        let queued = self.ring.submission().len() as u32;
        // SAFETY: `queued` submissions were pushed with pointers that live until their completions;
        // there is no argument.
        let entered = unsafe { self.ring.submitter().enter::<()>(queued, 0, GETEVENTS, None) };
        check(entered);
    }

    /// Have a sleep end at `deadline`; `now` says when that is. It stays armed over many sleeps: a
    /// time limit for each would cost two settings of the processor's timer.
    pub(crate) fn set_deadline(&mut self, deadline: Instant, now: Instant) {
        if self.deadline.is_some_and(|armed| armed <= deadline) {
            return;
        }
        *self.deadline_time = Timespec::from(Duration::from_nanos((deadline - now).0));
        let time = &raw const *self.deadline_time;
        let pushed = if self.deadline.is_some() {
            let target = mark(Kind::Deadline, 0);
            let update = opcode::TimeoutUpdate::new(target, time).flags(TimeoutFlags::empty());
            self.push(update.build(), Kind::Aside, 0)
        } else {
            self.push(opcode::Timeout::new(time).build(), Kind::Deadline, 0)
        };
        if pushed {
            self.deadline = Some(deadline);
        }
    }

    /// Submit what is queued and sleep until a completion; once there is one, `gather` longer from
    /// the beginning, so that more of them come at once.
    pub(crate) fn wait(&mut self, gather: Span) {
        let gather = if self.gathers { gather } else { Span(0) };
        let wait = Wait {
            signals: 0,
            signal_bytes: 0,
            gather_micros: (gather.0 / 1_000) as u32,
            time: std::ptr::null(),
        };
        // More than one ends the gathering early; alone it ends with its time.
        let enough = if wait.gather_micros > 0 { GATHERED } else { 1 };
        let queued = self.ring.submission().len();
        let submitter = self.ring.submitter();
        // SAFETY: what is queued was pushed with pointers that live until their completions; the
        // argument has the kernel's layout and lives until the call returns.
        let entered = unsafe {
            let queued = queued as u32;
            submitter.enter(queued, enough, GETEVENTS | EXT_ARG, Some(&wait))
        };
        match entered {
            // Linux 6.12 was the first to know of gathering.
            Err(error) if wait.gather_micros > 0 && error.raw_os_error() == Some(libc::EINVAL) => {
                self.gathers = false;
            }
            entered => check(entered),
        }
    }

    /// Completions that [`Ring::next`] would look at.
    pub(crate) fn waiting(&mut self) -> usize {
        self.ring.completion().len()
    }

    /// True when [`Ring::next`] would find nothing.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.aside.is_empty() && self.ring.completion().is_empty()
    }

    /// The next completion that means something.
    pub(crate) fn next(&mut self) -> Option<Done> {
        if let Some(done) = self.aside.pop_front() {
            return Some(done);
        }
        loop {
            let entry = self.ring.completion().next()?;
            if let Some(done) = self.complete(&entry) {
                return Some(done);
            }
        }
    }

    fn complete(&mut self, entry: &cqueue::Entry) -> Option<Done> {
        let index = entry.user_data() as u32;
        let more = cqueue::more(entry.flags());
        if !more {
            self.in_flight -= 1;
        }
        match (entry.user_data() >> 56) as u8 {
            kind if kind == Kind::Receive as u8 => {
                if !more {
                    self.armed[index as usize] = false;
                }
                let socket = index as u16;
                match (u32::try_from(entry.result()), cqueue::buffer_select(entry.flags())) {
                    (Ok(length), Some(id)) => {
                        Some(Done::Datagram { socket, filled: Filled::new(id, length) })
                    }
                    (Ok(_), None) => None,
                    (Err(_), _) => Some(Done::ReceiveFailed { socket, error: -entry.result() }),
                }
            }
            kind if kind == Kind::Connect as u8 => {
                let (flow, result) = self.connects.end(index, entry.result());
                Some(Done::Connected { flow, result })
            }
            kind if kind == Kind::Bell as u8 => {
                self.bell_armed = false;
                Some(Done::Woken)
            }
            kind if kind == Kind::Watch as u8 => {
                // What cannot be watched is not asked for again: it would fail in every turn.
                self.blind |= entry.result() < 0;
                self.watched[index as usize].1 = more || entry.result() < 0;
                Some(Done::Called)
            }
            kind if kind == Kind::Deadline as u8 => {
                self.deadline = None;
                Some(Done::Woken)
            }
            kind if kind == Kind::Room as u8 => {
                self.room_armed = false;
                Some(Done::Woken)
            }
            _ => None,
        }
    }

    /// Queue a submission, entering the kernel when the queue is full.
    fn push(&mut self, entry: squeue::Entry, kind: Kind, index: u32) -> bool {
        let entry = entry.user_data(mark(kind, index));
        for _ in 0..2 {
            // SAFETY: every caller passes an entry whose pointers lead into boxes of this ring that
            // stay where they are until the completion (`close` waits for all of them).
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                self.in_flight += 1;
                return true;
            }
            self.enter();
        }
        false
    }

    /// Cancel everything, wait until the kernel has let go, then free ring and buffers in that
    /// order.
    pub(crate) fn close(mut self, buffers: Buffers) {
        let all = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
        self.push(all, Kind::Aside, 0);
        for _ in 0..CLOSE_TURNS {
            if self.in_flight == 0 {
                break;
            }
            self.enter();
            while let Some(entry) = self.ring.completion().next() {
                if !cqueue::more(entry.flags()) {
                    self.in_flight -= 1;
                }
            }
            std::thread::sleep(CLOSE_TURN);
        }
        if self.in_flight == 0 {
            drop(self);
            drop(buffers);
        } else {
            // The kernel may still write: leak rather than hand it memory of somebody else.
            std::mem::forget((self, buffers));
        }
    }
}

/// Interrupted, timed out or too busy to take more just now are not failures; the loop comes again.
fn check(entered: io::Result<usize>) {
    if let Err(error) = entered {
        let known = [libc::EINTR, libc::ETIME, libc::EBUSY, libc::EAGAIN];
        let expected = error.raw_os_error().is_some_and(|code| known.contains(&code));
        assert!(expected, "io_uring_enter failed: {error}");
    }
}

fn empty_header() -> libc::msghdr {
    // SAFETY: all-zero is a valid message header: null pointers with zero lengths.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// What each receive asks for: a name and control messages beside the payload.
fn receive_header() -> libc::msghdr {
    let mut header = empty_header();
    header.msg_namelen = NAME_BYTES as u32;
    header.msg_controllen = buffers::RECEIVE_CONTROL_BYTES;
    header
}
