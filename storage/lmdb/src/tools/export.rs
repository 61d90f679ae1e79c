//! `export`: a table in the seeds' shape out of what is stored.

use std::io::Write;
use std::path::Path;

use pharos_storage::record::Publication;
use pharos_storage::{Kind, Object, ObjectId, decode};

use super::follow::{Copied, Follower};
use super::row::Writer;
use super::table::Entry;
use super::{Format, Shape, Table, ToolError, meta};

/// Writes all rows of a table, also beside a running server; returns how many. Publications and
/// subscriptions that are kept only to answer repeats are no rows.
///
/// # Errors
/// See [`ToolError`].
pub fn export(
    dir: &Path,
    table: Table,
    format: Format,
    shape: Shape,
    out: &mut dyn Write,
) -> Result<u64, ToolError> {
    let columns = table.columns(shape);
    let mut writer = Writer::new(format, columns, out)?;
    let mut count = 0;
    for lane in 0..meta(dir)?.lanes {
        let Some(mut follower) = Follower::open(dir, lane)? else { continue };
        follower.objects(&body_of, &mut |_, object| {
            if object.kind != table.kind() {
                return Ok(());
            }
            if let Some(entry) = entry_of(object)? {
                count += 1;
                writer.row(columns, &entry.cells(count)[..columns.len()])?;
            }
            Ok(())
        })?;
        follower.close();
    }
    writer.finish()?;
    Ok(count)
}

/// The body of a publication is read in the same moment.
fn body_of(object: &Object<'_>) -> Option<ObjectId> {
    match object.kind {
        Kind::Publication => decode::<Publication>(object.bytes).ok().map(|it| ObjectId(it.body)),
        _ => None,
    }
}

fn entry_of(object: Copied) -> Result<Option<Entry>, ToolError> {
    let undecodable =
        |error| ToolError::Input(format!("object {} cannot be decoded: {error:?}", object.id.0));
    let entry = match object.kind {
        Kind::Publication => {
            let record: Publication = decode(&object.bytes).map_err(undecodable)?;
            let keep = !record.removed;
            let body = object.related.unwrap_or_default().into_vec();
            keep.then_some(Entry::Publication(record, body))
        }
        Kind::Subscription => {
            let record: pharos_storage::record::Subscription =
                decode(&object.bytes).map_err(undecodable)?;
            (record.status != 3).then_some(Entry::Subscription(record))
        }
        Kind::Watcher => Some(Entry::Watcher(decode(&object.bytes).map_err(undecodable)?)),
        Kind::Body => None,
    };
    Ok(entry)
}
