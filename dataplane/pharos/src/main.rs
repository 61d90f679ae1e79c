//! The binary: command line, configuration, start-up, signals.

mod cli;
mod config;
mod cores;
mod db;
mod probes;
mod run;
mod supervisor;

use std::process::ExitCode;

/// Small allocations of all sizes and threads: what a SIP server does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
