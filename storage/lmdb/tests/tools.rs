//! `stat`, `dump`, `verify` and `compact`, on a directory at rest and beside a running server.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Random, Running, contents, put, remove, request};
use pharos_storage::record::Publication;
use pharos_storage::{Kind, ObjectId, Op, aor_hash, encode};
use pharos_storage_lmdb::tools::{self, Format, Shape, Table, ToolError};
use pharos_storage_lmdb::{Lanes, OpenError, Options};
use serde_json::Value;

const DIR: &str = "PHAROS_TOOLS_TEST_DIR";

fn lines(out: &[u8]) -> Vec<Value> {
    out.split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// A publication and its body, as the engine stores them.
fn publication(id: u64, aor: &str, body: &str) -> [Op; 2] {
    let record = Publication {
        aor: aor.into(),
        event: "presence".into(),
        etag: format!("e{id}"),
        expires: 4_102_444_800_000,
        body: id + 1,
        ..Publication::default()
    };
    let state = Op::Put { id: ObjectId(id), kind: Kind::Publication, bytes: encode(&record) };
    [state, put(id + 1, body.as_bytes())]
}

fn filled(dir: &Path) {
    let opened = Lanes::open(dir, Options { lanes: Some(2), ..Options::default() }).unwrap();
    let key = opened.key();
    let lanes = Running::start(opened, common::RealClock::shared());
    for n in 0..50_u64 {
        let aor = format!("user{n}@example.com");
        let hash = aor_hash(&key, aor.as_bytes());
        lanes.store(request(n, hash, publication(1 + 2 * n, &aor, "<presence/>"))).unwrap();
        if n % 5 == 0 {
            lanes.store(request(n, hash, [remove(1 + 2 * n), remove(2 + 2 * n)])).unwrap();
        }
    }
    assert!(lanes.close());
}

#[test]
fn stat_and_dump_say_what_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut out = Vec::new();
    let stat = tools::stat(dir.path(), &mut out).unwrap();
    assert_eq!(stat.lanes.len(), 2);
    assert_eq!(stat.lanes.iter().map(tools::LaneStat::count).sum::<u64>(), 80);
    let written = lines(&out);
    assert_eq!(
        (written.len(), &written[2]["objects"], &written[2]["stop"]),
        (3, &80.into(), &"clean".into())
    );
    let tombstones: u64 = stat.lanes.iter().map(|lane| lane.tombstones).sum();
    assert_eq!(tombstones, 20);

    let mut out = Vec::new();
    assert_eq!(tools::dump(dir.path(), &mut out).unwrap(), 80);
    let dumped = lines(&out);
    let one = dumped.iter().find(|line| line["aor"] == "user7@example.com").unwrap();
    assert_eq!((&one["kind"], &one["etag"]), (&"publication".into(), &"e15".into()));
    let body = dumped.iter().find(|line| line["id"] == one["body"]).unwrap();
    assert_eq!(body["body"], "<presence/>");
    assert!(!dumped.iter().any(|line| line["aor"] == "user5@example.com"), "it was removed");
}

#[test]
fn verify_finds_what_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut out = Vec::new();
    let good = tools::verify(dir.path(), &mut out).unwrap();
    assert_eq!((good.objects, good.problems), (80, 0), "{}", String::from_utf8_lossy(&out));

    let lanes = Running::open(dir.path(), Options::default());
    let [state, _] = publication(1_001, "carol@example.com", "");
    lanes.store(request(1, 5, [state])).unwrap();
    lanes.store(request(2, 5, [put(2_001, b"nobody's")])).unwrap();
    let junk = Op::Put { id: ObjectId(3_001), kind: Kind::Watcher, bytes: b"junk"[..].into() };
    lanes.store(request(3, 5, [junk])).unwrap();
    assert!(lanes.close());
    let mut out = Vec::new();
    let bad = tools::verify(dir.path(), &mut out).unwrap();
    let mut problems: Vec<_> = lines(&out)
        .iter()
        .filter_map(|line| Some((line["id"].as_u64()?, line["problem"].as_str()?.to_owned())))
        .collect();
    problems.sort();
    assert_eq!(bad.problems, 3);
    assert_eq!(problems[0], (1_001, "hash is not that of the AoR".to_owned()));
    assert_eq!(problems[1], (2_001, "body without a publication".to_owned()));
    assert_eq!(problems[2], (3_001, "object cannot be decoded".to_owned()));
}

#[test]
fn verify_names_a_record_whose_bytes_have_changed_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let file = dir.path().join("lane-0/data.mdb");
    let mut bytes = std::fs::read(&file).unwrap();
    // A byte of the last body written, in the page that the table still holds.
    let needle = b"<presence/>";
    let at = bytes.windows(needle.len()).rposition(|window| window == needle).unwrap();
    let places: Vec<_> = bytes
        .windows(needle.len())
        .enumerate()
        .filter(|(_, window)| window == needle)
        .map(|(at, _)| at)
        .collect();
    assert!(places.contains(&at));
    for at in places {
        bytes[at + 1] ^= 0x20;
    }
    std::fs::write(&file, bytes).unwrap();
    let mut out = Vec::new();
    let verified = tools::verify(dir.path(), &mut out).unwrap();
    assert!(verified.problems > 10, "{}", String::from_utf8_lossy(&out));
    assert!(lines(&out).iter().any(|line| line["problem"] == "record fails its checksum"));
    let opened = Lanes::open(dir.path(), Options::default()).unwrap();
    assert!(opened.damaged() > 10, "and the server starts without them");
}

#[test]
fn compact_keeps_every_object_the_clock_and_the_highest_id_in_a_small_file() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options::default());
    let mut random = Random(2);
    for n in 0..3_000 {
        let bytes = random.bytes(1_000);
        lanes.submit(request(n, 1, [put(1 + n % 100, &bytes)])).unwrap();
    }
    (0..3_000).for_each(|_| assert!(lanes.reply().result.is_ok()));
    lanes.store(request(1, 1, [put(777, b"x")])).unwrap();
    lanes.store(request(2, 1, [remove(777)])).unwrap();
    let refused = tools::compact(dir.path());
    assert!(matches!(refused, Err(ToolError::Open(OpenError::InUse { .. }))), "{refused:?}");
    assert!(lanes.close());
    let before = Lanes::open(dir.path(), Options::default()).unwrap();
    let (objects, wall) = (contents(&before), before.wall());
    drop(before);
    let compacted = tools::compact(dir.path()).unwrap();
    assert_eq!((compacted.len(), compacted[0].objects), (1, 100));
    assert!(compacted[0].after * 4 < compacted[0].before, "{compacted:?}");
    let after = Lanes::open(dir.path(), Options::default()).unwrap();
    assert_eq!(contents(&after), objects);
    assert_eq!((after.wall(), after.highest_id(), after.clean()), (wall, 777, true));
    drop(after);
    let lanes = Running::open(dir.path(), Options::default());
    lanes.store(request(1, 1, [put(1, b"goes on")])).unwrap();
    assert!(lanes.close());
}

#[test]
fn what_is_no_data_directory_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    for error in [
        tools::stat(dir.path(), &mut Vec::new()).map(drop).unwrap_err(),
        tools::compact(&dir.path().join("nowhere")).map(drop).unwrap_err(),
    ] {
        assert!(matches!(&error, ToolError::Open(OpenError::NoDirectory { .. })), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "and nothing is made");
}

/// The other process: an environment is open only once in one.
#[test]
#[ignore = "the child of the test below"]
fn look() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    for _ in 0..5 {
        let stat = tools::stat(dir, &mut Vec::new()).unwrap();
        assert!(!stat.clean);
        let mut out = Vec::new();
        let verified = tools::verify(dir, &mut out).unwrap();
        assert_eq!(verified.problems, 0, "{}", String::from_utf8_lossy(&out));
        let mut out = Vec::new();
        assert_eq!(tools::dump(dir, &mut out).unwrap(), 400, "each object once");
        let ids: std::collections::BTreeSet<_> =
            lines(&out).iter().map(|line| line["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), 400);
        let mut out = Vec::new();
        let (table, format) = (Table::Presentity, Format::JsonLines);
        let count = tools::export(dir, table, format, Shape::Current, &mut out).unwrap();
        assert_eq!(count, 200);
        assert!(lines(&out).iter().all(|row| row["body"].as_str().unwrap().starts_with("<p")));
    }
}

#[test]
fn reading_tools_run_beside_a_server_that_writes_and_cleans() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Lanes::open(dir.path(), Options { slack: 0, ..Options::default() }).unwrap();
    let key = opened.key();
    let lanes = Running::start(opened, common::RealClock::shared());
    let refresh = |user: u64, round: u64| {
        let aor = format!("user{user}@example.com");
        let ops = publication(1 + 2 * user, &aor, &format!("<p n='{round}'/>"));
        lanes.submit(request(round, aor_hash(&key, aor.as_bytes()), ops)).unwrap();
    };
    (0..200).for_each(|user| refresh(user, 0));
    (0..200).for_each(|_| assert!(lanes.reply().result.is_ok()));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["look", "--exact", "--ignored"])
        .env(DIR, dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut random, mut round) = (Random(9), 0);
    let status = loop {
        round += 1;
        (0..100).for_each(|_| refresh(random.below(200), round));
        (0..100).for_each(|_| assert!(lanes.reply().result.is_ok()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(round < 1_000_000, "it does not end");
    };
    assert!(status.success());
    assert!(round > 10, "{round}: the server was writing meanwhile");
    let moved = lanes.submitter.stats().next().unwrap().snapshot(0).moved_records;
    assert!(moved > 1_000, "{moved}: and cleaning");
    assert!(lanes.close());
}
