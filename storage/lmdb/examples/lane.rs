//! What a durable update costs: one lane, CPU an update and latency over rate.
//!
//! ```text
//! cargo run --release -p pharos-storage-lmdb --example lane -- \
//!     [DIR] [OBJECTS] [SECONDS] [WAITING,...] [RATE,...]
//! ```
//!
//! Updates of 700 bytes of random objects; the log is cleaned on the way, as in production. First a
//! producer keeps so many updates waiting; then it asks for so many a second, whatever becomes of
//! them, and latency counts from the moment an update was due. CPU is that of the lane's thread
//! alone. Last the directory is opened anew.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, Sender, bounded};
use pharos_storage::{Kind, ObjectId, Op, Request, Token};
use pharos_storage_lmdb::{
    Clock, Delivery, Fault, Found, Lanes, Options, Probe, ReadSink, ReplySink, Snapshot, Step,
    Submitter,
};
use rustix::time::{ClockId, clock_gettime};

const BYTES: usize = 700;
/// Latencies are counted in steps of a tenth, from a microsecond on.
const STEPS: usize = 200;

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

/// What the lane's thread notes; the rest of the program reads it.
struct Notes {
    clock: Arc<dyn Clock>,
    cpu: AtomicU64,
    latency: [AtomicU32; STEPS],
}

impl Notes {
    fn note(&self, nanos: u64) {
        let step = (nanos.max(1_000) as f64 / 1_000.0).ln() / 1.1_f64.ln();
        self.latency[(step as usize).min(STEPS - 1)].fetch_add(1, Relaxed);
    }

    /// Microseconds that this share of the answers stayed below; forgets them when `last`.
    fn quantile(&self, share: f64, last: bool) -> f64 {
        let counts: Vec<u32> = self.latency.iter().map(|count| count.load(Relaxed)).collect();
        let all: u32 = counts.iter().sum();
        let (mut below, mut step) = (0, 0);
        while step + 1 < STEPS && f64::from(below + counts[step]) < share * f64::from(all) {
            below += counts[step];
            step += 1;
        }
        if last {
            self.latency.iter().for_each(|count| count.store(0, Relaxed));
        }
        1.1_f64.powi(step as i32 + 1)
    }
}

/// A token is the time when its update was due.
struct Answers(Arc<Notes>, Sender<usize>);

impl ReplySink for Answers {
    fn deliver(&mut self, replies: &[Delivery]) {
        let now = self.0.clock.nanos();
        for delivery in replies {
            assert!(delivery.reply.result.is_ok(), "a commit failed");
            self.0.note(now.saturating_sub(delivery.reply.token.0));
        }
        let _ = self.1.send(replies.len());
    }
}

struct Nobody;

impl ReadSink for Nobody {
    fn deliver(&mut self, _found: Vec<Found>) {}
}

/// Reads the CPU time of the lane's thread after each commit.
struct Cpu(Arc<Notes>);

impl Probe for Cpu {
    fn step(&mut self, _lane: u16, step: Step) -> Result<(), Fault> {
        if step == Step::Synced {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            self.0.cpu.store(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64, Relaxed);
        }
        Ok(())
    }
}

struct Load {
    submitter: Submitter,
    notes: Arc<Notes>,
    done: Receiver<usize>,
    objects: u64,
    random: u64,
    bytes: Box<[u8]>,
}

impl Load {
    fn submit(&self, id: u64, due: u64) {
        let op = Op::Put { id: ObjectId(id), kind: Kind::Body, bytes: self.bytes.clone() };
        let ops = [op].into_iter().collect();
        let request = Request { token: Some(Token(due)), hash: id << 44, ops };
        let refused = self.submitter.submit(self.notes.clock.nanos(), 0, request).err();
        assert!(refused.is_none(), "the lane refuses: {:?}", refused.map(|it| it.error));
    }

    fn next_id(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        1 + (self.random >> 33) % self.objects
    }

    /// Stores every object once.
    fn fill(&self) {
        let mut waiting = 0;
        for id in 1..=self.objects {
            self.submit(id, self.notes.clock.nanos());
            waiting += 1;
            while waiting > 8_192 || (id == self.objects && waiting > 0) {
                waiting -= self.done.recv().unwrap_or_default();
            }
        }
    }

    /// Keeps `batch` updates waiting for so long; returns how many were committed.
    fn keep_waiting(&mut self, batch: usize, time: Duration) -> u64 {
        let start = Instant::now();
        let (mut waiting, mut total) = (0, 0);
        while start.elapsed() < time {
            let due = self.notes.clock.nanos();
            while waiting < batch {
                let id = self.next_id();
                self.submit(id, due);
                waiting += 1;
            }
            let committed = self.done.recv().unwrap_or_default();
            waiting -= committed;
            total += committed as u64;
        }
        self.finish(waiting);
        total
    }

    /// Asks for `rate` updates a second for so long; returns how many were committed. It sleeps
    /// between them, at least 50 us.
    fn keep_pace(&mut self, rate: u64, time: Duration) -> u64 {
        let (start, begin) = (Instant::now(), self.notes.clock.nanos());
        let (mut asked, mut waiting) = (0, 0);
        while start.elapsed() < time {
            let due = (self.notes.clock.nanos() - begin) * rate / 1_000_000_000;
            while asked < due {
                let id = self.next_id();
                self.submit(id, begin + asked * 1_000_000_000 / rate);
                asked += 1;
                waiting += 1;
            }
            while let Ok(committed) = self.done.try_recv() {
                waiting -= committed;
            }
            std::thread::sleep(Duration::from_nanos(1_000_000_000 / rate).min(SHORT));
        }
        self.finish(waiting);
        asked
    }

    fn finish(&self, mut waiting: usize) {
        while waiting > 0 {
            waiting -= self.done.recv().unwrap_or_default();
        }
    }

    fn now(&self) -> Option<(u64, Snapshot, Instant)> {
        let stats = self.submitter.stats().next()?.snapshot(0);
        Some((self.notes.cpu.load(Relaxed), stats, Instant::now()))
    }

    /// One line of the table.
    fn line(&mut self, name: &str, run: impl FnOnce(&mut Self) -> u64) -> Option<()> {
        let (cpu, before, start) = self.now()?;
        let updates = run(self) as f64;
        let (used, after, end) = self.now()?;
        let commits = (after.commits - before.commits) as f64;
        println!(
            "{name:>14} {:10.0} {:11.2} {:11.1} {:10.2} {:10.0} {:9.0} {:9.0}",
            updates / (end - start).as_secs_f64(),
            (used - cpu) as f64 / 1_000.0 / updates,
            updates / commits,
            (after.moved_records - before.moved_records) as f64 / updates,
            (after.commit_nanos - before.commit_nanos) as f64 / commits / 1_000.0,
            self.notes.quantile(0.5, false),
            self.notes.quantile(0.99, true),
        );
        Some(())
    }
}

const SHORT: Duration = Duration::from_micros(100);

fn numbers(text: Option<String>, usual: &[u64]) -> Result<Vec<u64>, std::num::ParseIntError> {
    match text.as_deref() {
        None => Ok(usual.to_vec()),
        Some("" | "-") => Ok(Vec::new()),
        Some(text) => text.split(',').map(str::parse).collect(),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().map_or_else(|| PathBuf::from("lane-bench-data"), PathBuf::from);
    let objects = args.next().map_or(Ok(200_000), |text| text.parse())?;
    let seconds = args.next().map_or(Ok(5), |text| text.parse())?;
    let waiting = numbers(args.next(), &[1, 4, 16, 64, 256, 1_024, 4_096])?;
    let rates = numbers(args.next(), &[1_000, 10_000, 50_000, 100_000, 300_000])?;

    let clock: Arc<dyn Clock> = Arc::new(Real(Instant::now()));
    let latency = std::array::from_fn(|_| AtomicU32::new(0));
    let notes = Arc::new(Notes { clock: Arc::clone(&clock), cpu: AtomicU64::new(0), latency });
    let probed = Arc::clone(&notes);
    let probe = move |_| -> Box<dyn Probe> { Box::new(Cpu(Arc::clone(&probed))) };
    let options = Options { lanes: Some(1), probe: Some(Arc::new(probe)), ..Options::default() };
    let (send, done) = bounded(1 << 20);
    let answers = || Box::new(Answers(Arc::clone(&notes), send.clone()));
    let lanes =
        Lanes::open(&dir, options)?.start(&clock, &mut |_| (answers(), Box::new(Nobody)))?;
    let (submitter, bytes) = (lanes.submitter(), vec![0x5A; BYTES].into());
    let mut load = Load { submitter, notes: Arc::clone(&notes), done, objects, random: 1, bytes };

    println!("{objects} objects of {BYTES} bytes in {}; times in microseconds", dir.display());
    println!(
        "                updates/s  CPU/update  updates/commit  moved/update  commit  p50  p99"
    );
    load.line("filling", |load| {
        load.fill();
        load.objects
    });
    let time = Duration::from_secs(seconds);
    for batch in waiting {
        let name = format!("{batch} waiting");
        load.line(&name, |load| load.keep_waiting(batch as usize, time));
    }
    for rate in rates {
        load.line(&format!("{rate} a second"), |load| load.keep_pace(rate, time));
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
