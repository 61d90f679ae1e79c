//! What a durable update costs: one lane, updates a second and CPU an update.
//!
//! ```text
//! cargo run --release -p pharos-storage-lmdb --example lane -- [DIR] [OBJECTS] [SECONDS]
//! ```
//!
//! For each batch size a producer keeps that many updates of 700 bytes waiting, of random objects;
//! the log is cleaned on the way, as in production. CPU is that of the lane's thread alone, out of
//! `/proc/thread-self/stat`, in ticks of 10 ms: let it run for seconds.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, Sender, bounded};
use pharos_storage::{Kind, ObjectId, Op, Request, Token};
use pharos_storage_lmdb::{
    Clock, Delivery, Fault, Found, Lanes, Options, Probe, ReadSink, ReplySink, Step, Submitter,
};

const BYTES: usize = 700;

struct Real(Instant);

impl Clock for Real {
    fn nanos(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    fn wall(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }
}

struct Counted(Sender<usize>);

impl ReplySink for Counted {
    fn deliver(&mut self, replies: &[Delivery]) {
        let failed = replies.iter().filter(|delivery| delivery.reply.result.is_err()).count();
        assert_eq!(failed, 0, "a commit failed");
        let _ = self.0.send(replies.len());
    }
}

struct Nobody;

impl ReadSink for Nobody {
    fn deliver(&mut self, _found: Vec<Found>) {}
}

/// Reads the lane thread's CPU time after each commit.
struct Cpu(Arc<AtomicU64>);

impl Probe for Cpu {
    fn step(&mut self, _lane: u16, step: Step) -> Result<(), Fault> {
        if step == Step::Synced {
            self.0.store(thread_ticks(), Relaxed);
        }
        Ok(())
    }
}

/// User and system time of this thread, in ticks of 10 ms.
fn thread_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| after_name.split_whitespace().nth(field)?.parse::<u64>().ok();
    ticks(11).zip(ticks(12)).map_or(0, |(user, system)| user + system)
}

struct Load {
    submitter: Submitter,
    clock: Arc<dyn Clock>,
    done: Receiver<usize>,
    objects: u64,
    random: u64,
    bytes: Box<[u8]>,
}

impl Load {
    fn submit(&mut self, id: u64) {
        let op = Op::Put { id: ObjectId(id), kind: Kind::Body, bytes: self.bytes.clone() };
        let ops = [op].into_iter().collect();
        let request = Request { token: Some(Token(id)), hash: id << 44, ops };
        let refused = self.submitter.submit(self.clock.nanos(), 0, request).err();
        assert!(refused.is_none(), "the lane refuses: {:?}", refused.map(|it| it.error));
    }

    fn next_id(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        1 + (self.random >> 33) % self.objects
    }

    /// Keeps `batch` updates waiting for so long; returns how many were committed.
    fn run(&mut self, batch: usize, time: Duration) -> u64 {
        let start = Instant::now();
        let (mut waiting, mut total) = (0, 0);
        while start.elapsed() < time {
            while waiting < batch {
                let id = self.next_id();
                self.submit(id);
                waiting += 1;
            }
            let committed = self.done.recv().unwrap_or_default();
            waiting -= committed;
            total += committed as u64;
        }
        while waiting > 0 {
            waiting -= self.done.recv().unwrap_or_default();
        }
        total
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(|| PathBuf::from("lane-bench-data"), PathBuf::from);
    let objects = args.next().map_or(Ok(200_000), |text| text.parse())?;
    let seconds = args.next().map_or(Ok(5), |text| text.parse())?;
    let cpu = Arc::new(AtomicU64::new(0));
    let probed = Arc::clone(&cpu);
    let options = Options {
        lanes: Some(1),
        probe: Some(Arc::new(move |_| Box::new(Cpu(Arc::clone(&probed))))),
        ..Options::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(Real(Instant::now()));
    let (send, done) = bounded(1 << 20);
    let opened = Lanes::open(&dir, options)?;
    let lanes =
        opened.start(&clock, &mut |_| (Box::new(Counted(send.clone())), Box::new(Nobody)))?;
    let submitter = lanes.submitter();
    let bytes = vec![0x5A; BYTES].into();
    let mut load = Load { submitter, clock: Arc::clone(&clock), done, objects, random: 1, bytes };
    let mut filled = 0;
    for id in 1..=objects {
        load.submit(id);
        if id % 8_192 == 0 || id == objects {
            while filled < id {
                filled += load.done.recv()? as u64;
            }
        }
    }
    println!("{objects} live objects of {BYTES} bytes in {}", dir.display());
    println!("waiting  updates/s  CPU/update  updates/commit  moved/update  mean commit");
    for batch in [1, 4, 16, 64, 256, 1_024, 4_096] {
        let snapshot = |load: &Load| load.submitter.stats().next().map(|it| it.snapshot(0));
        let before = snapshot(&load).ok_or("no lane")?;
        let (ticks, start) = (cpu.load(Relaxed), Instant::now());
        let updates = load.run(batch, Duration::from_secs(seconds)) as f64;
        let (wall, after) = (start.elapsed().as_secs_f64(), snapshot(&load).ok_or("no lane")?);
        let used = (cpu.load(Relaxed) - ticks) as f64 * 10_000.0;
        let commits = (after.commits - before.commits) as f64;
        let nanos = (after.commit_nanos - before.commit_nanos) as f64;
        println!(
            "{batch:7} {:10.0} {:8.2} us {:15.1} {:13.2} {:9.0} us",
            updates / wall,
            used / updates,
            updates / commits,
            (after.moved_records - before.moved_records) as f64 / updates,
            nanos / commits / 1_000.0,
        );
    }
    drop(load);
    assert!(lanes.close(Duration::from_secs(60))?, "a clean stop");
    let start = Instant::now();
    let opened = Lanes::open(&dir, Options::default())?;
    let scanned = start.elapsed();
    let mut count = 0_u64;
    opened.objects(|_| count += 1)?;
    let total = start.elapsed();
    println!("start-up: {count} objects; log scanned in {scanned:.1?}, handed out in {total:.1?}");
    Ok(())
}
