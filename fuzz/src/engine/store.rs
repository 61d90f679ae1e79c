//! The data directory: what was acknowledged stays, whatever the order of the answers.

use std::collections::BTreeMap;

use pharos_storage::{Kind, ObjectId, Op, Request, StoreError, Token};

use super::draw::Draw;

/// One object as it is on disk, or the mark that it is gone.
struct Version {
    sequence: u64,
    hash: u64,
    stored: Option<(Kind, Box<[u8]>)>,
}

/// A request that waits for its commit.
struct Waiting {
    sequence: u64,
    shard: usize,
    request: Request,
}

/// An object as it is read back.
pub(super) struct Kept {
    pub(super) id: ObjectId,
    pub(super) hash: u64,
    pub(super) kind: Kind,
    pub(super) bytes: Box<[u8]>,
}

/// All lanes as one.
#[derive(Default)]
pub(super) struct Store {
    objects: BTreeMap<ObjectId, Version>,
    waiting: Vec<Waiting>,
    sequence: u64,
}

/// An answer on its way to a shard.
pub(super) struct Answer {
    pub(super) shard: usize,
    pub(super) token: Token,
    pub(super) result: Result<(), StoreError>,
}

impl Store {
    pub(super) fn submit(&mut self, shard: usize, request: Request) {
        self.sequence += 1;
        assert!(request.fits(), "a lane takes it");
        self.waiting.push(Waiting { sequence: self.sequence, shard, request });
        // Nobody waits for what has no token, so it is done first come, first served.
        while let Some(first) = self.waiting.first().filter(|w| w.request.token.is_none()) {
            let (sequence, request) = (first.sequence, first.request.clone());
            self.apply(sequence, &request);
            self.waiting.remove(0);
        }
    }

    /// One of the commits returns: any of them.
    pub(super) fn answer(&mut self, draw: &mut Draw<'_>) -> Option<Answer> {
        let failures = [StoreError::Full, StoreError::Busy, StoreError::Closed];
        let result = if draw.once_in(8) { Err(draw.of(&failures)) } else { Ok(()) };
        let index = draw.index(self.waiting.len())?;
        self.finish(index, result)
    }

    /// The oldest commit returns, and it succeeds.
    pub(super) fn succeed(&mut self) -> Option<Answer> {
        while !self.waiting.is_empty() {
            if let Some(answer) = self.finish(0, Ok(())) {
                return Some(answer);
            }
        }
        None
    }

    fn finish(&mut self, index: usize, result: Result<(), StoreError>) -> Option<Answer> {
        let Waiting { sequence, shard, request } = self.waiting.remove(index);
        if result.is_ok() {
            self.apply(sequence, &request);
        }
        request.token.map(|token| Answer { shard, token, result })
    }

    /// Power goes: of what waits, the first so many had reached the disk.
    pub(super) fn crash(&mut self, landed: usize) {
        let last =
            self.waiting.iter().take(landed).next_back().map_or(0, |waiting| waiting.sequence);
        for Waiting { sequence, request, .. } in std::mem::take(&mut self.waiting) {
            if sequence <= last {
                self.apply(sequence, &request);
            }
        }
    }

    fn apply(&mut self, sequence: u64, request: &Request) {
        for op in &request.ops {
            let (id, stored) = match op {
                Op::Put { id, kind, bytes } => (*id, Some((*kind, bytes.clone()))),
                Op::Remove { id } | Op::Forget { id } => (*id, None),
            };
            let newest = self.objects.get(&id).is_none_or(|old| old.sequence <= sequence);
            if newest {
                self.objects.insert(id, Version { sequence, hash: request.hash, stored });
            }
        }
    }

    /// The highest id that it has ever seen; 0 = none.
    pub(super) fn highest(&self) -> u64 {
        self.objects.last_key_value().map_or(0, |(id, _)| id.0)
    }

    /// Each object, as a start reads them.
    pub(super) fn objects(&self) -> Vec<Kept> {
        let keep = |(id, version): (&ObjectId, &Version)| {
            let (kind, bytes) = version.stored.clone()?;
            Some(Kept { id: *id, hash: version.hash, kind, bytes })
        };
        self.objects.iter().filter_map(keep).collect()
    }
}
