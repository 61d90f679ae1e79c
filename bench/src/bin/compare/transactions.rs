//! CPU time of the server for each PUBLISH and SUBSCRIBE, in a closed loop.

use std::time::Duration;

use pharos_bench::load::{Op, Shape};
use pharos_bench::measure::{self, Measured};
use pharos_bench::session::{Session, Size};
use pharos_bench::sip::write::Publish;

use crate::Bench;
use crate::row::{Row, Target};
use crate::system::{Extra, System};

const OPS: [Op; 4] = [
    Op::Publish(Publish::Initial),
    Op::Publish(Publish::Refresh),
    Op::Publish(Publish::Modify),
    Op::Subscribe,
];

/// Figures of one system: microseconds of CPU and successes a second, by operation.
#[derive(Clone, Copy, Debug)]
struct Figures {
    cpu: [f64; OPS.len()],
    rate: [f64; OPS.len()],
}

/// Every operation, 64 and 1 024 in flight, from 1 and from 64 source ports.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>, String> {
    let shapes = [(64, 1), (64, 64), (1_024, 1), (1_024, 64)];
    let mut rows = Vec::new();
    for (window, ports) in &shapes[..bench.size(4, 1)] {
        rows.extend(shape(bench, *window, *ports)?);
    }
    Ok(rows)
}

fn shape(bench: &Bench, window: usize, ports: usize) -> Result<Vec<Row>, String> {
    let echo = measure::echo(Shape::Window(window), ports)?;
    let periodic = figures(bench, System::Periodic, window, ports)?;
    let commit = figures(bench, System::Commit, window, ports)?;
    let mut memory: Option<Figures> = None;
    for system in bench.systems.memory() {
        let next = figures(bench, system, window, ports)?;
        memory = Some(memory.map_or(next, |best| best.better_of(&next)));
    }
    let database = match bench.systems.database {
        true => Some(figures(bench, System::Database, window, ports)?),
        false => None,
    };
    Ok(compare(
        &format!("{window} in flight, {ports} ports"),
        window,
        &echo,
        periodic,
        commit,
        [memory, database],
    ))
}

fn figures(bench: &Bench, system: System, window: usize, ports: usize) -> Result<Figures, String> {
    let slow = system == System::Database;
    let size = Size {
        publishers: bench.size(if slow { 60_000 } else { 500_000 }, 3_000),
        watchers: bench.size(if slow { 30_000 } else { 200_000 }, 3_000),
        ports,
        time: bench.size(Duration::from_secs(3), Duration::from_millis(200)),
        settle: system.settle(),
    };
    let mut session = Session::new(bench.systems.start(system, Extra::default())?, size)?;
    let mut figures = Figures { cpu: [0.0; 4], rate: [0.0; 4] };
    for (place, op) in OPS.into_iter().enumerate() {
        bench.tell(system, &format!("{}, {window} in flight, {ports} ports", op.name()));
        let measured = session.phase(op, Shape::Window(window))?;
        figures.cpu[place] = measured.cpu_micros;
        figures.rate[place] = measured.outcome.rate();
    }
    session.peer.stop();
    Ok(figures)
}

impl Figures {
    fn better_of(&self, other: &Self) -> Self {
        Self {
            cpu: std::array::from_fn(|op| self.cpu[op].min(other.cpu[op])),
            rate: std::array::from_fn(|op| self.rate[op].max(other.rate[op])),
        }
    }
}

/// The rows of one shape. `peers`: Kamailio in memory and with its database.
fn compare(
    load: &str,
    window: usize,
    echo: &Measured,
    periodic: Figures,
    commit: Figures,
    [memory, database]: [Option<Figures>; 2],
) -> Vec<Row> {
    let cpu = |what: &str, ours: f64, other: Option<(&str, f64)>, target| Row {
        what: what.to_owned(),
        load: load.to_owned(),
        unit: "CPU us",
        ours,
        other: other.map(|(name, figure)| (name.to_owned(), figure)),
        target,
    };
    let beside = |figures: Option<Figures>, name: &'static str, op: usize| {
        figures.map(|figures| (name, figures.cpu[op]))
    };
    let in_memory = |op| beside(memory, "Kamailio memory", op);
    let stored = |op| beside(database, "Kamailio database", op);
    let durable = if window > 64 { 0.8 } else { 1.1 };
    let yardstick = Some(("UDP echo", echo.cpu_micros));
    let mut rows = vec![
        cpu("PUBLISH refresh, periodic", periodic.cpu[1], in_memory(1), Target::Times(0.6)),
        cpu("PUBLISH refresh, periodic", periodic.cpu[1], yardstick, Target::Times(2.0)),
        cpu("PUBLISH initial, periodic", periodic.cpu[0], in_memory(0), Target::Times(0.5)),
        cpu("PUBLISH modify, periodic", periodic.cpu[2], in_memory(2), Target::Times(0.5)),
        cpu("PUBLISH initial, commit", commit.cpu[0], in_memory(0), Target::Times(durable)),
        cpu("PUBLISH refresh, commit", commit.cpu[1], in_memory(1), Target::Shown),
        cpu("PUBLISH modify, commit", commit.cpu[2], in_memory(2), Target::Shown),
        cpu("PUBLISH initial, commit", commit.cpu[0], stored(0), Target::Times(0.05)),
        cpu("SUBSCRIBE + NOTIFY, periodic", periodic.cpu[3], in_memory(3), Target::Times(0.38)),
        cpu("SUBSCRIBE + NOTIFY, commit", commit.cpu[3], in_memory(3), Target::Times(0.5)),
        cpu("SUBSCRIBE + NOTIFY, commit", commit.cpu[3], stored(3), Target::Shown),
    ];
    rows.push(Row {
        what: "PUBLISH initial, commit".into(),
        load: load.to_owned(),
        unit: "per s",
        ours: commit.rate[0],
        other: database.map(|figures| ("Kamailio database".to_owned(), figures.rate[0])),
        target: Target::AtLeastTimes(10.0),
    });
    rows
}
