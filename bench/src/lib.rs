//! What the measurements share: the load and its sockets, the servers, CPU time and latencies.

pub mod cpu;
pub mod latency;
pub mod load;
pub mod measure;
pub mod net;
pub mod peer;
pub mod report;
pub mod session;
pub mod sip;
