//! The guard: wakes executors that sleep although they have work.
//!
//! glommio 0.9 can do that: when the preempt timer fires after it was armed and before the first
//! task is run (the thread lost its processor in between), `run_task_queues` reports that nothing
//! ran, and the executor parks with its tasks ready. Nothing in its own rings wakes it then. With
//! a long preempt timer it takes a stop of that length at one certain place; still, a shard must
//! not stand for ever. A wake from another thread reaches the executor whatever it does, and costs
//! a healthy one nothing but a look.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::counters::Counters;
use crate::doorbell::Bell;

/// A shard that has made no turn for this long is woken.
const PERIOD: Duration = Duration::from_millis(250);

/// Where a shard leaves the waker of its driver.
#[derive(Debug, Default)]
pub(crate) struct Lease(Mutex<Option<Waker>>);

/// A shard as the guard sees it.
pub(crate) struct Watched {
    /// Says whether it turns.
    pub(crate) counters: Arc<Counters>,
    /// Says whether it sleeps where it should.
    pub(crate) bell: Arc<Bell>,
    /// Wakes it.
    pub(crate) lease: Arc<Lease>,
}

/// The thread that looks.
pub(crate) struct Guard {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Lease {
    /// Leave the waker of the calling task.
    pub(crate) async fn leave(&self) {
        std::future::poll_fn(|context| {
            self.set(Some(context.waker().clone()));
            Poll::Ready(())
        })
        .await;
    }

    /// Take it back, on the same thread.
    pub(crate) fn take_back(&self) {
        self.set(None);
    }

    fn set(&self, waker: Option<Waker>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waker;
    }

    fn wake(&self) {
        if let Some(waker) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake_by_ref();
        }
    }
}

impl Guard {
    /// Watch these shards.
    pub(crate) fn start(shards: Vec<Watched>) -> std::io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("shard-guard".into())
            .spawn(move || watch(&shards, &told))?;
        Ok(Self { over, thread })
    }

    /// Stop watching.
    pub(crate) fn stop(self) {
        self.over.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let _ = self.thread.join();
    }
}

fn watch(shards: &[Watched], over: &AtomicBool) {
    let mut seen = vec![u64::MAX; shards.len()];
    while !over.load(Ordering::Acquire) {
        std::thread::park_timeout(PERIOD);
        for (shard, seen) in shards.iter().zip(&mut seen) {
            let turns = shard.counters.turns.get();
            if turns == *seen && !shard.bell.is_asleep() {
                shard.lease.wake();
            }
            *seen = turns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};

    /// A task that nothing of its executor will ever wake, as if its wake had been lost.
    #[test]
    fn an_executor_that_stands_still_is_woken() {
        let (counters, lease) = (Arc::new(Counters::default()), Arc::new(Lease::default()));
        let bell = Arc::new(Bell::new().expect("eventfd"));
        let watched = Watched { counters, bell, lease: Arc::clone(&lease) };
        let guard = Guard::start(vec![watched]).expect("a thread");
        let executor = LocalExecutorBuilder::new(Placement::Unbound).make().expect("an executor");
        let polls = executor.run(async {
            lease.leave().await;
            let mut polls = 0;
            let polls = std::future::poll_fn(|_| {
                polls += 1;
                if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
            })
            .await;
            lease.take_back();
            polls
        });
        assert_eq!(polls, 3);
        guard.stop();
    }
}
