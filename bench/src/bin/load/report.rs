//! What is printed: a table for people, JSON for records.

use std::fmt::Write;

use pharos_bench::latency::Latencies;

/// One thing measured.
pub(crate) struct Line {
    pub(crate) what: &'static str,
    pub(crate) count: u64,
    pub(crate) failed: u64,
    pub(crate) repeated: u64,
    pub(crate) seconds: f64,
    pub(crate) latencies: Latencies,
    pub(crate) cpu_micros: f64,
    pub(crate) user_share: f64,
}

/// All of a run.
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
    pub(crate) command: String,
}

impl Line {
    fn rate(&self) -> f64 {
        self.count as f64 / self.seconds.max(f64::EPSILON)
    }
}

impl Report {
    /// For people. CPU is the server's, user and system together.
    pub(crate) fn table(&self) -> String {
        let mut out = format!("{}\n\n", self.command);
        let _ = writeln!(
            out,
            "{:<16} {:>8} {:>7} {:>7} {:>9} {:>8} {:>8} {:>8} {:>10} {:>6}",
            "what",
            "count",
            "failed",
            "again",
            "per s",
            "p50 us",
            "p99 us",
            "max us",
            "CPU us/one",
            "user"
        );
        for line in &self.lines {
            let l = &line.latencies;
            let _ = writeln!(
                out,
                "{:<16} {:>8} {:>7} {:>7} {:>9.0} {:>8} {:>8} {:>8} {:>10.2} {:>5.0}%",
                line.what,
                line.count,
                line.failed,
                line.repeated,
                line.rate(),
                l.percentile(50.0),
                l.percentile(99.0),
                l.max(),
                line.cpu_micros,
                line.user_share * 100.0
            );
        }
        out
    }

    /// For records: one object with a list.
    pub(crate) fn json(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(Self::json_line).collect();
        format!("{{\"command\":{:?},\"results\":[{}]}}", self.command, lines.join(","))
    }

    fn json_line(line: &Line) -> String {
        let l = &line.latencies;
        format!(
            "{{\"what\":\"{}\",\"count\":{},\"failed\":{},\"repeated\":{},\"per_second\":{:.0},\
             \"p50_us\":{},\"p90_us\":{},\"p99_us\":{},\"max_us\":{},\"cpu_us_each\":{:.3},\
             \"user_share\":{:.3}}}",
            line.what,
            line.count,
            line.failed,
            line.repeated,
            line.rate(),
            l.percentile(50.0),
            l.percentile(90.0),
            l.percentile(99.0),
            l.max(),
            line.cpu_micros,
            line.user_share
        )
    }
}
