//! `load`: PUBLISH, SUBSCRIBE and NOTIFY against one server, with the server's CPU time for each
//! beside that of a bare UDP echo in the same run.
//!
//! ```text
//! cargo run --release -p pharos-bench --bin load -- --pharos target/release/pharos
//! ```

mod args;

use std::process::ExitCode;

use args::{Args, Target, What};
use indicatif::{ProgressBar, ProgressStyle};
use pharos_bench::load::{Op, Shape};
use pharos_bench::measure::{self, Measured};
use pharos_bench::peer::{Peer, kamailio, pharos};
use pharos_bench::report;
use pharos_bench::session::Session;
use serde_json::json;

fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    match measure_all(&args) {
        Ok(lines) if args.json => {
            let lines: Vec<_> = lines.iter().map(report::json).collect();
            println!("{}", json!({ "results": lines }));
        }
        Ok(lines) => print!("{}", report::table(&lines)),
        Err(why) => {
            eprintln!("load: {why}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Every operation in every shape, the echo first.
fn measure_all(args: &Args) -> Result<Vec<Measured>, String> {
    let peer = start(args)?;
    let shapes: Vec<Shape> = match args.rate > 0.0 {
        true => vec![Shape::Rate(args.rate)],
        false => args.windows.iter().map(|window| Shape::Window(*window)).collect(),
    };
    let mut session = Session::new(peer, args.size())?;
    let bar = ProgressBar::new((shapes.len() * (args.ops.len() + 1)) as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}").expect("a template"));
    let mut lines = Vec::new();
    for shape in &shapes {
        bar.set_message("UDP echo");
        let mut all = vec![measure::echo(*shape, args.ports)?];
        bar.inc(1);
        for what in &args.ops {
            bar.set_message(format!("{what:?}, {shape:?}"));
            all.push(one(&mut session, args, *what, *shape)?);
            bar.inc(1);
        }
        session.clear();
        for line in &mut all {
            line.what = format!("{}, {}", line.what, short(*shape));
        }
        lines.append(&mut all);
    }
    bar.finish_and_clear();
    session.peer.stop();
    Ok(lines)
}

fn one(session: &mut Session, args: &Args, what: What, shape: Shape) -> Result<Measured, String> {
    match what {
        What::Op(op) => session.phase(op, shape),
        What::Fan => {
            session.fill(Op::Unsubscribe, u64::MAX);
            session.gather(0, args.fan)?;
            let rounds = (200_000 / args.fan).clamp(5, 100);
            let measured = session.fan(0, args.fan.into(), rounds);
            session.fill(Op::Unsubscribe, u64::MAX);
            session.fleet.watch(None);
            measured
        }
    }
}

fn short(shape: Shape) -> String {
    match shape {
        Shape::Window(window) => format!("{window}"),
        Shape::Rate(rate) => format!("{rate}/s"),
    }
}

fn start(args: &Args) -> Result<Peer, String> {
    match &args.target {
        Target::Pharos(binary) => {
            let setup = pharos::Setup::new(binary, &args.config);
            pharos::Setup { args: args.with.clone(), ..setup }.start()
        }
        Target::Kamailio(mode, workers) => kamailio::start(*mode, *workers),
        Target::Running(address, pid) => Ok(Peer::running(*address, *pid)),
    }
}
