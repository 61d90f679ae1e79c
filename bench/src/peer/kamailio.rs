//! Kamailio's presence module from Debian, with the configuration in `bench/peers/kamailio`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Owned, Peer, folder, free_address, mariadb, spawn};

/// The configuration, for both modes.
pub const CONFIG: &str = include_str!("../../peers/kamailio/kamailio.cfg");
/// Where Debian has the tables of the text database.
const TABLES: &str = "/usr/share/kamailio/dbtext/kamailio";

/// Where it keeps what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In memory only.
    Memory,
    /// Each change in MariaDB before it is answered.
    Database,
}

/// Starts it with so many UDP workers.
///
/// # Errors
/// It, or its database, does not start.
pub fn start(mode: Mode, workers: usize) -> Result<Peer, String> {
    let folder = folder("kamailio")?;
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let config = folder.join("kamailio.cfg");
    fs::write(&config, CONFIG).map_err(failed)?;
    let (mut owned, mut pids) = (Vec::new(), Vec::new());
    let (url, with_db) = match mode {
        Mode::Memory => (tables(&folder)?, "MEMORY"),
        Mode::Database => {
            let (child, url) = mariadb::start(&folder)?;
            pids.push(child.id());
            owned.push(Owned(child));
            (url, "WITH_DB")
        }
    };
    let address = free_address()?;
    let mut command = Command::new("/usr/sbin/kamailio");
    command
        .args(["-DD", "-E", "-x", "fm", "-m", "6144", "-M", "32", "-b", "67108864", "-N", "1"])
        .args(["-n", &workers.to_string(), "-A", with_db])
        .args(["-A", &format!("DBURL=\"{url}\"")])
        .args(["-l", &format!("udp:{address}"), "-l", &format!("tcp:{address}")])
        .arg("-Y")
        .arg(&folder)
        .arg("-f")
        .arg(&config);
    let log = folder.join("log");
    let child = spawn(&mut command, &log)?;
    pids.insert(0, child.id());
    owned.insert(0, Owned(child));
    let mut peer = Peer { address, pids, owned, folder: Some(folder) };
    peer.wait()
        .map_err(|why| format!("{why}\n{}", fs::read_to_string(&log).unwrap_or_default()))?;
    Ok(peer)
}

/// Empty tables, for the versions that the modules look up when they start.
fn tables(folder: &Path) -> Result<String, String> {
    let place = folder.join("tables");
    let failed = |error: std::io::Error| format!("{TABLES}: {error}");
    fs::create_dir_all(&place).map_err(failed)?;
    for table in ["version", "presentity", "active_watchers", "watchers", "xcap"] {
        fs::copy(Path::new(TABLES).join(table), place.join(table)).map_err(failed)?;
    }
    Ok(format!("text://{}", place.display()))
}
