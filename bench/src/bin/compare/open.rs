//! Open loop: the highest rate that is answered in time, and CPU at given rates.

use std::time::Duration;

use pharos_bench::load::{Op, Outcome, Shape};
use pharos_bench::session::{Session, Size};
use pharos_bench::sip::write::Publish;

use crate::Bench;
use crate::row::{Row, Target};
use crate::system::{Extra, System};

const INITIAL: Op = Op::Publish(Publish::Initial);
/// No system here does more; it bounds the number of presentities.
const MOST: f64 = 250_000.0;
/// Between two rates at first; then it is halved.
const STEP: f64 = 20_000.0;
/// The end of halving.
const FINEST: f64 = 2_500.0;

/// The highest rates of initial PUBLISHes of which 99.9 % are answered within T1 at the first
/// attempt, and with p99 under 20 ms besides.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>, String> {
    let prompt = |outcome: &Outcome| outcome.prompt_share() >= 0.999;
    let swift = |outcome: &Outcome| prompt(outcome) && outcome.latencies.percentile(99.0) < 20_000;
    let mut best: [Option<f64>; 2] = [None; 2];
    for system in bench.systems.memory() {
        let theirs = [highest(bench, system, &prompt)?, highest(bench, system, &swift)?];
        for (best, rate) in best.iter_mut().zip(theirs) {
            *best = Some(rate.max(best.unwrap_or(0.0)));
        }
    }
    let mut rows = Vec::new();
    for (system, mode) in [(System::Periodic, "periodic"), (System::Commit, "commit")] {
        let ours = [highest(bench, system, &prompt)?, highest(bench, system, &swift)?];
        let whats = ["99.9 % answered within T1", "and p99 under 20 ms"];
        let targets = [Target::AtLeastTimes(1.6), Target::Shown];
        for (place, (what, target)) in whats.into_iter().zip(targets).enumerate() {
            rows.push(Row {
                what: format!("PUBLISH initial, {what}, {mode}"),
                load: "open loop, 16 ports".into(),
                unit: "per s",
                ours: ours[place],
                other: best[place].map(|rate| ("Kamailio memory".into(), rate)),
                target,
            });
        }
    }
    Ok(rows)
}

/// Steps up until two attempts at a rate fail, then halves the step.
fn highest(bench: &Bench, system: System, holds: &dyn Fn(&Outcome) -> bool) -> Result<f64, String> {
    let time = bench.size(Duration::from_secs(3), Duration::from_millis(200));
    let size = Size {
        publishers: (MOST * time.as_secs_f64()) as u32,
        watchers: 0,
        ports: 16,
        time,
        settle: Duration::ZERO,
    };
    let mut session = Session::new(bench.systems.start(system, Extra::default())?, size)?;
    // The first PUBLISHes make room in the server; they are part of no attempt.
    session.fill(INITIAL, 50_000);
    session.clear();
    let (mut rate, mut step) = (0.0, bench.size(STEP, MOST / 2.0));
    while step >= FINEST && rate + step <= MOST {
        let next = rate + step;
        bench.tell(system, &format!("open loop, {next} a second"));
        let mut attempt = || {
            let outcome = session.phase_for(INITIAL, Shape::Rate(next), time, u64::MAX);
            session.clear();
            holds(&outcome)
        };
        if attempt() || attempt() {
            rate = next;
        } else {
            step = bench.size(step / 2.0, 0.0);
        }
    }
    session.peer.stop();
    Ok(rate)
}

/// CPU for each initial PUBLISH at low, middle and high rates.
pub(crate) fn at_rates(bench: &Bench) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for rate in &[1_000.0, 10_000.0, 50_000.0][..bench.size(3, 1)] {
        let rate = *rate;
        let mut theirs: Option<f64> = None;
        for system in bench.systems.memory() {
            let next = cpu(bench, system, rate)?;
            theirs = Some(next.min(theirs.unwrap_or(f64::MAX)));
        }
        for (system, mode) in [(System::Periodic, "periodic"), (System::Commit, "commit")] {
            rows.push(Row {
                what: format!("PUBLISH initial, {mode}"),
                load: format!("open loop, {rate} per s"),
                unit: "CPU us",
                ours: cpu(bench, system, rate)?,
                other: theirs.map(|figure| ("Kamailio memory".into(), figure)),
                target: Target::Times(1.0),
            });
        }
    }
    Ok(rows)
}

fn cpu(bench: &Bench, system: System, rate: f64) -> Result<f64, String> {
    bench.tell(system, &format!("CPU at {rate} a second"));
    let time = bench.size(Duration::from_secs(5), Duration::from_millis(300));
    let size = Size {
        publishers: (rate * (time.as_secs_f64() + 1.0)) as u32,
        watchers: 0,
        ports: 16,
        time,
        settle: system.settle(),
    };
    let mut session = Session::new(bench.systems.start(system, Extra::default())?, size)?;
    let measured = session.phase(INITIAL, Shape::Rate(rate))?;
    session.peer.stop();
    Ok(measured.cpu_micros)
}
