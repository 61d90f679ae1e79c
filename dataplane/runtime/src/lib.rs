//! glommio and io_uring under the engine: sockets, connections, mesh, lanes, clock, the loop of a shard.
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`clock`] | the only reader of time |
//! | `doorbell` | how a sleeping shard is woken, and how it is not woken in vain |
//! | [`control_link`] | questions and answers between the shards and the control thread |

mod address;
pub mod clock;
pub mod control_link;
mod doorbell;
mod ring;
mod socket;
mod spread;

pub use control_link::{ControlPort, Event, FromShard};
