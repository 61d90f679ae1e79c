//! What the measurements share: time, CPU time of processes and threads, percentiles.

pub mod cpu;
pub mod latency;
