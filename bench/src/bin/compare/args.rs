//! The command line of `compare`.

use std::path::PathBuf;

use crate::system::Systems;

/// Groups of rows, each runnable alone.
pub(crate) const GROUPS: [&str; 9] =
    ["transactions", "fan-out", "crowd", "open", "rates", "tcp", "memory", "growth", "restart"];

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    pub(crate) systems: Systems,
    /// Groups to be run.
    pub(crate) groups: Vec<String>,
    /// Small and short: shows that it works, its figures mean nothing.
    pub(crate) smoke: bool,
    pub(crate) json: bool,
}

const HELP: &str = "\
Usage: compare --pharos BINARY [options]

Runs Pharos in both modes of durability and Kamailio in memory and with MariaDB on this machine,
one after the other, and prints each figure beside what it is compared with. Everything is on
loopback; Kamailio and MariaDB come from Debian (bench/peers/kamailio/install).

  --only LIST      of transactions,fan-out,crowd,open,rates,tcp,memory,growth,restart (all)
  --workers LIST   Kamailio's workers in memory mode, the best counts (1,2,4,8)
  --no-kamailio    Pharos alone
  --no-database    Kamailio in memory only
  --smoke          small and short: that it works, not how fast
  --json           JSON instead of a table";

impl Args {
    /// Reads arguments.
    ///
    /// # Errors
    /// The text to print: help, or what is wrong.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let systems = Systems { pharos: PathBuf::new(), workers: vec![1, 2, 4, 8], database: true };
        let groups = GROUPS.map(str::to_owned).to_vec();
        let mut read = Self { systems, groups, smoke: false, json: false };
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{name} wants a value\n{HELP}"));
            match &*name {
                "--pharos" => read.systems.pharos = value()?.into(),
                "--only" => read.groups = value()?.split(',').map(str::to_owned).collect(),
                "--workers" => {
                    let number = |n: &str| n.parse().map_err(|_| format!("{name} {n}\n{HELP}"));
                    read.systems.workers =
                        value()?.split(',').map(number).collect::<Result<_, _>>()?;
                }
                "--no-kamailio" => read.systems.workers.clear(),
                "--no-database" => read.systems.database = false,
                "--smoke" => read.smoke = true,
                "--json" => read.json = true,
                "--help" | "-h" => return Err(HELP.to_owned()),
                other => return Err(format!("{other} is unknown\n{HELP}")),
            }
        }
        if let Some(group) = read.groups.iter().find(|group| !GROUPS.contains(&group.as_str())) {
            return Err(format!("--only {group}: there is no such group\n{HELP}"));
        }
        if read.systems.pharos.as_os_str().is_empty() {
            return Err(HELP.to_owned());
        }
        read.systems.only_installed();
        Ok(read)
    }
}
