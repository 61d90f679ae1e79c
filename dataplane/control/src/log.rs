//! Logs, on standard error: a line for people, or a JSON object per line.
//!
//! Shards hand their lines over a bounded queue; a thread of its own writes them. Where either is
//! full lines are lost and counted, and nobody waits.

use std::fmt;
use std::sync::OnceLock;

use pharos_engine::Log;
use pharos_engine::io::Level;
use pharos_engine::net::ShardId;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
pub use tracing_appender::non_blocking::WorkerGuard as Guard;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that may wait for standard error.
const LINES_MAX: usize = 8_192;

static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `TIME LEVEL part: text`.
    Text,
    /// A JSON object.
    Json,
}

/// Starts logging of our own crates at `level`, of others from warnings on. What is still waiting
/// is written when the guard is dropped.
pub fn start(level: LevelFilter, format: Format) -> Guard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_MAX)
        .thread_name("pharos-log")
        .finish(std::io::stderr());
    let _ = LOST.set(writer.error_counter());
    let filter =
        Targets::new().with_default(LevelFilter::WARN.min(level)).with_target("pharos", level);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let started = match format {
        Format::Text => registry.with(layer.event_format(Line)).try_init(),
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    if started.is_err() {
        tracing::warn!("logging was started before; it stays as it is");
    }
    guard
}

/// Lines lost because standard error did not take them.
pub fn lines_lost() -> u64 {
    LOST.get().map_or(0, |lost| lost.dropped_lines() as u64)
}

/// Writes a line of a shard.
pub(crate) fn write(shard: ShardId, line: &Log) {
    let (shard, part, text) = (shard.0, line.target, line.text.as_str());
    match line.level {
        Level::Error => tracing::error!(target: "pharos", shard, part, "{text}"),
        Level::Warn => tracing::warn!(target: "pharos", shard, part, "{text}"),
        Level::Info => tracing::info!(target: "pharos", shard, part, "{text}"),
    }
}

/// `TIME LEVEL part: text`, other fields behind as `name=value`.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        SystemTime.format_time(&mut out)?;
        let target = event.metadata().target();
        let krate = target.split_once("::").map_or(target, |(krate, _)| krate);
        let part = parts.part.as_deref().unwrap_or(krate);
        writeln!(out, " {} {part}: {}{}", event.metadata().level(), parts.text, parts.rest)
    }
}

#[derive(Default)]
struct Parts {
    part: Option<String>,
    text: String,
    rest: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "part" => self.part = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.text = one_line(&format!("{value:?}")),
            name => self.rest.push_str(&one_line(&format!(" {name}={value:?}"))),
        }
    }
}

/// What a peer sent cannot begin a new line of the log.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(one_line("a\r\nERROR forged"), "a\u{fffd}\u{fffd}ERROR forged");
        assert_eq!(one_line("plain"), "plain");
    }
}
