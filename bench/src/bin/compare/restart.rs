//! How soon after a stop a large server serves again.

use std::time::Duration;

use pharos_bench::latency::now;
use pharos_bench::load::{Op, Shape};
use pharos_bench::peer::pharos::Setup;
use pharos_bench::session::{Session, Size};
use pharos_bench::sip::write::Publish;

use crate::Bench;
use crate::row::{Row, Target};
use crate::system::{Extra, System};

/// Dialogs that must answer a refresh.
const DIALOGS: u64 = 1_000;

/// From the start of the process until random dialogs have answered.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>, String> {
    let count = bench.size(1_000_000, 2_000);
    let system = System::Periodic;
    bench.tell(system, &format!("restart with {count} presentities and {count} subscriptions"));
    let size = Size {
        publishers: count,
        watchers: count,
        ports: 16,
        time: Duration::ZERO,
        settle: Duration::ZERO,
    };
    let setup = bench.systems.setup(system, Extra::default());
    let mut session = Session::new(setup.start()?, size)?;
    let presentities = session.fill(Op::Publish(Publish::Initial), u64::MAX).count();
    let subscriptions = session.fill(Op::Subscribe, u64::MAX).count();
    Setup::stop_only(&mut session.peer);
    let start = now();
    setup.run(&mut session.peer)?;
    let limit = Duration::from_secs(60);
    let window = Shape::Window(DIALOGS as usize);
    let outcome = session.phase_for(Op::Resubscribe, window, limit, DIALOGS);
    let seconds = start.elapsed().as_secs_f64();
    if outcome.count() < DIALOGS {
        return Err(format!("{} of {DIALOGS} dialogs refreshed: {outcome:?}", outcome.count()));
    }
    session.peer.stop();
    Ok(vec![Row {
        what: "restart, until 1000 dialogs answer".into(),
        load: format!("{presentities} presentities, {subscriptions} subscriptions"),
        unit: "s",
        ours: seconds,
        other: None,
        target: Target::AtMost(4.0),
    }])
}
