//! From nothing to running shards, and back: check, open, recover, bind, run; drain, close.
//!
//! Each shard's thread first reads its stored objects, then says that it is ready; only when all
//! are are sockets bound, so that no request meets a half-recovered server.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use pharos_engine::config::Listener;
use pharos_engine::counters::Snapshot;
use pharos_engine::net::{ShardId, Transport};
use pharos_engine::{Span, Wall};
use pharos_storage_lmdb::{Lanes, Opened, Submitter};
use socket2::Socket;

use crate::clock::Clock;
use crate::config::{RuntimeConfig, Store};
use crate::control_link::{ControlPort, control_link};
use crate::counters::Counters;
use crate::doorbell::Bell;
use crate::guard::{Guard, Lease, Watched};
use crate::lanes::{NoReads, Postman, Replies};
use crate::mesh::mesh;
use crate::preflight::{self, StartError};
use crate::shard::{Feed, Seat};
use crate::shutdown::{Stop, Stopped};
use crate::socket;
use crate::spread::Program;

/// Time that the lanes get to commit what they have, once the shards are done.
const CLOSE_LANES: Duration = Duration::from_secs(10);

/// The server of this process.
pub struct Runtime;

/// A running server. Dropping it without [`Handle::shutdown`] leaves it running.
pub struct Handle {
    control: ControlPort,
    gauges: Gauges,
    listeners: Vec<Listener>,
    stop: Arc<Stop>,
    bells: Vec<Arc<Bell>>,
    threads: Vec<JoinHandle<bool>>,
    guard: Guard,
    lanes: Option<Lanes>,
}

/// Figures of the runtime and the lanes, for the control plane; clones read the same.
#[derive(Clone)]
pub struct Gauges {
    shards: Arc<[Arc<Counters>]>,
    lanes: Option<Submitter>,
    clock: Clock,
}

/// What all shards of a start have in common.
struct Common {
    clock: Clock,
    stop: Arc<Stop>,
    bells: Vec<Arc<Bell>>,
    counters: Arc<[Arc<Counters>]>,
    replies: Vec<Arc<Replies>>,
    leases: Vec<Arc<Lease>>,
}

/// The threads of a start, each with the way to feed it and to hear from it.
struct Started {
    threads: Vec<JoinHandle<bool>>,
    feeds: Vec<Sender<Feed>>,
    heard: Receiver<Result<(), StartError>>,
}

impl Runtime {
    /// Start the server: returns once every shard answers.
    ///
    /// # Errors
    /// What is missing and what to do about it; nothing is left running.
    pub fn start(mut config: RuntimeConfig) -> Result<Handle, StartError> {
        assert!(config.shards > 0, "a server has at least one shard");
        config.engine.listeners = preflight::check(&config)?;
        let opened = match &config.store {
            Store::Memory => None,
            Store::Lanes { directory, options } => {
                Some(Lanes::open(directory, options.clone()).map_err(StartError::Store)?)
            }
        };
        let clock = Clock::new(Wall(opened.as_ref().map_or(0, Opened::wall)));
        warn_of_jump(&clock);
        config.engine.key = match &opened {
            Some(opened) => opened.key(),
            None => random()?,
        };
        config.engine.first_object = opened.as_ref().map_or(0, Opened::highest_id) + 1;
        let common = Common::new(&config, clock)?;
        let (control, links) = control_link(&common.bells);
        let started = start_threads(&config, &common, links)?;
        let (lanes, clean) = recover(opened, &common, &started)?;
        bind(&config, &started, lanes.as_ref().map(Lanes::submitter).as_ref(), clean)?;
        let watched = (0..common.bells.len()).map(|index| Watched {
            counters: Arc::clone(&common.counters[index]),
            bell: Arc::clone(&common.bells[index]),
            lease: Arc::clone(&common.leases[index]),
        });
        let guard = Guard::start(watched.collect())
            .map_err(|error| StartError::Shard { doing: "the guard's thread", error })?;
        let gauges = Gauges {
            shards: Arc::clone(&common.counters),
            lanes: lanes.as_ref().map(Lanes::submitter),
            clock,
        };
        Ok(Handle {
            control,
            gauges,
            listeners: config.engine.listeners,
            stop: common.stop,
            bells: common.bells,
            threads: started.threads,
            guard,
            lanes,
        })
    }
}

impl Common {
    fn new(config: &RuntimeConfig, clock: Clock) -> Result<Self, StartError> {
        let bells: Result<Vec<_>, _> =
            (0..config.shards).map(|_| Bell::new().map(Arc::new)).collect();
        let bells = bells.map_err(|error| StartError::Shard { doing: "eventfd", error })?;
        Ok(Self {
            clock,
            stop: Arc::new(Stop::new(config.shards)),
            bells,
            counters: (0..config.shards).map(|_| Arc::default()).collect(),
            replies: (0..config.shards).map(|_| Arc::default()).collect(),
            leases: (0..config.shards).map(|_| Arc::default()).collect(),
        })
    }
}

/// One thread for each shard. They recover what they are fed.
fn start_threads(
    config: &RuntimeConfig,
    common: &Common,
    links: Vec<crate::control_link::ControlLink>,
) -> Result<Started, StartError> {
    let (say, heard) = channel();
    let (mut threads, mut feeds) = (Vec::new(), Vec::new());
    for ((shard, link), mesh) in (0..config.shards).zip(links).zip(mesh(&common.bells)) {
        let (feed, fed) = channel();
        let index = usize::from(shard);
        let mut engine = config.engine.clone();
        engine.shard = ShardId(shard);
        engine.shards = config.shards;
        engine.seed = random()?;
        engine.first_object = config.engine.first_object + u64::from(shard);
        let seat = Seat {
            engine,
            core: config.cores.get(index % config.cores.len().max(1)).copied(),
            streams: config.streams,
            drain: config.drain,
            tuning: config.tuning,
            clock: common.clock,
            stop: Arc::clone(&common.stop),
            bell: Arc::clone(&common.bells[index]),
            counters: Arc::clone(&common.counters[index]),
            replies: Arc::clone(&common.replies[index]),
            lease: Arc::clone(&common.leases[index]),
            mesh,
            control: link,
            fed,
            say: Sender::clone(&say),
        };
        let thread = std::thread::Builder::new()
            .name(format!("shard-{shard}"))
            .spawn(move || seat.run())
            .map_err(|error| StartError::Shard { doing: "a thread of a shard", error })?;
        threads.push(thread);
        feeds.push(feed);
    }
    Ok(Started { threads, feeds, heard })
}

impl Started {
    /// Wait until every shard has said that it is through with what it was fed.
    fn wait(&self) -> Result<(), StartError> {
        for _ in &self.feeds {
            let failed = || StartError::Shard {
                doing: "a shard's thread ended",
                error: io::ErrorKind::BrokenPipe.into(),
            };
            self.heard.recv().map_err(|_| failed())??;
        }
        Ok(())
    }

    fn feed(&self, shard: usize, feed: Feed) {
        // A thread that has ended has said why, and `wait` returns it.
        let _ = self.feeds[shard].send(feed);
    }
}

/// Let every shard read its stored objects, then start the lanes.
fn recover(
    opened: Option<Opened>,
    common: &Common,
    started: &Started,
) -> Result<(Option<Lanes>, bool), StartError> {
    // Each thread has made its executor before it is fed.
    started.wait()?;
    let Some(opened) = opened else { return Ok((None, true)) };
    let clean = opened.clean();
    for shard in 0..started.feeds.len() {
        started.feed(shard, Feed::Recall(opened.recall()));
    }
    started.wait()?;
    let clock: Arc<dyn pharos_storage_lmdb::Clock> = Arc::new(common.clock);
    let places = || common.replies.iter().cloned().zip(common.bells.iter().cloned()).collect();
    let lanes = opened
        .start(&clock, &mut |_| (Box::new(Postman::new(places())), Box::new(NoReads)))
        .map_err(StartError::Store)?;
    Ok((Some(lanes), clean))
}

/// A burst that finds no room is lost without a trace in the server.
fn tell_of_small_buffers(socket: &Socket, asked: usize) {
    // The kernel doubles what it was asked for, to account for its own headers.
    let given = socket.recv_buffer_size().unwrap_or(usize::MAX) / 2;
    if given < asked {
        tracing::info!(
            given,
            asked,
            "the kernel gives UDP sockets less buffer than asked for: net.core.rmem_max"
        );
    }
}

/// Bind every listener once for each shard and let them begin.
fn bind(
    config: &RuntimeConfig,
    started: &Started,
    lanes: Option<&Submitter>,
    clean: bool,
) -> Result<(), StartError> {
    let listeners = &config.engine.listeners;
    let mut sockets: Vec<Vec<Socket>> = started.feeds.iter().map(|_| Vec::new()).collect();
    for listener in listeners {
        let (address, transport) = (listener.bound, listener.transport);
        let failed = |error| StartError::Address { address, transport, owner: None, error };
        for sockets in &mut sockets {
            let socket = match transport {
                Transport::Udp => socket::bind_udp(address, config.tuning.sockets),
                Transport::Tcp => socket::listen_tcp(address),
            };
            sockets.push(socket.map_err(failed)?);
        }
        if transport == Transport::Udp
            && let [first, _, ..] = &sockets[..]
            && let Some(socket) = first.last()
        {
            let contact_user = &config.engine.presence.contact_user;
            let program = Program::new(u32::from(config.shards), contact_user);
            socket::attach(socket, &program).map_err(failed)?;
        }
    }
    let datagrams = listeners.iter().position(|listener| listener.transport == Transport::Udp);
    if let Some(socket) = datagrams.and_then(|index| sockets.first()?.get(index)) {
        tell_of_small_buffers(socket, config.tuning.sockets.receive);
    }
    for (shard, sockets) in sockets.into_iter().enumerate() {
        let lanes = lanes.cloned();
        started.feed(shard, Feed::Begin { sockets, lanes, clean });
    }
    started.wait()
}

fn warn_of_jump(clock: &Clock) {
    let hours = |span: Span| span.as_millis() / 3_600_000;
    match clock.jump() {
        Some(Ok(span)) => {
            tracing::warn!(hours = hours(span), "the clock is far ahead of the last stored time");
        }
        Some(Err(span)) => tracing::warn!(
            hours = hours(span),
            "the clock is far behind the last stored time, which is used until it has passed"
        ),
        None => {}
    }
}

/// Bytes from the operating system's generator.
fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| StartError::Shard { doing: "reading /dev/urandom", error })?;
    Ok(bytes)
}

impl Handle {
    /// The control side's end of the link to the shards.
    pub fn control(&self) -> ControlPort {
        self.control.clone()
    }

    /// Figures of runtime and lanes.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// The listeners with the addresses they are bound to.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Stop in order: take nothing new, finish what is in flight, commit, close. Takes at most the
    /// configured time and ten seconds more for a slow disk.
    ///
    /// # Errors
    /// The mark of a clean stop could not be written; nothing acknowledged is lost by that.
    pub fn shutdown(self) -> Result<Stopped, StartError> {
        self.stop.drain();
        for bell in &self.bells {
            bell.ring();
        }
        let mut drained = true;
        for thread in self.threads {
            drained &= thread.join().unwrap_or(false);
        }
        self.guard.stop();
        let Some(lanes) = self.lanes else { return Ok(Stopped { clean: drained }) };
        if drained {
            let clean = lanes.close(CLOSE_LANES).map_err(StartError::Store)?;
            Ok(Stopped { clean })
        } else {
            // Dropping commits what was taken and leaves the mark of an unclean stop.
            drop(lanes);
            Ok(Stopped { clean: false })
        }
    }
}

impl Gauges {
    /// Counters and gauges of each shard's runtime.
    pub fn shards(&self) -> impl Iterator<Item = (ShardId, Snapshot)> {
        (0_u16..).zip(self.shards.iter()).map(|(shard, c)| (ShardId(shard), c.snapshot()))
    }

    /// Each lane's state, by its number; empty for a store in memory.
    pub fn lanes(&self) -> Vec<pharos_storage_lmdb::Snapshot> {
        let now = self.clock.instant().0;
        let lanes = self.lanes.as_ref();
        lanes.map(|l| l.stats().map(|s| s.snapshot(now)).collect()).unwrap_or_default()
    }
}
