//! Places for many small things, named by handles that die with the thing.
//!
//! Storage grows by blocks of 256, so that a million things never move and no growth copies them
//! all.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::num::NonZeroU32;

const BLOCK: usize = 256;

/// Names one thing in a [`Slab`], for ever: a later thing in the same place has another generation.
///
/// Eight bytes, also as an `Option`.
pub struct Id<T> {
    index: u32,
    generation: NonZeroU32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The place. Unique among the living.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// As one number, for those who do not know what it names.
    pub const fn to_bits(self) -> u64 {
        (self.generation.get() as u64) << 32 | self.index as u64
    }

    /// Back from [`Id::to_bits`].
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU32::new((bits >> 32) as u32) {
            Some(generation) => Some(Self { index: bits as u32, generation, of: PhantomData }),
            None => None,
        }
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && self.generation == other.generation
    }
}

impl<T> Eq for Id<T> {}

impl<T> core::fmt::Debug for Id<T> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "{}.{}", self.index, self.generation)
    }
}

enum Slot<T> {
    Taken { generation: NonZeroU32, value: T },
    Free { generation: NonZeroU32, next: u32 },
}

const NONE: u32 = u32::MAX;

/// A collection with a limit. Order of iteration is order of places: the same inputs, the same
/// order.
pub(super) struct Slab<T> {
    blocks: Vec<Box<[Slot<T>]>>,
    free: u32,
    len: usize,
    limit: usize,
}

impl<T> Slab<T> {
    /// Room for `limit` things, taken as needed.
    pub(super) const fn new(limit: usize) -> Self {
        assert!(limit < NONE as usize, "places are 32-bit");
        Self { blocks: Vec::new(), free: NONE, len: 0, limit }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Nothing more fits.
    pub(super) const fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        let index = index as usize;
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        let index = index as usize;
        self.blocks.get_mut(index / BLOCK)?.get_mut(index % BLOCK)
    }

    fn grow(&mut self) {
        let first = (self.blocks.len() * BLOCK) as u32;
        let block = (0..BLOCK as u32).map(|place| Slot::Free {
            generation: NonZeroU32::MIN,
            next: if place + 1 == BLOCK as u32 { NONE } else { first + place + 1 },
        });
        self.blocks.push(block.collect());
        self.free = first;
    }

    /// Take a place; `None` when the limit is reached.
    pub(super) fn insert(&mut self, value: T) -> Option<Id<T>> {
        if self.is_full() {
            return None;
        }
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let slot = self.slot_mut(index)?;
        let Slot::Free { generation, next } = *slot else {
            unreachable!("the free list holds free places")
        };
        *slot = Slot::Taken { generation, value };
        self.free = next;
        self.len += 1;
        Some(Id { index, generation, of: PhantomData })
    }

    /// Give the place back. `None` when the thing is gone already.
    pub(super) fn remove(&mut self, id: Id<T>) -> Option<T> {
        self.get(id)?;
        let free = self.free;
        let slot = self.slot_mut(id.index)?;
        let generation = id.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let next = Slot::Free { generation, next: free };
        let Slot::Taken { value, .. } = core::mem::replace(slot, next) else {
            unreachable!("looked at just now")
        };
        self.free = id.index;
        self.len -= 1;
        Some(value)
    }

    /// The thing, while it lives.
    pub(super) fn get(&self, id: Id<T>) -> Option<&T> {
        match self.slot(id.index)? {
            Slot::Taken { generation, value } if *generation == id.generation => Some(value),
            _ => None,
        }
    }

    /// The thing, while it lives.
    pub(super) fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        match self.slot_mut(id.index)? {
            Slot::Taken { generation, value } if *generation == id.generation => Some(value),
            _ => None,
        }
    }

    /// The living thing at a place.
    pub(super) fn at(&self, index: u32) -> Option<(Id<T>, &T)> {
        match self.slot(index)? {
            Slot::Taken { generation, value } => {
                Some((Id { index, generation: *generation, of: PhantomData }, value))
            }
            Slot::Free { .. } => None,
        }
    }

    /// The living thing at the first taken place from `index` on.
    pub(super) fn next_from(&self, index: u32) -> Option<Id<T>> {
        let places = (self.blocks.len() * BLOCK) as u32;
        (index..places).find_map(|index| match self.slot(index)? {
            Slot::Taken { generation, .. } => {
                Some(Id { index, generation: *generation, of: PhantomData })
            }
            Slot::Free { .. } => None,
        })
    }
}

impl<T> core::ops::Index<Id<T>> for Slab<T> {
    type Output = T;

    /// For handles whose thing lives by construction.
    fn index(&self, id: Id<T>) -> &T {
        self.get(id).expect("a link points at a living thing")
    }
}

impl<T> core::ops::IndexMut<Id<T>> for Slab<T> {
    fn index_mut(&mut self, id: Id<T>) -> &mut T {
        self.get_mut(id).expect("a link points at a living thing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_dies_with_its_thing() {
        let mut slab = Slab::new(1_000);
        let first = slab.insert("first").unwrap();
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second").unwrap();
        assert_eq!(first.index(), second.index());
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab[second], "second");
    }

    #[test]
    fn it_fills_to_its_limit_over_blocks_and_in_order() {
        let mut slab = Slab::new(600);
        let ids: Vec<_> = (0..600).map(|number| slab.insert(number).unwrap()).collect();
        assert!(slab.is_full());
        assert_eq!(slab.insert(0), None);
        slab.remove(ids[300]);
        let after = slab.next_from(300).unwrap();
        assert_eq!(slab[after], 301);
        assert_eq!(slab.len(), 599);
    }
}
