//! Memory: for each presentity and subscription, and under lasting load.

use std::time::Duration;

use pharos_bench::cpu::Memory;
use pharos_bench::load::{Op, Shape};
use pharos_bench::session::{Session, Size};
use pharos_bench::sip::write::Publish;

use crate::Bench;
use crate::row::{Row, Target};
use crate::system::{Extra, System};

/// Idle before memory is looked at: transactions are over by then.
const IDLE: Duration = Duration::from_secs(40);
/// PUBLISHes a second of the lasting load.
const RATE: f64 = 100_000.0;

/// Bytes for each.
struct Each {
    count: u32,
    presentity: f64,
    subscription: f64,
}

/// Bytes for a presentity with its document of 400 bytes, and for a subscription.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>, String> {
    let theirs = match bench.systems.workers.first() {
        Some(_) => Some(each(bench, System::Memory(1))?),
        None => None,
    };
    let mut rows = Vec::new();
    for (system, mode) in [(System::Periodic, "periodic"), (System::Commit, "commit")] {
        let ours = each(bench, system)?;
        let row = |what: &str, figure, other: Option<f64>| Row {
            what: format!("memory for each {what}, {mode}"),
            load: format!("{} of them, then idle", ours.count),
            unit: "bytes",
            ours: figure,
            other: other.map(|figure| ("Kamailio memory".into(), figure)),
            target: Target::Times(1.0),
        };
        let other = theirs.as_ref();
        rows.push(row("presentity", ours.presentity, other.map(|each| each.presentity)));
        rows.push(row("subscription", ours.subscription, other.map(|each| each.subscription)));
    }
    Ok(rows)
}

fn each(bench: &Bench, system: System) -> Result<Each, String> {
    let count = bench.size(100_000, 1_000);
    let size = Size {
        publishers: count,
        watchers: count,
        ports: 1,
        time: Duration::ZERO,
        settle: Duration::ZERO,
    };
    let mut session = Session::new(bench.systems.start(system, Extra::default())?, size)?;
    let idle = bench.size(IDLE, Duration::from_secs(1));
    let mut grown = |op, what: &str| {
        bench.tell(system, &format!("memory for each {what}"));
        let before = memory(system, session.peer.memory());
        let there = session.fill(op, u64::MAX).count();
        std::thread::sleep(idle);
        memory(system, session.peer.memory()).saturating_sub(before) as f64 / there as f64
    };
    let presentity = grown(Op::Publish(Publish::Initial), "presentity");
    let subscription = grown(Op::Subscribe, "subscription");
    session.peer.stop();
    Ok(Each { count, presentity, subscription })
}

/// Ours is anonymous memory; Kamailio keeps its state in memory shared by its processes.
fn memory(system: System, memory: Memory) -> u64 {
    match system {
        System::Periodic | System::Commit => memory.anonymous,
        System::Memory(_) | System::Database => memory.anonymous + memory.shared,
    }
}

/// What 100 000 PUBLISHes a second add to the state within 40 s.
pub(crate) fn growth(bench: &Bench) -> Result<Vec<Row>, String> {
    let modes = [(System::Periodic, "periodic"), (System::Commit, "commit")];
    modes.into_iter().map(|(system, mode)| grows(bench, system, mode)).collect()
}

fn grows(bench: &Bench, system: System, mode: &str) -> Result<Row, String> {
    bench.tell(system, "memory under load");
    let size = Size {
        publishers: bench.size(100_000, 2_000),
        watchers: 0,
        ports: 16,
        time: Duration::ZERO,
        settle: Duration::ZERO,
    };
    let mut session = Session::new(bench.systems.start(system, Extra::default())?, size)?;
    session.fill(Op::Publish(Publish::Initial), u64::MAX);
    std::thread::sleep(bench.size(IDLE, Duration::ZERO));
    let before = session.peer.memory().anonymous;
    let time = bench.size(Duration::from_secs(40), Duration::from_secs(1));
    let modify = Op::Publish(Publish::Modify);
    let outcome = session.phase_for(modify, Shape::Rate(RATE), time, u64::MAX);
    let after = session.peer.memory().anonymous;
    session.peer.stop();
    Ok(Row {
        what: format!("memory beyond the state, {mode}"),
        load: format!("40 s of {:.0} PUBLISHes per s", outcome.rate()),
        unit: "MB",
        ours: after.saturating_sub(before) as f64 / 1e6,
        other: None,
        target: Target::AtMost(200.0),
    })
}
