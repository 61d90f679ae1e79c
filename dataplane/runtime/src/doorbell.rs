//! The doorbell of a shard: how other threads wake it, and how it avoids being woken in vain.
//!
//! A shard sleeps in its own ring, which reads the bell's eventfd. While the shard is awake a ring
//! costs one load. The order that loses no wake-up:
//!
//! ```text
//! producer: push; fence; if it is asleep and we are the one who wakes it, write the eventfd
//! sleeper:  lie down; fence; look at every queue once more; wait; get up
//! ```
#![expect(unsafe_code, reason = "eventfd(2) and its hand-over to glommio have no safe form here")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// Shared by the sleeper and all who may wake it.
#[derive(Debug)]
pub(crate) struct Bell {
    asleep: AtomicBool,
    file: File,
}

impl Bell {
    /// An eventfd, nobody asleep.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { asleep: AtomicBool::new(false), file: File::from(eventfd()?) })
    }

    /// Call after pushing to one of the shard's queues, once per batch.
    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            // It can fail only when the counter is at its end: then the sleeper is woken already.
            let _ = (&self.file).write(&1_u64.to_ne_bytes());
        }
    }

    /// Say that a sleep begins. The caller looks at its queues after this and before it waits.
    pub(crate) fn lie_down(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Say that the sleep is over.
    pub(crate) fn get_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// True between the two.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Relaxed)
    }

    /// The eventfd.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// An eventfd as a glommio file, whose `read_at` waits until it is written.
/// Call on the shard's executor.
pub(crate) fn glommio_file(fd: OwnedFd) -> glommio::io::BufferedFile {
    // SAFETY: the descriptor is open and owned by nobody else once `into_raw_fd` has released it;
    // the file becomes its only owner.
    unsafe { glommio::io::BufferedFile::from_raw_fd(fd.into_raw_fd()) }
}

/// A blocking eventfd: io_uring then waits for it by its own poll instead of failing with EAGAIN.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes two integers and touches no memory of ours.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above returned a new descriptor that nobody else owns.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    debug_assert!(fd.as_raw_fd() > 2, "standard descriptors are open in a server");
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn ring_while_awake_writes_nothing() {
        let bell = Bell::new().expect("eventfd");
        bell.ring();
        bell.lie_down();
        bell.ring();
        bell.ring();
        let mut count = [0; 8];
        (&bell.file).read_exact(&mut count).expect("read");
        assert_eq!(u64::from_ne_bytes(count), 1, "one write for the one who wakes");
    }

    /// Three producers and a sleeper that blocks in `read`: a lost wake-up would hang it for ever,
    /// so the test ends only when none is lost.
    #[test]
    fn no_wake_up_is_lost() {
        const EACH: u64 = 20_000;
        let bell = Arc::new(Bell::new().expect("eventfd"));
        let queue = Arc::new(AtomicU64::new(0));
        let producers: Vec<_> = (0..3)
            .map(|_| {
                let (bell, queue) = (Arc::clone(&bell), Arc::clone(&queue));
                std::thread::spawn(move || {
                    for turn in 0..EACH {
                        queue.fetch_add(1, Ordering::Release);
                        bell.ring();
                        if turn % 64 == 0 {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut taken = 0;
        while taken < 3 * EACH {
            taken += queue.swap(0, Ordering::AcqRel);
            bell.lie_down();
            if queue.load(Ordering::Acquire) == 0 && taken < 3 * EACH {
                let mut count = [0; 8];
                (&bell.file).read_exact(&mut count).expect("read");
            }
            bell.get_up();
        }
        assert_eq!(taken, 3 * EACH);
        for producer in producers {
            producer.join().expect("producer");
        }
    }
}
