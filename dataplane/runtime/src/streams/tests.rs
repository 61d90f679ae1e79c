//! Connections over loopback, on an executor, with a thread as the peer.

use std::io::{Read, Write};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement};
use pharos_engine::Wall;

use super::*;

const PING: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 4\r\n\r\nbody";

/// Runs `test` on an executor with fresh streams that listen on a free port.
fn on_executor<F>(limits: StreamLimits, test: impl FnOnce(Streams, SocketAddr) -> F)
where
    F: Future<Output = ()> + 'static,
{
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .preempt_timer(Duration::from_millis(1))
        .make()
        .expect("an executor");
    executor.run(async move {
        let counters = Arc::default();
        let streams = Streams::new(ShardId(3), limits, counters, Clock::new(Wall(0)));
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = socket::listen_tcp(any).expect("a free port");
        let address = listener.local_addr().expect("bound").as_socket().expect("IP");
        streams.listen(listener, ListenerId(7)).expect("listening");
        test(streams, address).await;
    });
}

/// An event, owned.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Message(Vec<u8>),
    Unframed(FrameError),
    Opened(FlowId),
    Closed(FlowId),
}

/// The next event; fails after two seconds without one. Sweeps as the driver would.
async fn next(streams: &Streams) -> (Seen, Option<FlowId>) {
    for _ in 0..400 {
        let mut seen = None;
        streams.next(|event| {
            seen = Some(match event {
                StreamEvent::Message(path, bytes) => (Seen::Message(bytes.to_vec()), path.flow),
                StreamEvent::Unframed(path, _, error) => (Seen::Unframed(error), path.flow),
                StreamEvent::Opened(flow) => (Seen::Opened(flow), Some(flow)),
                StreamEvent::Closed(flow) => (Seen::Closed(flow), Some(flow)),
            });
        });
        if let Some(seen) = seen {
            return seen;
        }
        if streams.is_empty() {
            glommio::timer::sleep(Duration::from_millis(5)).await;
        }
    }
    panic!("no event came");
}

/// A peer in a thread of its own.
fn peer<T: Send + 'static>(
    address: SocketAddr,
    talk: impl FnOnce(StdStream) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || {
        let stream = StdStream::connect(address).expect("connected");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        talk(stream)
    })
}

/// RFC 3261 18.3: a message may arrive in any pieces; here it is cut at every byte, with
/// keep-alives (RFC 5626 3.5.1) before and after, and two messages in one piece.
#[test]
fn messages_are_whole_wherever_they_are_cut() {
    on_executor(StreamLimits::default(), |streams, address| async move {
        let talk = peer(address, |mut stream| {
            for cut in 1..PING.len() {
                stream.write_all(&PING[..cut]).expect("written");
                std::thread::sleep(Duration::from_micros(300));
                stream.write_all(&PING[cut..]).expect("written");
            }
            stream.write_all(b"\r\n\r\n").expect("written");
            stream.write_all(&[PING, PING].concat()).expect("written");
            stream
        });
        let mut messages = 0;
        let mut flow = None;
        while messages < PING.len() + 1 {
            let (seen, from) = next(&streams).await;
            let Seen::Message(bytes) = seen else { panic!("{seen:?}") };
            assert_eq!(*flow.get_or_insert(from), from, "one connection");
            if bytes == b"\r\n\r\n" {
                assert_eq!(messages, PING.len() - 1);
            } else {
                assert_eq!(bytes, PING);
                messages += 1;
            }
        }
        let flow = flow.flatten().expect("a flow");
        assert_eq!(flow.shard(), ShardId(3));
        drop(talk.join());
        assert_eq!(next(&streams).await.0, Seen::Closed(flow));
        assert!(streams.next_deadline().is_none(), "nothing is left to look after");
    });
}

#[test]
fn what_is_sent_arrives_and_close_lets_it() {
    on_executor(StreamLimits::default(), |streams, address| async move {
        let talk = peer(address, |mut stream| {
            stream.write_all(PING).expect("written");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("read to the end");
            all
        });
        let flow = next(&streams).await.1.expect("a flow");
        let long = vec![b'z'; 200_000];
        streams.send(flow, b"first ");
        streams.send(flow, &long);
        streams.close(flow);
        streams.send(flow, b"too late");
        assert_eq!(next(&streams).await.0, Seen::Closed(flow));
        let all = talk.join().expect("talked");
        assert_eq!(all.len(), 6 + long.len());
        assert!(all.starts_with(b"first z"));
    });
}

/// A peer that does not read is closed at the limit, and another is served meanwhile.
#[test]
fn a_slow_reader_is_closed_and_delays_nobody() {
    let limits = StreamLimits { unsent: 100_000, ..StreamLimits::default() };
    on_executor(limits, |streams, address| async move {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let slow = peer(address, move |mut stream| {
            stream.write_all(PING).expect("written");
            let _ = wait.recv();
        });
        let slow_flow = next(&streams).await.1.expect("a flow");
        let quick = peer(address, |mut stream| {
            stream.write_all(PING).expect("written");
            let mut answer = [0; 6];
            stream.read_exact(&mut answer).expect("an answer");
            answer
        });
        let quick_flow = next(&streams).await.1.expect("a flow");
        let chunk = vec![b'z'; 50_000];
        let mut closed = false;
        for _ in 0..1_000 {
            streams.send(slow_flow, &chunk);
            closed = streams.hub.counters.connections_slow.get() > 0;
            if closed {
                break;
            }
            glommio::executor().yield_now().await;
            glommio::timer::sleep(Duration::from_micros(200)).await;
        }
        assert!(closed, "the limit holds");
        assert_eq!(next(&streams).await.0, Seen::Closed(slow_flow));
        streams.send(quick_flow, b"answer");
        assert_eq!(next(&streams).await.0, Seen::Closed(quick_flow), "after it has read it");
        assert_eq!(&quick.join().expect("talked"), b"answer");
        drop(done);
        slow.join().expect("ended");
    });
}

#[test]
fn what_cannot_be_framed_is_told_once() {
    on_executor(StreamLimits::default(), |streams, address| async move {
        let talk = peer(address, |mut stream| {
            stream.write_all(b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n").expect("written");
            let mut all = Vec::new();
            stream.read_to_end(&mut all).expect("read to the end");
            all
        });
        let (seen, flow) = next(&streams).await;
        assert_eq!(seen, Seen::Unframed(FrameError::Malformed), "no Content-Length");
        let flow = flow.expect("a flow");
        streams.send(flow, b"SIP/2.0 400 Bad Request\r\n\r\n");
        streams.close(flow);
        assert_eq!(next(&streams).await.0, Seen::Closed(flow));
        assert!(talk.join().expect("talked").starts_with(b"SIP/2.0 400"), "before the end");
    });
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let limits = StreamLimits { connections: 1, ..StreamLimits::default() };
    on_executor(limits, |streams, address| async move {
        let first = peer(address, |mut stream| {
            stream.write_all(PING).expect("written");
            stream
        });
        next(&streams).await;
        let second = peer(address, |mut stream| {
            let mut byte = [0];
            matches!(stream.read(&mut byte), Ok(0) | Err(_))
        });
        for _ in 0..200 {
            if streams.hub.counters.connections_refused.get() == 1 {
                break;
            }
            glommio::timer::sleep(Duration::from_millis(5)).await;
        }
        assert!(second.join().expect("talked"), "it was closed");
        assert_eq!(streams.hub.counters.connections.get(), 1);
        drop(first.join());
    });
}

/// A message that does not come to its end, and a connection that says nothing at all.
#[test]
fn stalled_and_idle_connections_are_closed() {
    let limits = StreamLimits {
        idle: Span::millis(3_000),
        stalled: Span::millis(100),
        ..StreamLimits::default()
    };
    on_executor(limits, |streams, address| async move {
        let wait_for_end = |mut stream: StdStream| {
            let mut byte = [0];
            matches!(stream.read(&mut byte), Ok(0) | Err(_))
        };
        let partial = peer(address, move |mut stream| {
            stream.write_all(b"OPTIONS sip:").expect("written");
            wait_for_end(stream)
        });
        let silent = peer(address, wait_for_end);
        let mut closed = Vec::new();
        for _ in 0..2_000 {
            streams.sweep(streams.hub.clock.instant());
            streams.next(|event| {
                if let StreamEvent::Closed(flow) = event {
                    closed.push(flow);
                }
            });
            if closed.len() == 2 {
                break;
            }
            glommio::timer::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(closed.len(), 2);
        assert_eq!(streams.hub.counters.connections_idle.get(), 2);
        assert!(partial.join().expect("talked") && silent.join().expect("talked"));
    });
}

#[test]
fn a_connection_of_ours_sends_what_waited_for_it() {
    on_executor(StreamLimits::default(), |streams, _| async move {
        let listener = StdListener::bind("127.0.0.1:0").expect("a listener");
        let there = listener.local_addr().expect("bound");
        let flow = FlowId::opened(ShardId(3), 1);
        let local: IpAddr = "127.0.0.1".parse().expect("an address");
        let socket = streams.begin(flow, ListenerId(7), local, there).expect("a socket");
        streams.send(flow, b"queued");
        socket.connect(&there.into()).expect("connected");
        streams.connected(flow, Ok(socket));
        assert_eq!(next(&streams).await.0, Seen::Opened(flow));
        glommio::timer::sleep(Duration::from_millis(20)).await;
        let (mut accepted, _) = listener.accept().expect("accepted");
        let mut got = [0; 6];
        accepted.read_exact(&mut got).expect("read");
        assert_eq!(&got, b"queued");
        accepted.write_all(PING).expect("written");
        assert_eq!(next(&streams).await, (Seen::Message(PING.to_vec()), Some(flow)));
    });
}

#[test]
fn a_flow_that_cannot_be_made_or_is_unknown_is_reported_closed() {
    on_executor(StreamLimits::default(), |streams, address| async move {
        let flow = FlowId::opened(ShardId(3), 1);
        assert!(streams.begin(flow, ListenerId(7), address.ip(), address).is_some());
        streams.connected(flow, Err(io::ErrorKind::ConnectionRefused.into()));
        assert_eq!(next(&streams).await.0, Seen::Closed(flow));
        let unknown = FlowId::accepted(ShardId(3), 99);
        streams.send(unknown, b"x");
        assert_eq!(next(&streams).await.0, Seen::Closed(unknown));
    });
}
