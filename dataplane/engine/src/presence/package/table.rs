//! Entries with the generation of their last change: what partial documents are cut from.

use alloc::collections::{BTreeMap, BTreeSet};
use core::borrow::Borrow;

/// Ended entries kept for watchers that have not been told. A watcher further behind gets full
/// state.
pub(super) const MAX_ENDED: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry<V> {
    changed: u64,
    ended: bool,
    value: V,
}

/// A keyed set of entries in which every change has its own generation. An ended entry stays until
/// it is forgotten, so that a partial document can still tell its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    /// Generation of the last change -> key.
    order: BTreeMap<u64, K>,
    /// Generations of ended entries.
    ended: BTreeSet<u64>,
    /// Ends up to here may have been forgotten.
    floor: u64,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), order: BTreeMap::new(), ended: BTreeSet::new(), floor: 0 }
    }
}

impl<K: Ord + Clone, V> Table<K, V> {
    /// Insert or change an entry. `generation` is above all earlier ones.
    pub(super) fn set(&mut self, key: K, value: V, ended: bool, generation: u64) {
        self.remove(&key);
        self.order.insert(generation, key.clone());
        if ended {
            self.ended.insert(generation);
        }
        self.entries.insert(key, Entry { changed: generation, ended, value });
        if self.ended.len() > MAX_ENDED {
            let oldest = self.ended.first().copied().unwrap_or_default();
            self.drop_ended(oldest);
            self.floor = self.floor.max(oldest);
        }
    }

    /// An entry with whether it has ended.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<(&V, bool)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.entries.get(key).map(|entry| (&entry.value, entry.ended))
    }

    /// An entry that changes without anybody being told.
    pub(super) fn quietly(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// All entries that have not ended, in the order of their keys.
    pub(super) fn live(&self) -> impl Iterator<Item = (&K, &V)> {
        let live = self.entries.iter().filter(|(_, entry)| !entry.ended);
        live.map(|(key, entry)| (key, &entry.value))
    }

    /// All that changed after generation `since`, in the order of the changes; `None` when ends
    /// after it may have been forgotten.
    pub(super) fn since(&self, since: u64) -> Option<impl Iterator<Item = (&K, &V)>> {
        let changed = self.order.range(since.saturating_add(1)..);
        (since >= self.floor)
            .then(|| changed.filter_map(|(_, key)| Some((key, &self.entries.get(key)?.value))))
    }

    /// Every watcher has seen generation `seen`: ends up to it need not be told again.
    pub(super) fn forget(&mut self, seen: u64) {
        while let Some(oldest) = self.ended.first().copied().filter(|oldest| *oldest <= seen) {
            self.drop_ended(oldest);
            self.floor = self.floor.max(oldest);
        }
    }

    fn drop_ended(&mut self, generation: u64) {
        self.ended.remove(&generation);
        if let Some(key) = self.order.remove(&generation) {
            self.entries.remove(&key);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(old) = self.entries.remove(key) {
            self.order.remove(&old.changed);
            self.ended.remove(&old.changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn keys(table: &Table<u32, char>, since: u64) -> Option<Vec<u32>> {
        table.since(since).map(|changed| changed.map(|(key, _)| *key).collect())
    }

    /// Architecture section 6: the union of changes since the last NOTIFY, each entry once.
    #[test]
    fn changes_unite() {
        let mut table = Table::default();
        table.set(1, 'a', false, 1);
        table.set(2, 'b', false, 2);
        table.set(1, 'c', false, 3);
        table.set(2, 'd', true, 4);
        assert_eq!(keys(&table, 0).unwrap(), [1, 2]);
        assert_eq!(keys(&table, 3).unwrap(), [2]);
        assert_eq!(table.live().collect::<Vec<_>>(), [(&1, &'c')]);
        assert_eq!(table.get(&2), Some((&'d', true)));
    }

    /// What has ended is dropped once told; who has not been told gets full state.
    #[test]
    fn ends_are_forgotten() {
        let mut table = Table::default();
        table.set(1, 'a', true, 1);
        table.set(2, 'b', true, 2);
        table.forget(1);
        assert_eq!(keys(&table, 0), None);
        assert_eq!(keys(&table, 1).unwrap(), [2]);
        assert_eq!(table.get(&1), None);
    }

    /// Ended entries are bounded: the oldest goes, and with it the promise to tell of it.
    #[test]
    fn ended_entries_are_bounded() {
        let mut table = Table::default();
        for n in 0..=MAX_ENDED as u32 {
            table.set(n, 'a', true, u64::from(n) + 1);
        }
        assert_eq!(keys(&table, 0), None);
        assert_eq!(keys(&table, 1).unwrap().len(), MAX_ENDED);
    }
}
