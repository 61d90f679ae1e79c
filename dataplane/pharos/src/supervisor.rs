//! What systemd is told (`Type=notify`), and what signals tell us.

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use std::{io, process, thread};

use pharos_control::Heartbeat;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Exit code when a second signal cuts the stop short.
const CUT_SHORT: i32 = 1;

/// Catches SIGTERM and SIGINT from now on: the first arrives here, the second ends the process at
/// once.
///
/// # Errors
/// The handlers cannot be set.
pub(crate) fn signals() -> io::Result<Receiver<&'static str>> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name("pharos-signals".into()).spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
            if count > 0 || sender.send(name).is_err() {
                process::exit(CUT_SHORT);
            }
        }
    })?;
    Ok(receiver)
}

/// Shown by `systemctl status`. Nothing happens without systemd.
pub(crate) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Every socket is bound and storage recovered.
pub(crate) fn ready(text: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(text)]);
}

/// The stop has begun.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Beats at half the time systemd allows, when it asked for that.
pub(crate) fn heartbeat() -> Option<Heartbeat> {
    let allowed = sd_notify::watchdog_enabled()?;
    let every = (allowed / 2).max(Duration::from_millis(1));
    Some(Heartbeat { every, beat: Box::new(|| tell(&[NotifyState::Watchdog])) })
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("systemd could not be told: {error}");
    }
}
