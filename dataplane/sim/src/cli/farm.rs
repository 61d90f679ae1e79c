//! Many seeds over several processes. A run that ends its process (an assertion of the engine does,
//! in a release build) costs that seed and no other.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use super::Args;

/// Seeds that one process is given at a time.
const CHUNK: u64 = 16;

/// What a worker says of a seed.
pub(super) struct Line {
    pub(super) seed: u64,
    pub(super) converged: u64,
    pub(super) crashes: u64,
    pub(super) messages: u64,
    pub(super) failure: Option<String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, converged, crashes, messages, .. } = self;
        let failure = self.failure.as_deref().unwrap_or_default().escape_default();
        write!(f, "{seed} {converged} {crashes} {messages} {failure}")
    }
}

impl Line {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.splitn(5, ' ');
        let mut number = || words.next()?.parse().ok();
        let (seed, converged, crashes, messages) = (number()?, number()?, number()?, number()?);
        let failure = words.next().filter(|text| !text.is_empty());
        let failure = failure.map(|text| text.replace("\\r", "").replace("\\n", "\n"));
        Some(Self { seed, converged, crashes, messages, failure })
    }
}

#[derive(Default)]
struct Sum {
    done: u64,
    failed: u64,
    converged: u64,
    crashes: u64,
    messages: u64,
}

/// Run them all. True when none failed.
pub(super) fn run(args: &Args) -> bool {
    let end = args.start + args.seeds;
    let chunks = (args.start..end).step_by(CHUNK as usize);
    let chunks: VecDeque<_> = chunks.map(|start| start..end.min(start + CHUNK)).collect();
    let (chunks, sum) = (Mutex::new(chunks), Mutex::new(Sum::default()));
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = if args.jobs == 0 { cores } else { args.jobs };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = chunks.lock().expect("no worker panics").pop_front();
                    let Some(chunk) = next else { return };
                    work_off(args, chunk, &sum);
                }
            });
        }
    });
    let sum = sum.into_inner().expect("no worker panics");
    clear_progress();
    let Sum { done, failed, converged, crashes, messages } = sum;
    println!(
        "{done} seeds, {failed} failed; {messages} messages, {crashes} crashes, {converged} \
         subscriptions seen to converge"
    );
    failed == 0
}

/// Seeds in a process of their own; where it dies, the next begins after the seed that killed it.
fn work_off(args: &Args, mut seeds: Range<u64>, sum: &Mutex<Sum>) {
    while !seeds.is_empty() {
        let (said, last) = chunk(args, &seeds, sum);
        if seeds.start + said == seeds.end {
            return;
        }
        let seed = seeds.start + said;
        report(
            args,
            sum,
            &Line {
                seed,
                converged: 0,
                crashes: 0,
                messages: 0,
                failure: Some(format!("the process died\n{last}")),
            },
        );
        seeds.start = seed + 1;
    }
}

/// How many of the seeds a process has said something of, and its last words.
fn chunk(args: &Args, seeds: &Range<u64>, sum: &Mutex<Sum>) -> (u64, String) {
    let program = std::env::current_exe().expect("a program knows where it is");
    let mut child = Command::new(program)
        .args(["--worker", "--start", &seeds.start.to_string()])
        .args(["--seeds", &(seeds.end - seeds.start).to_string()])
        .args(args.common())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let words = thread::spawn(move || {
        let mut text = String::new();
        // Last words that cannot be read are none.
        let _ = err.map(|mut err| err.read_to_string(&mut text));
        text
    });
    let mut said = 0;
    for text in out.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
        if let Some(line) = Line::read(&text) {
            said += 1;
            report(args, sum, &line);
        }
    }
    let _ = child.wait();
    (said, words.join().unwrap_or_default())
}

fn report(args: &Args, sum: &Mutex<Sum>, line: &Line) {
    let mut sum = sum.lock().expect("no worker panics");
    sum.done += 1;
    sum.converged += line.converged;
    sum.crashes += line.crashes;
    sum.messages += line.messages;
    if let Some(what) = &line.failure {
        sum.failed += 1;
        clear_progress();
        println!("seed {} fails, {what}\n    {}", line.seed, args.command(line.seed));
    }
    if std::io::stderr().is_terminal() {
        eprint!("\r{} of {} seeds, {} failed ", sum.done, args.seeds, sum.failed);
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}
