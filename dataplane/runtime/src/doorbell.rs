//! The doorbell of a shard: how other threads wake it, and how it avoids being woken in vain.
//!
//! A shard sleeps in one of two beds: a short time in its own ring, then in glommio's. Each bed has
//! an eventfd of its own, so that one ring costs one write and wakes one poller. While the shard is
//! awake a ring costs one load. The order that loses no wake-up:
//!
//! ```text
//! producer: push; fence; if a bed is occupied and we are the one who empties it, write its eventfd
//! sleeper:  lie down in a bed; fence; look at every queue once more; wait; get up
//! ```
#![expect(unsafe_code, reason = "eventfd(2) and its hand-over to glommio have no safe form here")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering, fence};

/// Where a shard waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bed {
    /// In `io_uring_enter` on its own ring.
    Ring,
    /// In glommio's reactor.
    Executor,
}

const AWAKE: u8 = 0;
const IN_RING: u8 = 1;
const IN_EXECUTOR: u8 = 2;

/// Shared by the sleeper and all who may wake it.
#[derive(Debug)]
pub(crate) struct Bell {
    occupied: AtomicU8,
    ring: File,
    executor: File,
}

impl Bell {
    /// Two eventfds, nobody asleep.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            occupied: AtomicU8::new(AWAKE),
            ring: File::from(eventfd()?),
            executor: File::from(eventfd()?),
        })
    }

    /// Call after pushing to one of the shard's queues, once per batch.
    pub(crate) fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.occupied.load(Ordering::Relaxed) == AWAKE {
            return;
        }
        let mut file = match self.occupied.swap(AWAKE, Ordering::SeqCst) {
            IN_RING => &self.ring,
            IN_EXECUTOR => &self.executor,
            _ => return,
        };
        // It can fail only when the counter is at its end, and then the sleeper is woken already.
        let _ = file.write(&1_u64.to_ne_bytes());
    }

    /// Write the executor's eventfd, asleep or not.
    pub(crate) fn ring_executor(&self) {
        let _ = (&self.executor).write(&1_u64.to_ne_bytes());
    }

    /// Say that a sleep begins. The caller looks at its queues after this and before it waits.
    pub(crate) fn lie_down(&self, bed: Bed) {
        let place = match bed {
            Bed::Ring => IN_RING,
            Bed::Executor => IN_EXECUTOR,
        };
        self.occupied.store(place, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Say that the sleep is over.
    pub(crate) fn get_up(&self) {
        self.occupied.store(AWAKE, Ordering::SeqCst);
    }

    /// The eventfd that wakes a sleeper in its own ring.
    pub(crate) fn ring_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// The eventfd that wakes a sleeper in glommio: other threads write it, and the ring signals
    /// it.
    pub(crate) fn executor_fd(&self) -> BorrowedFd<'_> {
        self.executor.as_fd()
    }

    /// The same eventfd as a glommio file, whose `read_at` sleeps until it is written.
    /// Call on the shard's executor.
    pub(crate) fn executor_file(&self) -> io::Result<glommio::io::BufferedFile> {
        let fd = self.executor.as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor was duplicated one line above, is open, and is owned by nobody
        // else once `into_raw_fd` has released it; the file becomes its only owner.
        Ok(unsafe { glommio::io::BufferedFile::from_raw_fd(fd.into_raw_fd()) })
    }
}

/// A blocking eventfd: io_uring then waits for it by its own poll instead of failing with EAGAIN.
fn eventfd() -> io::Result<OwnedFd> {
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
        bell.lie_down(Bed::Ring);
        bell.ring();
        bell.ring();
        let mut count = [0; 8];
        (&bell.ring).read_exact(&mut count).expect("read");
        assert_eq!(u64::from_ne_bytes(count), 1, "one write for the one who empties the bed");
    }

    #[test]
    fn each_bed_has_its_own_descriptor() {
        let bell = Bell::new().expect("eventfd");
        bell.lie_down(Bed::Executor);
        bell.ring();
        let mut count = [0; 8];
        (&bell.executor).read_exact(&mut count).expect("read");
        assert_eq!(u64::from_ne_bytes(count), 1);
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
        let mut bed = Bed::Ring;
        while taken < 3 * EACH {
            taken += queue.swap(0, Ordering::AcqRel);
            bell.lie_down(bed);
            if queue.load(Ordering::Acquire) == 0 && taken < 3 * EACH {
                let mut count = [0; 8];
                let mut file = if bed == Bed::Ring { &bell.ring } else { &bell.executor };
                file.read_exact(&mut count).expect("read");
            }
            bell.get_up();
            bed = if bed == Bed::Ring { Bed::Executor } else { Bed::Ring };
        }
        assert_eq!(taken, 3 * EACH);
        for producer in producers {
            producer.join().expect("producer");
        }
    }
}
