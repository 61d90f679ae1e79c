//! All lanes of a data directory: open, recover, run, close.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use pharos_storage::limits::COMMIT_WINDOW;
use pharos_storage::{Object, Refused, Request, StoreError, lane_of};

use crate::clock::Clock;
use crate::directory::{Directory, LANES_MAX};
use crate::env::LaneEnv;
use crate::error::OpenError;
use crate::gather::Gather;
use crate::log::{Log, SharedIndex};
use crate::probe::Probe;
use crate::queue::Queue;
use crate::reader::{Read, ReadSink, Reader};
use crate::scan::{self, Scan};
use crate::stats::{Health, Stats};
use crate::writer::{ReplySink, Work, Writer};

/// Reads that may wait in a lane: each is one recipient's messages.
const READS: usize = 4_096;

/// Objects that one [`Read`] may ask for.
pub const READ_OBJECTS: usize = 1_000;

/// Makes the probe of a lane, by its number.
pub type MakeProbe = Arc<dyn Fn(u16) -> Box<dyn Probe> + Send + Sync>;

/// How lanes are run. The default is what production uses.
#[derive(Clone)]
pub struct Options {
    /// Lanes of a directory that is made now; an old one keeps its own. `None`: one per 8 cores.
    pub lanes: Option<u16>,
    /// Address space of each lane, bytes; the file is sparse and grows as it is used. Storing is
    /// refused at 80 % of it.
    pub map_size: u64,
    /// Longest that an operation waits for others to be committed with; how long it does depends on
    /// what comes. Nothing: it never waits.
    pub commit_window: Duration,
    /// Dead bytes a log may hold beside as many as live ones: it stays within 2x live + slack.
    pub slack: u64,
    /// A tool, not a server: the directory keeps what it says about starts and the last stop.
    pub maintenance: bool,
    /// Called first on every thread of a lane, with the lane's number: pins it.
    pub on_thread: Option<Arc<dyn Fn(u16) + Send + Sync>>,
    /// Makes the probe of a lane, for tests.
    pub probe: Option<MakeProbe>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lanes: None,
            map_size: 64 << 30,
            commit_window: Duration::from_nanos(COMMIT_WINDOW),
            slack: 64 << 20,
            maintenance: false,
            on_thread: None,
            probe: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lanes, map_size, commit_window, slack, maintenance, .. } = self;
        f.debug_struct("Options")
            .field("lanes", lanes)
            .field("map_size", map_size)
            .field("commit_window", commit_window)
            .field("slack", slack)
            .field("maintenance", maintenance)
            .finish_non_exhaustive()
    }
}

/// A data directory whose lanes have been read but do not run yet.
pub struct Opened {
    directory: Directory,
    options: Options,
    logs: Vec<Log>,
    scan: Scan,
}

/// Running lanes. Dropping them stops them too, as an unclean stop.
pub struct Lanes {
    directory: Directory,
    maintenance: bool,
    submitter: Submitter,
    clock: Arc<dyn Clock>,
    /// Each lane's log comes back when its thread has ended.
    ended: Receiver<Log>,
    readers: Vec<thread::JoinHandle<()>>,
    quit_readers: Option<Sender<()>>,
}

/// The way into the lanes; one for each thread that stores.
#[derive(Clone)]
pub struct Submitter {
    queues: Arc<[Arc<Queue>]>,
    reads: Arc<[Sender<Read>]>,
}

/// Makes the sinks of a lane, by its number.
pub type Sinks<'s> = &'s mut dyn FnMut(u16) -> (Box<dyn ReplySink>, Box<dyn ReadSink>);

impl Lanes {
    /// Opens a data directory, makes it when there is none, and reads every lane.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing has been changed but a directory that did not exist.
    pub fn open(dir: &Path, options: Options) -> Result<Opened, OpenError> {
        let lanes = options.lanes.unwrap_or_else(default_lanes);
        let directory = Directory::open(dir, lanes.next_power_of_two().clamp(1, LANES_MAX))?;
        let (mut logs, mut scan) = (Vec::new(), Scan::default());
        for lane in 0..directory.meta.lanes {
            let folder = directory.lane(lane)?;
            let (log, found) = Log::open(lane, &folder, options.map_size, options.slack)
                .map_err(|error| OpenError::lane(&folder, &error))?;
            logs.push(log);
            scan.wall = scan.wall.max(found.wall);
            scan.highest = scan.highest.max(found.highest);
            scan.damaged += found.damaged;
        }
        if scan.damaged > 0 {
            let damaged = scan.damaged;
            tracing::error!(damaged, "records fail their checksum and were passed over");
        }
        Ok(Opened { directory, options, logs, scan })
    }

    /// A way in.
    pub fn submitter(&self) -> Submitter {
        self.submitter.clone()
    }

    /// Takes nothing new, commits what was taken, answers it, and marks the directory as cleanly
    /// stopped when all of that was done within the time. `Ok(false)`: it was not, so that the next
    /// start treats it as a crash; nothing acknowledged is lost by that.
    ///
    /// # Errors
    /// The mark could not be written; the same follows.
    pub fn close(mut self, within: Duration) -> Result<bool, OpenError> {
        let good = self.stop(within);
        if good && !self.maintenance {
            self.directory.stopped()?;
        }
        Ok(good)
    }

    fn stop(&mut self, within: Duration) -> bool {
        self.quit_readers = None;
        let queues = &self.submitter.queues;
        let failed = || queues.iter().map(|queue| queue.stats.failed.load(Relaxed)).sum::<u64>();
        let before = failed();
        queues.iter().for_each(|queue| queue.close());
        let deadline = self.clock.nanos().saturating_add(within.as_nanos() as u64);
        let mut logs = Vec::new();
        while logs.len() < queues.len() {
            let left = deadline.saturating_sub(self.clock.nanos());
            match self.ended.recv_timeout(Duration::from_nanos(left)) {
                Ok(log) => logs.push(log),
                Err(_) => return false,
            }
        }
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        for log in logs {
            log.close();
        }
        let closed = |queue: &Arc<Queue>| queue.stats.health() == Health::Closed;
        failed() == before && !queues.iter().any(closed)
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        if self.quit_readers.is_some() {
            self.stop(Duration::from_secs(10));
        }
    }
}

impl Opened {
    /// Key of the AoR hash ([`pharos_storage::aor_hash`]).
    pub const fn key(&self) -> [u8; 16] {
        self.directory.meta.key
    }

    /// Number of lanes.
    pub const fn lanes(&self) -> u16 {
        self.directory.meta.lanes
    }

    /// How often a server has started here before.
    pub const fn boots(&self) -> u64 {
        self.directory.meta.boots
    }

    /// The last process stopped in order (or there was none).
    pub const fn clean(&self) -> bool {
        self.directory.meta.clean
    }

    /// The newest wall clock of a commit, ms since 1970; 0 when there is none. Wall time goes on
    /// from here if the machine's clock is behind.
    pub const fn wall(&self) -> u64 {
        self.scan.wall
    }

    /// The highest object id ever given out here; the next ones are above it.
    pub const fn highest_id(&self) -> u64 {
        self.scan.highest
    }

    /// Records that failed their checksum: each may be an object that is lost, or present in an
    /// older version. `pharos db verify` names them.
    pub const fn damaged(&self) -> u64 {
        self.scan.damaged
    }

    /// The objects, to be read by any thread, and by several at once.
    pub fn recall(&self) -> Recall {
        let lanes = self.logs.iter().map(|log| (log.env().clone(), log.shared_index()));
        Recall { folder: self.directory.path().into(), lanes: lanes.collect() }
    }

    /// Hands out every object, lane by lane, in log order.
    ///
    /// # Errors
    /// A lane could not be read to its end.
    pub fn objects(&self, each: impl FnMut(Object<'_>)) -> Result<(), OpenError> {
        self.recall().objects(|_| true, each)
    }

    /// Starts the lanes' threads. From now until [`Lanes::close`] a stop is an unclean one.
    ///
    /// # Errors
    /// The mark of the start could not be written, or a thread not be made.
    pub fn start(mut self, clock: &Arc<dyn Clock>, sinks: Sinks<'_>) -> Result<Lanes, OpenError> {
        if !self.options.maintenance {
            self.directory.started()?;
        }
        let (mut queues, mut reads, mut readers) = (Vec::new(), Vec::new(), Vec::new());
        let (end, ended) = bounded(self.logs.len());
        let (quit_readers, quit) = bounded(0);
        for (lane, mut log) in (0_u16..).zip(std::mem::take(&mut self.logs)) {
            let (reply_sink, read_sink) = sinks(lane);
            let (ask, asked) = bounded(READS);
            let (env, index) = (log.env().clone(), log.shared_index());
            let clock = || Arc::clone(clock);
            let quit = quit.clone();
            let reader = Reader { env, index, asked, quit, sink: read_sink, clock: clock() };
            readers.push(self.spawn(lane, "read", move || reader.run())?);
            log.set_probe(self.options.probe.as_ref().map(|make| make(lane)));
            let (queue, parker) = Queue::new(self.options.map_size / 10 * 8);
            queue.stats.damaged.store(self.scan.damaged, Relaxed);
            let writer = Writer {
                lane,
                queue: Arc::clone(&queue),
                parker,
                log,
                clock: clock(),
                sink: reply_sink,
                gather: Gather::new(self.options.commit_window.as_nanos() as u64),
                work: Work::default(),
            };
            let end = end.clone();
            self.spawn(lane, "write", move || {
                let _ = end.send(writer.run());
            })?;
            queues.push(queue);
            reads.push(ask);
        }
        Ok(Lanes {
            directory: self.directory,
            maintenance: self.options.maintenance,
            submitter: Submitter { queues: queues.into(), reads: reads.into() },
            clock: Arc::clone(clock),
            ended,
            readers,
            quit_readers: Some(quit_readers),
        })
    }

    fn spawn(
        &self,
        lane: u16,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<thread::JoinHandle<()>, OpenError> {
        let on_thread = self.options.on_thread.clone();
        thread::Builder::new()
            .name(format!("lane-{lane}-{name}"))
            .spawn(move || {
                if let Some(on_thread) = on_thread {
                    on_thread(lane);
                }
                body();
            })
            .map_err(|error| OpenError::io(self.directory.path(), error))
    }
}

/// The objects of lanes that do not run yet. To be dropped before the lanes are closed.
#[derive(Clone)]
pub struct Recall {
    folder: PathBuf,
    lanes: Vec<(LaneEnv, SharedIndex)>,
}

impl Recall {
    /// Hands out every object whose hash is wanted, lane by lane, in log order. Each shard reads
    /// its own on its own thread: what is there is looked at in place and copied by nobody.
    ///
    /// # Errors
    /// A lane could not be read to its end.
    pub fn objects(
        &self,
        wanted: impl Fn(u64) -> bool,
        mut each: impl FnMut(Object<'_>),
    ) -> Result<(), OpenError> {
        for (env, index) in &self.lanes {
            let index = index.read().unwrap_or_else(PoisonError::into_inner);
            scan::objects(env, &index, &wanted, &mut each)
                .map_err(|error| OpenError::lane(&self.folder, &error))?;
        }
        Ok(())
    }
}

impl Submitter {
    /// Hands a request to the lane of its hash. `now` is the time of the lanes' [`Clock`];
    /// `origin` comes back with the reply. Never blocks. What is handed in while another thread
    /// closes the lanes may stay without a reply, as in a crash.
    ///
    /// # Errors
    /// Not queued, see [`Refused`]: it will never take effect, and no reply comes.
    pub fn submit(&self, now: u64, origin: u16, request: Request) -> Result<(), Refused> {
        self.queues[self.lane(request.hash)].submit(now, origin, request)
    }

    /// Asks for objects. Never blocks.
    ///
    /// # Errors
    /// Too many reads wait ([`StoreError::Busy`]), it asks for too many objects
    /// ([`StoreError::TooLarge`]), or the lanes are closing.
    pub fn read(&self, read: Read) -> Result<(), (Read, StoreError)> {
        if read.ids.len() > READ_OBJECTS {
            return Err((read, StoreError::TooLarge));
        }
        self.reads[self.lane(read.hash)].try_send(read).map_err(|error| match error {
            TrySendError::Full(read) => (read, StoreError::Busy),
            TrySendError::Disconnected(read) => (read, StoreError::Closed),
        })
    }

    /// Each lane's counters, by its number.
    pub fn stats(&self) -> impl ExactSizeIterator<Item = &Stats> {
        self.queues.iter().map(|queue| &queue.stats)
    }

    fn lane(&self, hash: u64) -> usize {
        lane_of(hash, self.queues.len() as u16).into()
    }
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").field("lanes", &self.queues.len()).finish()
    }
}

/// One lane per 8 cores: a lane commits some 400 000 updates a second, eight shards ask for less.
fn default_lanes() -> u16 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores / 8).unwrap_or(LANES_MAX).max(1)
}
