//! The command line of `load`.

use std::net::SocketAddr;

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// A binary to start with free ports and a fresh data directory.
    pub(crate) pharos: Option<String>,
    /// More arguments for it.
    pub(crate) pharos_args: Vec<String>,
    /// Or a server that runs,
    pub(crate) server: Option<SocketAddr>,
    /// and its process.
    pub(crate) pid: Option<u32>,
    /// Presentities.
    pub(crate) users: usize,
    /// Refreshes and modifications of each.
    pub(crate) rounds: usize,
    /// Transactions in flight, over all threads.
    pub(crate) window: usize,
    /// Threads, each with a socket of its own.
    pub(crate) threads: usize,
    /// Transactions a second over all threads; 0 = as many as the window lets through.
    pub(crate) rate: u64,
    /// JSON instead of a table.
    pub(crate) json: bool,
    /// How it was called.
    pub(crate) command: String,
}

const HELP: &str = "\
Usage: load (--pharos BINARY [--with ARG]... | --server IP:PORT --pid PID) [options]

  --users N      presentities (10000)
  --rounds N     refreshes and modifications of each (3)
  --window N     transactions in flight (64)
  --threads N    client threads, a socket each (2)
  --rate N       transactions a second; 0 = as fast as the window allows (0)
  --json         JSON instead of a table";

impl Args {
    /// Reads arguments.
    ///
    /// # Errors
    /// The text to print: help, or what is wrong.
    pub(crate) fn read(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let all: Vec<String> = args.collect();
        let mut read = Self {
            pharos: None,
            pharos_args: Vec::new(),
            server: None,
            pid: None,
            users: 10_000,
            rounds: 3,
            window: 64,
            threads: 2,
            rate: 0,
            json: false,
            command: format!("load {}", all.join(" ")),
        };
        let mut rest = all.into_iter();
        while let Some(name) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{name} wants a value\n{HELP}"));
            match &*name {
                "--pharos" => read.pharos = Some(value()?),
                "--with" => read.pharos_args.push(value()?),
                "--server" => read.server = Some(number(&name, &value()?)?),
                "--pid" => read.pid = Some(number(&name, &value()?)?),
                "--users" => read.users = number(&name, &value()?)?,
                "--rounds" => read.rounds = number(&name, &value()?)?,
                "--window" => read.window = number(&name, &value()?)?,
                "--threads" => read.threads = number(&name, &value()?)?,
                "--rate" => read.rate = number(&name, &value()?)?,
                "--json" => read.json = true,
                "--help" | "-h" => return Err(HELP.to_owned()),
                other => return Err(format!("{other} is unknown\n{HELP}")),
            }
        }
        let whole = read.users > 0 && read.threads > 0 && read.window >= read.threads;
        if !whole || read.threads > read.users {
            return Err(format!("users and window are at least as many as threads\n{HELP}"));
        }
        if read.pharos.is_none() && (read.server.is_none() || read.pid.is_none()) {
            return Err(HELP.to_owned());
        }
        Ok(read)
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} {value}: not understood\n{HELP}"))
}
