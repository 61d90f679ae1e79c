//! Start-up, the wait for signals, and the orderly stop.

use std::process::ExitCode;

use crate::config::Loaded;

/// Runs the server until a signal or a failure.
pub(crate) fn run(loaded: Loaded) -> ExitCode {
    for line in &loaded.inert {
        eprintln!("{line}");
    }
    let _ = loaded.settings.data_directory();
    ExitCode::SUCCESS
}
