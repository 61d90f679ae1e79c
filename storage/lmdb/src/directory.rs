//! The data directory: who holds it, its key, its lanes, and how the last process stopped.
//!
//! ```text
//! DIR/lock        held exclusively by the one server or tool that may write
//! DIR/meta        format, key of the AoR hash, number of lanes, starts, last stop
//! DIR/lane-N/     one LMDB environment each
//! ```

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// The layout of directory and log that this program reads and writes.
pub const FORMAT: u32 = 1;

/// Most lanes: one for each of 256 cores at one lane a core.
pub const LANES_MAX: u16 = 256;

/// What `DIR/meta` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Key of [`pharos_storage::aor_hash`], made at the first start and never changed: records
    /// hold hashes under it.
    pub key: [u8; 16],
    /// Number of lanes, a power of two, fixed when the directory is made.
    pub lanes: u16,
    /// How often a server has started on it.
    pub boots: u64,
    /// The last one stopped in order.
    pub clean: bool,
}

impl Meta {
    /// Reads `DIR/meta`; `None` when the directory is not there or holds none.
    ///
    /// # Errors
    /// It cannot be read, or is not what a Pharos of this format wrote.
    pub fn read(dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join("meta");
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map(Some).map_err(|what| what.at(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::io(&path, error)),
        }
    }

    fn parse(text: &str) -> Result<Self, Wrong> {
        let value = |name: &'static str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let found = pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
            found.ok_or(Wrong::Field(name))
        };
        let format = value("format")?.parse().map_err(|_| Wrong::Field("format"))?;
        if format != FORMAT {
            return Err(Wrong::Format(format));
        }
        let lanes: u16 = value("lanes")?.parse().map_err(|_| Wrong::Field("lanes"))?;
        if !lanes.is_power_of_two() || lanes > LANES_MAX {
            return Err(Wrong::Field("lanes"));
        }
        Ok(Self {
            key: key_of_hex(value("key")?).ok_or(Wrong::Field("key"))?,
            lanes,
            boots: value("boots")?.parse().map_err(|_| Wrong::Field("boots"))?,
            clean: match value("stop")? {
                "clean" => true,
                "running" => false,
                _ => return Err(Wrong::Field("stop")),
            },
        })
    }

    fn text(&self) -> String {
        let mut text = String::from("# Pharos data directory. The key belongs to the records.\n");
        let key = self.key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let stop = if self.clean { "clean" } else { "running" };
        let (lanes, boots) = (self.lanes, self.boots);
        let lines = [
            ("format", FORMAT.to_string()),
            ("key", key),
            ("lanes", lanes.to_string()),
            ("boots", boots.to_string()),
            ("stop", stop.to_string()),
        ];
        for (name, value) in lines {
            let _ = writeln!(text, "{name} = {value}");
        }
        text
    }
}

/// What is wrong with a meta file.
enum Wrong {
    Format(u32),
    Field(&'static str),
}

impl Wrong {
    fn at(self, path: &Path) -> OpenError {
        match self {
            Self::Format(found) => OpenError::Format { path: path.into(), found },
            Self::Field(field) => OpenError::Meta { path: path.into(), field },
        }
    }
}

/// A data directory that this process alone may write.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    pub(crate) meta: Meta,
    /// Unlocked when it is dropped, or by the kernel when the process ends however it ends.
    _lock: File,
}

impl Directory {
    /// Locks a directory; makes it, with a fresh key, when there is none.
    pub(crate) fn open(path: &Path, lanes: u16) -> Result<Self, OpenError> {
        let io = |error| OpenError::io(path, error);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let lock = lock(path)?;
        let meta = match Meta::read(path)? {
            Some(meta) => meta,
            None if path.join("lane-0").exists() => {
                return Err(OpenError::NoMeta { path: path.into() });
            }
            None => {
                let meta = Meta { key: random_key().map_err(io)?, lanes, boots: 0, clean: true };
                write(path, &meta)?;
                meta
            }
        };
        Ok(Self { path: path.into(), meta, _lock: lock })
    }

    /// The folder of a lane, made when the directory is new. A lane that has vanished is an error:
    /// an empty one in its place would lose what it held without a word.
    pub(crate) fn lane(&self, lane: u16) -> Result<PathBuf, OpenError> {
        let folder = lane_folder(&self.path, lane);
        if self.meta.boots > 0 && !folder.join("data.mdb").exists() {
            return Err(OpenError::NoLane { path: folder });
        }
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.and_then(|()| sync(&self.path)).map_err(|error| OpenError::io(&folder, error))?;
        Ok(folder)
    }

    /// A server starts: until [`Directory::stopped`], the stop is an unclean one.
    pub(crate) fn started(&mut self) -> Result<(), OpenError> {
        self.meta.boots += 1;
        self.meta.clean = false;
        write(&self.path, &self.meta)
    }

    /// Everything is durable and closed.
    pub(crate) fn stopped(&mut self) -> Result<(), OpenError> {
        self.meta.clean = true;
        write(&self.path, &self.meta)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The folder of a lane.
pub(crate) fn lane_folder(dir: &Path, lane: u16) -> PathBuf {
    dir.join(format!("lane-{lane}"))
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(|error| OpenError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => {
            let pid = std::process::id().to_string();
            let written = file.set_len(0).and_then(|()| file.write_all(pid.as_bytes()));
            written.map_err(|error| OpenError::io(&path, error))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Err(OpenError::InUse { path: dir.into(), pid: holder.trim().parse().ok() })
        }
        Err(TryLockError::Error(error)) => Err(OpenError::io(&path, error)),
    }
}

/// Writes the meta file as a whole or not at all, and on disk when it returns.
fn write(dir: &Path, meta: &Meta) -> Result<(), OpenError> {
    let (new, path) = (dir.join("meta.new"), dir.join("meta"));
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(meta.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        sync(dir)
    };
    write().map_err(|error| OpenError::io(&path, error))
}

/// Makes names in a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn random_key() -> io::Result<[u8; 16]> {
    let mut key = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

fn key_of_hex(hex: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(hex, 16).ok()?;
    (hex.len() == 32).then(|| number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_lanes_are_made_once_and_starts_are_counted() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("data");
        assert_eq!(Meta::read(&dir).unwrap(), None);
        let mut first = Directory::open(&dir, 2).unwrap();
        first.started().unwrap();
        let made = first.meta.clone();
        drop(first);
        let mut second = Directory::open(&dir, 8).unwrap();
        assert_eq!(second.meta, made);
        assert_eq!((made.lanes, made.boots, made.clean), (2, 1, false));
        second.stopped().unwrap();
        assert!(Meta::read(&dir).unwrap().unwrap().clean);
    }

    #[test]
    fn a_second_server_is_refused_and_told_who_holds_it() {
        let temp = tempfile::tempdir().unwrap();
        let first = Directory::open(temp.path(), 1).unwrap();
        let refused = Directory::open(temp.path(), 1).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        Directory::open(temp.path(), 1).unwrap();
    }

    #[test]
    fn what_is_not_ours_is_not_touched() {
        let temp = tempfile::tempdir().unwrap();
        let meta = |text: &str| fs::write(temp.path().join("meta"), text).unwrap();
        meta("format = 9\n");
        let newer = Directory::open(temp.path(), 1).unwrap_err();
        assert!(matches!(newer, OpenError::Format { found: 9, .. }));
        let good = Meta { key: [7; 16], lanes: 4, boots: 3, clean: true };
        meta(&good.text().replace("lanes = 4", "lanes = 3"));
        let odd = Directory::open(temp.path(), 1).unwrap_err();
        assert!(matches!(odd, OpenError::Meta { field: "lanes", .. }));
        meta(&good.text());
        let directory = Directory::open(temp.path(), 1).unwrap();
        assert_eq!(directory.meta, good);
        assert!(matches!(directory.lane(0), Err(OpenError::NoLane { .. })));
    }

    #[test]
    fn lanes_without_a_key_are_not_given_a_new_one() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("lane-0")).unwrap();
        let error = Directory::open(temp.path(), 1).unwrap_err();
        assert!(matches!(error, OpenError::NoMeta { .. }));
    }
}
