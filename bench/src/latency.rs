//! Time and percentiles.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The one clock of the measurements.
#[expect(clippy::disallowed_methods, reason = "measuring is reading the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Latencies from 1 us to 100 s, to three digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 100_000_000, 3).expect("the bounds are constants"))
    }
}

impl Latencies {
    /// One more.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_micros().max(1) as u64);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The value below which so many percent lie, microseconds.
    pub fn percentile(&self, percent: f64) -> u64 {
        self.0.value_at_percentile(percent)
    }

    /// The largest, microseconds.
    pub fn max(&self) -> u64 {
        self.0.max()
    }
}
