//! The yardstick: a thread that receives a datagram and sends it back, and nothing else.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pharos_bench::cpu::Cpu;
use pharos_bench::latency::{Latencies, now};

use crate::args::Args;
use crate::caller::Kind;
use crate::message::{self, User};
use crate::report::Line;

/// Datagrams echoed.
const COUNT: usize = 100_000;

/// Echo PUBLISH requests with the same window.
///
/// # Errors
/// A socket failed.
pub(crate) fn measure(args: &Args) -> Result<Line, String> {
    let failed = |error: std::io::Error| format!("the echo: {error}");
    let server = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    let client = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
    client.connect(server.local_addr().map_err(failed)?).map_err(failed)?;
    let limit = Some(Duration::from_millis(200));
    server.set_read_timeout(limit).map_err(failed)?;
    client.set_read_timeout(limit).map_err(failed)?;
    let over = AtomicBool::new(false);
    let (call, echo) = std::thread::scope(|scope| {
        let echo = scope.spawn(|| serve(&server, &over));
        let call = call(&client, args.window);
        over.store(true, Ordering::Relaxed);
        (call, echo.join())
    });
    let (latencies, lost, seconds) = call.map_err(failed)?;
    let (cpu, before) = echo.map_err(|_| "the echo died".to_owned())?.map_err(failed)?;
    let count = latencies.count();
    Ok(Line {
        what: "UDP echo",
        count,
        failed: lost,
        repeated: 0,
        seconds,
        latencies,
        cpu_micros: cpu.micros_each(&before, count),
        user_share: cpu.user_share(&before),
    })
}

fn serve(socket: &UdpSocket, over: &AtomicBool) -> std::io::Result<(Cpu, Cpu)> {
    let before = Cpu::of_this_thread()?;
    let mut buffer = [0; 4_096];
    while !over.load(Ordering::Relaxed) {
        if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            socket.send_to(&buffer[..length], peer)?;
        }
    }
    Ok((Cpu::of_this_thread()?, before))
}

fn call(socket: &UdpSocket, window: usize) -> std::io::Result<(Latencies, u64, f64)> {
    let begin = now();
    let mut latencies = Latencies::default();
    let (mut datagram, mut buffer) = (Vec::new(), [0; 4_096]);
    let user = User { number: 1, etag: "0123456789abcdef".into(), cseq: 1 };
    message::write(&mut datagram, &user, Kind::Refresh, socket.local_addr()?);
    // Loopback keeps order, so the oldest start belongs to the next echo.
    let mut starts = std::collections::VecDeque::new();
    let (mut sent, mut lost) = (0, 0);
    while sent < COUNT || !starts.is_empty() {
        while sent < COUNT && starts.len() < window {
            starts.push_back(now());
            socket.send(&datagram)?;
            sent += 1;
        }
        if socket.recv(&mut buffer).is_ok() {
            if let Some(start) = starts.pop_front() {
                latencies.record(start);
            }
        } else {
            lost += starts.len() as u64;
            starts.clear();
        }
    }
    Ok((latencies, lost, begin.elapsed().as_secs_f64()))
}
