//! The pure core of Pharos: SIP and presence with no socket, clock, thread, file or random device.
//!
//! **The contract.** *Handle one input, drain every output, then sleep until the deadline.* After
//! each [`Shard::handle`] call [`Shard::poll_output`] until it returns `None`; then wait for the
//! next input, or until [`Shard::next_deadline`] and hand in [`Input::Tick`]. Time, bytes, storage
//! answers and the random seed come in; everything the shard wants done comes out. The same seed
//! and inputs give the same outputs in the same order.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod config;
pub mod core;
pub mod counters;
mod invariants;
pub mod io;
pub mod limits;
pub mod map;
pub mod net;
pub mod pool;
pub mod presence;
pub mod reject;
pub mod route;
pub mod shard;
pub mod sip;
pub mod time;
pub mod timer;
pub mod wire;

pub use crate::core::{Core, Timer};
pub use config::Config;
pub use io::{Command, Input, Log, Mesh, Output, Reply};
pub use shard::Shard;
pub use time::{Instant, Now, Span, Wall};
