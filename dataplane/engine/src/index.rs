//! A hash index of places: who wants to find a thing by a hash asks here where it is.
//!
//! It is made of many small tables, by bits of the hash. Each grows and shrinks by itself, so that
//! a million entries never move at once, and what many have left takes no room.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashTable;

/// Tables, a power of two. At a million entries each moves a thousand when it grows.
const SEGMENTS: usize = 1_024;
/// A table this full or emptier, one in so many, is made smaller.
const SPARSE: usize = 4;
/// Room that is not worth taking back.
const SMALL: usize = 16;

/// Places by hash. Order never comes out of it.
#[derive(Debug)]
pub(crate) struct Index {
    segments: Box<[HashTable<u32>]>,
    len: usize,
}

impl Default for Index {
    fn default() -> Self {
        let segments: Vec<_> = (0..SEGMENTS).map(|_| HashTable::new()).collect();
        Self { segments: segments.into(), len: 0 }
    }
}

/// The table of a hash: by bits that neither choose the shard nor the place in the table.
const fn segment(hash: u64) -> usize {
    (hash >> 40) as usize % SEGMENTS
}

impl Index {
    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The place under this hash that `is` the one.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.segments[segment(hash)].find(hash, |place| is(*place)).copied()
    }

    /// Add a place; `hash_of` tells the hash that another was added under.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        self.segments[segment(hash)].insert_unique(hash, place, |place| hash_of(*place));
        self.len += 1;
    }

    /// Take a place out, which was added under this hash.
    pub(crate) fn remove(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        let table = &mut self.segments[segment(hash)];
        let Ok(entry) = table.find_entry(hash, |other| *other == place) else { return };
        entry.remove();
        self.len -= 1;
        if table.capacity() > SMALL && table.len() < table.capacity() / SPARSE {
            table.shrink_to(table.len() * 2, |place| hash_of(*place));
        }
    }

    /// Forget everything.
    pub(crate) fn clear(&mut self) {
        if self.len > 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes that are as good as random, by place.
    const fn hash_of(place: u32) -> u64 {
        (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    #[test]
    fn all_are_found_while_it_grows_and_shrinks_and_the_room_comes_back() {
        let mut index = Index::default();
        let room = |index: &Index| index.segments.iter().map(HashTable::capacity).sum::<usize>();
        for place in 0..200_000 {
            index.insert(hash_of(place), place, hash_of);
        }
        assert_eq!(index.len(), 200_000);
        assert!(room(&index) < 500_000, "few places are spare");
        for place in 0..199_000 {
            index.remove(hash_of(place), place, hash_of);
            index.remove(hash_of(place), place, hash_of);
        }
        for place in 0..200_000 {
            let found = index.find(hash_of(place), |other| other == place);
            assert_eq!(found, (place >= 199_000).then_some(place));
        }
        assert_eq!(index.len(), 1_000);
        assert!(room(&index) < 40_000, "room is given back");
        index.clear();
        assert_eq!((index.len(), room(&index)), (0, 0));
    }
}
