//! The command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Loaded, Overrides, settings::Settings};
use crate::db::{self, Db};

/// Exit code of a wrong command line or configuration.
pub(crate) const WRONG_USE: u8 = 2;

const ABOUT: &str = "SIP presence and messaging server";

const LONG_ABOUT: &str = "\
Pharos is a SIP presence server: it takes PUBLISH and SUBSCRIBE requests (RFC 3903, RFC 6665), \
keeps what it acknowledges on disk, and tells watchers with NOTIFY. It needs no other server.

Without a subcommand it runs: it listens on 127.0.0.1:5060 (UDP and TCP), serves metrics on \
127.0.0.1:8888 and keeps its data in ./pharos-data.";

const AFTER: &str = "\
SIGNALS
  SIGTERM, SIGINT   Stop in order: nothing new is taken, what is in flight is answered and
                    written, then exit. A second signal exits at once.

EXIT STATUS
  0   stopped in order, or the command succeeded
  1   something failed while running
  2   the command line or the configuration is wrong; the message names file, line and column

FILES
  ./pharos-data     Data directory, see data and db_url in the configuration
  ./pharos.toml     Nothing is read unless -c names it

ENVIRONMENT
  NOTIFY_SOCKET, WATCHDOG_USEC   Set by systemd for Type=notify units

EXAMPLES
  pharos                                     Run with defaults, on loopback
  pharos config > pharos.toml                Write the whole configuration, to be edited
  pharos check -c pharos.toml                Check it without starting
  pharos run -c pharos.toml                  Run with it
  pharos --socket udp:127.0.0.1:5062 --control 127.0.0.1:8890 --data /tmp/second
                                             A second server beside the first
  curl http://127.0.0.1:8888/metrics         What it counts";

#[derive(Debug, Parser)]
#[command(name = "pharos", version)]
#[command(about = ABOUT, long_about = LONG_ABOUT, after_long_help = AFTER)]
#[command(args_conflicts_with_subcommands = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; this is what happens without a subcommand
    Run(RunArgs),
    /// Check a configuration without starting, and list what has no effect
    Check(CheckArgs),
    /// Print the default configuration, every parameter with its meaning
    Config,
    /// Look into a data directory, check it, make it smaller, move tables in and out
    #[command(subcommand)]
    Db(Db),
}

#[derive(Args, Clone, Debug, Default)]
struct RunArgs {
    /// Configuration file; without it every parameter has its default
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, instead of the configuration's data and db_url
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Listener such as udp:127.0.0.1:5060 or "tcp:10.0.0.1:5060 as p.example:5060", instead of
    /// those of the configuration; may be given several times
    #[arg(long, value_name = "SOCKET")]
    socket: Vec<String>,
    /// Address of /metrics and /healthz, instead of the configuration's
    #[arg(long, value_name = "ADDRESS")]
    control: Option<String>,
}

#[derive(Args, Clone, Debug)]
struct CheckArgs {
    /// Configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

impl RunArgs {
    fn load(&self) -> Result<Loaded, ExitCode> {
        let overrides = Overrides {
            sockets: self.socket.clone(),
            control: self.control.clone(),
            data: self.data.clone(),
        };
        load(self.config.as_deref(), &overrides)
    }
}

/// Runs what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => match args.load() {
            Ok(loaded) => crate::run::run(&loaded),
            Err(code) => code,
        },
        Command::Check(args) => check(&args.config),
        Command::Config => {
            print!("{}", config::print::print(&Settings::default()));
            ExitCode::SUCCESS
        }
        Command::Db(db) => db::run(&db),
    }
}

fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Loaded, ExitCode> {
    config::load(file, overrides).map_err(|report| {
        eprintln!("{report}");
        ExitCode::from(WRONG_USE)
    })
}

fn check(file: &Path) -> ExitCode {
    match load(Some(file), &Overrides::default()) {
        Ok(loaded) => {
            for line in loaded.inert {
                println!("{line}");
            }
            println!("{}: good", file.display());
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}
