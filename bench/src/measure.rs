//! A phase measured from outside: the server's CPU time, drops, and the machine, beside what the
//! clients saw.

use std::time::Duration;

use crate::cpu::Machine;
use crate::load::echo::Echo;
use crate::load::{Fleet, Op, Order, Outcome, Phase, Shape};
use crate::net;
use crate::peer::Peer;
use crate::sip::write::Publish;

/// What came of a phase.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What was done, and how.
    pub what: String,
    /// As the clients saw it.
    pub outcome: Outcome,
    /// Microseconds of the server's CPU time, user and system, for each success.
    pub cpu_micros: f64,
    /// Share of user mode in it.
    pub user_share: f64,
    /// Datagrams that the server's sockets dropped,
    pub server_drops: u64,
    /// and ours.
    pub own_drops: u64,
    /// Share of the machine that was busy,
    pub busy: f64,
    /// and stolen from it by the hypervisor.
    pub stolen: f64,
}

/// Runs what `drive` does on the fleet and accounts it to `count` of its outcome. The server has
/// `settle` to do what it put off; that counts, too.
///
/// # Errors
/// The server is gone.
pub fn account(
    peer: &Peer,
    fleet: &mut Fleet,
    settle: Duration,
    what: String,
    count: impl FnOnce(&Outcome) -> u64,
    drive: impl FnOnce(&mut Fleet) -> Outcome,
) -> Result<Measured, String> {
    let before = (peer.cpu()?, peer.drops(), fleet.drops(), Machine::now());
    let outcome = drive(fleet);
    let (busy, stolen) = Machine::now().since(&before.3);
    std::thread::sleep(settle);
    let cpu = peer.cpu()?.since(&before.0);
    Ok(Measured {
        what,
        cpu_micros: cpu.micros_each(count(&outcome)),
        user_share: cpu.user_share(),
        server_drops: peer.drops().saturating_sub(before.1),
        own_drops: fleet.drops().saturating_sub(before.2),
        busy,
        stolen,
        outcome,
    })
}

/// A phase, accounted to its successes.
///
/// # Errors
/// As [`account`].
pub fn phase(
    peer: &Peer,
    fleet: &mut Fleet,
    settle: Duration,
    phase: &Phase,
    order: &mut Order,
) -> Result<Measured, String> {
    let what = phase.op.name().to_owned();
    account(peer, fleet, settle, what, Outcome::count, |fleet| fleet.run(phase, order))
}

/// The yardstick: the load of PUBLISH refreshes on a thread that only receives and sends.
///
/// # Errors
/// There are no sockets.
pub fn echo(shape: Shape, ports: usize) -> Result<Measured, String> {
    let failed = |error: std::io::Error| format!("the echo: {error}");
    let echo = Echo::start().map_err(failed)?;
    let mut fleet = Fleet::new(echo.address, ports, 10_000, 0)?;
    fleet.expect_echo();
    let phase = Phase {
        op: Op::Publish(Publish::Refresh),
        shape,
        time: Duration::from_secs(2),
        count: u64::MAX,
    };
    let before = Machine::now();
    let outcome = fleet.run(&phase, &mut Order::new(0, 10_000, 0x5EED_0004));
    let (busy, stolen) = Machine::now().since(&before);
    let server_drops = net::drops(echo.address.port());
    let cpu = echo.stop().map_err(failed)?;
    Ok(Measured {
        what: "UDP echo".into(),
        cpu_micros: cpu.as_secs_f64() * 1e6 / outcome.count().max(1) as f64,
        user_share: 0.0,
        server_drops,
        own_drops: fleet.drops(),
        busy,
        stolen,
        outcome,
    })
}
