//! What a lane promises, one promise a test.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{Random, Running, behind, contents, forget, put, remove, request};
use pharos_storage::{ObjectId, StoreError, Token};
use pharos_storage_lmdb::{Fault, Health, Lanes, OpenError, Options, Probe, Read, Step};

/// A probe made of a function.
struct On<F>(F);

impl<F: FnMut(Step) -> Result<(), Fault> + Send> Probe for On<F> {
    fn step(&mut self, _lane: u16, step: Step) -> Result<(), Fault> {
        self.0(step)
    }
}

fn probed<F>(make: impl Fn() -> F + Send + Sync + 'static) -> Options
where
    F: FnMut(Step) -> Result<(), Fault> + Send + 'static,
{
    Options { probe: Some(Arc::new(move |_| Box::new(On(make())))), ..Options::default() }
}

#[test]
fn what_was_answered_is_there_after_a_restart_and_what_was_removed_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options::default());
    lanes.store(request(1, 9, [put(1, b"state"), put(2, b"body")])).unwrap();
    lanes.store(request(2, 9, [put(1, b"state 2"), put(3, b"body 2"), remove(2)])).unwrap();
    lanes.store(request(3, 9, [put(4, b"")])).unwrap();
    assert!(lanes.close());
    let opened = Lanes::open(dir.path(), Options::default()).unwrap();
    let all = contents(&opened);
    assert_eq!(all.len(), 3);
    assert_eq!(
        (&all[&1][..], &all[&3][..], &all[&4][..]),
        (&b"state 2"[..], &b"body 2"[..], &[][..])
    );
    assert_eq!((opened.highest_id(), opened.boots(), opened.clean()), (4, 1, true));
    opened.objects(|object| assert_eq!(object.hash, 9)).unwrap();
}

#[test]
fn key_lanes_and_starts_live_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let four = || Options { lanes: Some(4), ..Options::default() };
    let first = Lanes::open(dir.path(), four()).unwrap();
    let key = first.key();
    assert!(first.clean() && first.lanes() == 4 && first.boots() == 0);
    let lanes = Running::start(first, common::RealClock::shared());
    for n in 0..16 {
        lanes.store(request(n, n << 60, [put(n + 1, &[n as u8])])).unwrap();
    }
    let used = lanes.submitter.stats().filter(|stats| stats.snapshot(0).objects == 4).count();
    assert_eq!(used, 4, "the top bits spread over the lanes");
    drop(lanes);
    let second = Lanes::open(dir.path(), Options { lanes: Some(1), ..Options::default() }).unwrap();
    assert_eq!((second.key(), second.lanes(), second.boots()), (key, 4, 1));
    assert!(!second.clean(), "dropped, not closed");
    assert_eq!(contents(&second).len(), 16);
}

#[test]
fn a_directory_in_use_is_refused_by_name_and_process() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options::default());
    let Err(error) = Lanes::open(dir.path(), Options::default()) else { panic!("opened twice") };
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
    assert!(lanes.close());
    Lanes::open(dir.path(), Options::default()).unwrap();
}

#[test]
fn the_clock_and_the_highest_id_survive_even_an_empty_log() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options { slack: 0, ..Options::default() });
    let before = lanes.clock.wall();
    lanes.store(request(1, 1, [put(77, b"x")])).unwrap();
    lanes.store(request(2, 1, [remove(77)])).unwrap();
    for n in 0..50 {
        lanes.store(request(n, 1, [put(1, b"y")])).unwrap();
    }
    assert!(lanes.close());
    let opened = Lanes::open(dir.path(), Options::default()).unwrap();
    assert_eq!(opened.highest_id(), 77);
    assert!(opened.wall() >= before && opened.wall() <= before + 60_000);
}

#[test]
fn no_room_fails_the_operations_undoes_them_and_the_lane_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&full);
    let options = probed(move || {
        let full = Arc::clone(&seen);
        move |step| match step {
            Step::Commit if full.load(Ordering::SeqCst) => Err(Fault::Full),
            _ => Ok(()),
        }
    });
    let lanes = Running::open(dir.path(), options);
    lanes.store(request(1, 1, [put(1, b"a")])).unwrap();
    full.store(true, Ordering::SeqCst);
    assert_eq!(lanes.store(request(2, 1, [put(1, b"b"), put(2, b"c")])), Err(StoreError::Full));
    assert_eq!(lanes.submitter.stats().next().unwrap().health(), Health::Full);
    full.store(false, Ordering::SeqCst);
    lanes.store(request(3, 1, [put(3, b"d")])).unwrap();
    assert_eq!(lanes.submitter.stats().next().unwrap().health(), Health::Good);
    assert!(lanes.close());
    let all = contents(&Lanes::open(dir.path(), Options::default()).unwrap());
    assert_eq!(all.into_iter().collect::<Vec<_>>(), [(1, b"a".to_vec()), (3, b"d".to_vec())]);
}

#[test]
fn any_other_failure_closes_the_lane_until_restart() {
    let dir = tempfile::tempdir().unwrap();
    let broken = probed(|| {
        let mut commits = 0;
        move |step| {
            commits += u32::from(step == Step::Commit);
            if commits == 2 { Err(Fault::Broken) } else { Ok(()) }
        }
    });
    let lanes = Running::open(dir.path(), broken);
    lanes.store(request(1, 1, [put(1, b"a")])).unwrap();
    assert_eq!(lanes.store(request(2, 1, [put(2, b"b")])), Err(StoreError::Closed));
    assert_eq!(lanes.store(request(3, 1, [put(3, b"c")])), Err(StoreError::Closed));
    assert_eq!(lanes.submitter.stats().next().unwrap().health(), Health::Closed);
    assert!(!lanes.close(), "health is red: not a clean stop");
    let opened = Lanes::open(dir.path(), Options::default()).unwrap();
    assert!(!opened.clean());
    assert_eq!(contents(&opened).into_keys().collect::<Vec<_>>(), [1]);
}

#[test]
fn a_slow_disk_refuses_new_work_after_a_second_and_answers_what_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let slow = probed(|| {
        |step| {
            if step == Step::Commit {
                std::thread::sleep(Duration::from_millis(1_500));
            }
            Ok(())
        }
    });
    let lanes = Running::open(dir.path(), slow);
    lanes.submit(request(1, 1, [put(1, b"a")])).unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(lanes.submit(request(2, 1, [put(2, b"b")])), Err(StoreError::Busy));
    lanes.submit(request(3, 1, [remove(2)])).expect("what only removes is taken");
    assert_eq!(lanes.reply().token, Token(1));
    assert_eq!(lanes.reply().token, Token(3));
    lanes.submit(request(4, 1, [put(4, b"d")])).expect("it has caught up");
    assert!(lanes.reply().result.is_ok());
    assert!(lanes.close());
}

#[test]
fn the_queue_is_bounded_in_operations_and_bytes_before_it_takes_memory() {
    let dir = tempfile::tempdir().unwrap();
    let hold = Arc::new(AtomicBool::new(true));
    let held = Arc::clone(&hold);
    let lanes = Running::open(
        dir.path(),
        probed(move || {
            let held = Arc::clone(&held);
            move |_| {
                while held.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            }
        }),
    );
    let large = vec![7; 1 << 20];
    let taken = (0..100).take_while(|&n| lanes.submit(request(n, 1, [put(n, &large)])).is_ok());
    assert_eq!(taken.count(), 63, "64 MiB with what each costs beside its bytes");
    assert_eq!(lanes.submit(request(0, 1, [put(1, &large)])), Err(StoreError::Busy));
    let larger = vec![7; (1 << 20) + 1];
    assert_eq!(lanes.submit(request(0, 1, [put(1, &larger)])), Err(StoreError::TooLarge));
    hold.store(false, Ordering::SeqCst);
    assert!((0..63).all(|_| lanes.reply().result.is_ok()));
    assert!(lanes.close());
}

#[test]
fn a_close_drains_what_was_taken_and_takes_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options::default());
    for n in 0..5_000 {
        lanes.submit(request(n, n << 52, [put(n + 1, &[1; 300])])).unwrap();
    }
    lanes.submit(behind(1, [put(9_999, b"write-behind")])).unwrap();
    let (submitter, clock) = (lanes.submitter.clone(), Arc::clone(&lanes.clock));
    let replies = lanes.replies.clone();
    assert!(lanes.close());
    assert_eq!(replies.iter().filter(|delivery| delivery.reply.result.is_ok()).count(), 5_000);
    let late = submitter.submit(clock.nanos(), 0, request(1, 1, [put(1, b"")])).unwrap_err();
    assert_eq!(late.error, StoreError::Closed);
    drop(submitter);
    assert_eq!(contents(&Lanes::open(dir.path(), Options::default()).unwrap()).len(), 5_001);
}

/// Architecture section 5: promised operations go first, and an older write-behind version of the
/// same object goes before them, never after.
#[test]
fn promised_work_overtakes_write_behind_but_not_of_its_own_aor() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options::default());
    for round in 0..20 {
        lanes.submit(behind(1, [put(1, b"older")])).unwrap();
        lanes.submit(behind(2, [put(2, b"rides along")])).unwrap();
        lanes.store(request(round, 1, [put(1, b"newer")])).unwrap();
    }
    lanes.settle();
    lanes.submit(behind(1, [put(3, b"late")])).unwrap();
    lanes.store(request(98, 1, [remove(3)])).unwrap();
    for n in 10..3_000 {
        lanes.submit(request(n, 1, [put(n, b"promised")])).unwrap();
        lanes.submit(behind(1, [remove(n)])).unwrap();
    }
    (10..3_000).for_each(|_| assert!(lanes.reply().result.is_ok()));
    lanes.settle();
    assert!(lanes.close());
    let all = contents(&Lanes::open(dir.path(), Options::default()).unwrap());
    assert_eq!((&all[&1][..], &all[&2][..]), (&b"newer"[..], &b"rides along"[..]));
    assert_eq!(all.len(), 2, "each was removed after it was put");
}

#[test]
fn a_forgotten_object_may_come_back_once_but_not_after_the_cleaner_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options { slack: 0, ..Options::default() });
    lanes.store(request(1, 1, [put(1, &[1; 2_000])])).unwrap();
    lanes.submit(behind(1, [forget(1)])).unwrap();
    lanes.settle();
    assert_eq!(lanes.submitter.stats().next().unwrap().snapshot(0).objects, 0);
    for n in 0..400 {
        lanes.store(request(n, 1, [put(2, &[2; 2_000])])).unwrap();
    }
    assert!(lanes.close());
    let all = contents(&Lanes::open(dir.path(), Options::default()).unwrap());
    assert_eq!(all.into_keys().collect::<Vec<_>>(), [2]);
}

#[test]
fn the_log_stays_within_twice_its_live_bytes_and_the_slack() {
    let dir = tempfile::tempdir().unwrap();
    let slack = 1 << 20;
    let lanes = Running::open(dir.path(), Options { slack, ..Options::default() });
    let (mut random, mut worst) = (Random(3), 0.0_f64);
    for n in 0..40_000 {
        let id = 1 + random.below(2_000);
        let length = 100 + random.below(1_200) as usize;
        lanes.submit(request(n, id << 40, [put(id, &vec![3; length])])).unwrap();
        if n % 256 == 255 {
            (0..256).for_each(|_| assert!(lanes.reply().result.is_ok()));
            let stats = lanes.submitter.stats().next().unwrap().snapshot(0);
            let bound = (2 * stats.live_bytes + slack) as f64;
            worst = worst.max(stats.log_bytes as f64 / bound);
        }
    }
    assert!(worst <= 1.0, "{worst} of the bound");
    assert!(worst > 0.5, "{worst}: the cleaner works too hard");
    let file = std::fs::metadata(dir.path().join("lane-0/data.mdb")).unwrap().len();
    let live = lanes.submitter.stats().next().unwrap().snapshot(0).live_bytes;
    assert!(file < 3 * live + 8 * slack, "{file} bytes for {live} live ones");
    assert!(lanes.close());
}

#[test]
fn idle_lanes_clean_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let slack = 1 << 20;
    let lanes = Running::open(dir.path(), Options { slack, ..Options::default() });
    for n in 0..2_000 {
        lanes.submit(request(n, 1, [put(n + 1, &[5; 1_000])])).unwrap();
    }
    for n in 0..2_000 {
        lanes.submit(behind(1, [forget(n + 1)])).unwrap();
    }
    lanes.settle();
    for _ in 0..5_000 {
        let stats = lanes.submitter.stats().next().unwrap().snapshot(0);
        if stats.objects == 0 && stats.log_bytes <= slack {
            assert!(lanes.close());
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{:?}", lanes.submitter.stats().next().unwrap().snapshot(0));
}

#[test]
fn bodies_are_read_while_the_cleaner_moves_them() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options { slack: 0, ..Options::default() });
    for id in 1..=100_u64 {
        lanes.store(request(id, 1, [put(id, &id.to_le_bytes())])).unwrap();
    }
    let ids: Vec<_> = (1..=101).map(ObjectId).collect();
    let before = lanes.submitter.stats().next().unwrap().snapshot(0).moved_records;
    for round in 0..40 {
        let read = Read { origin: 3, token: Token(round), hash: 1, ids: ids.clone() };
        lanes.submitter.read(read).unwrap();
        for n in 0..40 {
            lanes.submit(request(n, 1, [put(500, &[9; 3_000])])).unwrap();
        }
        for &id in &ids {
            let found = lanes.bodies.recv_timeout(common::PATIENCE).unwrap();
            assert_eq!((found.origin, found.token, found.id), (3, Token(round), id));
            let bytes = found.object.map(|(_, bytes)| bytes.to_vec());
            assert_eq!(bytes, (id.0 <= 100).then(|| id.0.to_le_bytes().to_vec()));
        }
        (0..40).for_each(|_| assert!(lanes.reply().result.is_ok()));
    }
    assert!(lanes.submitter.stats().next().unwrap().snapshot(0).moved_records > before + 100);
    assert!(lanes.close());
}

/// Group commit: what comes together is committed together.
#[test]
fn many_requests_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let commits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&commits);
    let lanes = Running::open(
        dir.path(),
        probed(move || {
            let counted = Arc::clone(&counted);
            move |step| {
                counted.fetch_add(u64::from(step == Step::Commit), Ordering::SeqCst);
                Ok(())
            }
        }),
    );
    for n in 0..20_000 {
        lanes.submit(request(n, n << 50, [put(n + 1, &[0; 100])])).unwrap();
    }
    (0..20_000).for_each(|_| assert!(lanes.reply().result.is_ok()));
    let commits = commits.load(Ordering::SeqCst);
    assert!((39..2_000).contains(&commits), "{commits} commits of at most 512 operations");
    assert!(lanes.close());
}
