//! The command line of `load`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pharos_bench::load::Op;
use pharos_bench::peer::kamailio::Mode;
use pharos_bench::session::Size;
use pharos_bench::sip::write::Publish;

/// What is loaded.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A binary of ours to be started.
    Pharos(PathBuf),
    /// Kamailio, to be started with so many workers.
    Kamailio(Mode, usize),
    /// A server that runs, with its process.
    Running(SocketAddr, u32),
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) target: Target,
    /// Configuration of a Pharos that we start.
    pub(crate) config: String,
    /// More arguments for it.
    pub(crate) with: Vec<String>,
    /// What is done, in this order.
    pub(crate) ops: Vec<What>,
    pub(crate) users: u32,
    pub(crate) watchers: u32,
    pub(crate) fan: u32,
    pub(crate) windows: Vec<usize>,
    /// Requests a second; 0 = closed loop.
    pub(crate) rate: f64,
    pub(crate) ports: usize,
    pub(crate) seconds: f64,
    pub(crate) settle: f64,
    pub(crate) json: bool,
}

/// One item of `--ops`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// A phase.
    Op(Op),
    /// Fan-out.
    Fan,
}

const HELP: &str = "\
Usage: load --pharos BINARY [--commit] [--with ARG]... [options]
       load --kamailio memory|database [--workers N] [options]
       load --server IP:PORT --pid PID [options]

  --ops LIST     of initial,refresh,modify,remove,subscribe,resubscribe,unsubscribe,mixed,fan
                 (all but the last two and the removals, in this order)
  --users N      presentities (400000)
  --watchers N   watchers of one presentity each (200000)
  --fan N        watchers of a single presentity (1000)
  --window LIST  closed loop, so many in flight; several are done one after the other (64,1024)
  --rate N       open loop, requests a second
  --ports N      UDP source ports (1)
  --seconds N    for each phase at most (4)
  --settle N     seconds for what a server puts off, counted as its work (periodic: 1.5)
  --commit       Pharos answers after the commit; else durability is periodic, with an
                 update_period of 1 s, so that what is put off falls into the measurement
  --json         JSON instead of a table";

impl Args {
    /// For a session.
    pub(crate) fn size(&self) -> Size {
        Size {
            publishers: self.users,
            watchers: self.watchers.max(self.fan),
            ports: self.ports,
            time: Duration::from_secs_f64(self.seconds),
            settle: Duration::from_secs_f64(self.settle),
        }
    }

    /// Reads arguments.
    ///
    /// # Errors
    /// The text to print: help, or what is wrong.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut read = Self {
            target: Target::Kamailio(Mode::Memory, 0),
            config: "[storage]\ndurability = \"periodic\"\nupdate_period = 1\n".into(),
            with: Vec::new(),
            ops: ops("initial,refresh,modify,subscribe,resubscribe")?,
            users: 400_000,
            watchers: 200_000,
            fan: 1_000,
            windows: vec![64, 1_024],
            rate: 0.0,
            ports: 1,
            seconds: 4.0,
            settle: 1.5,
            json: false,
        };
        let (mut target, mut server, mut workers) = (None, None, 4);
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} wants a value\n{HELP}"));
            match &*name {
                "--pharos" => target = Some(Target::Pharos(value()?.into())),
                "--kamailio" => target = Some(Target::Kamailio(mode(&value()?)?, 0)),
                "--workers" => workers = number(&name, &value()?)?,
                "--server" => server = Some(number(&name, &value()?)?),
                "--pid" => {
                    let address = server.ok_or("--server comes before --pid")?;
                    target = Some(Target::Running(address, number(&name, &value()?)?));
                }
                "--with" => read.with.push(value()?),
                "--commit" => (read.config, read.settle) = (String::new(), 0.2),
                "--ops" => read.ops = ops(&value()?)?,
                "--users" => read.users = number(&name, &value()?)?,
                "--watchers" => read.watchers = number(&name, &value()?)?,
                "--fan" => read.fan = number(&name, &value()?)?,
                "--window" => {
                    let list = value()?;
                    let list = list.split(',').map(|window| number(&name, window));
                    read.windows = list.collect::<Result<_, _>>()?;
                }
                "--rate" => read.rate = number(&name, &value()?)?,
                "--ports" => read.ports = number(&name, &value()?)?,
                "--seconds" => read.seconds = number(&name, &value()?)?,
                "--settle" => read.settle = number(&name, &value()?)?,
                "--json" => read.json = true,
                "--help" | "-h" => return Err(HELP.to_owned()),
                other => return Err(format!("{other} is unknown\n{HELP}")),
            }
        }
        read.target = match target.ok_or(HELP)? {
            Target::Kamailio(mode, _) => Target::Kamailio(mode, workers),
            other => other,
        };
        Ok(read)
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "memory" => Ok(Mode::Memory),
        "database" => Ok(Mode::Database),
        other => Err(format!("--kamailio {other}: memory or database\n{HELP}")),
    }
}

fn ops(list: &str) -> Result<Vec<What>, String> {
    let one = |name: &str| {
        Ok(What::Op(match name {
            "initial" => Op::Publish(Publish::Initial),
            "refresh" => Op::Publish(Publish::Refresh),
            "modify" => Op::Publish(Publish::Modify),
            "remove" => Op::Publish(Publish::Remove),
            "subscribe" => Op::Subscribe,
            "resubscribe" => Op::Resubscribe,
            "unsubscribe" => Op::Unsubscribe,
            "mixed" => Op::Mixed,
            "fan" => return Ok(What::Fan),
            other => return Err(format!("--ops {other}: unknown\n{HELP}")),
        }))
    };
    list.split(',').map(one).collect()
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} {value}: not understood\n{HELP}"))
}
