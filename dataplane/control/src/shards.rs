//! Questions to the shards and their answers; what shards say unasked goes to the resolver and the
//! log.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pharos_engine::counters::Snapshot;
use pharos_engine::net::ShardId;
use pharos_engine::{Command, Reply};
use pharos_runtime::{ControlPort, Event, FromShard};
use tokio::sync::{Notify, oneshot};

use crate::log;
use crate::resolve::Resolver;

/// A shard that does not answer within this time is reported as silent.
const PATIENCE: Duration = Duration::from_secs(1);
/// Events taken before other tasks of the thread get their turn.
const EVENTS_PER_TURN: usize = 64;

/// All shards, seen from the control thread.
pub(crate) struct Shards {
    port: ControlPort,
    resolver: Resolver,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Reply>>>,
    next: AtomicU64,
}

impl Shards {
    pub(crate) fn new(port: ControlPort, resolver: Resolver) -> Self {
        Self { port, resolver, waiting: Mutex::default(), next: AtomicU64::new(0) }
    }

    /// The metrics of every shard, in shard order; `None` for one that does not answer in time.
    pub(crate) async fn snapshots(&self) -> Vec<Option<Snapshot>> {
        let asked: Vec<_> = (0..self.port.shards()).map(|shard| self.ask(ShardId(shard))).collect();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut snapshots = Vec::with_capacity(asked.len());
        for question in asked {
            snapshots.push(match question {
                Some((id, answer)) => self.answer(id, answer, deadline).await,
                None => None,
            });
        }
        snapshots
    }

    /// Log lines that the shards could not hand over.
    pub(crate) fn log_lines_lost(&self) -> u64 {
        self.port.logs_dropped()
    }

    fn ask(&self, shard: ShardId) -> Option<(u64, oneshot::Receiver<Reply>)> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(id, sender);
        match self.port.command(shard, id, Command::Metrics) {
            Ok(()) => Some((id, receiver)),
            Err(_) => {
                self.waiting().remove(&id);
                None
            }
        }
    }

    async fn answer(
        &self,
        id: u64,
        answer: oneshot::Receiver<Reply>,
        deadline: tokio::time::Instant,
    ) -> Option<Snapshot> {
        let reply = tokio::time::timeout_at(deadline, answer).await;
        self.waiting().remove(&id);
        match reply {
            Ok(Ok(Reply::Metrics(snapshot))) => Some(*snapshot),
            _ => None,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Reply>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, FromShard { shard, event }: FromShard) {
        match event {
            Event::Reply { id, reply } => {
                if let Some(asker) = self.waiting().remove(&id) {
                    // Nobody waits any more: the page was slower than its patience.
                    let _ = asker.send(reply);
                }
            }
            Event::Log(line) => log::write(shard, &line),
            Event::Resolve(query) => {
                let shards = Arc::clone(self);
                tokio::spawn(async move {
                    let resolved = shards.resolver.resolve(query).await;
                    shards.port.resolved(shard, resolved);
                });
            }
        }
    }
}

/// Takes what the shards say, for ever.
pub(crate) async fn pump(shards: Arc<Shards>) -> Infallible {
    let wake = Arc::new(Notify::new());
    let ring = Arc::clone(&wake);
    shards.port.on_event(move || ring.notify_one());
    loop {
        let taken = std::iter::from_fn(|| shards.port.poll())
            .take(EVENTS_PER_TURN)
            .map(|event| shards.take(event))
            .count();
        match taken {
            EVENTS_PER_TURN => tokio::task::yield_now().await,
            _ => wake.notified().await,
        }
    }
}
