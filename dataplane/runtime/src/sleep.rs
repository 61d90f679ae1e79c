//! The long sleep of a shard, in glommio's reactor; the breath that lets glommio look at its rings
//! while the shard is busy; and when the short sleep before the long one is worth while.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use glommio::io::BufferedFile;

use crate::doorbell::Bell;
use crate::streams::Streams;

/// Short sleeps in a row that end without an event before the next long sleep skips them: an idle
/// shard pays for one kind of sleep only.
const PATIENCE: u32 = 8;

type Reading = Pin<Box<dyn Future<Output = ()>>>;

/// Waits for the bell's eventfd on glommio's ring.
pub(crate) struct Sleeper {
    file: Rc<BufferedFile>,
    /// The pending read. Never dropped while it is pending: the kernel would still complete it, and
    /// the ring of the bell that it took would be lost.
    reading: Option<Reading>,
    in_vain: u32,
}

impl Sleeper {
    /// On the shard's executor.
    pub(crate) fn new(bell: &Bell) -> io::Result<Self> {
        let file = Rc::new(bell.executor_file()?);
        Ok(Self { file, reading: None, in_vain: 0 })
    }

    /// True when the last short sleeps were worth while.
    pub(crate) fn was_busy(&self) -> bool {
        self.in_vain < PATIENCE
    }

    /// How the last short sleep ended.
    pub(crate) fn slept_shortly(&mut self, something_came: bool) {
        self.in_vain = if something_came { 0 } else { self.in_vain.saturating_add(1) };
    }

    /// Let the executor look at its rings once: connections go on. Yielding alone would not do that
    /// before the preempt timer fires.
    pub(crate) async fn breathe(&mut self, bell: &Bell) {
        bell.ring_executor();
        let reading = pending(&mut self.reading, &self.file);
        std::future::poll_fn(|context| reading.as_mut().poll(context)).await;
        self.reading = None;
    }

    /// Sleep until the eventfd is written or a connection has something.
    pub(crate) async fn sleep(&mut self, streams: &Streams) {
        let reading = pending(&mut self.reading, &self.file);
        let bell_rang = std::future::poll_fn(|context| {
            if reading.as_mut().poll(context).is_ready() {
                return Poll::Ready(true);
            }
            streams.set_driver(context.waker().clone());
            if streams.is_empty() { Poll::Pending } else { Poll::Ready(false) }
        })
        .await;
        if bell_rang {
            self.reading = None;
            // Many events came while it slept: the next pause is likely to be short.
            self.in_vain = self.in_vain.min(PATIENCE - 1);
        }
    }
}

/// The read that is pending, or a new one.
fn pending<'a>(reading: &'a mut Option<Reading>, file: &Rc<BufferedFile>) -> &'a mut Reading {
    reading.get_or_insert_with(|| {
        let file = Rc::clone(file);
        Box::pin(async move {
            // An error would come again at once, and the loop looks at everything anyway.
            let _ = file.read_at(0, size_of::<u64>()).await;
        })
    })
}
