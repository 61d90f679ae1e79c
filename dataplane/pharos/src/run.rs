//! Start-up, the wait for a signal, and the orderly stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pharos_control::log::{self, Format};
use pharos_runtime::{Handle, Runtime};
use tracing::level_filters::LevelFilter;

use crate::config::Loaded;
use crate::config::address::Socket;
use crate::config::settings::Settings;
use crate::config::values::{LogFormat, LogLevel};
use crate::cores::Placement;
use crate::{probes, supervisor};

/// Runs the server until a signal or a failure.
pub(crate) fn run(loaded: &Loaded) -> ExitCode {
    let placement = Placement::of(&loaded.settings);
    let start_log = || start_log(&loaded.settings);
    let _written_at_the_end = match &placement {
        Ok(placement) => placement.on_control(start_log),
        Err(_) => start_log(),
    };
    for line in &loaded.inert {
        tracing::warn!("{line}");
    }
    match placement.and_then(|placement| serve(&loaded.settings, &placement)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            supervisor::status(&why);
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn start_log(settings: &Settings) -> log::Guard {
    let level = match settings.log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let format = match settings.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    log::start(level, format)
}

fn serve(settings: &Settings, placement: &Placement) -> Result<(), String> {
    let signals = placement.on_control(supervisor::signals);
    let signals = signals.map_err(|error| format!("no signal handlers: {error}"))?;
    let address = settings.server.control;
    let control = pharos_control::bind(address.0)
        .map_err(|error| format!("control = \"{address}\" cannot be bound: {error}"))?;
    supervisor::status("recovering what is stored");
    let config = settings.runtime(placement);
    let handle = Runtime::start(config).map_err(|error| error.to_string())?;
    let draining = Arc::new(AtomicBool::new(false));
    let probes = probes::of(&handle.gauges(), &draining);
    let control = placement
        .on_control(|| control.start(handle.control(), probes, supervisor::heartbeat()))
        .map_err(|error| format!("the control thread does not start: {error}"))?;
    announce(settings, placement, &handle);

    let signal = signals.recv().map_err(|_| "the thread that waits for signals ended")?;
    tracing::info!("{signal}: taking nothing new, finishing what is in flight");
    draining.store(true, Ordering::Relaxed);
    supervisor::stopping();
    let stopped = handle.shutdown().map_err(|error| error.to_string())?;
    control.stop();
    match stopped.clean {
        true => tracing::info!("stopped in order"),
        false => tracing::warn!("stopped; what was in flight took too long and was given up"),
    }
    Ok(())
}

/// The layout, in the log and for systemd.
fn announce(settings: &Settings, placement: &Placement, handle: &Handle) {
    let lanes = handle.gauges().lanes();
    let objects: u64 = lanes.iter().map(|lane| lane.objects).sum();
    let damaged: u64 = lanes.iter().map(|lane| lane.damaged).sum();
    let store = match settings.data_directory() {
        None => "memory only: nothing outlives this process".to_owned(),
        Some(path) => {
            let lanes = lanes.len();
            let plural = if lanes == 1 { "" } else { "s" };
            format!("{objects} objects in {path}, {lanes} lane{plural}")
        }
    };
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!("pharos {version}: {}; {store}", placement.describe());
    if settings.runtime.spin.0 > 0 && !placement.leaves_cores() {
        tracing::info!("runtime.spin has no effect: shards leave no core to lanes and control");
    }
    if damaged > 0 {
        tracing::error!("{damaged} stored records are damaged and were left out: pharos db verify");
    }
    for listener in handle.listeners() {
        tracing::info!("listening on {}", Socket(listener.clone()));
    }
    tracing::info!(
        "metrics on http://{0}/metrics, health on http://{0}/healthz",
        settings.server.control
    );
    supervisor::ready(&format!("{}; {store}", placement.describe()));
}
