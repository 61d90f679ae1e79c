//! The server under load: one that runs, or one of our own with free ports and a fresh directory.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pharos_bench::cpu::Cpu;
use pharos_bench::latency::now;

use crate::args::Args;

/// Longest time until a started server answers.
const START: Duration = Duration::from_secs(20);

/// A server and where it is.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pid: u32,
    child: Option<(Child, PathBuf)>,
}

impl Server {
    /// Find or start it.
    ///
    /// # Errors
    /// It cannot be started, or does not answer.
    pub(crate) fn find(args: &Args) -> Result<Self, String> {
        match (&args.pharos, args.server, args.pid) {
            (Some(binary), _, _) => Self::start(binary, &args.pharos_args),
            (None, Some(address), Some(pid)) => Ok(Self { address, pid, child: None }),
            _ => Err("no server is named".to_owned()),
        }
    }

    fn start(binary: &str, more: &[String]) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("a free port: {error}");
        let udp = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
        let address = udp.local_addr().map_err(failed)?;
        let tcp = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let control = tcp.local_addr().map_err(failed)?;
        drop((udp, tcp));
        let data = std::env::temp_dir().join(format!("pharos-load-{}", std::process::id()));
        let child = Command::new(binary)
            .args(["run", "--socket", &format!("udp:{address}")])
            .args(["--control", &control.to_string()])
            .arg("--data")
            .arg(&data)
            .args(more)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{binary}: {error}"))?;
        let server = Self { address, pid: child.id(), child: Some((child, data)) };
        match server.wait() {
            Ok(()) => Ok(server),
            Err(why) => {
                server.stop();
                Err(why)
            }
        }
    }

    /// Until it answers OPTIONS.
    fn wait(&self) -> Result<(), String> {
        let start = now();
        let failed = |error: std::io::Error| error.to_string();
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let server = self.address;
        for turn in 0.. {
            let ask = format!(
                "OPTIONS sip:{server} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {local};branch=z9hG4bKwait{turn};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:load@bench.example>;tag=1\r\nTo: <sip:{server}>\r\n\
                 Call-ID: wait-{turn}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            // Nobody may listen yet.
            let _ = socket.send_to(ask.as_bytes(), server);
            if socket.recv(&mut [0; 2_048]).is_ok() {
                return Ok(());
            }
            if start.elapsed() > START {
                break;
            }
        }
        Err(format!("{server} does not answer"))
    }

    /// CPU time of all its threads.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn cpu(&self) -> Result<Cpu, String> {
        Cpu::of_process(self.pid).map_err(|error| format!("process {}: {error}", self.pid))
    }

    /// End it, when it is ours.
    pub(crate) fn stop(self) {
        if let Some((mut child, data)) = self.child {
            let _ = child.kill();
            let _ = child.wait();
            let _ = std::fs::remove_dir_all(data);
        }
    }
}
