//! One connection: bytes in and out between its task, which owns the stream, and the shard's
//! driver.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use pharos_engine::Instant;
use pharos_engine::net::{FlowId, ListenerId, Path};
use pharos_parser::FrameError;
use pharos_parser::frame::{Frame, Framer};

use super::Hub;

/// Bytes read at a time.
pub(super) const CHUNK: usize = 16 << 10;
/// Unread bytes that a connection may hold: the largest message and a chunk behind it.
const INPUT_LIMIT: usize =
    pharos_parser::limits::STREAM_HEAD + pharos_parser::limits::STREAM_BODY + CHUNK;
/// Reads of one connection before the next has its turn.
const READS_PER_TURN: usize = 4;
/// Capacity that an empty buffer keeps.
const KEEP_BYTES: usize = 4 << 10;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Being made: what is sent waits.
    Connecting,
    /// Up.
    Open,
    /// To be closed once what was written is sent; nothing more is read.
    Closing,
    /// Gone; the engine is told after the last whole message.
    Gone,
}

/// What was read and not handled yet.
pub(super) struct Incoming {
    bytes: Vec<u8>,
    start: usize,
    framer: Framer,
}

/// What was written and not sent yet.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    start: usize,
}

/// Shared by the connection's task and the driver, which run on one thread and never at once.
pub(super) struct Connection {
    pub(super) flow: FlowId,
    pub(super) listener: ListenerId,
    pub(super) local: Cell<IpAddr>,
    pub(super) peer: SocketAddr,
    pub(super) phase: Cell<Phase>,
    pub(super) incoming: RefCell<Incoming>,
    outgoing: RefCell<Outgoing>,
    /// In the list of connections that have something for the driver.
    pub(super) listed: Cell<bool>,
    /// Last time anything was read.
    pub(super) last_read: Cell<Instant>,
    /// Since when a message has been incomplete.
    pub(super) incomplete_since: Cell<Option<Instant>>,
    /// Since when the peer has taken nothing of what waits.
    pub(super) unsent_since: Cell<Option<Instant>>,
    /// Since when it has been closing.
    pub(super) closing_since: Cell<Option<Instant>>,
    task: Cell<Option<Waker>>,
}

impl Incoming {
    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// What comes first.
    pub(super) fn frame(&mut self) -> Result<Frame, FrameError> {
        self.framer.next(&self.bytes[self.start..])
    }

    /// Take `count` bytes from the front.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        assert!(self.start <= self.bytes.len(), "a frame lies within what is there");
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEEP_BYTES);
            self.start = 0;
        }
    }

    /// Bytes that may still be read.
    pub(super) fn room(&self) -> usize {
        INPUT_LIMIT.saturating_sub(self.bytes().len())
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Connection {
    /// A connection of which nothing has been read.
    pub(super) fn new(flow: FlowId, path: Path, phase: Phase, now: Instant) -> Rc<Self> {
        Rc::new(Self {
            flow,
            listener: path.listener,
            local: Cell::new(path.local),
            peer: path.peer,
            phase: Cell::new(phase),
            incoming: RefCell::new(Incoming {
                bytes: Vec::new(),
                start: 0,
                framer: Framer::default(),
            }),
            outgoing: RefCell::default(),
            listed: Cell::new(false),
            last_read: Cell::new(now),
            incomplete_since: Cell::new(None),
            unsent_since: Cell::new(None),
            closing_since: Cell::new(None),
            task: Cell::new(None),
        })
    }

    /// How its messages come.
    pub(super) fn path(&self) -> Path {
        let (listener, local, peer) = (self.listener, self.local.get(), self.peer);
        Path { listener, flow: Some(self.flow), local, peer }
    }

    /// Queue bytes; false when more than `limit` would wait.
    pub(super) fn send(&self, bytes: &[u8], limit: usize, now: Instant) -> bool {
        let mut out = self.outgoing.borrow_mut();
        if out.bytes.len() - out.start + bytes.len() > limit {
            return false;
        }
        out.bytes.extend_from_slice(bytes);
        if self.unsent_since.get().is_none() {
            self.unsent_since.set(Some(now));
        }
        drop(out);
        self.wake();
        true
    }

    /// True when everything written has been handed to the kernel.
    pub(super) fn is_flushed(&self) -> bool {
        let out = self.outgoing.borrow();
        out.start == out.bytes.len()
    }

    /// Have the task look again.
    pub(super) fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// The task of a connection: moves bytes until the connection ends, whoever ends it.
    pub(super) async fn serve(self: Rc<Self>, mut stream: TcpStream, hub: Rc<Hub>) {
        let mut shut = false;
        std::future::poll_fn(|context| {
            hub.moved.set(true);
            self.task.set(Some(context.waker().clone()));
            match self.turn(&mut stream, context, &hub, &mut shut) {
                Ok(()) if self.phase.get() != Phase::Gone => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
        self.task.set(None);
        self.phase.set(Phase::Gone);
        hub.list(&self);
    }

    fn turn(
        self: &Rc<Self>,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
        hub: &Hub,
        shut: &mut bool,
    ) -> io::Result<()> {
        self.write(stream, context, hub)?;
        if self.phase.get() == Phase::Closing && self.is_flushed() && !*shut {
            // Our half first: closing both with input unread would take back what was just sent.
            *shut = true;
            let _ = Pin::new(&mut *stream).poll_close(context);
        }
        self.read(stream, context, hub)
    }

    /// Send what waits, as far as it goes. `Err` ends the connection.
    fn write(
        &self,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
        hub: &Hub,
    ) -> io::Result<()> {
        let mut out = self.outgoing.borrow_mut();
        while out.start < out.bytes.len() {
            match Pin::new(&mut *stream).poll_write(context, &out.bytes[out.start..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    out.start += count;
                    self.unsent_since.set(Some(hub.clock.instant()));
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        self.unsent_since.set(None);
        out.bytes.clear();
        out.bytes.shrink_to(KEEP_BYTES);
        out.start = 0;
        Ok(())
    }

    /// Read what there is, as far as there is room. `Err` ends the connection.
    fn read(
        self: &Rc<Self>,
        stream: &mut TcpStream,
        context: &mut Context<'_>,
        hub: &Hub,
    ) -> io::Result<()> {
        let closing = self.phase.get() == Phase::Closing;
        for _ in 0..READS_PER_TURN {
            let room = if closing { CHUNK } else { self.incoming.borrow().room() };
            if room == 0 {
                // The driver wakes this task when it has made room.
                return Ok(());
            }
            let mut chunk = hub.chunk.borrow_mut();
            let limit = chunk.len().min(room);
            match Pin::new(&mut *stream).poll_read(context, &mut chunk[..limit]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                // Nobody listens to what a closing connection still says.
                Poll::Ready(Ok(_)) if closing => {}
                Poll::Ready(Ok(count)) => {
                    self.incoming.borrow_mut().append(&chunk[..count]);
                    self.last_read.set(hub.clock.instant());
                    hub.list(self);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        context.waker().wake_by_ref();
        Ok(())
    }
}
