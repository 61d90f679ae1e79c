//! The twin keeps the promises of the crate's table, with and without faults.

use alloc::vec;

use smallvec::smallvec;

use super::*;
use crate::Token;

const MILLISECOND: u64 = 1_000_000;

fn put(id: u64, text: &str) -> Op {
    Op::Put { id: ObjectId(id), kind: Kind::Body, bytes: text.as_bytes().into() }
}

fn request(token: u64, op: Op) -> Request {
    Request { token: Some(Token(token)), hash: 1, ops: smallvec![op] }
}

fn replies(lane: &mut MemoryLane, now: u64) -> Vec<(u64, Result<(), StoreError>)> {
    let mut replies = Vec::new();
    lane.advance(now, |_, reply| replies.push((reply.token.0, reply.result)));
    replies
}

fn texts(lane: &MemoryLane) -> Vec<&str> {
    lane.objects().map(|object| core::str::from_utf8(object.bytes).unwrap()).collect()
}

#[test]
fn a_reply_comes_when_the_commit_returns_and_not_before() {
    let mut lane = MemoryLane::new(1, Faults::default());
    lane.submit(0, 3, request(1, put(1, "a"))).unwrap();
    let due = lane.next_deadline().unwrap();
    assert_eq!(replies(&mut lane, due - 1), []);
    assert_eq!(texts(&lane), [""; 0]);
    lane.advance(due, |origin, reply| assert_eq!((origin, reply.token), (3, Token(1))));
    assert_eq!((texts(&lane), lane.next_deadline()), (vec!["a"], None));
}

#[test]
fn a_crash_keeps_what_was_acknowledged_and_the_commit_that_landed() {
    for landed in [false, true] {
        let mut lane = MemoryLane::new(1, Faults::default());
        lane.submit(0, 0, request(1, put(1, "a"))).unwrap();
        assert_eq!(replies(&mut lane, MILLISECOND), [(1, Ok(()))]);
        lane.submit(MILLISECOND, 0, request(2, put(1, "b"))).unwrap();
        lane.submit(MILLISECOND, 0, request(3, put(2, "c"))).unwrap();
        lane.crash(landed);
        assert_eq!(texts(&lane), if landed { ["b"] } else { ["a"] });
        assert_eq!((lane.queued(), lane.next_deadline()), ((0, 0), None));
    }
}

#[test]
fn a_commit_without_room_fails_and_the_lane_goes_on() {
    let mut lane = MemoryLane::new(1, Faults::default());
    lane.script(Err(StoreError::Full));
    lane.submit(0, 0, request(1, put(1, "a"))).unwrap();
    lane.submit(0, 0, request(2, put(2, "b"))).unwrap();
    assert_eq!(replies(&mut lane, 9 * MILLISECOND), [(1, Err(StoreError::Full)), (2, Ok(()))]);
    assert_eq!(texts(&lane), ["b"]);
}

#[test]
fn any_other_failure_closes_the_lane_until_a_restart() {
    let mut lane = MemoryLane::new(1, Faults::default());
    lane.script(Err(StoreError::Closed));
    lane.submit(0, 0, request(1, put(1, "a"))).unwrap();
    lane.submit(0, 0, request(2, put(2, "b"))).unwrap();
    let closed = Err(StoreError::Closed);
    assert_eq!(replies(&mut lane, 9 * MILLISECOND), [(1, closed), (2, closed)]);
    let refused = lane.submit(0, 0, request(3, put(3, "c"))).unwrap_err();
    assert_eq!((refused.error, refused.request.token), (StoreError::Closed, Some(Token(3))));
    lane.crash(false);
    assert!(!lane.is_closed());
    assert_eq!(texts(&lane), [""; 0]);
}

#[test]
fn a_disk_that_hangs_makes_the_lane_busy_after_a_second() {
    let mut lane = MemoryLane::new(1, Faults::default());
    lane.stall(5 * SLOW_AGE);
    lane.submit(0, 0, request(1, put(1, "a"))).unwrap();
    lane.submit(SLOW_AGE, 0, request(2, put(2, "b"))).unwrap();
    let refused = lane.submit(SLOW_AGE + 1, 0, request(3, put(3, "c"))).unwrap_err();
    assert_eq!(refused.error, StoreError::Busy);
    lane.submit(SLOW_AGE + 1, 0, request(4, Op::Remove { id: ObjectId(1) })).unwrap();
    assert_eq!(replies(&mut lane, 6 * SLOW_AGE), [(1, Ok(())), (2, Ok(())), (4, Ok(()))]);
}

#[test]
fn a_forgotten_object_may_come_back_once_and_a_removed_one_never() {
    let mut lane = MemoryLane::new(1, Faults::default());
    for (token, op) in [(1, put(1, "a")), (2, put(2, "b")), (3, put(3, "c"))] {
        lane.submit(0, 0, request(token, op)).unwrap();
    }
    assert_eq!(replies(&mut lane, 9 * MILLISECOND).len(), 3);
    lane.submit(0, 0, request(4, Op::Remove { id: ObjectId(2) })).unwrap();
    assert_eq!(replies(&mut lane, 9 * MILLISECOND).len(), 1);
    let forget = |id| Op::Forget { id: ObjectId(id) };
    let both = Request { token: None, hash: 1, ops: smallvec![forget(1), forget(3)] };
    lane.submit(0, 0, both).unwrap();
    lane.crash(true);
    assert_eq!(texts(&lane), ["a", "c"], "the cleaner has not passed");
    lane.submit(0, 0, Request { token: None, hash: 1, ops: smallvec![forget(1)] }).unwrap();
    assert_eq!(replies(&mut lane, 9 * MILLISECOND), []);
    lane.crash(false);
    assert_eq!((texts(&lane), lane.highest_id()), (vec!["c"], 3));
}

#[test]
fn no_room_refuses_what_stores_and_takes_what_removes() {
    let faults = Faults { capacity: 299, ..Faults::default() };
    let mut lane = MemoryLane::new(1, faults);
    lane.submit(0, 0, request(1, put(1, &"x".repeat(300)))).unwrap();
    assert_eq!(replies(&mut lane, MILLISECOND), [(1, Ok(()))]);
    let refused = lane.submit(0, 0, request(2, put(2, "y"))).unwrap_err();
    assert_eq!(refused.error, StoreError::Full);
    lane.submit(0, 0, request(3, Op::Remove { id: ObjectId(1) })).unwrap();
    assert_eq!(replies(&mut lane, 9 * MILLISECOND), [(3, Ok(()))]);
    lane.submit(0, 0, request(4, put(2, "y"))).unwrap();
}

#[test]
fn the_same_seed_gives_the_same_replies() {
    let run = || {
        let faults = Faults { full_per_mille: 300, ..Faults::default() };
        let mut lane = MemoryLane::new(7, faults);
        (0..200)
            .flat_map(|n| {
                lane.submit(n * 100_000, 0, request(n, put(n, "x"))).unwrap();
                replies(&mut lane, n * 100_000)
            })
            .collect::<Vec<_>>()
    };
    let once = run();
    assert!(once.iter().any(|(_, result)| result.is_err()));
    assert!(once.iter().any(|(_, result)| result.is_ok()));
    assert_eq!(once, run());
}
