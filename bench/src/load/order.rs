//! In which order actors take their turns.

/// A seeded shuffle of the actors, gone through again and again.
#[derive(Clone, Debug)]
pub struct Order {
    actors: Vec<u32>,
    next: usize,
    seed: u64,
}

impl Order {
    /// A shuffle of `first..first + count`.
    pub fn new(first: u32, count: u32, seed: u64) -> Self {
        let mut order = Self { actors: (first..first + count).collect(), next: 0, seed };
        for place in (1..order.actors.len()).rev() {
            let other = order.dice(place as u64 + 1) as usize;
            order.actors.swap(place, other);
        }
        order
    }

    /// Whose turn it is.
    pub fn turn(&mut self) -> u32 {
        let actor = self.actors[self.next % self.actors.len()];
        self.next += 1;
        actor
    }

    /// Everyone had a turn.
    pub fn is_over(&self) -> bool {
        self.next >= self.actors.len()
    }

    /// From the start, with everyone.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Those who had a turn since the start, and none else.
    pub fn taken(&self) -> Self {
        let actors = self.actors[..self.next.min(self.actors.len())].to_vec();
        Self { actors, next: 0, seed: self.seed }
    }

    /// How many actors there are.
    pub fn len(&self) -> usize {
        self.actors.len()
    }

    /// Nobody.
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }

    /// A number below `sides` (xorshift64*).
    pub fn dice(&mut self, sides: u64) -> u64 {
        let mut x = self.seed | 1;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.seed = x;
        (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % sides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_one_turn() {
        let mut order = Order::new(10, 1_000, 7);
        let mut seen: Vec<u32> = (0..1_000).map(|_| order.turn()).collect();
        assert!(order.is_over() && seen[..10] != *(10..20).collect::<Vec<_>>());
        seen.sort_unstable();
        assert_eq!(seen, (10..1_010).collect::<Vec<_>>());
    }
}
