//! The power goes: writes that no completed sync covers are lost, in part, or torn.
//!
//! A kill leaves the page cache, so it proves nothing about the disk. Here every step of a commit
//! is a point where the power may go, and for each the files that a disk might then hold are made
//! and opened.
//!
//! **Why these images are the right ones.** LMDB's commit is: write the new pages, `fdatasync`,
//! write the new meta page through a descriptor with `O_DSYNC` (`mdb_txn_commit`; a test in
//! `env.rs` checks that no flag weakens it). Images of the file are taken before every step and
//! after the commit. This test itself checks what the reasoning stands on: before [`Step::Commit`]
//! the file is byte for byte what the last completed sync left, so a loss of power between append,
//! move and delete finds exactly that; and the meta page changes within one 512-byte sector, which
//! a disk writes whole or not at all. The pages that differ before and after are those written
//! before the first sync: until it completes the disk may hold any part of each, in any order, but
//! not the meta page; after it, all of them and the old or the new meta page. After the second sync
//! the commit has returned, and the reply is sent only then.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{Random, Running, contents, forget, put, remove, request};
use pharos_storage::Op;
use pharos_storage_lmdb::{Fault, Lanes, Options, Probe, Step};

const PAGE: usize = 4_096;
const SECTOR: usize = 512;
/// Random losses tried for each commit, beside the fixed ones.
const LOSSES: usize = 14;

type Contents = BTreeMap<u64, Vec<u8>>;
type Images = Arc<Mutex<Vec<(Step, Vec<u8>)>>>;

/// Takes an image of the file at every step.
struct Camera {
    file: std::path::PathBuf,
    images: Images,
}

impl Probe for Camera {
    fn step(&mut self, _lane: u16, step: Step) -> Result<(), Fault> {
        let image = fs::read(&self.file).unwrap();
        self.images.lock().unwrap().push((step, image));
        Ok(())
    }
}

fn options() -> Options {
    Options { map_size: 16 << 20, slack: 0, lanes: Some(1), ..Options::default() }
}

/// A disk to start again from.
struct Disk {
    dir: tempfile::TempDir,
    opened: usize,
}

impl Disk {
    fn new(meta: &Path) -> Self {
        // In memory where there is such a place: thousands of starts, none of which needs a disk.
        let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let dir = memory.unwrap();
        fs::copy(meta, dir.path().join("meta")).unwrap();
        fs::create_dir(dir.path().join("lane-0")).unwrap();
        Self { dir, opened: 0 }
    }

    /// Starts on this image and says what is there. Every tenth time it also goes on working.
    fn start(&mut self, image: &[u8]) -> Contents {
        self.opened += 1;
        let path = self.dir.path();
        let _ = fs::remove_file(path.join("lane-0/lock.mdb"));
        fs::write(path.join("lane-0/data.mdb"), image).unwrap();
        let opened = Lanes::open(path, options()).unwrap();
        assert_eq!(opened.damaged(), 0);
        let found = contents(&opened);
        if self.opened.is_multiple_of(10) {
            let mut more = found.clone();
            let lanes = Running::start(opened, common::RealClock::shared());
            for n in 0..5 {
                more.insert(900 + n, vec![n as u8; 2_000]);
                lanes.store(request(n, 1, [put(900 + n, &more[&(900 + n)])])).unwrap();
            }
            assert!(lanes.close());
            assert_eq!(contents(&Lanes::open(path, options()).unwrap()), more);
        }
        found
    }
}

/// The file before, with a part of the pages that were written after.
fn lose(random: &mut Random, before: &[u8], after: &[u8], pages: &[usize]) -> Vec<u8> {
    let mut image = before.to_vec();
    let keep = random.below(4);
    for &page in pages {
        let at = page * PAGE;
        for sector in (at..at + PAGE).step_by(SECTOR) {
            let written = match keep {
                // Whole pages at random, torn pages, nearly all sectors, nearly none.
                0 => (page as u64).wrapping_mul(random.0 | 1) & (1 << 20) != 0,
                1 => random.below(2) == 0,
                2 => random.below(16) != 0,
                _ => random.below(16) == 0,
            };
            if written {
                image.resize(image.len().max(at + PAGE), 0);
                image[sector..sector + SECTOR].copy_from_slice(&after[sector..sector + SECTOR]);
            }
        }
    }
    image
}

/// All that the disk may hold when the power goes during this commit.
fn power_goes(disk: &mut Disk, random: &mut Random, before: &[u8], after: &[u8]) -> Contents {
    let page = |bytes: &[u8], n: usize| bytes.get(n * PAGE..(n + 1) * PAGE).map(<[u8]>::to_vec);
    let changed = |n: &usize| page(before, *n) != page(after, *n);
    let (meta, pages): (Vec<_>, Vec<_>) =
        (0..after.len() / PAGE).filter(changed).partition(|&n| n < 2);
    let [meta] = meta[..] else { panic!("meta pages {meta:?} changed") };
    let sectors = (meta * PAGE..(meta + 1) * PAGE).step_by(SECTOR);
    let torn = sectors.filter(|&at| before[at..at + SECTOR] != after[at..at + SECTOR]).count();
    assert_eq!(torn, 1, "the meta page changes within one sector");

    let (old, new) = (disk.start(before), disk.start(after));
    for _ in 0..LOSSES {
        assert_eq!(disk.start(&lose(random, before, after, &pages)), old);
    }
    let mut synced = after.to_vec();
    synced[meta * PAGE..(meta + 1) * PAGE].copy_from_slice(&page(before, meta).unwrap());
    assert_eq!(disk.start(&synced), old, "all pages, old meta page");
    new
}

fn some_ops(random: &mut Random) -> Vec<Op> {
    let op = |random: &mut Random| {
        let id = 1 + random.below(25);
        match random.below(8) {
            0 => remove(id),
            1 => forget(id),
            _ => {
                let length = [20, 700, 700, 1_500, 6_000][random.below(5) as usize];
                put(id, &random.bytes(length))
            }
        }
    };
    (0..1 + random.below(4)).map(|_| op(random)).collect()
}

fn apply(state: &mut Contents, ops: &[Op]) {
    for op in ops {
        match op {
            Op::Put { id, bytes, .. } => drop(state.insert(id.0, bytes.to_vec())),
            Op::Remove { id } | Op::Forget { id } => drop(state.remove(&id.0)),
        }
    }
}

/// Forgotten objects may be presented once more; leave them out of the comparison.
fn is(found: &Contents, state: &Contents, forgotten: &[u64]) -> bool {
    let shown = |id: &u64| state.contains_key(id) || !forgotten.contains(id);
    found.iter().filter(|(id, _)| shown(id)).eq(state.iter())
}

#[test]
fn a_loss_of_power_leaves_the_commit_before_or_the_commit_after() {
    let dir = tempfile::tempdir().unwrap();
    let (images, file): (Images, _) = (Arc::default(), dir.path().join("lane-0/data.mdb"));
    let camera = {
        let images = Arc::clone(&images);
        move |_| -> Box<dyn Probe> {
            Box::new(Camera { file: file.clone(), images: Arc::clone(&images) })
        }
    };
    let lanes = Running::open(dir.path(), Options { probe: Some(Arc::new(camera)), ..options() });
    let mut disk = Disk::new(&dir.path().join("meta"));
    let mut random = Random(5);
    let (mut state, mut forgotten, mut seen) = (Contents::new(), Vec::new(), BTreeMap::new());
    for token in 0..140 {
        let (ops, before) = (some_ops(&mut random), state.clone());
        apply(&mut state, &ops);
        forgotten.extend(ops.iter().filter_map(|op| match op {
            Op::Forget { id } => Some(id.0),
            _ => None,
        }));
        lanes.store(request(token, 1, ops)).unwrap();
        // What an idle cleaning may have begun by now is looked at with the next request.
        let mut taken = images.lock().unwrap();
        let whole = taken.iter().rposition(|(step, _)| *step == Step::Synced).unwrap() + 1;
        let taken: Vec<_> = taken.drain(..whole).collect();
        let mut synced: Option<&[u8]> = None;
        let mut first: Option<&[u8]> = None;
        for (step, image) in &taken {
            *seen.entry(format!("{step:?}")).or_insert(0) += 1;
            if *step != Step::Synced {
                let base = *first.get_or_insert(image);
                assert!(image == base, "nothing is written before the commit, not at {step:?}");
                continue;
            }
            let base = first.take().expect("a commit has steps");
            let new = power_goes(&mut disk, &mut random, base, image);
            assert!(is(&new, &state, &forgotten) || is(&new, &before, &forgotten));
            synced = Some(image);
        }
        // The reply has come: from now on the disk holds it, whatever is lost later.
        let last = disk.start(synced.expect("a commit has returned"));
        assert!(is(&last, &state, &forgotten), "acknowledged and not there");
    }
    assert!(lanes.close());
    for step in [Step::Append, Step::Move, Step::Delete, Step::Commit, Step::Synced] {
        assert!(seen[&format!("{step:?}")] > 20, "{seen:?}");
    }
    assert!(disk.opened >= 2_000, "{} starts", disk.opened);
}
