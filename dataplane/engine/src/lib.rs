//! The pure core of Pharos: SIP and presence with no socket, clock, thread, file or random device.
//!
//! **The contract.** *Handle one input, drain every output, then sleep until the deadline.* After
//! each [`Shard::handle`] call [`Shard::poll_output`] until it returns `None`; then wait for the
//! next input, or until [`Shard::next_deadline`] and hand in [`Input::Tick`]. Time, bytes, storage
//! answers and the random seed come in; everything the shard wants done comes out. The same seed
//! and inputs give the same outputs in the same order.
//!
//! ```
//! use pharos_engine::{Input, Instant, Now, Output, Shard};
//!
//! /// What a driver does with one input, under glommio as in the simulator.
//! fn step(
//!     shard: &mut Shard,
//!     now: Now,
//!     input: Input<'_>,
//!     mut carry_out: impl FnMut(Output<'_>),
//! ) -> Option<Instant> {
//!     shard.handle(now, input);
//!     while let Some(output) = shard.poll_output() {
//!         carry_out(output);
//!     }
//!     // Until then there is nothing to do but wait for the next input; then it is `Input::Tick`.
//!     shard.next_deadline()
//! }
//! ```
//!
//! | module | what |
//! | --- | --- |
//! | [`shard`] | dispatch: which system an input is for |
//! | [`mod@core`] | what all systems share: clocks, randomness, timers, the way out |
//! | [`sip`] | transactions, dialogs, connections, names |
//! | [`presence`] | publications, subscriptions, notifications, event packages |
//! | [`route`], [`wire`] | whose a message is, and the tokens that say so |
//! | [`limits`], [`reject`], [`counters`] | every bound, every reason, everything counted |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

mod chunks;
pub mod config;
pub mod core;
pub mod counters;
mod index;
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
