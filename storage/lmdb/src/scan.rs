//! Reads a log at start: which record of each object is the current one, then the objects.
//!
//! A log of millions of records is read in pieces by some threads at once, each with a transaction
//! of its own; what they found is put together in order, so that the last version wins whoever was
//! first to read it. Checksums are looked at here and nowhere else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use crossbeam::channel::bounded;
use pharos_storage::{Object, ObjectId};

use crate::entry::{Entry, footprint};
use crate::env::LaneEnv;
use crate::index::{Index, Place};

/// Keys of one piece: some 10 ms of work.
const PIECE: u64 = 16_384;

/// Threads that read pieces at most: one that puts together keeps up with no more.
const READERS: usize = 4;

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Newest wall clock in the log, ms since 1970.
    pub(crate) wall: u64,
    /// Highest object id that was ever in it.
    pub(crate) highest: u64,
    /// Records that are not ours or fail their checksum; they are passed over.
    pub(crate) damaged: u64,
    /// The first key, the key after the last, and the bytes of all records between.
    pub(crate) tail: u64,
    pub(crate) head: u64,
    pub(crate) bytes: u64,
}

/// What one piece says.
#[derive(Default)]
struct Piece {
    changes: Vec<(ObjectId, Option<Place>)>,
    scan: Scan,
}

/// Reads a whole log.
pub(crate) fn read(env: &LaneEnv) -> heed::Result<(Index, Scan)> {
    let txn = env.read()?;
    let first = env.log.first(&txn)?.map_or(1, |(sequence, _)| sequence);
    let last = env.log.last(&txn)?.map_or(first, |(sequence, _)| sequence + 1);
    drop(txn);
    let scan = Scan { tail: first, head: last, ..Scan::default() };
    let mut all = (Index::new(), scan);
    let pieces = (last - first).div_ceil(PIECE);
    let readers = thread::available_parallelism().map_or(1, usize::from).min(READERS);
    if pieces < 4 || readers < 2 {
        for piece in 0..pieces {
            add(&mut all, read_piece(env, first, piece)?);
        }
        return Ok(all);
    }
    let (next, (send, found)) = (AtomicU64::new(0), bounded(2 * readers));
    thread::scope(|scope| {
        for _ in 0..readers {
            let (next, send) = (&next, send.clone());
            scope.spawn(move || {
                loop {
                    let piece = next.fetch_add(1, Relaxed);
                    let gone = || send.send((piece, read_piece(env, first, piece))).is_err();
                    if piece >= pieces || gone() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Pieces that came before their turn.
        let (mut early, mut turn) = (BTreeMap::new(), 0);
        for (piece, read) in found {
            early.insert(piece, read?);
            while let Some(read) = early.remove(&turn) {
                add(&mut all, read);
                turn += 1;
            }
        }
        assert_eq!(turn, pieces, "every piece has been read");
        Ok(all)
    })
}

fn read_piece(env: &LaneEnv, first: u64, piece: u64) -> heed::Result<Piece> {
    let start = first + piece * PIECE;
    let mut found = Piece::default();
    let txn = env.read()?;
    for record in env.log.range(&txn, &(start..start + PIECE))? {
        let (sequence, value) = record?;
        found.scan.bytes += footprint(value.len());
        let place = Place { sequence, length: value.len() as u32 };
        match Entry::read(value) {
            Some(Entry::Object(Object { id, .. })) => found.changes.push((id, Some(place))),
            Some(Entry::Tombstone { id, .. }) => found.changes.push((id, None)),
            Some(Entry::Mark { wall, highest }) => {
                found.scan.wall = found.scan.wall.max(wall);
                found.scan.highest = found.scan.highest.max(highest);
            }
            None => found.scan.damaged += 1,
        }
    }
    Ok(found)
}

fn add((index, all): &mut (Index, Scan), Piece { changes, scan }: Piece) {
    for (id, place) in changes {
        index.set(id, place);
    }
    all.wall = all.wall.max(scan.wall);
    all.highest = all.highest.max(scan.highest);
    all.damaged += scan.damaged;
    all.bytes += scan.bytes;
}

/// Hands out every current object of a log whose hash is wanted, in log order. The log has been
/// read by [`read`] since it was opened: what the index knows is whole.
pub(crate) fn objects(
    env: &LaneEnv,
    index: &Index,
    wanted: impl Fn(u64) -> bool,
    mut each: impl FnMut(Object<'_>),
) -> heed::Result<()> {
    let txn = env.read()?;
    for record in env.log.iter(&txn)? {
        let (sequence, value) = record?;
        if let Some(object) = Entry::object(value)
            && wanted(object.hash)
            && index.get(object.id).is_some_and(|place| place.sequence == sequence)
        {
            each(object);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heed::PutFlags;
    use pharos_storage::Kind;

    /// Many pieces read by several threads say what one after the other would.
    #[test]
    fn the_last_version_wins_over_all_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let env = LaneEnv::open(dir.path(), 256 << 20).unwrap();
        let (mut txn, mut value, mut expected) =
            (env.write().unwrap(), Vec::new(), BTreeMap::new());
        let count = 6 * PIECE + 77;
        for sequence in 5..5 + count {
            let id = ObjectId(sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 9_000);
            let entry = if sequence.is_multiple_of(7) {
                expected.remove(&id);
                Entry::Tombstone { id, hash: 1 }
            } else {
                expected.insert(id, sequence);
                Entry::Object(Object { id, hash: id.0, kind: Kind::Body, bytes: b"body" })
            };
            entry.write(&mut value);
            if sequence == 40_000 {
                // Damaged: what was there before stays.
                value[HASH] ^= 1;
            }
            env.log.put_with_flags(&mut txn, PutFlags::APPEND, &sequence, &value).unwrap();
        }
        let mark = Entry::Mark { wall: 99, highest: 9_000 };
        mark.write(&mut value);
        env.log.put_with_flags(&mut txn, PutFlags::APPEND, &(5 + count), &value).unwrap();
        txn.commit().unwrap();
        let (index, scan) = read(&env).unwrap();
        assert_eq!((scan.tail, scan.head), (5, 6 + count));
        assert_eq!((scan.wall, scan.highest, scan.damaged), (99, 9_000, 1));
        let (mut found, mut order) = (0, 0);
        objects(
            &env,
            &index,
            |_| true,
            |object| {
                let place = index.get(object.id).expect("it is current");
                assert!(expected[&object.id] == place.sequence || place.sequence < 40_000);
                assert!(order < place.sequence, "in log order");
                order = place.sequence;
                found += 1;
            },
        )
        .unwrap();
        assert_eq!((found, index.objects()), (expected.len(), expected.len() as u64));
        let mut odd = 0;
        objects(&env, &index, |hash| hash % 2 == 1, |_| odd += 1).unwrap();
        assert_eq!(odd, expected.keys().filter(|id| id.0 % 2 == 1).count());
        env.close();
    }

    const HASH: usize = 10;
}
