//! The binary: command line, configuration, start-up, signals.

mod cli;
mod config;
mod run;

use std::process::ExitCode;

/// Small allocations of all sizes and threads: what a SIP server does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
