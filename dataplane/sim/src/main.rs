//! The simulator as a program: many seeds, or one looked at closely.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
