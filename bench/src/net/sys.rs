//! The system calls that the standard library does not have: batches of datagrams, a wait to the
//! microsecond, the CPU clock and the end of other processes.

#![allow(unsafe_code, reason = "batched datagrams and clocks of other processes are system calls")]

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use libc::{c_int, c_uint, iovec, mmsghdr, pollfd, timespec};

/// Datagrams in one call.
const BATCH: usize = 64;
/// Bytes kept of each.
const SIZE: usize = 4_096;

/// Room for what one call receives.
#[derive(Debug)]
pub struct Inbox {
    bytes: Box<[[u8; SIZE]]>,
    lengths: [usize; BATCH],
}

impl Default for Inbox {
    fn default() -> Self {
        Self { bytes: vec![[0; SIZE]; BATCH].into(), lengths: [0; BATCH] }
    }
}

impl Inbox {
    /// A datagram of the last call.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[index][..self.lengths[index]]
    }

    /// Receives without waiting; how many came.
    pub(super) fn fill(&mut self, socket: &UdpSocket) -> usize {
        let mut pieces: [iovec; BATCH] = std::array::from_fn(|index| iovec {
            iov_base: self.bytes[index].as_mut_ptr().cast(),
            iov_len: SIZE,
        });
        let mut headers = pieces.each_mut().map(header);
        // SAFETY: headers point to pieces and those to our buffers, with the lengths given; all
        // of them outlive the call, and nobody else uses the buffers meanwhile.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for (length, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *length = (header.msg_len as usize).min(SIZE);
        }
        count
    }
}

/// Sends messages over a connected socket, skipping those that the kernel refuses.
pub(super) fn send_all<'a>(socket: &UdpSocket, messages: impl Iterator<Item = &'a [u8]>) {
    let mut pieces: Vec<iovec> = messages
        .map(|bytes| iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
        .collect();
    let mut rest = &mut pieces[..];
    while !rest.is_empty() {
        let wanted = rest.len().min(BATCH);
        let mut headers: Vec<mmsghdr> = rest[..wanted].iter_mut().map(header).collect();
        // SAFETY: each header has one piece, each piece is a live message that the call only
        // reads; all outlive the call.
        let sent = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), wanted as c_uint, 0)
        };
        // An error is that of the first message (or an old one of the socket): go past it.
        let sent = usize::try_from(sent).unwrap_or(1).max(1);
        rest = &mut rest[sent..];
    }
}

fn header(piece: &mut iovec) -> mmsghdr {
    // SAFETY: plain numbers and pointers, for which zero is a value: no name, no control.
    let mut header: mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = piece;
    header.msg_hdr.msg_iovlen = 1;
    header
}

/// Waits until a socket is readable or time is up; calls `ready` with the place of each that is.
pub fn wait_readable<'a>(
    sockets: impl Iterator<Item = &'a UdpSocket>,
    limit: Duration,
    mut ready: impl FnMut(usize),
) {
    let mut fds: Vec<pollfd> = sockets
        .map(|socket| pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let limit = timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: the list and the limit outlive the call; no signal mask is given.
    unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &limit, std::ptr::null()) };
    for (place, fd) in fds.iter().enumerate() {
        if fd.revents != 0 {
            ready(place);
        }
    }
}

/// Asks for socket buffers beyond the system's limit, or else up to it.
pub(super) fn set_buffers(socket: &UdpSocket, size: i32) {
    let pairs = [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)];
    for (forced, plain) in pairs {
        if set_option(socket, forced, size) != 0 {
            set_option(socket, plain, size);
        }
    }
}

fn set_option(socket: &UdpSocket, name: c_int, value: c_int) -> c_int {
    let size = size_of::<c_int>() as libc::socklen_t;
    let place = std::ptr::from_ref(&value).cast();
    // SAFETY: the value is an int that outlives the call, and the size is its size.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, place, size) }
}

/// A process that is started by this ends (SIGTERM) when the thread that started it does, however
/// that comes: nothing runs on behind an aborted measurement.
pub fn end_with_us(command: &mut Command) {
    // SAFETY: prctl(2) may be called between fork and exec; nothing is allocated or locked.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// CPU time of all threads that a process has and had.
///
/// # Errors
/// There is no such process.
pub fn process_time(pid: u32) -> io::Result<Duration> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::ErrorKind::InvalidInput)?;
    let (mut clock, mut time) = (0, timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: both calls write one value each, to places that outlive them.
    let failed = unsafe {
        let failed = libc::clock_getcpuclockid(pid, &mut clock);
        if failed == 0 && libc::clock_gettime(clock, &mut time) != 0 {
            return Err(io::Error::last_os_error());
        }
        failed
    };
    match failed {
        0 => Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
