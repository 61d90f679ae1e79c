//! Counters and gauges of a shard: plain integers, read by [`crate::Command::Metrics`].

use alloc::vec::Vec;

/// One sample: the exported name, an optional label pair, and the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Name without prefix, such as `sip_requests`; counters get `_total` from the exporter.
    pub name: &'static str,
    /// What it counts, one sentence.
    pub help: &'static str,
    /// Counter (only rises) or gauge.
    pub counter: bool,
    /// Label name and value, such as `("reason", "bad_cseq")`.
    pub label: Option<(&'static str, &'static str)>,
    /// The value.
    pub value: u64,
}

/// All samples of one shard.
pub type Snapshot = Vec<Sample>;
