//! The breath: lets glommio look at its rings, for the connections' sake.
//!
//! A shard sleeps in its own ring only. glommio's rings are watched from there, so that something
//! that happens on a connection ends the sleep; then a breath takes it in. Sleeping in glommio's
//! reactor instead costs twice as much.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use glommio::io::BufferedFile;

use crate::doorbell;

/// An eventfd that is written and then read through glommio.
pub(crate) struct Lung {
    out: File,
    back: Rc<BufferedFile>,
}

impl Lung {
    /// On the shard's executor.
    pub(crate) fn new() -> io::Result<Self> {
        let out = doorbell::eventfd()?;
        let back = Rc::new(doorbell::glommio_file(out.try_clone()?));
        Ok(Self { out: File::from(out), back })
    }

    /// Let the executor hand its requests to the kernel and take what came back: connections go
    /// on. Yielding alone would not do that before the preempt timer fires.
    pub(crate) async fn breathe(&self) {
        // It can fail only when the counter is at its end, and then the read ends as well.
        let _ = (&self.out).write(&1_u64.to_ne_bytes());
        // An error would come again at once, and the driver looks at everything anyway.
        let _ = self.back.read_at(0, size_of::<u64>()).await;
    }
}

/// Rings are made one after the other, so that the new ones are known.
static MAKING: Mutex<()> = Mutex::new(());
/// A glommio executor makes three rings.
const RINGS: usize = 3;

/// Make an executor; with it the descriptors of its rings, or none when they cannot be told from
/// others: glommio keeps them to itself.
pub(crate) fn with_rings<T, E>(make: impl FnOnce() -> Result<T, E>) -> Result<(T, Vec<RawFd>), E> {
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let before = rings();
    let made = make()?;
    let mut new = rings();
    new.retain(|fd| !before.contains(fd));
    if new.len() != RINGS {
        new.clear();
    }
    Ok((made, new))
}

/// Make another ring.
pub(crate) fn apart<T>(make: impl FnOnce() -> T) -> T {
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    make()
}

/// The descriptors of this process that are io_urings.
fn rings() -> Vec<RawFd> {
    let Ok(all) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    all.filter_map(Result::ok)
        .filter(|entry| {
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            target.as_os_str() == "anon_inode:[io_uring]"
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
