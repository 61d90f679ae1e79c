//! `stat`: how much is stored, and of what kind.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use pharos_storage::Kind;
use serde_json::json;

use super::follow::Follower;
use super::{ToolError, line, meta};
use crate::directory::{FORMAT, lane_folder};
use crate::entry::{Entry, footprint};

/// A whole directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// How often a server has started on it.
    pub boots: u64,
    /// The last stop was a clean one; `false` also while a server runs.
    pub clean: bool,
    /// Each lane, by its number.
    pub lanes: Vec<LaneStat>,
}

/// One lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneStat {
    /// Live objects of each kind, and the bytes of their records in the file.
    pub objects: BTreeMap<&'static str, (u64, u64)>,
    /// Records in the log, dead ones, tombstones and commit marks included.
    pub records: u64,
    /// Bytes they take in the file.
    pub log_bytes: u64,
    /// Bytes that the live ones take.
    pub live_bytes: u64,
    /// Tombstones not cleaned yet.
    pub tombstones: u64,
    /// Records that fail their checksum.
    pub damaged: u64,
    /// Lowest and highest key.
    pub sequence: (u64, u64),
    /// Wall clock of the last commit, ms since 1970.
    pub wall: u64,
    /// Highest object id given out.
    pub highest_id: u64,
    /// Size of the file, bytes.
    pub file_bytes: u64,
}

/// Counts what a directory holds and writes one JSON line for each lane and one for the whole.
///
/// # Errors
/// See [`ToolError`].
pub fn stat(dir: &Path, out: &mut dyn Write) -> Result<Stat, ToolError> {
    let meta = meta(dir)?;
    let mut stat = Stat { boots: meta.boots, clean: meta.clean, lanes: Vec::new() };
    for lane in 0..meta.lanes {
        let found = lane_stat(dir, lane)?;
        line(out, &found.json(lane))?;
        stat.lanes.push(found);
    }
    let sum = |of: fn(&LaneStat) -> u64| stat.lanes.iter().map(of).sum::<u64>();
    line(
        out,
        &json!({
            "format": FORMAT,
            "lanes": meta.lanes,
            "boots": stat.boots,
            "stop": if stat.clean { "clean" } else { "running or unclean" },
            "objects": sum(LaneStat::count),
            "live_bytes": sum(|lane| lane.live_bytes),
            "log_bytes": sum(|lane| lane.log_bytes),
            "file_bytes": sum(|lane| lane.file_bytes),
            "damaged": sum(|lane| lane.damaged),
        }),
    )?;
    Ok(stat)
}

fn lane_stat(dir: &Path, lane: u16) -> Result<LaneStat, ToolError> {
    let mut stat = LaneStat::default();
    let Some(mut follower) = Follower::open(dir, lane)? else { return Ok(stat) };
    // Kind and size of each id's newest version, as the log goes by.
    let mut newest = BTreeMap::<u64, (Kind, u64)>::new();
    follower.catch_up(&mut |sequence, length, entry| {
        stat.records += 1;
        stat.log_bytes += footprint(length);
        stat.sequence = (if stat.records == 1 { sequence } else { stat.sequence.0 }, sequence);
        match entry {
            Some(Entry::Object(object)) => {
                newest.insert(object.id.0, (object.kind, footprint(length)));
            }
            Some(Entry::Tombstone { id, .. }) => {
                newest.remove(&id.0);
                stat.tombstones += 1;
            }
            Some(Entry::Mark { wall, highest }) => {
                stat.wall = stat.wall.max(wall);
                stat.highest_id = stat.highest_id.max(highest);
            }
            None => stat.damaged += 1,
        }
    })?;
    follower.close();
    for (kind, bytes) in newest.into_values() {
        let of_kind = stat.objects.entry(kind.name()).or_default();
        of_kind.0 += 1;
        of_kind.1 += bytes;
        stat.live_bytes += bytes;
    }
    let file = lane_folder(dir, lane).join("data.mdb");
    stat.file_bytes = std::fs::metadata(file)?.len();
    Ok(stat)
}

impl LaneStat {
    /// Live objects of all kinds.
    pub fn count(&self) -> u64 {
        self.objects.values().map(|(count, _)| count).sum()
    }

    fn json(&self, lane: u16) -> serde_json::Value {
        let kinds: serde_json::Map<_, _> = self
            .objects
            .iter()
            .map(|(kind, (count, bytes))| {
                ((*kind).to_owned(), json!({ "count": count, "bytes": bytes }))
            })
            .collect();
        json!({
            "lane": lane,
            "objects": kinds,
            "records": self.records,
            "log_bytes": self.log_bytes,
            "live_bytes": self.live_bytes,
            "tombstones": self.tombstones,
            "damaged": self.damaged,
            "first_sequence": self.sequence.0,
            "last_sequence": self.sequence.1,
            "wall": self.wall,
            "highest_id": self.highest_id,
            "file_bytes": self.file_bytes,
        })
    }
}
