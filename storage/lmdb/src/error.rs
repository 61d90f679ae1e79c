//! Why a data directory could not be opened or written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Says what is wrong, where, and what to do about it.
#[derive(Debug)]
pub enum OpenError {
    /// Another process holds the directory.
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that holds it, when it said so.
        pid: Option<u32>,
    },
    /// The directory was made by another version of Pharos.
    Format {
        /// Its meta file.
        path: PathBuf,
        /// The format it names.
        found: u32,
    },
    /// The meta file lacks a value or has an impossible one.
    Meta {
        /// The file.
        path: PathBuf,
        /// The value's name.
        field: &'static str,
    },
    /// There are lanes but no meta file, so the key of their records is lost.
    NoMeta {
        /// The directory.
        path: PathBuf,
    },
    /// There is no data directory here.
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A lane of the directory is missing.
    NoLane {
        /// Its folder.
        path: PathBuf,
    },
    /// The system said no.
    Io {
        /// To what.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// LMDB said no.
    Lane {
        /// The lane's folder.
        path: PathBuf,
        /// What it said.
        error: String,
    },
}

impl OpenError {
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.into(), error }
    }

    pub(crate) fn lane(path: &Path, error: &heed::Error) -> Self {
        Self::Lane { path: path.into(), error: error.to_string() }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path, pid: Some(pid) } => {
                write!(f, "{} is in use by process {pid}", path.display())
            }
            Self::InUse { path, pid: None } => {
                write!(f, "{} is in use by another process", path.display())
            }
            Self::Format { path, found } => write!(
                f,
                "{}: format {found}, but this version of Pharos reads {}",
                path.display(),
                crate::FORMAT
            ),
            Self::Meta { path, field } => {
                write!(f, "{}: '{field}' is missing or wrong", path.display())
            }
            Self::NoMeta { path } => write!(
                f,
                "{} has lanes but no file 'meta': restore it from a backup, it holds their key",
                path.display()
            ),
            Self::NoDirectory { path } => {
                write!(f, "{} is not a data directory of Pharos", path.display())
            }
            Self::NoLane { path } => {
                write!(f, "{} is missing: restore it from a backup", path.display())
            }
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Lane { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {}
