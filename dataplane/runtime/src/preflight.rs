//! Is everything there that the runtime needs? Each complaint says what is missing and what to do.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use io_uring::{IoUring, Probe, opcode};
use pharos_engine::config::Listener;
use pharos_engine::net::Transport;

use crate::config::{RingSize, RuntimeConfig, SocketBuffers};
use crate::doorbell::Bell;
use crate::ring::Ring;
use crate::socket;

/// What glommio wants to be allowed to lock before it starts at all.
const LOCKED: u64 = 512 << 10;
/// What one shard locks in memory: the registered buffers of its executor, with room to spare.
const LOCKED_PER_SHARD: u64 = 128 << 10;
/// Descriptors beside connections: rings, eventfds, sockets, lanes.
const DESCRIPTORS_PER_SHARD: u64 = 32;
/// Descriptors of everything else: the control plane, the store, the standard streams.
const DESCRIPTORS: u64 = 128;
/// How long the kernel may take to let go of the sockets of a killed process.
const LET_GO: Duration = Duration::from_secs(3);
/// Time between two attempts meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Operations of the ring, with their names for people.
const OPERATIONS: [(u8, &str); 6] = [
    (opcode::RecvMsgMulti::CODE, "recvmsg"),
    (opcode::SendMsg::CODE, "sendmsg"),
    (opcode::Timeout::CODE, "timeout"),
    (opcode::LinkTimeout::CODE, "link_timeout"),
    (opcode::Connect::CODE, "connect"),
    (opcode::AsyncCancel::CODE, "async_cancel"),
];

/// Why the server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The kernel lets nobody, or not this user, make an io_uring.
    RingDisabled {
        /// `kernel.io_uring_disabled`.
        sysctl: u8,
    },
    /// The kernel is too old, or a part of io_uring is missing.
    Kernel {
        /// What is missing.
        missing: String,
        /// `uname -r`.
        release: String,
    },
    /// Too little memory may be locked.
    LockedMemory {
        /// Bytes allowed.
        limit: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// Too few files may be open.
    OpenFiles {
        /// Files allowed.
        limit: u64,
        /// Files needed.
        needed: u64,
    },
    /// A listener cannot be bound.
    Address {
        /// Which.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: Transport,
        /// Who has it, when that can be seen.
        owner: Option<String>,
        /// What the kernel says.
        error: io::Error,
    },
    /// A processor that is not there or not allowed.
    Processor(usize),
    /// The data directory.
    Store(pharos_storage_lmdb::OpenError),
    /// Something of the operating system failed on a shard's thread.
    Shard {
        /// What was tried.
        doing: &'static str,
        /// What the kernel says.
        error: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RingDisabled { sysctl } => write!(
                f,
                "io_uring is disabled (kernel.io_uring_disabled = {sysctl}); allow it with \
                 `sysctl -w kernel.io_uring_disabled=0`, or in a container with a seccomp profile \
                 that permits io_uring_setup"
            ),
            Self::Kernel { missing, release } => write!(
                f,
                "Linux {release} lacks {missing}; Pharos needs 6.1 or newer with io_uring"
            ),
            Self::LockedMemory { limit, needed } => write!(
                f,
                "only {limit} bytes may be locked in memory, {needed} are needed; set \
                 `LimitMEMLOCK=infinity` in the unit or raise `ulimit -l`"
            ),
            Self::OpenFiles { limit, needed } => write!(
                f,
                "only {limit} files may be open, {needed} are needed; set `LimitNOFILE=` in the \
                 unit, raise `ulimit -n`, or allow fewer connections"
            ),
            Self::Address { address, transport, owner, error } => {
                let transport = match transport {
                    Transport::Udp => "udp",
                    Transport::Tcp => "tcp",
                };
                write!(f, "cannot listen on {transport}:{address}: {error}")?;
                match (error.kind(), owner) {
                    (io::ErrorKind::AddrInUse, Some(owner)) => write!(f, "; {owner} has it"),
                    (io::ErrorKind::AddrInUse, None) => {
                        write!(f, "; `ss -lunpt` shows who has it, `--socket` takes another")
                    }
                    (io::ErrorKind::PermissionDenied, _) => {
                        write!(f, "; ports below 1024 need CAP_NET_BIND_SERVICE")
                    }
                    (io::ErrorKind::AddrNotAvailable, _) => {
                        write!(f, "; `ip address` shows the addresses of this machine")
                    }
                    _ => Ok(()),
                }
            }
            Self::Processor(core) => write!(
                f,
                "processor {core} is not there or not allowed (see `taskset -p $$`); name others"
            ),
            Self::Store(error) => write!(f, "{error}"),
            Self::Shard { doing, error } => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Address { error, .. } | Self::Shard { error, .. } => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// Check the machine, then the addresses. The listeners with the addresses they will be bound to:
/// port 0 becomes a free one.
///
/// # Errors
/// The first thing that is missing.
pub(crate) fn check(config: &RuntimeConfig) -> Result<Vec<Listener>, StartError> {
    locked_memory(u64::from(config.shards))?;
    open_files(config)?;
    kernel()?;
    addresses(&config.engine.listeners)
}

/// Make a ring the way a shard does, and look at what it can do.
fn kernel() -> Result<(), StartError> {
    let release = || {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        release.trim().to_owned()
    };
    let missing = |what: String| StartError::Kernel { missing: what, release: release() };
    let sysctl = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let sysctl = sysctl.ok().and_then(|text| text.trim().parse::<u8>().ok()).unwrap_or(0);
    let plain = match IoUring::new(8) {
        Ok(ring) => ring,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(StartError::RingDisabled { sysctl });
        }
        Err(error) => return Err(missing(format!("io_uring ({error})"))),
    };
    let mut probe = Probe::new();
    plain.submitter().register_probe(&mut probe).map_err(|e| missing(format!("a probe ({e})")))?;
    for (code, name) in OPERATIONS {
        if !probe.is_supported(code) {
            return Err(missing(format!("io_uring operation {name}")));
        }
    }
    let bell = Bell::new().map_err(|e| missing(format!("eventfd ({e})")))?;
    let size = RingSize { buffers: 8, sends: 1, submissions: 8 };
    let (ring, buffers) = Ring::new(Vec::new(), &bell, size).map_err(|error| {
        missing(format!("single-issuer rings with deferred work or buffer rings ({error})"))
    })?;
    ring.close(buffers);
    receives_multishot().map_err(|error| missing(format!("multishot recvmsg ({error})")))
}

/// One datagram to oneself by a multishot receive: the probe does not tell whether that is known.
fn receives_multishot() -> io::Result<()> {
    let bell = Bell::new()?;
    let socket = socket::bind_udp(SocketAddr::from(([127, 0, 0, 1], 0)), SocketBuffers::default())?;
    let address = socket.local_addr()?;
    let second = socket.try_clone()?;
    let size = RingSize { buffers: 8, sends: 1, submissions: 8 };
    let (mut ring, buffers) = Ring::new(vec![socket], &bell, size)?;
    ring.enter();
    second.send_to(b"?", &address)?;
    let mut outcome = Err(io::ErrorKind::TimedOut.into());
    for _ in 0..10 {
        let start = pharos_engine::Instant(0);
        ring.set_deadline(start + pharos_engine::Span::millis(100), start);
        ring.wait(pharos_engine::Span(0));
        match ring.next() {
            Some(crate::ring::Done::Datagram { .. }) => outcome = Ok(()),
            Some(crate::ring::Done::ReceiveFailed { error, .. }) => {
                outcome = Err(io::Error::from_raw_os_error(error));
            }
            _ => continue,
        }
        break;
    }
    ring.close(buffers);
    outcome
}

fn locked_memory(shards: u64) -> Result<(), StartError> {
    // Failing to raise it leaves what there is, and that is looked at next.
    let _ = socket::raise_limit(libc::RLIMIT_MEMLOCK);
    let needed = LOCKED.max(shards.saturating_mul(LOCKED_PER_SHARD));
    match limit_of("Max locked memory") {
        Some(limit) if limit < needed => Err(StartError::LockedMemory { limit, needed }),
        _ => Ok(()),
    }
}

fn open_files(config: &RuntimeConfig) -> Result<(), StartError> {
    let _ = socket::raise_limit(libc::RLIMIT_NOFILE);
    let shards = u64::from(config.shards);
    let listeners = config.engine.listeners.len() as u64;
    let needed = DESCRIPTORS + shards * (DESCRIPTORS_PER_SHARD + 2 * listeners);
    let wanted = needed + shards * u64::from(config.streams.connections);
    match limit_of("Max open files") {
        Some(limit) if limit < needed => Err(StartError::OpenFiles { limit, needed }),
        Some(limit) if limit < wanted => {
            // Connections come one by one, and one too many waits for its accept.
            tracing::warn!(limit, wanted, "fewer files may be open than connections are allowed");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The soft limit of this process by its name in `/proc/self/limits`; `None` = unlimited.
fn limit_of(name: &str) -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Bind each address alone for a moment.
fn addresses(listeners: &[Listener]) -> Result<Vec<Listener>, StartError> {
    listeners.iter().map(address).collect()
}

/// One address. After a kill the kernel lets go of the sockets of an io_uring some time after the
/// process is gone: an address that nobody has any more is waited for.
fn address(listener: &Listener) -> Result<Listener, StartError> {
    let (address, transport) = (listener.bound, listener.transport);
    let mut waited = Duration::ZERO;
    loop {
        let error = match socket::probe(address, transport == Transport::Tcp) {
            Ok(bound) => return Ok(Listener { bound, ..listener.clone() }),
            Err(error) => error,
        };
        let taken = error.kind() == io::ErrorKind::AddrInUse;
        let owner = if taken { owner_of(address, transport) } else { None };
        if !taken || owner.is_some() || waited >= LET_GO {
            return Err(StartError::Address { address, transport, owner, error });
        }
        std::thread::sleep(LOOK_AGAIN);
        waited += LOOK_AGAIN;
    }
}

/// The process that has an address, as `name (pid)`; only what this user may see.
fn owner_of(address: SocketAddr, transport: Transport) -> Option<String> {
    let inode = inode_of(address, transport)?;
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().to_string_lossy().parse::<u32>();
        let Ok(pid) = pid else { continue };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let has = files.flatten().any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == &*wanted)
        });
        if has {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {pid})", name.trim()));
        }
    }
    None
}

/// The inode of the socket on a port, from the kernel's tables.
fn inode_of(address: SocketAddr, transport: Transport) -> Option<u64> {
    let table = match (transport, address.ip()) {
        (Transport::Udp, IpAddr::V4(_)) => "/proc/net/udp",
        (Transport::Udp, IpAddr::V6(_)) => "/proc/net/udp6",
        (Transport::Tcp, IpAddr::V4(_)) => "/proc/net/tcp",
        (Transport::Tcp, IpAddr::V6(_)) => "/proc/net/tcp6",
    };
    let port = format!(":{:04X}", address.port());
    let table = fs::read_to_string(table).ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state) = (fields.get(1)?, fields.get(3)?);
        // 0A: listening; 07: the state of a datagram socket.
        (local.ends_with(&port) && matches!(*state, "0A" | "07"))
            .then(|| fields.get(9)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, transport: Transport) -> Listener {
        Listener { transport, bound: address.parse().expect("an address"), advertise: None }
    }

    #[test]
    fn this_machine_has_what_is_needed() {
        kernel().expect("the tests run where the server runs");
        locked_memory(1).expect("one shard");
        let soft = limit_of("Max open files");
        socket::raise_limit(libc::RLIMIT_NOFILE).expect("no privilege is needed");
        assert!(limit_of("Max open files") >= soft || limit_of("Max open files").is_none());
    }

    #[test]
    fn too_little_is_said_with_a_cure() {
        let error = StartError::LockedMemory { limit: 65_536, needed: LOCKED }.to_string();
        assert!(error.contains("LimitMEMLOCK=infinity"), "{error}");
        let error = StartError::OpenFiles { limit: 64, needed: 256 }.to_string();
        assert!(error.contains("LimitNOFILE="), "{error}");
        let error = StartError::RingDisabled { sysctl: 2 }.to_string();
        assert!(error.contains("sysctl -w kernel.io_uring_disabled=0"), "{error}");
    }

    #[test]
    fn a_taken_port_is_reported_with_its_owner() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let address = taken.local_addr().expect("bound");
        let error = addresses(&[listener(&address.to_string(), Transport::Udp)])
            .expect_err("it is taken")
            .to_string();
        assert!(error.starts_with(&format!("cannot listen on udp:{address}: ")), "{error}");
        let pid = format!("process {}", std::process::id());
        assert!(error.contains(&pid), "the owner is this test: {error}");
    }

    #[test]
    fn free_ports_are_found() {
        let asked = [listener("127.0.0.1:0", Transport::Udp), listener("[::1]:0", Transport::Tcp)];
        let found = addresses(&asked).expect("free");
        assert!(found.iter().all(|listener| listener.bound.port() != 0));
    }
}
