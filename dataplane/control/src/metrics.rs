//! `/metrics`: the Prometheus text format, version 0.0.4, written by hand: a dozen lines, and
//! names that only the engine knows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pharos_engine::counters::{Sample, Snapshot};

/// Before every name.
const PREFIX: &str = "pharos_";

/// One figure that does not come from a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name without prefix and without `_total`.
    pub name: &'static str,
    /// What it counts, one sentence.
    pub help: &'static str,
    /// Counter (only rises) or gauge.
    pub counter: bool,
    /// Label names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Metric {
    /// A counter without labels.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, counter: true, labels: Vec::new(), value: value as f64 }
    }

    /// A gauge without labels.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, counter: false, labels: Vec::new(), value }
    }

    /// With one more label.
    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl ToString) -> Self {
        self.labels.push((name, value.to_string()));
        self
    }
}

/// The samples of all shards: summed, or each with its `shard` label.
pub(crate) fn of_shards(snapshots: &[Option<Snapshot>], by_shard: bool) -> Vec<Metric> {
    let mut sums: BTreeMap<_, Metric> = BTreeMap::new();
    for (shard, snapshot) in snapshots.iter().enumerate() {
        for sample in snapshot.iter().flatten() {
            let apart = by_shard.then_some(shard);
            let sum = sums.entry((sample.name, sample.label, apart)).or_insert_with(|| {
                let label = sample.label.map(|(name, value)| (name, value.to_owned()));
                let shard = apart.map(|shard| ("shard", shard.to_string()));
                let labels = label.into_iter().chain(shard).collect();
                let Sample { name, help, counter, .. } = *sample;
                Metric { name, help, counter, labels, value: 0.0 }
            });
            sum.value += sample.value as f64;
        }
    }
    sums.into_values().collect()
}

/// The page. Metrics of one name stand together, in the order of their first.
pub fn page(metrics: &[Metric]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let mut families: BTreeMap<&str, Vec<&Metric>> = BTreeMap::new();
    for metric in metrics {
        let family = families.entry(metric.name).or_default();
        if family.is_empty() {
            names.push(metric.name);
        }
        family.push(metric);
    }
    let mut out = String::new();
    for name in names {
        family(&mut out, &families[name]);
    }
    out
}

fn family(out: &mut String, metrics: &[&Metric]) {
    let Some(first) = metrics.first() else { return };
    let suffix = if first.counter { "_total" } else { "" };
    let kind = if first.counter { "counter" } else { "gauge" };
    let name = format!("{PREFIX}{}{suffix}", first.name);
    let help = first.help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for metric in metrics {
        let pair = |(name, value): &(&str, String)| format!("{name}=\"{}\"", escape(value));
        let labels: Vec<_> = metric.labels.iter().map(pair).collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(out, "{name}{labels} {}", metric.value);
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(
        name: &'static str,
        label: Option<(&'static str, &'static str)>,
        value: u64,
    ) -> Sample {
        Sample { name, help: "What it is.", counter: name.ends_with('s'), label, value }
    }

    fn snapshots() -> [Option<Snapshot>; 3] {
        let first = vec![sample("rejects", Some(("reason", "a")), 1), sample("depth", None, 5)];
        let third = vec![sample("rejects", Some(("reason", "a")), 2), sample("depth", None, 7)];
        [Some(first), None, Some(third)]
    }

    #[test]
    fn shards_are_summed() {
        assert_eq!(
            page(&of_shards(&snapshots(), false)),
            "# HELP pharos_depth What it is.\n# TYPE pharos_depth gauge\npharos_depth 12\n\
             # HELP pharos_rejects_total What it is.\n# TYPE pharos_rejects_total counter\n\
             pharos_rejects_total{reason=\"a\"} 3\n"
        );
    }

    #[test]
    fn or_stand_apart() {
        let text = page(&of_shards(&snapshots(), true));
        assert!(text.contains("pharos_rejects_total{reason=\"a\",shard=\"2\"} 2\n"), "{text}");
        assert_eq!(text.matches("# TYPE").count(), 2);
    }

    #[test]
    fn large_counters_keep_every_digit_and_labels_are_escaped() {
        let metrics = [Metric::counter("x", "X.", 9_007_199_254_740_991).label("l", "a\"\\\n")];
        assert!(page(&metrics).ends_with("pharos_x_total{l=\"a\\\"\\\\\\n\"} 9007199254740991\n"));
    }
}
