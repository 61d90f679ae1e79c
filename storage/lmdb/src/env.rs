//! One LMDB environment a lane: how it is opened and what its errors mean.
#![allow(unsafe_code)]

use std::io;
use std::path::Path;

use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, RwTxn, WithoutTls,
};
use pharos_storage::StoreError;
use rustix::fs::FallocateFlags;

/// Sequence number to record.
pub(crate) type LogTable = Database<'static, U64<BigEndian>, Bytes>;

/// An open environment and its only table.
#[derive(Clone, Debug)]
pub(crate) struct LaneEnv {
    pub(crate) env: Env<WithoutTls>,
    pub(crate) log: LogTable,
}

/// Readers beside the lane's own: dumps and exports of other processes.
const READERS: u32 = 126;

impl LaneEnv {
    /// Opens a lane for writing; makes its files when there are none. The map is address space, not
    /// memory nor disk.
    pub(crate) fn open(folder: &Path, map_size: usize) -> heed::Result<Self> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map_size.next_multiple_of(page_size())).max_readers(READERS);
        // SAFETY: the folder is on a local file system and only LMDB writes its files: `Directory`
        // holds an exclusive lock, and no flag weakens LMDB's own locks or its sync.
        let env = unsafe { options.open(folder)? };
        env.clear_stale_readers()?;
        let txn = env.write_txn()?;
        let log = env
            .create_databases_and_commit(txn, |opener, txn| {
                opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
            })?
            .unwrap_commit();
        Ok(Self { env, log })
    }

    /// Opens a lane for reading, beside a server that may be writing it. `None`: nothing there yet.
    pub(crate) fn open_read_only(folder: &Path) -> heed::Result<Option<Self>> {
        if !folder.join("data.mdb").exists() {
            return Ok(None);
        }
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.max_readers(READERS);
        // SAFETY: read-only, through LMDB's reader table, so that a writer keeps our pages.
        let env = unsafe { options.flags(EnvFlags::READ_ONLY).open(folder)? };
        let txn = env.read_txn()?;
        let log = env
            .open_databases_and_commit(txn, |opener, txn| {
                opener
                    .open_database::<U64<BigEndian>, Bytes>(txn, None)
                    .map(CommitOrAbort::<_, ()>::Commit)
            })?
            .unwrap_commit();
        Ok(log.map(|log| Self { env, log }))
    }

    pub(crate) fn read(&self) -> heed::Result<RoTxn<'_, WithoutTls>> {
        self.env.read_txn()
    }

    pub(crate) fn write(&self) -> heed::Result<RwTxn<'_>> {
        self.env.write_txn()
    }

    /// Whether the file system would give the file so many bytes more. LMDB reports a write that a
    /// full disk cut short as an I/O error: this tells one from the other. What is given stays as
    /// room beyond the end of the data.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let grow = || -> io::Result<()> {
            let file = self.env.try_clone_inner_file().map_err(io::Error::other)?;
            let end = file.metadata()?.len();
            Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), end, bytes)?)
        };
        !grow().is_err_and(|error| NO_ROOM.contains(&error.kind()))
    }

    /// Bytes of the file that hold pages, free ones among them; what is beyond them is nobody's.
    pub(crate) fn used(&self) -> u64 {
        let page = u64::from(self.env.unnamed_database_stat().page_size);
        (self.env.info().last_page_number as u64 + 1) * page
    }

    /// Closes the environment and waits until it is; every clone must be gone.
    pub(crate) fn close(self) {
        self.env.prepare_for_closing().wait();
    }
}

/// How a file system says that it is full.
const NO_ROOM: [io::ErrorKind; 3] =
    [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];

/// The error is the one that LMDB makes of a write cut short, or a true I/O error.
pub(crate) fn may_be_cut_short(error: &heed::Error) -> bool {
    const EIO: i32 = 5;
    matches!(error, heed::Error::Io(io) if io.raw_os_error() == Some(EIO))
}

/// What a failed transaction means to its operations.
pub(crate) fn meaning(error: &heed::Error) -> StoreError {
    match error {
        heed::Error::Mdb(MdbError::MapFull | MdbError::TxnFull) => StoreError::Full,
        heed::Error::Io(io) if NO_ROOM.contains(&io.kind()) => StoreError::Full,
        _ => StoreError::Closed,
    }
}

/// LMDB wants the map in whole pages of the system; 64 KiB is a multiple of every page size in use.
const fn page_size() -> usize {
    65_536
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the durability of every answer, and the reasoning of `tests/power.rs`, stands on.
    #[test]
    fn no_flag_weakens_the_sync() {
        let dir = tempfile::tempdir().unwrap();
        let lane = LaneEnv::open(dir.path(), 1 << 20).unwrap();
        let weak = [EnvFlags::NO_SYNC, EnvFlags::NO_META_SYNC, EnvFlags::MAP_ASYNC];
        let flags = lane.env.get_flags().unwrap();
        for flag in weak.into_iter().chain([EnvFlags::WRITE_MAP, EnvFlags::NO_LOCK]) {
            assert_eq!(flags & flag.bits(), 0, "{flag:?}");
        }
        lane.close();
    }
}
