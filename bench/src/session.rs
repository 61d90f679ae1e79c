//! A server with its actors, through several measured phases.

use std::time::Duration;

use crate::load::{Fleet, Op, Order, Outcome, Phase, Shape};
use crate::measure::{self, Measured};
use crate::peer::Peer;
use crate::sip::write::Publish;

/// In flight when state is built up or taken down and nothing is measured.
const FILL: Shape = Shape::Window(512);
/// Not measured, before each phase.
const WARM_UP: Duration = Duration::from_millis(500);
/// No phase lasts longer than this.
const EVER: Duration = Duration::from_secs(600);

/// How large and how long.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Presentities.
    pub publishers: u32,
    /// Watchers.
    pub watchers: u32,
    /// UDP source ports.
    pub ports: usize,
    /// Of each phase, at most.
    pub time: Duration,
    /// After each phase, for what the server puts off; counted as its work.
    pub settle: Duration,
}

/// A server, its actors, and who of them did what.
#[derive(Debug)]
pub struct Session {
    /// The server.
    pub peer: Peer,
    /// The actors.
    pub fleet: Fleet,
    size: Size,
    publishers: Order,
    watchers: Order,
    published: Order,
    subscribed: Order,
}

impl Session {
    /// Actors for a server.
    ///
    /// # Errors
    /// There are no sockets.
    pub fn new(peer: Peer, size: Size) -> Result<Self, String> {
        let fleet = Fleet::new(peer.address, size.ports, size.publishers, size.watchers)?;
        let publishers = Order::new(0, size.publishers, 0x5EED_0001);
        let watchers = Order::new(0, size.watchers, 0x5EED_0002);
        let (published, subscribed) = (Order::new(0, 0, 1), Order::new(0, 0, 2));
        let mut session = Self { peer, fleet, size, publishers, watchers, published, subscribed };
        session.fleet.watch(None);
        Ok(session)
    }

    /// A measured phase, after a warm-up of the same.
    ///
    /// # Errors
    /// The server is gone or answers nothing.
    pub fn phase(&mut self, op: Op, shape: Shape) -> Result<Measured, String> {
        let everyone = match op {
            Op::Publish(_) => self.size.publishers,
            _ => self.size.watchers,
        };
        // What each can do but once leaves enough of them for the measurement.
        let few = if op.once() { u64::from(everyone / 5) } else { u64::MAX };
        self.phase_for(op, shape, WARM_UP.min(self.size.time), few);
        let phase = Phase { op, shape, time: self.size.time, count: u64::MAX };
        let settle = self.size.settle;
        let mut order = self.order(op);
        let measured = measure::phase(&self.peer, &mut self.fleet, settle, &phase, &mut order);
        self.put_back(op, order);
        let measured = measured?;
        match measured.outcome.count() {
            0 => Err(format!("{}: all fail: {:?}", op.name(), measured.outcome.refusals)),
            _ => Ok(measured),
        }
    }

    /// As many as there are, as fast as they go, unmeasured.
    pub fn fill(&mut self, op: Op, count: u64) -> Outcome {
        self.phase_for(op, FILL, EVER, count)
    }

    /// All watchers subscribe to one presentity, which has a publication then. Few at a time: what
    /// waits for one presentity's commits is bounded.
    ///
    /// # Errors
    /// Not all are taken.
    pub fn gather(&mut self, presentity: u32, watchers: u32) -> Result<(), String> {
        self.fleet.watch(Some(presentity));
        let wanted = u64::from(watchers);
        let there = self.phase_for(Op::Subscribe, Shape::Window(12), EVER, wanted);
        match there.count() {
            count if count == wanted => Ok(()),
            count => Err(format!("{count} of {watchers} subscriptions; {:?}", there.refusals)),
        }
    }

    /// Ends all publications and subscriptions.
    pub fn clear(&mut self) {
        self.fill(Op::Unsubscribe, u64::MAX);
        self.fill(Op::Publish(Publish::Remove), u64::MAX);
    }

    /// A phase that is not measured from outside.
    pub fn phase_for(&mut self, op: Op, shape: Shape, time: Duration, count: u64) -> Outcome {
        let mut order = self.order(op);
        let outcome = self.fleet.run(&Phase { op, shape, time, count }, &mut order);
        self.put_back(op, order);
        outcome
    }

    /// PUBLISH for one presentity until all of `watchers` have been told, `rounds` times; CPU is
    /// for each NOTIFY with its 200.
    ///
    /// # Errors
    /// The server is gone.
    pub fn fan(&mut self, presentity: u32, watchers: u64, rounds: u32) -> Result<Measured, String> {
        self.fleet.fan_out(presentity, watchers, 2);
        let what = format!("NOTIFY, fan-out {watchers}");
        let settle = self.size.settle;
        measure::account(
            &self.peer,
            &mut self.fleet,
            settle,
            what,
            |o| o.notifies,
            |fleet| fleet.fan_out(presentity, watchers, rounds),
        )
    }

    /// Whose turns an operation takes: everyone's for a beginning, else those who began.
    fn order(&mut self, op: Op) -> Order {
        let place = match op {
            Op::Publish(Publish::Initial) => &mut self.publishers,
            Op::Publish(_) => &mut self.published,
            Op::Subscribe => &mut self.watchers,
            Op::Resubscribe | Op::Unsubscribe => &mut self.subscribed,
            Op::Mixed => {
                let all = self.size.publishers + self.size.watchers;
                return Order::new(0, all, 0x5EED_0003);
            }
        };
        std::mem::replace(place, Order::new(0, 0, 1))
    }

    fn put_back(&mut self, op: Op, mut order: Order) {
        match op {
            Op::Publish(Publish::Initial) => {
                self.published = order.taken();
                self.publishers = order;
            }
            Op::Publish(Publish::Remove) => {
                order.rewind();
                self.published = order;
                self.publishers.rewind();
            }
            Op::Publish(_) => {
                order.rewind();
                self.published = order;
            }
            Op::Subscribe => {
                self.subscribed = order.taken();
                self.watchers = order;
            }
            Op::Unsubscribe => {
                order.rewind();
                self.subscribed = order;
                self.watchers.rewind();
            }
            Op::Resubscribe => {
                order.rewind();
                self.subscribed = order;
            }
            Op::Mixed => {}
        }
    }
}
