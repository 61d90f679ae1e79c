//! The server under test: the real binary on free ports, with a data directory of its own.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::phone::{Phone, until};

/// Longest time that a start or an orderly stop may take here: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, its addresses and its directory, which outlives its restarts.
pub(crate) struct Server {
    /// UDP and TCP over IPv4.
    pub(crate) v4: SocketAddr,
    /// UDP and TCP over IPv6.
    pub(crate) v6: SocketAddr,
    control: SocketAddr,
    directory: tempfile::TempDir,
    settings: String,
    shards: u16,
    child: Option<Child>,
    starts: u32,
}

/// Ports given out by this process: a port that was free a moment ago is not given to two tests.
static NEXT_PORT: AtomicU32 = AtomicU32::new(0);

/// A port that is free for both transports and both families.
fn free_port() -> u16 {
    // Below the range from which the kernel picks, spread by process.
    let base = 10_000 + std::process::id() * 61 % 20_000;
    for _ in 0..2_000 {
        let port = (base + NEXT_PORT.fetch_add(1, Ordering::Relaxed) % 2_000) as u16;
        let v4 = SocketAddr::from(([127, 0, 0, 1], port));
        let v6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port));
        let free = [v4, v6]
            .into_iter()
            .all(|address| UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok());
        if free {
            return port;
        }
    }
    panic!("no free port");
}

impl Server {
    /// Start with so many shards.
    pub(crate) fn start(shards: u16) -> Self {
        Self::with_settings(shards, "")
    }

    /// Start with more lines at the top of the configuration.
    pub(crate) fn with_settings(shards: u16, settings: &str) -> Self {
        let (port, control) = (free_port(), free_port());
        let mut server = Self {
            v4: SocketAddr::from(([127, 0, 0, 1], port)),
            v6: SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port)),
            control: SocketAddr::from(([127, 0, 0, 1], control)),
            directory: tempfile::tempdir().expect("a temporary directory"),
            settings: settings.to_owned(),
            shards,
            child: None,
            starts: 0,
        };
        server.restart();
        server
    }

    /// Start again after [`Server::kill`] or [`Server::terminate`], on the same ports and data.
    pub(crate) fn restart(&mut self) {
        self.spawn();
        let mut phone = Phone::udp(self.v4, "waiting");
        let answered = until(PATIENCE, || {
            let exited = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(exited.is_none(), "it ended with {exited:?}:\n{}", self.log());
            phone.options_within(Duration::from_millis(250)).then_some(())
        });
        assert!(answered.is_some(), "it does not answer:\n{}", self.log());
    }

    /// [`Server::restart`] with another number of shards.
    pub(crate) fn restart_with(&mut self, shards: u16) {
        self.shards = shards;
        self.restart();
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs");
        self.starts += 1;
        let Self { v4, v6, shards, settings, .. } = self;
        let text = format!(
            "socket = [\"udp:{v4}\", \"tcp:{v4}\", \"udp:{v6}\", \"tcp:{v6}\"]\n\
             control = \"{}\"\nshards = {shards}\ndomains = [\"example.com\"]\n{settings}",
            self.control
        );
        let file = self.directory.path().join("pharos.toml");
        fs::write(&file, text).expect("written");
        let log = File::create(self.log_file()).expect("a log file");
        let child = Command::new(env!("CARGO_BIN_EXE_pharos"))
            .arg("run")
            .arg("-c")
            .arg(&file)
            .arg("--data")
            .arg(self.directory.path().join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        self.child = Some(child);
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join(format!("log-{}", self.starts))
    }

    /// What it has logged since its last start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    /// SIGTERM; how it ended, within bounds.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success(), "signalled");
        let ended = until(PATIENCE, || child.try_wait().expect("ours"));
        ended.unwrap_or_else(|| {
            let _ = child.kill();
            panic!("it does not stop:\n{}", self.log())
        })
    }

    /// The sum of all samples of a metric.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.page("/metrics");
        page.lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with([' ', '{']))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.control).expect("the control port answers");
        let ask = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).expect("asked");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("a page");
        page
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}
