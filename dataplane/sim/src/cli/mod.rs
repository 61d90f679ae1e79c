//! The command line: which seeds, and what of them is wanted.

mod farm;
mod shrink;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use pharos_sim::Sabotage;
use pharos_sim::swarm::{self, Outcome, Trouble, Wishes};

/// Run the server in a simulated world, once for each seed, and check that no promise is broken.
///
/// Shards, disk, network, clocks and user agents are simulated in virtual time; the engine is the
/// real one. A seed decides everything, so a failing one fails again. Use a release build for many.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub(crate) struct Args {
    /// Number of seeds to run
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// First seed
    #[arg(long, default_value_t = 1)]
    start: u64,
    /// Run this seed alone, in this process
    #[arg(long, conflicts_with_all = ["seeds", "start"])]
    seed: Option<u64>,
    /// Print every message and event as it passes (with --seed)
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Leave out troubles and deeds while the seed still fails (with --seed)
    #[arg(long, requires = "seed", conflicts_with = "trace")]
    shrink: bool,
    /// Durability; each seed chooses if not given
    #[arg(long)]
    mode: Option<Mode>,
    /// Leave these troubles out: loss, duplicates, reordering, partitions, breaks, crashes,
    /// restarts, disk, jumps, manners, hostile
    #[arg(long, value_delimiter = ',', value_name = "TROUBLES")]
    without: Vec<Trouble>,
    /// No more deeds of clients and weather than this before the calm
    #[arg(long)]
    deeds: Option<u64>,
    /// Break a promise on purpose, to see that it is noticed
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// Processes at work at a time; 0 = one for each core
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Report each seed on a line of its own for another process of this program
    #[arg(long, hide = true)]
    worker: bool,
}

/// `durability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Answers leave when the disk has it.
    Commit,
    /// The disk follows.
    Periodic,
}

impl Args {
    fn wishes(&self) -> Wishes {
        Wishes {
            commit: self.mode.map(|mode| mode == Mode::Commit),
            without: self.without.clone(),
            deeds: self.deeds,
            sabotage: self.sabotage,
            trace: self.trace,
        }
    }

    /// What beside the seed makes a run what it is, as it is typed.
    fn common(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut word = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([format!("--{name}"), value]);
            }
        };
        let name = |mode: Mode| if mode == Mode::Commit { "commit" } else { "periodic" };
        word("mode", self.mode.map(|mode| name(mode).to_owned()));
        let without: Vec<String> = self.without.iter().map(Trouble::to_string).collect();
        word("without", Some(without.join(",")).filter(|text| !text.is_empty()));
        word("deeds", self.deeds.map(|deeds| deeds.to_string()));
        word("sabotage", self.sabotage.map(|sabotage| sabotage.to_string()));
        words
    }

    /// The command that runs a seed again.
    fn command(&self, seed: u64) -> String {
        let common = self.common().join(" ");
        let common = if common.is_empty() { common } else { format!(" {common}") };
        format!("cargo run --release -p pharos-sim -- --seed {seed}{common} --trace")
    }
}

pub(crate) fn main() -> ExitCode {
    let args = Args::parse();
    let good = match args.seed {
        _ if args.worker => work(&args),
        Some(seed) if args.shrink => shrink::shrink(&args, seed),
        Some(seed) => one(&args, seed),
        None => farm::run(&args),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One seed, with its result for people.
fn one(args: &Args, seed: u64) -> bool {
    let outcome = swarm::run(seed, &args.wishes());
    println!("seed {seed}: {}", sum(&outcome));
    for (check, what) in &outcome.failures {
        println!("{check}: {what}");
    }
    if !outcome.failures.is_empty() && !args.trace {
        println!("{}", args.command(seed));
    }
    outcome.failures.is_empty()
}

/// A chunk of seeds, with results for the process that asked.
fn work(args: &Args) -> bool {
    let wishes = args.wishes();
    let mut out = std::io::stdout();
    for seed in args.start..args.start + args.seeds {
        let outcome = swarm::run(seed, &wishes);
        let failure = outcome.failures.first();
        let line = farm::Line {
            seed,
            converged: outcome.converged as u64,
            crashes: outcome.crashes as u64,
            messages: outcome.messages as u64,
            failure: failure.map(|(check, what)| format!("{check}: {what}")),
        };
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return false;
        }
    }
    true
}

fn sum(outcome: &Outcome) -> String {
    let Outcome { trace, messages, deeds, converged, crashes, .. } = outcome;
    format!(
        "trace {trace:016x}, {deeds} deeds, {messages} messages, {crashes} crashes, \
         {converged} subscriptions at the end"
    )
}
