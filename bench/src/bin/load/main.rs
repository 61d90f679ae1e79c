//! `load`: PUBLISH against a server in a closed loop, with the server's CPU time for each
//! transaction beside that of a bare UDP echo in the same run.
//!
//! ```text
//! cargo run --release -p pharos-bench --bin load -- --pharos target/release/pharos
//! ```

mod args;
mod caller;
mod echo;
mod message;
mod report;
mod server;

use std::process::ExitCode;

use args::Args;
use caller::{Kind, run_phase};
use report::{Line, Report};
use server::Server;

fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    match measure(&args) {
        Ok(report) if args.json => println!("{}", report.json()),
        Ok(report) => println!("{}", report.table()),
        Err(why) => {
            eprintln!("load: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(args: &Args) -> Result<Report, String> {
    let echo = echo::measure(args)?;
    let server = Server::find(args)?;
    let mut lines = vec![echo];
    let mut users = caller::users(args);
    for (kind, rounds) in
        [(Kind::Initial, 1), (Kind::Refresh, args.rounds), (Kind::Modify, args.rounds)]
    {
        let before = server.cpu()?;
        let outcome = run_phase(args, server.address, kind, rounds, &mut users)?;
        let after = server.cpu()?;
        let count = outcome.latencies.count();
        lines.push(Line {
            what: kind.name(),
            count,
            failed: outcome.failed,
            repeated: outcome.repeated,
            seconds: outcome.seconds,
            latencies: outcome.latencies,
            cpu_micros: after.micros_each(&before, count),
            user_share: after.user_share(&before),
        });
    }
    server.stop();
    Ok(Report { lines, command: args.command.clone() })
}
