//! `compact`: each lane written anew with nothing but what lives.

use std::fs;
use std::path::Path;

use heed::PutFlags;

use super::{ToolError, maintenance, meta};
use crate::directory::{Directory, sync};
use crate::entry::Entry;
use crate::env::LaneEnv;
use crate::error::OpenError;
use crate::lanes::Options;
use crate::log::Log;
use crate::scan::{self, Scan};

/// Objects written in one transaction.
const STEP: u64 = 10_000;

/// What became of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Its number.
    pub lane: u16,
    /// Live objects, all of them kept.
    pub objects: u64,
    /// Size of its file before, bytes.
    pub before: u64,
    /// Size of its file now, bytes.
    pub after: u64,
}

/// Writes every lane of a directory that nobody uses anew. The new file takes the place of the old
/// one in one rename, so that a crash leaves one or the other.
///
/// # Errors
/// See [`ToolError`]; lanes done before the error stay compacted, the others as they were.
pub fn compact(dir: &Path) -> Result<Vec<Compacted>, ToolError> {
    let lanes = meta(dir)?.lanes;
    let directory = Directory::open(dir, lanes)?;
    let options = maintenance(dir)?;
    (0..lanes).map(|lane| one(&directory, &options, lane)).collect()
}

fn one(directory: &Directory, options: &Options, lane: u16) -> Result<Compacted, ToolError> {
    let folder = directory.lane(lane)?;
    let file = folder.join("data.mdb");
    let new = folder.join("compact");
    if new.exists() {
        fs::remove_dir_all(&new)?;
    }
    fs::create_dir(&new)?;
    let opened = Log::open(lane, &folder, options.map_size, options.slack);
    let (log, scan) = opened.map_err(|error| OpenError::lane(&folder, &error))?;
    let before = fs::metadata(&file)?.len();
    let copied = copy(&log, scan, &new, options.map_size as usize);
    log.close();
    let objects = copied?;
    fs::File::open(new.join("data.mdb"))?.sync_all()?;
    fs::rename(new.join("data.mdb"), &file)?;
    sync(&folder)?;
    // The reader table belongs to the old file.
    let _ = fs::remove_file(folder.join("lock.mdb"));
    fs::remove_dir_all(&new)?;
    Ok(Compacted { lane, objects, before, after: fs::metadata(&file)?.len() })
}

fn copy(log: &Log, scan: Scan, folder: &Path, map_size: usize) -> Result<u64, ToolError> {
    let new = LaneEnv::open(folder, map_size)?;
    let env = new.env.clone();
    let mut txn = Some(env.write_txn()?);
    let (mut count, mut value, mut failed) = (0, Vec::new(), None);
    scan::objects(
        log.env(),
        &log.index(),
        |_| true,
        |object| {
            if failed.is_some() {
                return;
            }
            let mut put = || -> heed::Result<()> {
                count += 1;
                Entry::Object(object).write(&mut value);
                let mut open = match txn.take() {
                    Some(open) => open,
                    None => env.write_txn()?,
                };
                new.log.put_with_flags(&mut open, PutFlags::APPEND, &count, &value)?;
                if count % STEP == 0 {
                    open.commit()?;
                } else {
                    txn = Some(open);
                }
                Ok(())
            };
            failed = put().err();
        },
    )?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut last = match txn.take() {
        Some(open) => open,
        None => env.write_txn()?,
    };
    Entry::Mark { wall: scan.wall, highest: scan.highest }.write(&mut value);
    new.log.put_with_flags(&mut last, PutFlags::APPEND, &(count + 1), &value)?;
    last.commit()?;
    drop(txn);
    drop(env);
    new.close();
    Ok(count)
}
