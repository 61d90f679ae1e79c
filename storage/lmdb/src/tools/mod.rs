//! What an operator does with a data directory: look, check, make smaller, move tables in and out.
//!
//! `stat`, `dump`, `verify` and `export` read, also beside a running server, in short steps so that
//! they never keep pages from it. `compact` and `import` write and refuse a directory in use.

mod compact;
mod dump;
mod export;
mod follow;
mod import;
mod row;
mod stat;
mod table;
mod verify;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

pub use compact::{Compacted, compact};
pub use dump::dump;
pub use export::export;
pub use import::{Imported, Skipped, import};
pub use row::Format;
pub use stat::{LaneStat, Stat, stat};
pub use table::{Shape, Table};
pub use verify::{Problem, Verified, verify};

use crate::directory::{Meta, lane_folder};
use crate::error::OpenError;
use crate::lanes::Options;

/// Why a tool could not finish.
#[derive(Debug)]
pub enum ToolError {
    /// The data directory could not be opened.
    Open(OpenError),
    /// LMDB said no while reading.
    Lane(String),
    /// Reading the input or writing the output failed.
    Io(io::Error),
    /// The input is not the table it is said to be.
    Input(String),
    /// A lane did not take a row for this reason; rows before it are stored.
    Store(pharos_storage::StoreError),
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Lane(error) | Self::Input(error) => f.write_str(error),
            Self::Io(error) => error.fmt(f),
            Self::Store(error) => write!(f, "the lane did not store it: {error:?}"),
        }
    }
}

impl std::error::Error for ToolError {}

impl From<OpenError> for ToolError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<heed::Error> for ToolError {
    fn from(error: heed::Error) -> Self {
        Self::Lane(error.to_string())
    }
}

impl From<io::Error> for ToolError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The meta file of a directory that must be one of ours.
fn meta(dir: &Path) -> Result<Meta, ToolError> {
    Meta::read(dir)?.ok_or_else(|| OpenError::NoDirectory { path: dir.into() }.into())
}

/// How a writing tool opens a directory: as a server's lanes, with room beside what is there
/// however large the server was told to let it grow.
fn maintenance(dir: &Path) -> Result<Options, ToolError> {
    let lanes = Meta::read(dir)?.map_or(0, |meta| meta.lanes);
    let size =
        |lane| fs::metadata(lane_folder(dir, lane).join("data.mdb")).map_or(0, |it| it.len());
    let largest = (0..lanes).map(size).max().unwrap_or(0);
    let usual = Options::default();
    let map_size = usual.map_size.max(largest.saturating_mul(4));
    Ok(Options { map_size, maintenance: true, ..usual })
}

/// Writes one value as one line.
fn line(out: &mut dyn io::Write, value: &serde_json::Value) -> Result<(), ToolError> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}
