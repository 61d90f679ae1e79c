//! Latency over TCP while UDP is saturated.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pharos_bench::latency::{Latencies, now};
use pharos_bench::load::{Op, Shape};
use pharos_bench::session::{Session, Size};
use pharos_bench::sip::write::{self, Names, Publish};

use crate::Bench;
use crate::row::{Row, Target};
use crate::system::{Extra, System};

/// Between an answer and the next OPTIONS.
const PAUSE: Duration = Duration::from_millis(5);

/// p99 of OPTIONS over TCP beside 1 024 PUBLISHes in flight over UDP.
pub(crate) fn rows(bench: &Bench) -> Result<Vec<Row>, String> {
    let modes = [(System::Periodic, "periodic"), (System::Commit, "commit")];
    modes.into_iter().map(|(system, mode)| row(bench, system, mode)).collect()
}

fn row(bench: &Bench, system: System, mode: &str) -> Result<Row, String> {
    bench.tell(system, "OPTIONS over TCP");
    let time = bench.size(Duration::from_secs(8), Duration::from_millis(500));
    let size = Size { publishers: 50_000, watchers: 0, ports: 16, time, settle: Duration::ZERO };
    let mut session = Session::new(bench.systems.start(system, Extra::default())?, size)?;
    session.fill(Op::Publish(Publish::Initial), u64::MAX);
    let (address, over) = (session.peer.address, AtomicBool::new(false));
    let (latencies, outcome) = std::thread::scope(|scope| {
        let caller = scope.spawn(|| call(address, &over));
        let refresh = Op::Publish(Publish::Refresh);
        let outcome = session.phase_for(refresh, Shape::Window(1_024), time, u64::MAX);
        over.store(true, Ordering::Relaxed);
        (caller.join(), outcome)
    });
    let latencies = latencies.map_err(|_| "the TCP client died")?;
    let latencies = latencies.map_err(|error| format!("TCP: {error}"))?;
    session.peer.stop();
    Ok(Row {
        what: format!("OPTIONS over TCP, p99, {mode}"),
        load: format!("beside {:.0} PUBLISHes per s", outcome.rate()),
        unit: "ms",
        ours: latencies.percentile(99.0) as f64 / 1e3,
        other: None,
        target: Target::AtMost(10.0),
    })
}

fn call(address: SocketAddr, over: &AtomicBool) -> std::io::Result<Latencies> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (local, server) = (stream.local_addr()?.to_string(), address.to_string());
    let (mut latencies, mut cseq) = (Latencies::default(), 0);
    while !over.load(Ordering::Relaxed) {
        cseq += 1;
        let mut ask = Vec::new();
        let names = Names { local: &local, actor: 0, life: 0, presentity: 0, cseq };
        write::options(&mut ask, "TCP", &server, names);
        let start = now();
        stream.write_all(&ask)?;
        let (mut buffer, mut length) = ([0; 4_096], 0);
        // The answer has no body: it ends with the empty line.
        while !buffer[..length].ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer[length..])? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                more => length += more,
            }
        }
        latencies.record(start.elapsed());
        std::thread::sleep(PAUSE);
    }
    Ok(latencies)
}
