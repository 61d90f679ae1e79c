//! The thread of a shard: its executor, its recovery, then its driver.

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use pharos_engine::config::Config;
use pharos_engine::net::{ListenerId, Transport, shard_of};
use pharos_engine::{Input, Output, Shard, Span};
use pharos_storage::Request;
use pharos_storage_lmdb::{OpenError, Recall, Submitter};
use socket2::Socket;

use crate::clock::Clock;
use crate::config::{StreamLimits, Tuning};
use crate::control_link::ControlLink;
use crate::counters::Counters;
use crate::doorbell::Bell;
use crate::drive::{Driver, Port, World};
use crate::guard::Lease;
use crate::lanes::{LaneLink, Replies};
use crate::mesh::MeshEnd;
use crate::preflight::StartError;
use crate::ring::Ring;
use crate::shutdown::Stop;
use crate::sleep;
use crate::streams::Streams;

/// Longest run of tasks between two looks of glommio at its rings. The driver has it look when
/// there is something to see (`sleep`), so this is for nothing: a short one would wake an idle
/// shard, and makes the executor park with work left when the thread loses its processor at the
/// wrong place (`guard`).
const PREEMPT: Duration = Duration::from_secs(60);
/// Registered memory of the executor: nothing here uses it, and this is glommio's least.
const IO_MEMORY: usize = 64 << 10;
/// Operations of connections between two entries of the kernel.
const RING_DEPTH: usize = 512;

/// What a shard's thread is told until it runs.
pub(crate) enum Feed {
    /// Everything that is stored: its own part of that is to be read.
    Recall(Recall),
    /// Run.
    Begin {
        /// One bound socket for each listener.
        sockets: Vec<Socket>,
        /// The way to the lanes; `None` = memory.
        lanes: Option<Submitter>,
        /// The last stop was a clean one.
        clean: bool,
    },
}

/// All that a shard's thread starts with.
pub(crate) struct Seat {
    pub(crate) engine: Config,
    pub(crate) core: Option<usize>,
    pub(crate) streams: StreamLimits,
    pub(crate) drain: Span,
    pub(crate) tuning: Tuning,
    pub(crate) clock: Clock,
    pub(crate) stop: Arc<Stop>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) replies: Arc<Replies>,
    pub(crate) mesh: MeshEnd,
    pub(crate) control: ControlLink,
    pub(crate) fed: Receiver<Feed>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) say: Sender<Result<(), StartError>>,
}

impl Seat {
    /// The thread's whole life; true when everything was finished at the end.
    pub(crate) fn run(self) -> bool {
        match sleep::with_rings(|| executor(self.core)) {
            Ok((executor, rings)) => {
                let _ = self.say.send(Ok(()));
                executor.run(self.live(rings))
            }
            Err(error) => {
                let _ = self.say.send(Err(error));
                false
            }
        }
    }

    async fn live(mut self, rings: Vec<RawFd>) -> bool {
        let mut engine = Shard::new(self.engine.clone(), self.clock.now());
        let mut asked = Vec::new();
        loop {
            match self.fed.recv() {
                Ok(Feed::Recall(recall)) => {
                    let all = self.recall(&recall, &mut engine, &mut asked);
                    drop(recall);
                    let _ = self.say.send(all.map_err(StartError::Store));
                }
                Ok(Feed::Begin { sockets, lanes, clean }) => {
                    let say = self.say.clone();
                    match self.sit_down(engine, sockets, lanes, asked, &rings) {
                        Ok(driver) => {
                            let _ = say.send(Ok(()));
                            drop(say);
                            return driver.run(clean).await;
                        }
                        Err(error) => {
                            let _ = say.send(Err(error));
                            return false;
                        }
                    }
                }
                // The start failed elsewhere.
                Err(_) => return false,
            }
        }
    }

    /// Hand in every object of this shard. There are no sockets and no lanes yet: log lines go out,
    /// operations wait.
    fn recall(
        &mut self,
        recall: &Recall,
        engine: &mut Shard,
        asked: &mut Vec<Request>,
    ) -> Result<(), OpenError> {
        let (slots, shards, shard) = (self.engine.hash_size, self.engine.shards, self.engine.shard);
        let mine = |hash| shard_of(hash, slots, shards) == shard;
        recall.objects(mine, |object| {
            engine.handle(self.clock.now(), Input::Object(object));
            while let Some(output) = engine.poll_output() {
                match output {
                    Output::Store(request) => asked.push(request),
                    Output::Log(log) => self.control.log(log),
                    other => debug_assert!(false, "recovery does not talk: {other:?}"),
                }
            }
        })
    }

    fn sit_down(
        self,
        engine: Shard,
        sockets: Vec<Socket>,
        lanes: Option<Submitter>,
        asked: Vec<Request>,
        rings: &[RawFd],
    ) -> Result<Driver, StartError> {
        let failed = |doing| move |error| StartError::Shard { doing, error };
        let shard = self.engine.shard;
        let now = self.clock.instant();
        let streams = Streams::new(shard, self.streams, Arc::clone(&self.counters), self.clock);
        let (mut ports, mut by_listener, mut datagram) = (Vec::new(), Vec::new(), Vec::new());
        let bound: Vec<IpAddr> = self.engine.listeners.iter().map(|l| l.bound.ip()).collect();
        for (index, (configured, socket)) in self.engine.listeners.iter().zip(sockets).enumerate() {
            let listener = ListenerId(index as u16);
            match configured.transport {
                Transport::Udp => {
                    by_listener.push(Some(ports.len() as u16));
                    ports.push(Port { listener, bound: configured.bound.ip() });
                    datagram.push(socket);
                }
                Transport::Tcp => {
                    by_listener.push(None);
                    streams.listen(socket, listener).map_err(failed("a listening socket"))?;
                }
            }
        }
        let (mut ring, buffers) =
            sleep::apart(|| Ring::new(datagram, &self.bell, self.tuning.ring))
                .map_err(failed("an io_uring of a shard"))?;
        ring.watch(rings);
        let mut lanes = LaneLink::new(shard.0, lanes, self.replies, Arc::clone(&self.counters));
        for request in asked {
            lanes.submit(now, request);
        }
        let world = World {
            ring,
            ports,
            sockets: by_listener,
            bound,
            streams,
            mesh: self.mesh,
            lanes,
            control: self.control,
            counters: self.counters,
            unasked: Vec::new(),
            connect_limit: self.streams.connect,
            now,
        };
        let Self { bell, stop, clock, drain, tuning, lease, .. } = self;
        Driver::new(shard, engine, world, buffers, bell, stop, clock, drain, tuning, lease)
            .map_err(failed("the bell of a shard"))
    }
}

/// An executor on this thread, pinned when a core is given.
fn executor(core: Option<usize>) -> Result<LocalExecutor, StartError> {
    let placement = core.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement)
        .preempt_timer(PREEMPT)
        .io_memory(IO_MEMORY)
        .ring_depth(RING_DEPTH)
        .make()
        .map_err(|error| match core {
            Some(core) if !processors().contains(&core) => StartError::Processor(core),
            _ => {
                let error = std::io::Error::other(error.to_string());
                StartError::Shard { doing: "an executor", error }
            }
        })
}

/// The processors that are online.
fn processors() -> Vec<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let number = |text: &str| text.trim().parse::<usize>().ok();
    text.split(',')
        .filter_map(|range| match range.split_once('-') {
            Some((first, last)) => Some(number(first)?..=number(last)?),
            None => number(range).map(|one| one..=one),
        })
        .flatten()
        .collect()
}
