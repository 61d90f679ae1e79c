//! The link between the shards and the control thread: questions and answers in both directions.
//!
//! It knows no executor. The control side says once how it wants to be woken
//! ([`ControlPort::on_event`]) and then takes events with [`ControlPort::poll`]; the shard side is
//! polled by its driver and woken by its bell. Everything is bounded: a shard has at most
//! [`QUERIES`] names being looked up and [`COMMANDS`] commands being answered, so that what must
//! arrive always finds a place; log lines beyond [`LOGS`] waiting are dropped and counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam::queue::ArrayQueue;
use pharos_engine::io::{Query, Resolved};
use pharos_engine::net::ShardId;
use pharos_engine::{Command, Log, Reply};

use crate::doorbell::Bell;

/// Names that one shard may have looked up at a time; the next is answered as failed at once.
pub const QUERIES: usize = 1_024;
/// Commands that one shard may have unanswered; the next is refused.
pub const COMMANDS: usize = 256;
/// Log lines of one shard that may wait for the control thread.
pub const LOGS: usize = 1_024;

/// What a shard tells the control side.
#[derive(Debug)]
pub enum Event {
    /// Look this name up and hand the outcome to [`ControlPort::resolved`], always.
    Resolve(Query),
    /// The answer to a [`ControlPort::command`] with the same id.
    Reply {
        /// The command's.
        id: u64,
        /// The answer.
        reply: Reply,
    },
    /// A line for the log.
    Log(Log),
}

/// An event and the shard it came from.
#[derive(Debug)]
pub struct FromShard {
    /// Which shard speaks.
    pub shard: ShardId,
    /// What it says.
    pub event: Event,
}

/// What the control side tells a shard.
#[derive(Debug)]
pub(crate) enum ToShard {
    /// An answer of the resolver.
    Resolved(Resolved),
    /// A command.
    Command {
        /// Handed back in the reply.
        id: u64,
        /// What is asked.
        command: Command,
    },
}

/// The shard has [`COMMANDS`] commands unanswered or does not exist; ask again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

#[derive(Debug)]
struct Lane {
    to_shard: ArrayQueue<ToShard>,
    from_shard: ArrayQueue<Event>,
    queries: AtomicUsize,
    commands: AtomicUsize,
    logs: AtomicUsize,
    logs_dropped: AtomicU64,
    bell: Arc<Bell>,
}

struct Shared {
    lanes: Vec<Lane>,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    next: AtomicUsize,
}

/// The control side; clones share the same queues.
#[derive(Clone)]
pub struct ControlPort(Arc<Shared>);

/// The side of one shard.
pub(crate) struct ControlLink {
    shared: Arc<Shared>,
    shard: ShardId,
    touched: bool,
}

/// One port and one link for each bell, in shard order.
pub(crate) fn control_link(bells: &[Arc<Bell>]) -> (ControlPort, Vec<ControlLink>) {
    let lanes = bells
        .iter()
        .map(|bell| Lane {
            to_shard: ArrayQueue::new(QUERIES + COMMANDS),
            from_shard: ArrayQueue::new(QUERIES + COMMANDS + LOGS),
            queries: AtomicUsize::new(0),
            commands: AtomicUsize::new(0),
            logs: AtomicUsize::new(0),
            logs_dropped: AtomicU64::new(0),
            bell: Arc::clone(bell),
        })
        .collect();
    let shared = Arc::new(Shared { lanes, wake: OnceLock::new(), next: AtomicUsize::new(0) });
    let links = (0..bells.len())
        .map(|shard| ControlLink {
            shared: Arc::clone(&shared),
            shard: ShardId(u16::try_from(shard).unwrap_or(u16::MAX)),
            touched: false,
        })
        .collect();
    (ControlPort(shared), links)
}

/// Take one place of at most `limit`; false when there is none.
fn take_place(places: &AtomicUsize, limit: usize) -> bool {
    places
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < limit).then_some(n + 1))
        .is_ok()
}

impl ControlPort {
    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        u16::try_from(self.0.lanes.len()).unwrap_or(u16::MAX)
    }

    /// Call `wake` whenever events wait; it runs on a shard's thread, so it only notifies. The
    /// first call counts, and wakes at once for what came before it.
    pub fn on_event(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.wake.set(Box::new(wake));
        if let Some(wake) = self.0.wake.get() {
            wake();
        }
    }

    /// The next event of any shard; shards take turns.
    pub fn poll(&self) -> Option<FromShard> {
        let lanes = &self.0.lanes;
        let first = self.0.next.fetch_add(1, Ordering::Relaxed);
        (0..lanes.len()).find_map(|turn| {
            let index = first.wrapping_add(turn) % lanes.len();
            let lane = &lanes[index];
            let event = lane.from_shard.pop()?;
            match event {
                Event::Log(_) => lane.logs.fetch_sub(1, Ordering::AcqRel),
                Event::Reply { .. } => lane.commands.fetch_sub(1, Ordering::AcqRel),
                Event::Resolve(_) => 0,
            };
            Some(FromShard { shard: ShardId(u16::try_from(index).unwrap_or(u16::MAX)), event })
        })
    }

    /// Ask a shard; one [`Event::Reply`] with this id follows.
    ///
    /// # Errors
    /// [`Refused`] when the shard has too many commands unanswered, or there is no such shard.
    pub fn command(&self, shard: ShardId, id: u64, command: Command) -> Result<(), Refused> {
        let lane = self.0.lanes.get(usize::from(shard.0)).ok_or(Refused)?;
        if !take_place(&lane.commands, COMMANDS) {
            return Err(Refused);
        }
        let pushed = lane.to_shard.push(ToShard::Command { id, command });
        assert!(pushed.is_ok(), "a place was taken for every entry");
        lane.bell.ring();
        Ok(())
    }

    /// Hand the outcome of an [`Event::Resolve`] to the shard that asked: exactly once for each.
    pub fn resolved(&self, shard: ShardId, resolved: Resolved) {
        let Some(lane) = self.0.lanes.get(usize::from(shard.0)) else { return };
        // An answer that nobody asked for finds no place and is dropped.
        let asked = lane
            .queries
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1))
            .is_ok();
        if asked && lane.to_shard.push(ToShard::Resolved(resolved)).is_ok() {
            lane.bell.ring();
        }
    }

    /// Log lines dropped so far because the control side did not keep up.
    pub fn logs_dropped(&self) -> u64 {
        self.0.lanes.iter().map(|lane| lane.logs_dropped.load(Ordering::Relaxed)).sum()
    }
}

impl ControlLink {
    fn lane(&self) -> &Lane {
        &self.shared.lanes[usize::from(self.shard.0)]
    }

    /// What the control side sent.
    pub(crate) fn take(&mut self) -> Option<ToShard> {
        self.lane().to_shard.pop()
    }

    /// True when [`ControlLink::take`] would find nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.lane().to_shard.is_empty()
    }

    /// Ask for a name. `Err` hands the query back: too many are being looked up.
    pub(crate) fn resolve(&mut self, query: Query) -> Result<(), Query> {
        let lane = self.lane();
        if !take_place(&lane.queries, QUERIES) {
            return Err(query);
        }
        if let Err(Event::Resolve(query)) = lane.from_shard.push(Event::Resolve(query)) {
            lane.queries.fetch_sub(1, Ordering::AcqRel);
            return Err(query);
        }
        self.touched = true;
        Ok(())
    }

    /// Answer a command.
    pub(crate) fn reply(&mut self, id: u64, reply: Reply) {
        let pushed = self.lane().from_shard.push(Event::Reply { id, reply });
        debug_assert!(pushed.is_ok(), "every unanswered command has a place");
        self.touched = true;
    }

    /// Hand a line to the log, or drop and count it.
    pub(crate) fn log(&mut self, log: Log) {
        let lane = self.lane();
        if !take_place(&lane.logs, LOGS) {
            lane.logs_dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if lane.from_shard.push(Event::Log(log)).is_err() {
            lane.logs.fetch_sub(1, Ordering::AcqRel);
            lane.logs_dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.touched = true;
    }

    /// Wake the control side when something was sent since the last flush: once per batch.
    pub(crate) fn flush(&mut self) {
        if std::mem::take(&mut self.touched)
            && let Some(wake) = self.shared.wake.get()
        {
            wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_engine::io::{Level, QueryKind};

    fn pair() -> (ControlPort, ControlLink) {
        let bells = [Arc::new(Bell::new().expect("eventfd"))];
        let (port, mut links) = control_link(&bells);
        (port, links.remove(0))
    }

    fn query(n: usize) -> Query {
        Query { name: format!("h{n}.example").into(), kind: QueryKind::Address }
    }

    fn negative(query: Query) -> Resolved {
        Resolved { query, records: Vec::new(), ttl: 1, failed: false }
    }

    #[test]
    fn every_query_is_answered_or_handed_back() {
        let (port, mut link) = pair();
        for n in 0..QUERIES {
            assert_eq!(link.resolve(query(n)), Ok(()));
        }
        assert_eq!(link.resolve(query(7)), Err(query(7)), "the limit is exact");
        while let Some(FromShard { shard, event }) = port.poll() {
            let Event::Resolve(query) = event else { panic!("only queries were sent") };
            port.resolved(shard, negative(query));
        }
        let mut answers = 0;
        while let Some(ToShard::Resolved(_)) = link.take() {
            answers += 1;
        }
        assert_eq!(answers, QUERIES);
        assert_eq!(link.resolve(query(7)), Ok(()), "answers free their places");
    }

    #[test]
    fn an_answer_nobody_asked_for_is_dropped() {
        let (port, mut link) = pair();
        port.resolved(ShardId(0), negative(query(1)));
        port.resolved(ShardId(9), negative(query(1)));
        assert!(link.take().is_none());
    }

    #[test]
    fn commands_are_refused_beyond_the_limit_and_replies_free_them() {
        let (port, mut link) = pair();
        for id in 0..COMMANDS as u64 {
            assert_eq!(port.command(ShardId(0), id, Command::Metrics), Ok(()));
        }
        assert_eq!(port.command(ShardId(0), 999, Command::Metrics), Err(Refused));
        assert_eq!(port.command(ShardId(1), 1, Command::Metrics), Err(Refused));
        let Some(ToShard::Command { id, .. }) = link.take() else { panic!("a command waits") };
        link.reply(id, Reply::Metrics(Box::default()));
        assert!(matches!(port.poll(), Some(FromShard { event: Event::Reply { id: 0, .. }, .. })));
        assert_eq!(port.command(ShardId(0), 999, Command::Metrics), Ok(()));
    }

    #[test]
    fn log_lines_are_dropped_and_counted_not_queued_without_end() {
        let (port, mut link) = pair();
        let line = Log { level: Level::Info, target: "test", text: "x".into() };
        for _ in 0..LOGS + 5 {
            link.log(line.clone());
        }
        assert_eq!(port.logs_dropped(), 5);
        let mut lines = 0;
        while port.poll().is_some() {
            lines += 1;
        }
        assert_eq!(lines, LOGS);
    }

    #[test]
    fn the_control_side_is_woken_once_per_batch() {
        let (port, mut link) = pair();
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        port.on_event(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(woken.load(Ordering::Relaxed), 1, "once for what came before");
        link.resolve(query(1)).expect("a place");
        link.resolve(query(2)).expect("a place");
        link.flush();
        link.flush();
        assert_eq!(woken.load(Ordering::Relaxed), 2);
    }
}
