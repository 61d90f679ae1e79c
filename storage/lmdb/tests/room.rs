//! No room: a map that is full, a disk that is full. Operations fail, nothing acknowledged is lost,
//! and the lane goes on when there is room again.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use common::{Random, Running, contents, put, remove, request};
use pharos_storage::StoreError;
use pharos_storage_lmdb::{Health, Lanes, Options};

const DIR: &str = "PHAROS_ROOM_TEST_DIR";

/// Stores objects, some at a time, until the lane has no room.
fn fill(
    lanes: &Running,
    state: &mut BTreeMap<u64, Vec<u8>>,
    random: &mut Random,
    length: usize,
) -> StoreError {
    let mut id = state.keys().next_back().copied().unwrap_or(0);
    for _ in 0..10_000 {
        let (mut waiting, mut full) = (BTreeMap::new(), None);
        while waiting.len() < 40 && full.is_none() {
            id += 1;
            let bytes = random.bytes(length);
            full = lanes.submit(request(id, 1, [put(id, &bytes)])).err();
            if full.is_none() {
                waiting.insert(id, bytes);
            }
        }
        while let Some(reply) = (!waiting.is_empty()).then(|| lanes.reply()) {
            let bytes = waiting.remove(&reply.token.0).unwrap();
            match reply.result {
                Ok(()) => drop(state.insert(reply.token.0, bytes)),
                Err(error) => full = Some(error),
            }
        }
        if let Some(full) = full {
            return full;
        }
    }
    panic!("it is never full");
}

/// Removes three of four objects.
fn thin_out(lanes: &Running, state: &mut BTreeMap<u64, Vec<u8>>) {
    let ids: Vec<_> = state.keys().copied().filter(|id| id % 4 != 0).collect();
    for id in &ids {
        lanes.submit(request(*id, 1, [remove(*id)])).unwrap();
        state.remove(id);
    }
    ids.iter().for_each(|_| assert_eq!(lanes.reply().result, Ok(())));
}

/// 80 % of the map: storing is refused before it takes memory, removing is not.
#[test]
fn storing_is_refused_before_the_map_is_full_and_removing_makes_room() {
    for length in [300, 1_450, 9_000] {
        let dir = tempfile::tempdir().unwrap();
        let options = || Options { map_size: 4 << 20, ..Options::default() };
        let lanes = Running::open(dir.path(), options());
        let (mut state, mut random) = (BTreeMap::new(), Random(1));
        for _ in 0..3 {
            assert_eq!(fill(&lanes, &mut state, &mut random, length), StoreError::Full);
            let stats = lanes.submitter.stats().next().unwrap().snapshot(0);
            assert!(stats.log_bytes > 5 << 19, "{length}: {stats:?}");
            thin_out(&lanes, &mut state);
        }
        assert!(state.len() * length > 500_000, "{} of {length}", state.len());
        assert!(lanes.close());
        assert_eq!(contents(&Lanes::open(dir.path(), options()).unwrap()), state);
    }
}

/// The process that may not write more than 2 MiB into a file.
#[test]
#[ignore = "the child of the test below"]
fn cramped() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let lanes = Running::open(Path::new(&dir), Options::default());
    let (mut state, mut random) = (BTreeMap::new(), Random(1));
    assert_eq!(fill(&lanes, &mut state, &mut random, 3_000), StoreError::Full);
    let stats = lanes.submitter.stats().next().unwrap().snapshot(0);
    assert_eq!((stats.health, stats.failed_commits > 0), (Health::Full, true));
    assert!(state.len() > 100, "{}", state.len());
    // Every further attempt says the same, and what is there can still be replaced by nothing.
    for id in 900_000..900_010 {
        let again = lanes.store(request(id, 1, [put(id, &[1; 60_000])]));
        assert_eq!(again, Err(StoreError::Full));
    }
    assert!(lanes.close(), "all that was acknowledged is durable");
    let found = contents(&Lanes::open(Path::new(&dir), Options::default()).unwrap());
    assert_eq!(found, state);
}

/// A disk that is full, as the kernel says it: the shell limits the size of files (in blocks of 512
/// or 1024 bytes) and ignores the signal, so that writes beyond fail with an error.
#[test]
fn a_full_disk_is_an_answer_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 2048; exec \"$0\" cramped --exact --ignored --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(DIR, dir.path())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let opened = Lanes::open(dir.path(), Options::default()).unwrap();
    let mut state = contents(&opened);
    assert!(opened.clean() && state.len() > 100);
    let lanes = Running::start(opened, common::RealClock::shared());
    for id in 1_000_000..1_000_500 {
        lanes.submit(request(id, 1, [put(id, &[2; 3_000])])).unwrap();
        state.insert(id, vec![2; 3_000]);
    }
    (0..500).for_each(|_| assert_eq!(lanes.reply().result, Ok(())));
    assert!(lanes.close());
    assert_eq!(contents(&Lanes::open(dir.path(), Options::default()).unwrap()), state);
}
