//! A deterministic world for the engine: shards, disk, network, names and user agents in virtual
//! time, all drawn from one seed.
//!
//! The engine runs as it does under the runtime, from bytes to bytes; only sockets, clock, lanes
//! and resolver are replaced. A scenario is a few lines that read like the RFC:
//!
//! ```no_run
//! use pharos_sim::{World, documents::pidf};
//!
//! let world = World::default();
//! let (alice, bob) = (world.phone("alice"), world.phone("bob"));
//! let watch = bob.subscribe("alice", "presence");
//! assert_eq!(watch.notify().state(), "active");
//! let card = alice.publish(&pidf("alice", "phone", "open"));
//! assert!(watch.notify().body.contains("open"));
//! world.shards(4).crash();
//! card.refresh().expect(200);
//! ```
//!
//! [`World::trace`] is one number for a whole run: the same seed twice gives it twice.
#![forbid(unsafe_code)]

mod agent;
mod air;
pub mod check;
mod clocks;
mod disk;
pub mod documents;
mod history;
mod message;
pub mod model;
mod network;
mod phone;
mod publication;
mod random;
mod sabotage;
mod setup;
mod subscription;
pub mod swarm;
mod wire;
mod world;
mod zone;

pub use disk::Disk;
pub use history::{History, Item, Turn};
pub use message::{Request, Sip};
pub use network::{Cut, Faults};
pub use pharos_engine::{Instant, Span};
pub use phone::Phone;
pub use publication::Publication;
pub use random::Random;
pub use sabotage::Sabotage;
pub use setup::{SERVER, Setup};
pub use subscription::Subscription;
pub use wire::Wire;
pub use world::World;
pub use zone::Zone;
