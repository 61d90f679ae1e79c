//! Storage lanes on LMDB: log-structured objects, one environment and one writer thread each.
//!
//! [`Lanes::open`] reads a data directory; [`Opened::recall`] hands its objects to the shards;
//! [`Opened::start`] starts the threads; a [`Submitter`] takes requests and a [`ReplySink`] gets
//! the answers, once a commit. [`Lanes::close`] stops in order.
//!
//! **The log.** A lane is one table from a growing sequence number to a record. A new version of an
//! object is appended; an index in memory says which record is current; each commit also cleans a
//! part of the tail by appending what is still current there and deleting the range. Nothing is
//! rewritten in place, so that a page is written once and freed whole. Start-up reads the log in
//! order and the last version wins.
//!
//! **What an error means.** No room (map, disk, quota): the transaction is undone, its operations
//! fail with `Full`, the lane goes on. Anything else: the lane is closed until a restart and
//! answers `Closed`, because a sync that is tried again after a failure may report a success it is
//! not.
#![deny(unsafe_code)]

mod ahead;
mod behind;
mod clock;
mod directory;
mod entry;
mod env;
mod error;
mod gather;
mod index;
mod lanes;
mod log;
mod probe;
mod queue;
mod reader;
mod scan;
mod stats;
pub mod tools;
mod writer;

pub use clock::Clock;
pub use directory::{FORMAT, LANES_MAX, Meta};
pub use error::OpenError;
pub use lanes::{Lanes, MakeProbe, Opened, Options, READ_OBJECTS, Recall, Sinks, Submitter};
pub use probe::{Fault, Probe, Step};
pub use reader::{Found, Read, ReadSink};
pub use stats::{Health, Snapshot, Stats};
pub use writer::{Delivery, ReplySink};
