//! A presentity that a hundred thousand watch must not hold up the others of its shard.

use std::time::Duration;

use pharos_bench::latency::Latencies;
use pharos_bench::load::{Op, Pulse, Shape};
use pharos_bench::session::{Session, Size};
use pharos_bench::sip::write::Publish;

use crate::Bench;
use crate::row::{Row, Target};
use crate::system::{Extra, System};

/// PUBLISHes a second for other presentities.
const RATE: f64 = 2_000.0;
/// Between two changes of the one that all watch.
const EVERY: Duration = Duration::from_secs(5);

/// p99 of PUBLISHes for other presentities, while the one that all watch changes. The server has
/// one shard, so that all presentities are of that shard.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>, String> {
    let watchers = bench.size(100_000, 1_000);
    let extra = Extra { top: "shards = 1", presence: "max_watchers_per_presentity = 200000" };
    let mut rows = Vec::new();
    for (system, mode) in [(System::Periodic, "periodic"), (System::Commit, "commit")] {
        bench.tell(system, &format!("{watchers} watchers of one presentity"));
        let size = Size {
            publishers: 20_000,
            watchers,
            ports: 16,
            time: Duration::ZERO,
            settle: Duration::ZERO,
        };
        let mut session = Session::new(bench.systems.start(system, extra)?, size)?;
        session.fill(Op::Publish(Publish::Initial), u64::MAX);
        session.gather(0, watchers)?;
        let latencies = Latencies::default();
        session.fleet.set_pulse(Some(Pulse { presentity: 0, every: EVERY, latencies }));
        let time = bench.size(EVERY * 4, Duration::from_secs(1));
        let refresh = Op::Publish(Publish::Refresh);
        let outcome = session.phase_for(refresh, Shape::Rate(RATE), time, u64::MAX);
        rows.push(Row {
            what: format!("PUBLISH beside a crowd, p99, {mode}"),
            load: format!("{watchers} watchers of one, {} NOTIFYs", outcome.notifies),
            unit: "ms",
            ours: outcome.latencies.percentile(99.0) as f64 / 1e3,
            other: None,
            target: Target::AtMost(20.0),
        });
        session.peer.stop();
    }
    Ok(rows)
}
