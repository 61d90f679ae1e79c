//! Timers: a hierarchical wheel of 1 ms ticks. Timers fire in the order of their deadline, equal
//! ones in the order they were set, never early, and at the first [`Wheel::advance`] at or after
//! it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::Instant;

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// 64^7 ms are 139 years.
const LEVELS: usize = 7;
const NANOS_PER_TICK: u64 = 1_000_000;
/// Places are taken in blocks, so that a million timers never move.
const BLOCK: usize = 256;
/// No place.
const NONE: u32 = u32::MAX;
/// In no list: due, or not set.
const NO_LIST: u16 = u16::MAX;

/// Names a timer until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    generation: NonZeroU32,
}

/// A place for a timer.
#[derive(Debug)]
struct Entry<T> {
    deadline: u64,
    order: u64,
    /// `None` = the place is free.
    value: Option<T>,
    previous: u32,
    /// Of a free place: the next free one.
    next: u32,
    generation: NonZeroU32,
    /// Level and slot of the list it is in, or [`NO_LIST`].
    list: u16,
}

/// A bounded set of timers that carry values of type `T`.
#[derive(Debug)]
pub struct Wheel<T> {
    blocks: Vec<Box<[Entry<T>]>>,
    free: u32,
    len: usize,
    capacity: usize,
    heads: [[u32; SLOTS]; LEVELS],
    occupied: [u64; LEVELS],
    /// The first tick not handled yet.
    now: u64,
    order: u64,
    due: VecDeque<TimerId>,
}

impl<T> Wheel<T> {
    /// An empty wheel that starts at `now`.
    pub fn new(capacity: usize, now: Instant) -> Self {
        Self {
            blocks: Vec::new(),
            free: NONE,
            len: 0,
            capacity: capacity.min(NONE as usize - BLOCK),
            heads: [[NONE; SLOTS]; LEVELS],
            occupied: [0; LEVELS],
            now: now.0 / NANOS_PER_TICK,
            order: 0,
            due: VecDeque::new(),
        }
    }

    /// Fire `value` at `at`; `None` when the wheel is full. A time that has passed fires at the
    /// next [`Wheel::advance`].
    pub fn set(&mut self, at: Instant, value: T) -> Option<TimerId> {
        if self.len >= self.capacity {
            return None;
        }
        if self.free == NONE {
            self.grow();
        }
        self.order += 1;
        let (index, order) = (self.free, self.order);
        let deadline = at.0.div_ceil(NANOS_PER_TICK);
        let entry = self.entry_mut(index)?;
        entry.deadline = deadline;
        entry.order = order;
        entry.value = Some(value);
        let (free, generation) = (entry.next, entry.generation);
        self.free = free;
        self.len += 1;
        let id = TimerId { index, generation };
        if deadline < self.now {
            self.due.push_back(id);
        } else {
            self.link(index, deadline);
        }
        Some(id)
    }

    /// Take a timer back before it fires.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        self.get(id)?;
        self.unlink(id.index);
        self.take(id)
    }

    /// When a timer fires, rounded up to a millisecond; `None` when it has.
    pub fn deadline(&self, id: TimerId) -> Option<Instant> {
        self.get(id).map(|entry| Instant(entry.deadline * NANOS_PER_TICK))
    }

    /// Number of timers set.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No timer is set.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When to call [`Wheel::advance`] next: never later than the earliest deadline, and earlier
    /// only to look at a far one more closely (at most six times in its life).
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.due.is_empty() {
            return Some(Instant(self.now.saturating_sub(1) * NANOS_PER_TICK));
        }
        self.next_tick().map(|tick| Instant(tick * NANOS_PER_TICK))
    }

    /// Go to `now`; due timers then come out of [`Wheel::pop`].
    pub fn advance(&mut self, now: Instant) {
        let target = now.0 / NANOS_PER_TICK;
        while let Some(tick) = self.next_tick().filter(|tick| *tick <= target) {
            self.now = tick;
            for level in (1..LEVELS).rev() {
                if tick.trailing_zeros() >= BITS * level as u32 {
                    self.cascade(level, slot_of(tick, level));
                }
            }
            self.expire(slot_of(tick, 0));
            self.now = tick + 1;
        }
        self.now = self.now.max(target + 1);
    }

    /// The next timer that is due.
    pub fn pop(&mut self) -> Option<T> {
        while let Some(id) = self.due.pop_front() {
            if let Some(value) = self.take(id) {
                return Some(value);
            }
        }
        None
    }

    /// The first tick from `self.now` at which a list has to be looked at.
    fn next_tick(&self) -> Option<u64> {
        let mut best: Option<u64> = None;
        for level in 0..LEVELS {
            let occupied = self.occupied[level];
            if occupied == 0 {
                continue;
            }
            let shift = BITS * level as u32;
            // The first multiple of this level's tick that is not handled yet.
            let base = self.now.div_ceil(1 << shift);
            let turned = occupied.rotate_right((base % SLOTS as u64) as u32);
            let tick = (base + u64::from(turned.trailing_zeros())) << shift;
            best = Some(best.map_or(tick, |best| best.min(tick)));
        }
        best
    }

    fn grow(&mut self) {
        let first = (self.blocks.len() * BLOCK) as u32;
        let block = (0..BLOCK as u32).map(|place| Entry {
            deadline: 0,
            order: 0,
            value: None,
            previous: NONE,
            next: if place + 1 == BLOCK as u32 { NONE } else { first + place + 1 },
            generation: NonZeroU32::MIN,
            list: NO_LIST,
        });
        self.blocks.push(block.collect());
        self.free = first;
    }

    fn entry(&self, index: u32) -> Option<&Entry<T>> {
        self.blocks.get(index as usize / BLOCK)?.get(index as usize % BLOCK)
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<T>> {
        self.blocks.get_mut(index as usize / BLOCK)?.get_mut(index as usize % BLOCK)
    }

    /// The timer, while it is set.
    fn get(&self, id: TimerId) -> Option<&Entry<T>> {
        let entry = self.entry(id.index)?;
        (entry.generation == id.generation && entry.value.is_some()).then_some(entry)
    }

    /// The value of a timer that is in no list; its place is free.
    fn take(&mut self, id: TimerId) -> Option<T> {
        self.get(id)?;
        let free = self.free;
        let entry = self.entry_mut(id.index)?;
        let value = entry.value.take();
        entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        entry.next = free;
        self.free = id.index;
        self.len -= 1;
        value
    }

    fn link(&mut self, index: u32, deadline: u64) {
        let (level, slot) = self.place(deadline);
        let head = self.heads[level][slot];
        if let Some(entry) = self.entry_mut(index) {
            entry.list = (level * SLOTS + slot) as u16;
            entry.previous = NONE;
            entry.next = head;
        }
        if let Some(next) = self.entry_mut(head) {
            next.previous = index;
        }
        self.heads[level][slot] = index;
        self.occupied[level] |= 1 << slot;
    }

    /// The lowest level whose turn from now on reaches the deadline.
    fn place(&self, deadline: u64) -> (usize, usize) {
        for level in 0..LEVELS {
            let shift = BITS * level as u32;
            let base = self.now.div_ceil(1 << shift);
            let index = deadline >> shift;
            if index >= base && index - base < SLOTS as u64 {
                return (level, slot_of(deadline, level));
            }
        }
        // Beyond the last level: as far as it goes, and placed anew when that time comes.
        let last = LEVELS - 1;
        let far = self.now + ((SLOTS as u64 - 1) << (BITS * last as u32));
        (last, slot_of(far, last))
    }

    fn unlink(&mut self, index: u32) {
        let Some(entry) = self.entry_mut(index).filter(|entry| entry.list != NO_LIST) else {
            return;
        };
        let (level, slot) = (usize::from(entry.list) / SLOTS, usize::from(entry.list) % SLOTS);
        let (previous, next) = (entry.previous, entry.next);
        entry.list = NO_LIST;
        if let Some(next) = self.entry_mut(next) {
            next.previous = previous;
        }
        match self.entry_mut(previous) {
            Some(previous) => previous.next = next,
            None => {
                self.heads[level][slot] = next;
                if next == NONE {
                    self.occupied[level] &= !(1 << slot);
                }
            }
        }
    }

    /// Place the timers of a far list anew, now that they are near.
    fn cascade(&mut self, level: usize, slot: usize) {
        let mut next = core::mem::replace(&mut self.heads[level][slot], NONE);
        self.occupied[level] &= !(1 << slot);
        while let Some(entry) = self.entry(next) {
            let (index, deadline) = (next, entry.deadline);
            next = entry.next;
            self.link(index, deadline);
        }
    }

    fn expire(&mut self, slot: usize) {
        let mut next = core::mem::replace(&mut self.heads[0][slot], NONE);
        self.occupied[0] &= !(1 << slot);
        let mut batch: Vec<(u64, u64, TimerId)> = Vec::new();
        while let Some(entry) = self.entry_mut(next) {
            entry.list = NO_LIST;
            let id = TimerId { index: next, generation: entry.generation };
            next = entry.next;
            batch.push((entry.deadline, entry.order, id));
        }
        batch.sort_unstable_by_key(|(deadline, order, _)| (*deadline, *order));
        self.due.extend(batch.into_iter().map(|(_, _, id)| id));
    }
}

const fn slot_of(tick: u64, level: usize) -> usize {
    (tick >> (BITS * level as u32)) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn at(ms: u64) -> Instant {
        Instant::default() + Span::millis(ms)
    }

    fn drain(wheel: &mut Wheel<u64>, now: u64) -> Vec<u64> {
        wheel.advance(at(now));
        core::iter::from_fn(|| wheel.pop()).collect()
    }

    /// A small generator, so that the test needs no dependency and repeats itself.
    fn next(state: &mut u64) -> u64 {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn fires_in_order_of_deadline_and_then_of_setting() {
        let mut wheel = Wheel::new(100, at(0));
        for (value, ms) in [(1, 5_000), (2, 10), (3, 5_000), (4, 0), (5, 300_000)] {
            wheel.set(at(ms), value).unwrap();
        }
        assert_eq!(drain(&mut wheel, 0), [4]);
        assert!(drain(&mut wheel, 9).is_empty());
        assert_eq!(drain(&mut wheel, 10), [2]);
        assert_eq!(drain(&mut wheel, 299_999), [1, 3]);
        assert_eq!(drain(&mut wheel, 300_000), [5]);
        assert!(wheel.is_empty() && wheel.next_deadline().is_none());
    }

    #[test]
    fn a_part_of_a_millisecond_is_rounded_up_never_early() {
        let mut wheel = Wheel::new(1, at(0));
        wheel.set(Instant(1_000_001), 1).unwrap();
        assert!(drain(&mut wheel, 1).is_empty());
        assert_eq!(wheel.next_deadline(), Some(at(2)));
        assert_eq!(drain(&mut wheel, 2), [1]);
    }

    #[test]
    fn cancelled_timers_do_not_fire_even_when_due_already() {
        let mut wheel = Wheel::new(10, at(0));
        let first = wheel.set(at(1), 1).unwrap();
        let second = wheel.set(at(1), 2).unwrap();
        let third = wheel.set(at(70), 3).unwrap();
        assert_eq!(wheel.cancel(third), Some(3));
        wheel.advance(at(1));
        assert_eq!(wheel.cancel(first), Some(1));
        assert_eq!(wheel.pop(), Some(2));
        assert_eq!(wheel.cancel(second), None);
        assert_eq!(wheel.pop(), None);
    }

    #[test]
    fn a_full_wheel_refuses() {
        let mut wheel = Wheel::new(1, at(0));
        assert!(wheel.set(at(1), 1).is_some());
        assert!(wheel.set(at(1), 2).is_none());
    }

    #[test]
    fn agrees_with_a_sorted_list_over_random_steps() {
        let mut state = 11;
        let mut wheel = Wheel::new(100_000, at(3));
        let mut model: Vec<(u64, u64, TimerId)> = Vec::new();
        let mut now = 3;
        for serial in 0..20_000_u64 {
            match next(&mut state) % 4 {
                0 | 1 => {
                    let far = [3, 70, 5_000, 300_000, 90_000_000, 40_000_000_000];
                    let ms = now + next(&mut state) % far[next(&mut state) as usize % far.len()];
                    model.push((ms, serial, wheel.set(at(ms), serial).unwrap()));
                }
                2 if !model.is_empty() => {
                    let index = next(&mut state) as usize % model.len();
                    let (_, value, id) = model.swap_remove(index);
                    assert_eq!(wheel.cancel(id), Some(value));
                }
                _ => {
                    now += [0, 1, 64, 5_000, 400_000, 900_000_000][next(&mut state) as usize % 6];
                    model.sort_by_key(|(ms, serial, _)| (*ms, *serial));
                    let due = model.iter().take_while(|(ms, ..)| *ms <= now).count();
                    let expected: Vec<u64> =
                        model.drain(..due).map(|(_, value, _)| value).collect();
                    assert_eq!(drain(&mut wheel, now), expected);
                    if let Some((ms, ..)) = model.first() {
                        let deadline = wheel.next_deadline().unwrap();
                        assert!(deadline > at(now) && deadline <= at(*ms));
                    }
                }
            }
        }
    }
}
