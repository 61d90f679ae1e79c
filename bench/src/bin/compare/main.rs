//! `compare`: Pharos and Kamailio under the same load in one run, one table with ratios.
//!
//! ```text
//! cargo build --release -p pharos -p pharos-bench
//! target/release/compare --pharos target/release/pharos
//! ```

mod args;
mod crowd;
mod fan;
mod footprint;
mod open;
mod restart;
mod row;
mod system;
mod tcp;
mod transactions;

use std::process::ExitCode;

use args::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pharos_bench::cpu::Machine;
use pharos_bench::latency::now;
use pharos_bench::peer::kamailio;
use row::Row;
use serde_json::json;
use system::{System, Systems};

/// What each group is given.
#[derive(Debug)]
struct Bench {
    systems: Systems,
    smoke: bool,
    bar: ProgressBar,
}

impl Bench {
    /// A size: the real one, or that of a smoke.
    fn size<T>(&self, real: T, smoke: T) -> T {
        if self.smoke { smoke } else { real }
    }

    /// Tells what is being done.
    fn tell(&self, system: System, what: &str) {
        self.bar.set_message(format!("{what}: {}", system.name()));
    }
}

fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    let (start, machine) = (now(), Machine::now());
    let bar = ProgressBar::new(args.groups.len() as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
    bar.set_style(style.expect("a template"));
    let bench = Bench { systems: args.systems.clone(), smoke: args.smoke, bar };
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for group in &args.groups {
        match run(&bench, group) {
            Ok(mut more) => rows.append(&mut more),
            Err(why) => failures.push(format!("{group}: {why}")),
        }
        bench.bar.inc(1);
    }
    bench.bar.finish_and_clear();
    let (busy, stolen) = Machine::now().since(&machine);
    if args.json {
        println!(
            "{}",
            json!({
                "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
                "failures": failures,
                "seconds": start.elapsed().as_secs_f64(),
                "cores": std::thread::available_parallelism().map_or(0, usize::from),
                "busy_share": busy,
                "stolen_share": stolen,
                "rmem_max": largest_buffer(),
                "kamailio_configuration": kamailio::CONFIG,
            })
        );
    } else {
        print!("{}", row::table(&rows));
        println!(
            "\n{:.0} s; the machine was busy for {:.0} % and lost {:.1} % to its hypervisor; \
             net.core.rmem_max is {}. Kamailio is configured by bench/peers/kamailio/kamailio.cfg.",
            start.elapsed().as_secs_f64(),
            busy * 100.0,
            stolen * 100.0,
            largest_buffer()
        );
    }
    for failure in &failures {
        eprintln!("compare: {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(bench: &Bench, group: &str) -> Result<Vec<Row>, String> {
    match group {
        "transactions" => transactions::rows(bench),
        "fan-out" => fan::rows(bench),
        "crowd" => crowd::rows(bench),
        "open" => open::rows(bench),
        "rates" => open::at_rates(bench),
        "tcp" => tcp::rows(bench),
        "memory" => footprint::rows(bench),
        "growth" => footprint::growth(bench),
        _ => restart::rows(bench),
    }
}

/// Bytes of receive buffer that the system lets a server have.
fn largest_buffer() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}
