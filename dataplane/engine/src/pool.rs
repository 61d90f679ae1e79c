//! A slab of fixed capacity. Handles carry a generation, so that a stale one finds nothing.

use alloc::vec::Vec;

/// Names one entry of one [`Pool`], until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Handle {
    /// As one number, for the wire.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// Back from [`Handle::to_bits`]; any number is a handle, most find nothing.
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// A bounded collection with constant-time insert, look-up and removal.
#[derive(Debug)]
pub struct Pool<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    capacity: usize,
    generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Pool<T> {
    /// Room for `capacity` entries, taken as needed. Generations rise from `generation`, one for
    /// each insertion: with a random start, handles of an earlier run find nothing either.
    pub fn new(capacity: usize, generation: u32) -> Self {
        let capacity = capacity.min(u32::MAX as usize);
        Self { entries: Vec::new(), free: Vec::new(), capacity, generation }
    }

    /// Put a value in; gives it back when the pool is full.
    ///
    /// # Errors
    /// The value, when there are `capacity` entries.
    pub fn insert(&mut self, value: T) -> Result<Handle, T> {
        if self.is_full() {
            return Err(value);
        }
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let entry = Entry { generation, value: Some(value) };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        Ok(Handle { index, generation })
    }

    /// The entry, unless it was removed.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        let entry = self.entries.get(handle.index as usize)?;
        entry.value.as_ref().filter(|_| entry.generation == handle.generation)
    }

    /// The entry, unless it was removed.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let entry = self.entries.get_mut(handle.index as usize)?;
        entry.value.as_mut().filter(|_| entry.generation == handle.generation)
    }

    /// Take the entry out.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let entry = self.entries.get_mut(handle.index as usize)?;
        if entry.generation != handle.generation {
            return None;
        }
        let value = entry.value.take()?;
        self.free.push(handle.index);
        Some(value)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// No entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No room.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// All entries in index order, which depends on the history of the pool alone.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let handle = Handle { index: index as u32, generation: entry.generation };
            entry.value.as_ref().map(|value| (handle, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_handle_finds_nothing_though_the_place_is_taken_again() {
        let mut pool = Pool::new(2, 7);
        let first = pool.insert('a').unwrap();
        assert_eq!(pool.remove(first), Some('a'));
        let second = pool.insert('b').unwrap();
        assert_eq!(pool.get(first), None);
        assert_eq!(pool.remove(first), None);
        assert_eq!(pool.get(second), Some(&'b'));
        assert_eq!(Handle::from_bits(second.to_bits()), second);
    }

    #[test]
    fn a_full_pool_gives_the_value_back() {
        let mut pool = Pool::new(1, u32::MAX);
        let only = pool.insert(1).unwrap();
        assert_eq!(pool.insert(2), Err(2));
        assert_eq!(pool.iter().collect::<Vec<_>>(), [(only, &1)]);
        assert_eq!(pool.len(), 1);
    }
}
