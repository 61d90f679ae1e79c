//! Servers under load: started by us on free ports of loopback, with their data in a folder of
//! their own, and ended by us.

pub mod kamailio;
pub mod mariadb;
pub mod pharos;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cpu::{Cpu, Memory, family};
use crate::latency::now;
use crate::net;
use crate::sip::write::{self, Names};

/// How long a server may take to answer for the first time.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to stop in order.
const STOP: Duration = Duration::from_secs(30);

/// A server that runs, with the database that serves it.
#[derive(Debug)]
pub struct Peer {
    /// Where it listens, UDP and TCP.
    pub address: SocketAddr,
    /// Its first process, and those of its database.
    pub pids: Vec<u32>,
    /// Ours to end, in this order.
    owned: Vec<Owned>,
    /// Ours to remove.
    folder: Option<PathBuf>,
}

#[derive(Debug)]
struct Owned(Child);

impl Peer {
    /// A server that somebody else started.
    pub fn running(address: SocketAddr, pid: u32) -> Self {
        Self { address, pids: vec![pid], owned: Vec::new(), folder: None }
    }

    /// CPU time of all its processes.
    ///
    /// # Errors
    /// It is gone.
    pub fn cpu(&self) -> Result<Cpu, String> {
        Cpu::of(&self.pids).map_err(|error| format!("the server {:?}: {error}", self.pids))
    }

    /// Memory of all its processes.
    pub fn memory(&self) -> Memory {
        Memory::of(&self.pids)
    }

    /// Datagrams that its sockets dropped so far.
    pub fn drops(&self) -> u64 {
        net::drops(self.address.port())
    }

    /// Waits until it answers OPTIONS.
    ///
    /// # Errors
    /// It does not in time, or has ended.
    pub fn wait(&mut self) -> Result<(), String> {
        let start = now();
        let failed = |error: std::io::Error| error.to_string();
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_millis(50))).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?.to_string();
        let server = self.address.to_string();
        for cseq in 1.. {
            let mut ask = Vec::new();
            let names = Names { local: &local, actor: 0, life: 0, presentity: 0, cseq };
            write::options(&mut ask, "UDP", &server, names);
            // Nobody may listen yet.
            let _ = socket.send_to(&ask, self.address);
            if socket.recv(&mut [0; 2_048]).is_ok() {
                return Ok(());
            }
            for Owned(child) in &mut self.owned {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(format!("a process of {server} ended: {status}"));
                }
            }
            if start.elapsed() > START {
                break;
            }
        }
        Err(format!("{server} does not answer"))
    }

    /// Ends it, when it is ours, with what it kept on disk.
    pub fn stop(self) {
        drop(self);
    }

    /// Ends its processes in order.
    fn end(&mut self) {
        for Owned(child) in &mut self.owned {
            let all = family(&[child.id()]);
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let start = now();
            while matches!(child.try_wait(), Ok(None)) {
                if start.elapsed() > STOP {
                    let pids = all.iter().map(u32::to_string);
                    let _ = Command::new("kill").arg("-KILL").args(pids).status();
                    let _ = child.wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        self.owned.clear();
    }
}

/// When a run is given up half way, nothing of it stays behind.
impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// A port of loopback that neither UDP nor TCP uses.
fn free_address() -> Result<SocketAddr, String> {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = tcp.local_addr().map_err(|error| error.to_string())?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no free port".into())
}

/// A new folder for a server's files.
fn folder(name: &str) -> Result<PathBuf, String> {
    let number = free_address()?.port();
    let path = std::env::temp_dir().join(format!("pharos-bench-{name}-{number}"));
    std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Starts a program whose output goes to a file.
fn spawn(command: &mut Command, log: &Path) -> Result<Child, String> {
    let failed = |error: std::io::Error| format!("{:?}: {error}", command.get_program());
    let out = std::fs::File::create(log).map_err(failed)?;
    let err = out.try_clone().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    net::end_with_us(command);
    let program = command.get_program().to_owned();
    command.spawn().map_err(|error| format!("{program:?}: {error}"))
}

/// Whether a program can be run.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin".into(), "/usr/local/sbin".into()];
    std::env::split_paths(&path).chain(sbin).any(|folder| folder.join(program).is_file())
}
