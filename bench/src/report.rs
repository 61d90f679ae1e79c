//! What is printed: a table for people, JSON for records.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::measure::Measured;

/// For people. CPU is the server's, user and system together, microseconds for each.
pub fn table(lines: &[Measured]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<30} {:>8} {:>6} {:>6} {:>8} {:>7} {:>8} {:>8} {:>8} {:>7} {:>7} {:>5} {:>6} {:>5}",
        "what",
        "count",
        "failed",
        "again",
        "per s",
        "p50 us",
        "p99 us",
        "99.9 us",
        "max us",
        "prompt",
        "CPU us",
        "user",
        "drops",
        "steal"
    );
    for line in lines {
        let (o, l) = (&line.outcome, &line.outcome.latencies);
        let _ = writeln!(
            out,
            "{:<30} {:>8} {:>6} {:>6} {:>8.0} {:>7} {:>8} {:>8} {:>8} {:>6.2}% {:>7.2} {:>4.0}% \
             {:>6} {:>4.1}%",
            line.what,
            o.count(),
            o.failed,
            o.repeated,
            o.rate(),
            l.percentile(50.0),
            l.percentile(99.0),
            l.percentile(99.9),
            l.max(),
            o.prompt_share() * 100.0,
            line.cpu_micros,
            line.user_share * 100.0,
            line.server_drops + line.own_drops,
            line.stolen * 100.0
        );
    }
    out
}

/// For records.
pub fn json(line: &Measured) -> Value {
    let (o, l) = (&line.outcome, &line.outcome.latencies);
    json!({
        "what": line.what,
        "count": o.count(),
        "failed": o.failed,
        "refusals": o.refusals.iter().map(|(k, v)| (k.to_string(), json!(v)))
            .collect::<serde_json::Map<_, _>>(),
        "repeated": o.repeated,
        "notifies": o.notifies,
        "notifies_again": o.notifies_again,
        "seconds": o.seconds,
        "per_second": o.rate(),
        "p50_us": l.percentile(50.0),
        "p99_us": l.percentile(99.0),
        "p999_us": l.percentile(99.9),
        "max_us": l.max(),
        "prompt_share": o.prompt_share(),
        "cpu_us_each": line.cpu_micros,
        "user_share": line.user_share,
        "server_drops": line.server_drops,
        "own_drops": line.own_drops,
        "busy_share": line.busy,
        "stolen_share": line.stolen,
    })
}
