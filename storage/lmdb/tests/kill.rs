//! A process that stores is killed again and again: what it was told is durable is there, and
//! nothing is half there.
//!
//! One request changes three objects of one AoR, as a PUBLISH with a new body does: the state names
//! the body, the body is put, the old body is removed. Whatever the moment of the kill, a state has
//! exactly its own body.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Random, Running, contents, put, remove, request};
use pharos_storage::Op;
use pharos_storage_lmdb::{Lanes, Options};

const AORS: u64 = 200;
const BODIES: u64 = 1 << 32;
const DIR: &str = "PHAROS_KILL_TEST_DIR";

fn options() -> Options {
    Options { lanes: Some(2), slack: 1 << 18, map_size: 1 << 30, ..Options::default() }
}

fn body(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(1 + (n % 150) as usize)
}

fn change(aor: u64, n: u64, before: Option<u64>) -> Vec<Op> {
    let mut ops = vec![put(1 + aor, &n.to_le_bytes()), put(BODIES + n, &body(n))];
    ops.extend(before.map(|before| remove(BODIES + before)));
    ops
}

/// State of each AoR: the number of its last change. Checks that nothing is half there.
fn check(dir: &Path) -> BTreeMap<u64, u64> {
    let opened = Lanes::open(dir, options()).unwrap();
    assert_eq!(opened.damaged(), 0);
    let mut all = contents(&opened);
    let bodies = all.split_off(&BODIES);
    let number = |bytes: &Vec<u8>| u64::from_le_bytes(bytes[..].try_into().unwrap());
    let states: BTreeMap<_, _> = all.iter().map(|(id, bytes)| (id - 1, number(bytes))).collect();
    let wanted: BTreeMap<_, _> = states.values().map(|&n| (BODIES + n, body(n))).collect();
    assert_eq!(bodies, wanted, "each state has its own body and there is no other");
    states
}

/// The process that is killed: stores without end and says what was acknowledged.
#[test]
#[ignore = "the child of the test below"]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let dir = Path::new(&dir);
    let mut states = check(dir);
    let mut n = states.values().copied().max().unwrap_or(0);
    let lanes = Running::open(dir, options());
    let mut random = Random(n + 1);
    let mut asked = 0_u64;
    let mut out = std::io::stdout().lock();
    for _ in 0..10_000_000 {
        for _ in 0..random.below(64) {
            n += 1;
            let aor = random.below(AORS);
            let before = states.insert(aor, n);
            // The token says which AoR and which change.
            let token = n << 16 | aor;
            if lanes.submit(request(token, aor << 56, change(aor, n, before))).is_err() {
                return;
            }
            asked += 1;
        }
        if asked > 2_000 {
            asked -= 1_000;
            for _ in 0..1_000 {
                assert!(report(&mut out, lanes.reply()).is_ok());
            }
        }
        while let Ok(delivery) = lanes.replies.try_recv() {
            asked -= 1;
            assert!(report(&mut out, delivery.reply).is_ok());
        }
    }
}

fn report(out: &mut impl Write, reply: pharos_storage::Reply) -> std::io::Result<()> {
    assert!(reply.result.is_ok());
    writeln!(out, "ack {} {}", reply.token.0 & 0xFFFF, reply.token.0 >> 16)
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    let (mut kills, mut acknowledged) = (0, 0_u64);
    for round in 0..25 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (began, begun) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut acks = BTreeMap::new();
            for line in lines.map_while(Result::ok) {
                // The last line may be cut short by the kill: only whole ones are acknowledgements.
                let mut words = line.split(' ');
                if let (Some("ack"), Some(aor), Some(n), None) =
                    (words.next(), words.next(), words.next(), words.next())
                {
                    acks.insert(aor.parse::<u64>().unwrap(), n.parse::<u64>().unwrap());
                    // Nobody waits any more after the first.
                    let _ = began.send(());
                }
            }
            acks
        });
        // Every fifth is killed wherever it is, the others once they are at work.
        if round % 5 != 0 {
            begun.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(random.below(120)));
        assert_eq!(child.try_wait().unwrap(), None, "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        let acks = reader.join().unwrap();
        let states = check(dir.path());
        for (aor, n) in &acks {
            assert!(states.get(aor) >= Some(n), "AoR {aor}: {n} was acknowledged");
        }
        kills += u32::from(!acks.is_empty());
        acknowledged += acks.len() as u64;
    }
    assert!(kills >= 20 && acknowledged > 1_000, "{kills} kills under load, {acknowledged}");
}
