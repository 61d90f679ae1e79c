//! One PUBLISH, many NOTIFYs.

use std::time::Duration;

use pharos_bench::load::Op;
use pharos_bench::measure::Measured;
use pharos_bench::session::{Session, Size};
use pharos_bench::sip::write::Publish;

use crate::Bench;
use crate::row::{Row, Target};
use crate::system::{Extra, System};

/// CPU for each NOTIFY with its 200, and the time until the last one.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for watchers in [100, 1_000] {
        let periodic = fan(bench, System::Periodic, watchers)?;
        let commit = fan(bench, System::Commit, watchers)?;
        let (mut cpu, mut last) = (None, None);
        for system in bench.systems.memory() {
            let theirs = fan(bench, system, watchers)?;
            cpu = Some(theirs.cpu_micros.min(cpu.unwrap_or(f64::MAX)));
            last = Some(p99(&theirs).min(last.unwrap_or(f64::MAX)));
        }
        let large = watchers == 1_000;
        for (mode, ours) in [("periodic", &periodic), ("commit", &commit)] {
            let row = |what: &str, unit, ours, other: Option<f64>, target| Row {
                what: format!("{what}, {mode}"),
                load: format!("{watchers} watchers"),
                unit,
                ours,
                other: other.map(|figure| ("Kamailio memory".into(), figure)),
                target: if large { Target::Times(target) } else { Target::Shown },
            };
            rows.push(row("NOTIFY + 200", "CPU us", ours.cpu_micros, cpu, 0.28));
            rows.push(row("PUBLISH to last NOTIFY, p99", "ms", p99(ours), last, 0.25));
        }
    }
    Ok(rows)
}

fn p99(measured: &Measured) -> f64 {
    measured.outcome.latencies.percentile(99.0) as f64 / 1e3
}

fn fan(bench: &Bench, system: System, watchers: u32) -> Result<Measured, String> {
    bench.tell(system, &format!("fan-out of {watchers}"));
    let size =
        Size { publishers: 1, watchers, ports: 1, time: Duration::ZERO, settle: system.settle() };
    let mut session = Session::new(bench.systems.start(system, Extra::default())?, size)?;
    session.fill(Op::Publish(Publish::Initial), 1);
    session.gather(0, watchers)?;
    let rounds = bench.size(300_000 / watchers, 3).min(1_000);
    let measured = session.fan(0, watchers.into(), rounds)?;
    if measured.outcome.failed > 0 {
        return Err(format!("{} of {rounds} rounds were not complete", measured.outcome.failed));
    }
    session.peer.stop();
    Ok(measured)
}
