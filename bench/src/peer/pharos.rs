//! Pharos itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Owned, Peer, folder, free_address, spawn};

/// How it is run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The binary.
    pub binary: PathBuf,
    /// Lines of a configuration file, for example `durability = "periodic"` under `[storage]`.
    pub config: String,
    /// More arguments.
    pub args: Vec<String>,
}

impl Setup {
    /// The binary with a configuration.
    pub fn new(binary: &Path, config: &str) -> Self {
        Self { binary: binary.into(), config: config.into(), args: Vec::new() }
    }

    /// Starts it with a fresh data directory.
    ///
    /// # Errors
    /// It does not start; its log says why.
    pub fn start(&self) -> Result<Peer, String> {
        let folder = folder("pharos")?;
        let address = free_address()?;
        let mut peer = Peer { address, pids: Vec::new(), owned: Vec::new(), folder: Some(folder) };
        self.run(&mut peer)?;
        Ok(peer)
    }

    /// Starts it again, after [`Setup::stop_only`], with the data that it left.
    ///
    /// # Errors
    /// As [`Setup::start`].
    pub fn run(&self, peer: &mut Peer) -> Result<(), String> {
        let folder = peer.folder.as_deref().ok_or("not a server of ours")?;
        let config = folder.join("pharos.toml");
        std::fs::write(&config, &self.config).map_err(|error| error.to_string())?;
        let log = folder.join("log");
        let mut command = Command::new(&self.binary);
        command
            .args(["run", "--socket", &format!("udp:{}", peer.address)])
            .args(["--socket", &format!("tcp:{}", peer.address)])
            .args(["--control", &free_address()?.to_string()])
            .arg("--data")
            .arg(folder.join("data"))
            .arg("-c")
            .arg(&config)
            .args(&self.args);
        let child = spawn(&mut command, &log)?;
        peer.pids = vec![child.id()];
        peer.owned = vec![Owned(child)];
        peer.wait()
            .map_err(|why| format!("{why}\n{}", std::fs::read_to_string(&log).unwrap_or_default()))
    }

    /// Stops it in order and leaves its data.
    pub fn stop_only(peer: &mut Peer) {
        peer.end();
    }
}
