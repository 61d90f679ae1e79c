//! A queue in pieces: they come and go with what is in it, so that a long queue is never copied to
//! grow and leaves no room behind.

use alloc::collections::VecDeque;

/// Things in one piece.
const PIECE: usize = 512;

/// First in, first out.
#[derive(Debug)]
pub(crate) struct Chunks<T> {
    pieces: VecDeque<VecDeque<T>>,
    /// How many the first piece has given.
    taken: usize,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { pieces: VecDeque::new(), taken: 0, len: 0 }
    }
}

impl<T> Chunks<T> {
    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// There are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Put one at the end.
    pub(crate) fn push_back(&mut self, thing: T) {
        if (self.taken + self.len).is_multiple_of(PIECE) {
            self.pieces.push_back(VecDeque::with_capacity(PIECE));
        }
        if let Some(last) = self.pieces.back_mut() {
            last.push_back(thing);
            self.len += 1;
        }
    }

    /// Take the first.
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let thing = self.pieces.front_mut()?.pop_front()?;
        self.len -= 1;
        self.taken += 1;
        if self.taken == PIECE || self.len == 0 {
            self.pieces.pop_front();
            self.taken = 0;
        }
        Some(thing)
    }

    /// The one at a place, counted from the first.
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        let place = place + self.taken;
        let piece = self.pieces.get(place / PIECE)?;
        let before = if place < PIECE { self.taken } else { 0 };
        piece.get(place % PIECE - before)
    }

    /// All, from the first on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_queue_whatever_its_length() {
        let mut chunks = Chunks::default();
        let mut model = VecDeque::new();
        for step in 0..20_000_u32 {
            // It grows to thousands, then runs dry, and again.
            if step / 3_000 % 2 == 0 || step % 3 == 0 {
                chunks.push_back(step);
                model.push_back(step);
            } else {
                assert_eq!(chunks.pop_front(), model.pop_front());
            }
            assert_eq!(chunks.len(), model.len());
            assert_eq!(chunks.is_empty(), model.is_empty());
            for place in [0, 1, 511, 512, model.len().wrapping_sub(1), model.len()] {
                assert_eq!(chunks.get(place % 4_000), model.get(place % 4_000));
            }
        }
        assert!(chunks.iter().eq(model.iter()));
        while chunks.pop_front().is_some() {}
        assert!(chunks.pieces.is_empty());
    }
}
