//! Write-behind work: requests that promised nothing and so may wait for those that did.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::index::Mix;
use crate::queue::Queued;

/// Waiting requests by age; those of one AoR stay in order and together, because a later version of
/// an object must never be overtaken by an earlier one.
#[derive(Default)]
pub(crate) struct Behind {
    /// Hashes by the age of what came first for them; some may have been taken since.
    order: VecDeque<u64>,
    by_hash: HashMap<u64, Vec<Queued>, Mix>,
}

impl Behind {
    pub(crate) fn push(&mut self, queued: Queued) {
        let hash = queued.request.hash;
        let same = self.by_hash.entry(hash).or_default();
        if same.is_empty() {
            self.order.push_back(hash);
        }
        same.push(queued);
    }

    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// What came for one AoR before the request with this place, oldest first: it has to be
    /// committed before that request.
    pub(crate) fn take_before(&mut self, hash: u64, place: u64) -> Vec<Queued> {
        let Some(same) = self.by_hash.get_mut(&hash) else { return Vec::new() };
        let count = same.partition_point(|queued| queued.place < place);
        let taken = same.drain(..count).collect();
        if same.is_empty() {
            self.by_hash.remove(&hash);
        }
        taken
    }

    /// Everything of the AoR that has waited longest.
    pub(crate) fn take_oldest(&mut self) -> Vec<Queued> {
        self.skip_taken();
        let oldest = self.order.pop_front();
        oldest.and_then(|hash| self.by_hash.remove(&hash)).unwrap_or_default()
    }

    /// Since when the oldest waits.
    pub(crate) fn oldest(&mut self) -> Option<u64> {
        self.skip_taken();
        let oldest = self.by_hash.get(self.order.front()?)?;
        oldest.first().map(|queued| queued.since)
    }

    /// A commit failed: these go first again, before what came for their AoRs meanwhile.
    pub(crate) fn put_back(&mut self, requests: Vec<Queued>) {
        for queued in requests.into_iter().rev() {
            let hash = queued.request.hash;
            self.by_hash.entry(hash).or_default().insert(0, queued);
            self.order.push_front(hash);
        }
    }

    fn skip_taken(&mut self) {
        while let Some(hash) = self.order.front()
            && !self.by_hash.contains_key(hash)
        {
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use pharos_storage::{ObjectId, Op, Request};

    use super::*;

    fn queued(since: u64, hash: u64) -> Queued {
        let ops = [Op::Forget { id: ObjectId(since) }].into_iter().collect();
        Queued { origin: 0, since, place: since, request: Request { token: None, hash, ops } }
    }

    fn times(requests: &[Queued]) -> Vec<u64> {
        requests.iter().map(|queued| queued.since).collect()
    }

    #[test]
    fn one_aor_stays_in_order_and_the_oldest_goes_first() {
        let mut behind = Behind::default();
        for (since, hash) in [(1, 7), (2, 8), (3, 7), (4, 9)] {
            behind.push(queued(since, hash));
        }
        assert_eq!(times(&behind.take_before(7, 3)), [1], "what came later stays behind");
        assert_eq!(behind.oldest(), Some(3));
        assert_eq!(times(&behind.take_before(7, 9)), [3]);
        assert_eq!(behind.oldest(), Some(2));
        let failed = behind.take_oldest();
        behind.push(queued(5, 8));
        behind.put_back(failed);
        assert_eq!(times(&behind.take_oldest()), [2, 5]);
        assert_eq!(times(&behind.take_oldest()), [4]);
        assert_eq!((behind.oldest(), behind.take_oldest().len()), (None, 0));
    }
}
