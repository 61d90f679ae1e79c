//! glommio and io_uring under the engine: sockets, connections, mesh, lanes, clock, and the loop
//! of a shard.
//!
//! [`Runtime::start`] checks the machine, recovers what is stored, binds the listeners and runs one
//! shard on each core; the [`Handle`] leads to the control plane's link, to the figures and to the
//! orderly stop.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `start`, `shard` | start-up and the thread of a shard |
//! | `drive`, `sleep` | the loop of a shard and its sleep |
//! | `guard` | wakes an executor that sleeps although it has work |
//! | `ring`, `socket`, `address` | datagrams: our own io_uring, options, the kernel's layouts |
//! | `spread` | the program that spreads one sender over the shards |
//! | `streams` | connections on glommio |
//! | `mesh`, `lanes` | between shards; to storage and back |
//! | `doorbell` | how a sleeping shard is woken, and how it is not woken in vain |
//! | [`control_link`] | questions and answers between the shards and the control thread |
//! | [`clock`] | the only reader of time |
//! | `preflight` | what must be there, and what to do when it is not |
//! | `shutdown` | the word to stop |

mod address;
pub mod clock;
pub mod config;
pub mod control_link;
mod counters;
mod doorbell;
mod drive;
mod guard;
mod lanes;
mod mesh;
mod preflight;
mod ring;
mod shard;
mod shutdown;
mod sleep;
mod socket;
mod spread;
mod start;
mod streams;

pub use config::{RingSize, RuntimeConfig, SocketBuffers, Store, StreamLimits, Tuning};
pub use control_link::{ControlPort, Event, FromShard};
pub use preflight::StartError;
pub use shutdown::Stopped;
pub use start::{Gauges, Handle, Runtime};
