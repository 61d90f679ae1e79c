//! What Pharos keeps: records, their codec, and the protocol of a storage lane.
//!
//! | when | what is on disk |
//! | --- | --- |
//! | [`Reply`] with `Ok` in commit mode | all operations of the request, unless the disk lied |
//! | [`Reply`] with `Ok` in periodic mode | the request is queued, on disk within `update_period` |
//! | [`Reply`] with `Err` | nothing of the request, now or after a restart |
//! | no reply (crash) | all of the request or nothing of it |
//!
//! The engine names objects by [`ObjectId`] and never sees a file, a transaction or an archive.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod codec;
pub mod error;
pub mod hash;
pub mod limits;
pub mod memory;
pub mod record;
pub mod request;
mod upgrade;

pub use codec::{DecodeError, Record, decode, encode};
pub use error::StoreError;
pub use hash::{aor_hash, lane_of};
pub use request::{Kind, Object, ObjectId, Op, Refused, Reply, Request, Token};
