//! MariaDB from Debian, with a data directory and a socket of its own.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{free_address, spawn};
use crate::latency::now;

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);
/// Where Debian has the statements that make the tables.
const TABLES: &str = "/usr/share/kamailio/mysql";

/// Starts it with Kamailio's tables in `folder`; the process, and the URL for Kamailio.
///
/// # Errors
/// It does not start, or does not take the tables.
pub(super) fn start(folder: &Path) -> Result<(Child, String), String> {
    let data = folder.join("mariadb");
    let log = folder.join("mariadb.log");
    let install = Command::new("mariadb-install-db")
        .arg(format!("--datadir={}", data.display()))
        .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
        .args(["--user=root"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("mariadb-install-db: {error}"))?;
    if !install.status.success() {
        return Err(String::from_utf8_lossy(&install.stderr).into_owned());
    }
    let port = free_address()?.port();
    let mut command = Command::new("/usr/sbin/mariadbd");
    command
        .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1"])
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!("--port={port}"))
        .args(["--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G"]);
    let mut child = spawn(&mut command, &log)?;
    match make_tables(folder) {
        Ok(()) => Ok((child, format!("mysql://kamailio:kamailio@127.0.0.1:{port}/kamailio"))),
        Err(why) => {
            let _ = child.kill().and_then(|()| child.wait());
            Err(format!("{why}\n{}", fs::read_to_string(&log).unwrap_or_default()))
        }
    }
}

fn make_tables(folder: &Path) -> Result<(), String> {
    let mut text = String::from(
        "create database kamailio; create user kamailio@'127.0.0.1' identified by 'kamailio'; \
         grant all on kamailio.* to kamailio@'127.0.0.1'; use kamailio;\n",
    );
    for file in ["standard-create.sql", "presence-create.sql"] {
        let path = Path::new(TABLES).join(file);
        let more = fs::read_to_string(&path);
        text += &more.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let start = now();
    loop {
        match run(folder, &text) {
            Ok(()) => return Ok(()),
            Err(why) if start.elapsed() > START => return Err(why),
            // It does not listen yet; nothing was executed.
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn run(folder: &Path, statements: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("mariadb: {error}");
    let mut client = Command::new("mariadb")
        .args(["--no-defaults", "--user=root"])
        .arg(format!("--socket={}", folder.join("socket").display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut input = client.stdin.take().ok_or("mariadb: no input")?;
    // A client that cannot connect closes its end: what counts is how it exits.
    let _ = input.write_all(statements.as_bytes());
    drop(input);
    let output = client.wait_with_output().map_err(failed)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
