//! Which record is the current one of each object: in memory, made anew at each start.
//!
//! Split into chunks that grow one by one: a single table of ten million entries stops its lane for
//! more than a second when it doubles, a chunk of it for less than a millisecond.

use core::hash::{BuildHasher, Hasher};

use hashbrown::HashMap;
use pharos_storage::ObjectId;

use crate::entry::footprint;

const CHUNKS: usize = 1 << 12;

/// Where the current version of an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its key in the log.
    pub(crate) sequence: u64,
    /// Length of its record, head included.
    pub(crate) length: u32,
}

/// Object id to [`Place`], with the sum of what the current records take.
#[derive(Debug)]
pub(crate) struct Index {
    chunks: Box<[HashMap<u64, Place, Mix>]>,
    objects: u64,
    live: u64,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { chunks: (0..CHUNKS).map(|_| HashMap::default()).collect(), objects: 0, live: 0 }
    }

    pub(crate) fn get(&self, id: ObjectId) -> Option<Place> {
        self.chunks[chunk(id)].get(&id.0).copied()
    }

    pub(crate) fn set(&mut self, id: ObjectId, place: Option<Place>) {
        let chunk = &mut self.chunks[chunk(id)];
        let before = match place {
            Some(place) => chunk.insert(id.0, place),
            None => chunk.remove(&id.0),
        };
        if let Some(before) = before {
            self.objects -= 1;
            self.live -= footprint(before.length as usize);
        }
        if let Some(place) = place {
            self.objects += 1;
            self.live += footprint(place.length as usize);
        }
    }

    /// Objects in it.
    pub(crate) const fn objects(&self) -> u64 {
        self.objects
    }

    /// Bytes that their records take in the file.
    pub(crate) const fn live(&self) -> u64 {
        self.live
    }
}

/// Middle bits of the mixed id; the table in a chunk uses the lower ones and the seven highest.
fn chunk(id: ObjectId) -> usize {
    (mix(id.0) >> 40) as usize % CHUNKS
}

/// The ids are our own and dense, so a mixer is enough: nobody outside can choose them.
const fn mix(id: u64) -> u64 {
    let z = (id ^ (id >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z ^ (z >> 29)
}

/// Hasher state of [`mix`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mix(u64);

impl BuildHasher for Mix {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = mix(self.0 ^ u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mix(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_what_is_set() {
        let mut index = Index::new();
        let place = |sequence, length| Some(Place { sequence, length });
        index.set(ObjectId(1), place(10, 700));
        index.set(ObjectId(2), place(11, 100));
        index.set(ObjectId(1), place(12, 100));
        assert_eq!((index.objects(), index.live()), (2, 2 * footprint(100)));
        index.set(ObjectId(2), None);
        index.set(ObjectId(3), None);
        assert_eq!((index.objects(), index.live()), (1, footprint(100)));
        assert_eq!(index.get(ObjectId(1)), place(12, 100));
        assert_eq!(index.get(ObjectId(2)), None);
    }

    /// Ids come in steps of the number of shards: no chunk may get more than twice its share.
    #[test]
    fn chunks_fill_evenly_whatever_the_step() {
        for step in [1, 2, 3, 8, 64, 96, 4_096] {
            let mut filled = vec![0_u32; CHUNKS];
            for n in 0..(64 * CHUNKS as u64) {
                filled[chunk(ObjectId(7 + n * step))] += 1;
            }
            assert!(filled.iter().all(|&n| n < 128), "step {step}: {:?}", filled.iter().max());
        }
    }
}
