//! The ring against the real kernel, over loopback.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::socket;

const LIMIT: Span = Span::millis(2_000);

fn udp() -> Socket {
    socket::udp_for_tests("127.0.0.1:0".parse().expect("an address"))
}

fn address_of(socket: &Socket) -> SocketAddr {
    socket.local_addr().expect("bound").as_socket().expect("an IP address")
}

struct World {
    bell: Bell,
    ring: Ring,
    buffers: Buffers,
    address: SocketAddr,
    client: UdpSocket,
}

fn world(size: RingSize) -> World {
    let bell = Bell::new().expect("eventfd");
    let socket = udp();
    let address = address_of(&socket);
    let (ring, buffers) = Ring::new(vec![socket], &bell, size).expect("a ring");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a client");
    client.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
    World { bell, ring, buffers, address, client }
}

impl World {
    /// Handle completions until `enough`, sleeping when there is none; at most `turns` times.
    fn turn_until(&mut self, turns: u32, mut enough: impl FnMut(&mut Self, Done) -> bool) {
        for _ in 0..turns {
            self.ring.flush();
            self.ring.arm();
            self.ring.enter();
            if self.ring.is_empty() {
                if self.ring.deadline.is_none() {
                    self.ring.set_deadline(Instant(0) + LIMIT, Instant(0));
                }
                self.ring.wait(Span(0));
            }
            while let Some(done) = self.ring.next() {
                if enough(self, done) {
                    return;
                }
            }
            self.buffers.publish();
        }
        panic!("the awaited completion did not come");
    }

    /// Answer one datagram with itself.
    fn echo(&mut self, socket: u16, filled: Filled) {
        let datagram = self.buffers.datagram(&filled).expect("a datagram");
        assert!(self.ring.send(socket, None, datagram.peer, datagram.bytes));
        self.buffers.give_back(filled);
    }
}

#[test]
fn datagrams_of_every_size_come_and_go() {
    let mut world = world(RingSize::default());
    for length in [1, 100, 1_400, 9_000, 65_507] {
        let sent = vec![b'x'; length];
        world.client.send_to(&sent, world.address).expect("sent");
        world.turn_until(10, |world, done| match done {
            Done::Datagram { socket, filled } => {
                world.echo(socket, filled);
                true
            }
            _ => false,
        });
        world.ring.flush();
        let mut back = vec![0; 70_000];
        assert_eq!(world.client.recv(&mut back).expect("an echo"), length);
        assert_eq!(&back[..length], &sent[..]);
    }
    world.ring.close(world.buffers);
}

/// Under an unspecified listener each datagram says where it came to, and an answer leaves from
/// there (RFC 3261 18.2.2 wants the source the request was sent to).
#[test]
fn destination_is_told_and_source_is_chosen() {
    let mut world = world(RingSize::default());
    world.client.send_to(b"hello", world.address).expect("sent");
    let mut local = None;
    world.turn_until(10, |world, done| {
        let Done::Datagram { filled, .. } = done else { return false };
        local = world.buffers.datagram(&filled).expect("a datagram").local;
        world.buffers.give_back(filled);
        true
    });
    assert_eq!(local, Some(world.address.ip()));
    let other: IpAddr = "127.0.0.2".parse().expect("an address");
    let there = world.client.local_addr().expect("bound");
    assert!(world.ring.send(0, Some(other), there, b"from elsewhere"));
    world.ring.flush();
    let (_, from) = world.client.recv_from(&mut [0; 64]).expect("a datagram");
    assert_eq!(from, SocketAddr::new(other, world.address.port()));
    world.ring.close(world.buffers);
}

#[test]
fn ipv6_tells_and_chooses_too() {
    let bell = Bell::new().expect("eventfd");
    let socket = socket::udp_for_tests("[::1]:0".parse().expect("an address"));
    let address = address_of(&socket);
    let (ring, buffers) = Ring::new(vec![socket], &bell, RingSize::default()).expect("a ring");
    let client = UdpSocket::bind("[::1]:0").expect("a client");
    client.set_read_timeout(Some(Duration::from_secs(2))).expect("a limit");
    let mut world = World { bell, ring, buffers, address, client };
    world.client.send_to(b"hello", address).expect("sent");
    world.turn_until(10, |world, done| {
        let Done::Datagram { socket, filled } = done else { return false };
        let datagram = world.buffers.datagram(&filled).expect("a datagram");
        assert_eq!(datagram.local, Some(address.ip()));
        assert!(world.ring.send(socket, datagram.local, datagram.peer, datagram.bytes));
        world.buffers.give_back(filled);
        true
    });
    world.ring.flush();
    let (_, from) = world.client.recv_from(&mut [0; 64]).expect("an echo");
    assert_eq!(from, address);
    world.ring.close(world.buffers);
}

/// More datagrams than buffers while nothing is given back: the receive ends with ENOBUFS, and once
/// it is armed again nothing that the socket still holds is lost.
#[test]
fn a_receive_that_ran_out_of_buffers_goes_on() {
    let mut world = world(RingSize { buffers: 8, ..RingSize::default() });
    const SENT: usize = 100;
    for n in 0..SENT {
        world.client.send_to(&[n as u8], world.address).expect("sent");
    }
    let (mut seen, mut held, mut starved) = (Vec::new(), Vec::new(), 0);
    world.turn_until(1_000, |world, done| {
        match done {
            Done::Datagram { filled, .. } => {
                seen.push(world.buffers.datagram(&filled).expect("a datagram").bytes[0]);
                held.push(filled);
            }
            Done::ReceiveFailed { error, .. } => {
                assert_eq!(error, libc::ENOBUFS);
                starved += 1;
                held.drain(..).for_each(|filled| world.buffers.give_back(filled));
            }
            _ => {}
        }
        seen.len() == SENT
    });
    assert!(starved >= SENT / 8 - 1, "every buffer was held until there was none");
    assert!(seen.iter().map(|&n| usize::from(n)).eq(0..SENT), "in order, each once");
    world.ring.close(world.buffers);
}

#[test]
fn many_datagrams_through_few_send_slots() {
    let mut world = world(RingSize { buffers: 32, sends: 4, submissions: 8 });
    let client = world.client.try_clone().expect("a second handle");
    let address = world.address;
    let sender = std::thread::spawn(move || {
        let mut back = [0; 64];
        for n in 0..20_000_u32 {
            client.send_to(&n.to_be_bytes(), address).expect("sent");
            if n % 16 == 15 {
                for _ in 0..16 {
                    client.recv(&mut back).expect("an echo");
                }
            }
        }
    });
    let mut echoed = 0;
    world.turn_until(100_000, |world, done| {
        if let Done::Datagram { socket, filled } = done {
            world.echo(socket, filled);
            echoed += 1;
        }
        echoed == 20_000
    });
    world.ring.flush();
    sender.join().expect("every echo arrived");
    world.ring.close(world.buffers);
}

/// Nobody listens at the destination: the kernel's complaint arrives on the socket, and it does not
/// keep the next datagram, to somebody else, from leaving.
#[test]
fn icmp_is_reported_and_does_not_stop_the_next_datagram() {
    let mut world = world(RingSize::default());
    let nobody = address_of(&udp());
    assert!(world.ring.send(0, None, nobody, b"hello"));
    let mut unreachable = Vec::new();
    world.turn_until(10, |world, done| {
        if let Done::ReceiveFailed { socket, .. } | Done::SendFailed { socket, .. } = done {
            socket::drain_errors(world.ring.socket(socket), |peer, _| unreachable.push(peer));
        }
        !unreachable.is_empty()
    });
    assert_eq!(unreachable, [nobody]);
    let there = world.client.local_addr().expect("bound");
    assert!(world.ring.send(0, None, nobody, b"once more"));
    world.ring.flush();
    assert!(world.ring.send(0, None, there, b"for you"));
    world.ring.flush();
    let mut back = [0; 64];
    assert_eq!(world.client.recv(&mut back).expect("a datagram"), 7);
    world.ring.close(world.buffers);
}

/// A sleep ends with the deadline, of which an earlier one replaces a later one, and one that
/// gathers takes what comes within its time together.
#[test]
fn a_sleep_ends_with_the_deadline_and_gathers_what_comes() {
    let mut world = world(RingSize::default());
    let clock = crate::clock::Clock::new(pharos_engine::Wall(0));
    let start = clock.instant();
    world.ring.enter();
    world.ring.set_deadline(start + Span::seconds(600), start);
    world.ring.enter();
    world.ring.set_deadline(start + Span::millis(30), start);
    world.turn_until(5, |_, done| matches!(done, Done::Woken));
    let waited = (clock.instant() - start).as_millis();
    assert!((25..1_500).contains(&waited), "woken after {waited} ms");
    let (client, address) = (world.client.try_clone().expect("a second handle"), world.address);
    let sender = std::thread::spawn(move || {
        for _ in 0..3 {
            client.send_to(b"x", address).expect("sent");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    world.ring.wait(Span::millis(500));
    assert_eq!(world.ring.waiting(), 3, "one sleep for all");
    sender.join().expect("sent");
    world.ring.close(world.buffers);
}

/// What happens in another ring ends the sleep.
#[test]
fn another_ring_is_watched() {
    let mut world = world(RingSize::default());
    let mut other = IoUring::new(4).expect("a ring");
    assert!(!world.ring.is_watching());
    world.ring.watch(&[other.as_raw_fd()]);
    world.ring.arm();
    world.ring.enter();
    assert!(world.ring.is_empty() && world.ring.is_watching());
    for _ in 0..3 {
        // SAFETY: a no-op has no pointers.
        unsafe { other.submission().push(&opcode::Nop::new().build()).expect("room") };
        other.submit().expect("submitted");
        world.turn_until(3, |_, done| matches!(done, Done::Called));
        while other.completion().next().is_some() {}
    }
    world.ring.close(world.buffers);
}

#[test]
fn another_thread_wakes_the_ring() {
    let mut world = world(RingSize::default());
    world.ring.enter();
    world.bell.lie_down();
    std::thread::scope(|scope| {
        let bell = &world.bell;
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            bell.ring();
        });
        world.ring.wait(Span(0));
    });
    assert!(matches!(world.ring.next(), Some(Done::Woken)));
    world.ring.close(world.buffers);
}

#[test]
fn connections_are_made_refused_and_given_up() {
    let mut world = world(RingSize::default());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let there = listener.local_addr().expect("bound");
    let gone = {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        closed.local_addr().expect("bound")
    };
    let tcp = || Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
    world.ring.connect(FlowId(1), tcp(), there, LIMIT);
    world.ring.connect(FlowId(2), tcp(), gone, LIMIT);
    let mut outcomes = Vec::new();
    world.turn_until(10, |_, done| {
        if let Done::Connected { flow, result } = done {
            outcomes.push((flow.0, result.map(|_| ()).map_err(|error| error.kind())));
        }
        outcomes.len() == 2
    });
    outcomes.sort_by_key(|outcome| outcome.0);
    assert_eq!(outcomes, [(1, Ok(())), (2, Err(io::ErrorKind::ConnectionRefused))]);
    world.ring.close(world.buffers);
}

/// Closing with operations in the kernel's hands waits for them instead of freeing their memory.
#[test]
fn close_lets_the_kernel_finish() {
    let mut world = world(RingSize::default());
    world.ring.enter();
    assert!(world.ring.in_flight >= 2, "a receive and the bell are armed");
    world.ring.close(world.buffers);
    world.client.send_to(b"late", world.address).expect("nobody is hurt by a late datagram");
}
