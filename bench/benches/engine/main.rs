//! What one operation costs the engine: from the bytes of a message to the last output drained, the
//! timers and write-behind that become due on the way among it.
//!
//! ```sh
//! cargo bench -p pharos-bench --bench engine                        # time, by criterion
//! cargo bench -p pharos-bench --bench engine -- refresh/commit      # some of it
//! cargo bench -p pharos-bench --bench engine -- --memory periodic   # bytes of an object
//! ```
//!
//! Instructions, without those of the set-up, as a table by function (`callgrind_annotate`); the
//! binary is what `cargo bench --no-run` names:
//!
//! ```sh
//! valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*::measured' \
//!     target/release/deps/engine-... --count refresh commit 10000 20000
//! ```
//!
//! The total divided by the last number is the count of one operation. `--count OP MODE
//! PRESENTITIES TIMES` without valgrind says the time.

#![allow(clippy::unwrap_used)] // a wrong argument ends it

mod message;
mod stand;
mod work;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use work::{Op, Work};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MODES: [&str; 2] = ["commit", "periodic"];
/// Presentities of the shard: all of it in the caches, and not.
const SIZES: [usize; 2] = [10_000, 100_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words = arguments.iter().map(String::as_str).filter(|word| *word != "--bench");
    match words.next() {
        Some("--count") => count(&words.collect::<Vec<_>>()),
        Some("--memory") => memory(words.next() != Some("periodic")),
        _ => {
            let mut criterion = Criterion::default()
                .sample_size(10)
                .warm_up_time(Duration::from_millis(300))
                .measurement_time(Duration::from_secs(1))
                .configure_from_args();
            time(&mut criterion);
            criterion.final_summary();
        }
    }
}

fn time(criterion: &mut Criterion) {
    for (name, op) in Op::ALL {
        let mut group = criterion.benchmark_group(name);
        for mode in MODES {
            for size in SIZES {
                let mut work = None;
                group.bench_function(BenchmarkId::new(mode, size), |bencher| {
                    let work = work.get_or_insert_with(|| Work::new(op, mode == "commit", size));
                    bencher.iter_custom(|times| work.run(op, times));
                });
            }
        }
    }
}

fn count(words: &[&str]) {
    let [op, mode, size, times] = words else {
        panic!("--count OP commit|periodic PRESENTITIES TIMES")
    };
    let (_, op) = Op::ALL.into_iter().find(|(name, _)| name == op).unwrap();
    let times = times.parse().unwrap();
    let mut work = Work::new(op, *mode == "commit", size.parse().unwrap());
    let time = work.run(op, times);
    println!("{op:?}: {} ns", time.as_nanos() / u128::from(times));
}

/// Bytes that the process holds for an object at rest, by the kernel's account.
fn memory(commit: bool) {
    const OBJECTS: usize = 100_000;
    let each = |before: usize| anonymous().saturating_sub(before) / OBJECTS;
    // The bench's own buffers and users are there before the first look.
    let mut work = Work::new(Op::Initial, commit, 2_048);
    work.watch(2_048, 2_048);
    let mut work = work.emptied(commit, OBJECTS);
    let before = anonymous();
    work.fill(OBJECTS);
    println!("presentity with its document: {} bytes", each(before));
    let before = anonymous();
    work.watch(OBJECTS, OBJECTS);
    println!("subscription, one to each presentity: {} bytes", each(before));
    let before = anonymous();
    work.watch(OBJECTS, OBJECTS / 100);
    println!("subscription, a hundred more to some: {} bytes", each(before));
}

/// RssAnon of this process, bytes, once the allocator has given back what is free: it waits a
/// second, then looks when it is used.
fn anonymous() -> usize {
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(600));
        for size in (16..1 << 16).step_by(48) {
            std::hint::black_box(vec![0_u8; size]);
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
}
