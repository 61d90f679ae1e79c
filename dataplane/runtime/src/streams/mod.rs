//! The connections of a shard: accepted and opened, framed, bounded, and told to the engine.
//!
//! Each connection has one task that owns its glommio stream and does nothing but move bytes; the
//! driver takes whole messages from those that have some, one message a connection and turn. A peer
//! that does not read fills its own buffer up to the limit and is closed; it never keeps the shard
//! or another peer waiting.

mod connection;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use glommio::net::{TcpListener, TcpStream};
use pharos_engine::net::{FlowId, ListenerId, Path, ShardId};
use pharos_engine::{Instant, Span};
use pharos_parser::FrameError;
use pharos_parser::frame::Frame;
use socket2::Socket;

use crate::clock::Clock;
use crate::config::StreamLimits;
use crate::counters::Counters;
use crate::socket;
use connection::{CHUNK, Connection, Phase};

/// Time between two looks for connections on which nothing moves: a hundredth of the shortest limit
/// would be more exact than anybody needs.
const SWEEP: Span = Span::seconds(2);

/// What a connection has for the engine.
#[derive(Debug)]
pub(crate) enum StreamEvent<'a> {
    /// A whole message, or a keep-alive.
    Message(Path, &'a [u8]),
    /// It cannot be framed any more.
    Unframed(Path, &'a [u8], FrameError),
    /// It is up.
    Opened(FlowId),
    /// It is gone.
    Closed(FlowId),
}

/// What tasks and driver share.
struct Hub {
    shard: ShardId,
    limits: StreamLimits,
    counters: Arc<Counters>,
    connections: RefCell<HashMap<FlowId, Rc<Connection>>>,
    /// Connections that have something for the driver.
    ready: RefCell<VecDeque<Rc<Connection>>>,
    /// Flows that are up, or that somebody wrote to although they are gone.
    news: RefCell<VecDeque<News>>,
    /// A task ran: it may have asked glommio for something.
    moved: Cell<bool>,
    chunk: RefCell<Box<[u8]>>,
    serial: Cell<u64>,
    clock: Clock,
    /// Second handles to the listening sockets, to shut them down by.
    listeners: RefCell<Vec<Socket>>,
    next_sweep: Cell<Instant>,
    /// Accepts that failed for want of descriptors or memory: they go on after the next sweep. No
    /// glommio timer for that: one that is armed just before a sleep may never fire.
    paused: RefCell<Vec<Waker>>,
    stopping: Cell<bool>,
}

enum News {
    Opened(FlowId),
    Closed(FlowId),
}

/// All connections of a shard; clones are handles to the same.
#[derive(Clone)]
pub(crate) struct Streams {
    hub: Rc<Hub>,
}

impl Hub {
    /// Put a connection on the driver's list.
    fn list(&self, connection: &Rc<Connection>) {
        if !connection.listed.replace(true) {
            self.ready.borrow_mut().push_back(Rc::clone(connection));
        }
    }

    fn tell(&self, news: News) {
        self.news.borrow_mut().push_back(news);
    }

    fn is_full(&self) -> bool {
        self.connections.borrow().len() >= self.limits.connections as usize
    }

    fn insert(&self, connection: Rc<Connection>) {
        let mut connections = self.connections.borrow_mut();
        connections.insert(connection.flow, connection);
        self.counters.connections.set(connections.len() as u64);
    }

    /// Take a connection that somebody else opened.
    fn accepted(self: &Rc<Self>, stream: TcpStream, listener: ListenerId) {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
        if self.is_full() {
            self.counters.connections_refused.add(1);
            return;
        }
        self.counters.connections_accepted.add(1);
        let serial = self.serial.replace(self.serial.get() + 1);
        let flow = FlowId::accepted(self.shard, serial);
        let path = Path { listener, flow: Some(flow), local: local.ip(), peer };
        let connection = Connection::new(flow, path, Phase::Open, self.clock.instant());
        self.insert(Rc::clone(&connection));
        glommio::spawn_local(connection.serve(stream, Rc::clone(self))).detach();
    }

    /// Accept on one listener until the shard stops. Nothing is wrapped around `accept`: dropping a
    /// pending one could lose a connection.
    async fn accept(self: Rc<Self>, socket: TcpListener, listener: ListenerId) {
        while !self.stopping.get() {
            self.moved.set(true);
            let accepted = socket.accept().await;
            self.moved.set(true);
            match accepted {
                Ok(stream) if !self.stopping.get() => self.accepted(stream, listener),
                Ok(_) => {}
                Err(_) if self.stopping.get() => {}
                Err(_) => self.pause().await,
            }
        }
    }

    /// Until the next sweep.
    async fn pause(&self) {
        let mut asked = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            self.paused.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Streams {
    /// No connection yet.
    pub(crate) fn new(
        shard: ShardId,
        limits: StreamLimits,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> Self {
        let hub = Hub {
            shard,
            limits,
            counters,
            connections: RefCell::default(),
            ready: RefCell::default(),
            news: RefCell::default(),
            moved: Cell::new(false),
            chunk: RefCell::new(vec![0; CHUNK].into()),
            serial: Cell::new(0),
            clock,
            listeners: RefCell::default(),
            next_sweep: Cell::new(clock.instant() + SWEEP),
            paused: RefCell::default(),
            stopping: Cell::new(false),
        };
        Self { hub: Rc::new(hub) }
    }

    /// Accept connections of a listening socket.
    pub(crate) fn listen(&self, socket: Socket, listener: ListenerId) -> io::Result<()> {
        self.hub.listeners.borrow_mut().push(socket.try_clone()?);
        let socket = socket::glommio_listener(socket);
        glommio::spawn_local(Rc::clone(&self.hub).accept(socket, listener)).detach();
        Ok(())
    }

    /// A connection that the engine asked for begins: what is sent waits for it. `None` when there
    /// are too many or no socket can be made; the engine is told. Else the socket to connect.
    pub(crate) fn begin(
        &self,
        flow: FlowId,
        listener: ListenerId,
        source: IpAddr,
        peer: SocketAddr,
    ) -> Option<Socket> {
        let socket =
            if self.hub.is_full() { None } else { socket::outgoing_tcp(source, peer).ok() };
        if socket.is_some() {
            let path = Path { listener, flow: Some(flow), local: source, peer };
            let now = self.hub.clock.instant();
            self.hub.insert(Connection::new(flow, path, Phase::Connecting, now));
        } else {
            self.hub.tell(News::Closed(flow));
        }
        socket
    }

    /// The outcome of a connect.
    pub(crate) fn connected(&self, flow: FlowId, result: io::Result<Socket>) {
        let Some(connection) = self.hub.connections.borrow().get(&flow).cloned() else { return };
        let local = result.as_ref().ok().and_then(|s| s.local_addr().ok()?.as_socket());
        match (result, local) {
            (Ok(socket), Some(local)) if connection.phase.get() != Phase::Gone => {
                // Failing to set it costs latency, nothing else.
                let _ = socket.set_tcp_nodelay(true);
                connection.local.set(local.ip());
                if connection.phase.get() == Phase::Connecting {
                    connection.phase.set(Phase::Open);
                }
                connection.last_read.set(self.hub.clock.instant());
                self.hub.tell(News::Opened(flow));
                let stream = socket::glommio_stream(socket);
                glommio::spawn_local(connection.serve(stream, Rc::clone(&self.hub))).detach();
            }
            _ => {
                connection.phase.set(Phase::Gone);
                self.hub.list(&connection);
            }
        }
    }

    /// Send a message on a connection. One that is gone is reported closed once more.
    pub(crate) fn send(&self, flow: FlowId, bytes: &[u8]) {
        let connection = self.hub.connections.borrow().get(&flow).cloned();
        match connection {
            Some(connection)
                if matches!(connection.phase.get(), Phase::Open | Phase::Connecting) =>
            {
                if !connection.send(bytes, self.hub.limits.unsent, self.hub.clock.instant()) {
                    self.hub.counters.connections_slow.add(1);
                    self.hub.counters.stream_unsent.add(1);
                    self.end(&connection);
                }
            }
            Some(_) => self.hub.counters.stream_unsent.add(1),
            None => {
                self.hub.counters.stream_unsent.add(1);
                self.hub.tell(News::Closed(flow));
            }
        }
    }

    /// Close a connection once what was written is sent.
    pub(crate) fn close(&self, flow: FlowId) {
        let Some(connection) = self.hub.connections.borrow().get(&flow).cloned() else { return };
        match connection.phase.get() {
            Phase::Open => {
                connection.phase.set(Phase::Closing);
                connection.closing_since.set(Some(self.hub.clock.instant()));
                connection.wake();
            }
            Phase::Connecting => self.end(&connection),
            Phase::Closing | Phase::Gone => {}
        }
    }

    /// Close a connection now.
    fn end(&self, connection: &Rc<Connection>) {
        connection.phase.set(Phase::Gone);
        connection.wake();
        self.hub.list(connection);
    }

    /// Hand one thing to `take`: false when there is nothing. While a message is handled the engine
    /// may send on the same connection.
    pub(crate) fn next(&self, take: impl FnOnce(StreamEvent<'_>)) -> bool {
        let news = self.hub.news.borrow_mut().pop_front();
        match news {
            Some(News::Opened(flow)) => {
                take(StreamEvent::Opened(flow));
                return true;
            }
            Some(News::Closed(flow)) => {
                take(StreamEvent::Closed(flow));
                return true;
            }
            None => {}
        }
        let Some(connection) = self.hub.ready.borrow_mut().pop_front() else { return false };
        connection.listed.set(false);
        self.advance(&connection, take);
        true
    }

    /// One message of a connection, or the news that it is gone.
    fn advance(&self, connection: &Rc<Connection>, take: impl FnOnce(StreamEvent<'_>)) {
        let mut incoming = connection.incoming.borrow_mut();
        let path = connection.path();
        // What a closing connection still says is not listened to.
        if connection.phase.get() == Phase::Closing {
            return;
        }
        let was_full = incoming.room() == 0;
        let (used, event) = match incoming.frame() {
            Ok(Frame::Message(range)) => {
                (range.end, Some(StreamEvent::Message(path, &incoming.bytes()[range])))
            }
            Ok(Frame::KeepAlive(used)) => (used, Some(StreamEvent::Message(path, b"\r\n\r\n"))),
            Ok(Frame::Pong(used)) => (used, Some(StreamEvent::Message(path, b"\r\n"))),
            Ok(Frame::NeedMore) => (0, None),
            Err(error) => {
                let length = incoming.bytes().len();
                (length, Some(StreamEvent::Unframed(path, incoming.bytes(), error)))
            }
        };
        let Some(event) = event else {
            let since = connection.incomplete_since.get();
            let whole = incoming.bytes().is_empty();
            let since = since.unwrap_or_else(|| self.hub.clock.instant());
            connection.incomplete_since.set((!whole).then_some(since));
            if connection.phase.get() == Phase::Gone && self.forget(connection.flow) {
                take(StreamEvent::Closed(connection.flow));
            }
            return;
        };
        connection.incomplete_since.set(None);
        self.hub.counters.stream_messages.add(1);
        take(event);
        incoming.consume(used);
        drop(incoming);
        self.hub.list(connection);
        if was_full {
            connection.wake();
        }
    }

    /// True when it was there.
    fn forget(&self, flow: FlowId) -> bool {
        let mut connections = self.hub.connections.borrow_mut();
        let was_there = connections.remove(&flow).is_some();
        self.hub.counters.connections.set(connections.len() as u64);
        was_there
    }

    /// True when [`Streams::next`] would find nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.hub.ready.borrow().is_empty() && self.hub.news.borrow().is_empty()
    }

    /// True when a task ran since [`Streams::settle`]: what it asked glommio for may not have gone
    /// to the kernel yet.
    pub(crate) fn have_moved(&self) -> bool {
        self.hub.moved.get()
    }

    /// All that the tasks have asked for goes to the kernel now.
    pub(crate) fn settle(&self) {
        self.hub.moved.set(false);
    }

    /// When [`Streams::sweep`] wants to be called; `None` without connections.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let idle = self.hub.connections.borrow().is_empty() && self.hub.paused.borrow().is_empty();
        (!idle).then_some(self.hub.next_sweep.get())
    }

    /// Close connections on which nothing moves.
    pub(crate) fn sweep(&self, now: Instant) {
        if now < self.hub.next_sweep.get() {
            return;
        }
        self.hub.next_sweep.set(now + SWEEP);
        self.hub.paused.take().into_iter().for_each(Waker::wake);
        let limits = self.hub.limits;
        let over = |since: Instant, limit: Span| now - since >= limit;
        let stuck: Vec<_> = self
            .hub
            .connections
            .borrow()
            .values()
            .filter(|c| matches!(c.phase.get(), Phase::Open | Phase::Closing))
            .filter(|c| {
                over(c.last_read.get(), limits.idle)
                    || c.incomplete_since.get().is_some_and(|at| over(at, limits.stalled))
                    || c.unsent_since.get().is_some_and(|at| over(at, limits.stalled))
                    || c.closing_since.get().is_some_and(|at| over(at, SWEEP))
            })
            .cloned()
            .collect();
        for connection in stuck {
            self.hub.counters.connections_idle.add(1);
            self.end(&connection);
        }
    }

    /// Accept nothing more.
    pub(crate) fn stop_accepting(&self) {
        self.hub.stopping.set(true);
        for listener in self.hub.listeners.borrow().iter() {
            // The pending accept returns with an error, and its task ends.
            let _ = listener.shutdown(std::net::Shutdown::Both);
        }
    }

    /// True when everything written on every connection has been handed to the kernel.
    pub(crate) fn is_flushed(&self) -> bool {
        self.hub.connections.borrow().values().all(|connection| connection.is_flushed())
    }

    /// End every connection now.
    pub(crate) fn end_all(&self) {
        let all: Vec<_> = self.hub.connections.borrow().values().cloned().collect();
        for connection in all {
            self.end(&connection);
        }
    }
}
