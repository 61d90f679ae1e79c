//! Records to bytes and back: one version byte, then a checked rkyv archive.
//!
//! The archive is little-endian with 32-bit pointers and no alignment (a lane hands out values at
//! any address), so the bytes are the same on every machine. This is the only place that opens one.

use alloc::boxed::Box;
use alloc::vec::Vec;

use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::Failure;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::{Archive, Archived, Deserialize, Serialize};

use crate::Kind;
use crate::record::{Publication, Subscription, Watcher};
use crate::upgrade::SubscriptionV0;

/// Why stored bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeError {
    /// No bytes at all.
    Empty,
    /// A version this program does not know: a newer one wrote it, or it is damaged.
    Version(u8),
    /// The archive does not pass its check.
    Corrupt,
}

/// A value with a stored form.
pub trait Record: Sized + Encode + Decode {
    /// What it is stored as.
    const KIND: Kind;
    /// The version byte that [`encode`] writes.
    const VERSION: u8;

    /// Reads an archive of an older version.
    ///
    /// # Errors
    /// [`DecodeError::Version`] when there never was one, [`DecodeError::Corrupt`] when it is
    /// damaged.
    fn upgrade(version: u8, archive: &[u8]) -> Result<Self, DecodeError> {
        let _ = archive;
        Err(DecodeError::Version(version))
    }
}

/// What writes an archive: into a vector, with scratch space of its own.
type Writer<'a> = HighSerializer<Vec<u8>, ArenaHandle<'a>, Failure>;

/// What rkyv needs to archive a value into a plain vector.
pub trait Encode: for<'a> Serialize<Writer<'a>> {}
impl<T> Encode for T where T: for<'a> Serialize<Writer<'a>> {}

/// What rkyv needs to check an archive and make the value of it.
pub trait Decode: Archive {
    /// Checked access, then an owned value.
    ///
    /// # Errors
    /// [`DecodeError::Corrupt`].
    fn from_archive(archive: &[u8]) -> Result<Self, DecodeError>
    where
        Self: Sized;
}

impl<T> Decode for T
where
    T: Archive,
    Archived<T>:
        for<'a> CheckBytes<HighValidator<'a, Failure>> + Deserialize<T, HighDeserializer<Failure>>,
{
    fn from_archive(archive: &[u8]) -> Result<Self, DecodeError> {
        const { assert!(align_of::<Archived<T>>() == 1, "lanes hand out unaligned values") }
        rkyv::access::<Archived<T>, Failure>(archive)
            .and_then(rkyv::deserialize::<T, Failure>)
            .map_err(|_| DecodeError::Corrupt)
    }
}

/// The stored form of a record.
pub fn encode<T: Record>(record: &T) -> Box<[u8]> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(T::VERSION);
    // Archiving into memory fails only beyond 2 GiB, and no field comes near: a lane takes 1 MiB.
    rkyv::api::high::to_bytes_in::<_, Failure>(record, bytes)
        .expect("a record archives into memory")
        .into_boxed_slice()
}

/// The record that [`encode`] of this or an earlier version of Pharos stored.
///
/// # Errors
/// The bytes are not such a record; any bytes are safe to pass.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (&version, archive) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if version == T::VERSION { T::from_archive(archive) } else { T::upgrade(version, archive) }
}

impl Record for Publication {
    const KIND: Kind = Kind::Publication;
    const VERSION: u8 = 1;
}

impl Record for Subscription {
    const KIND: Kind = Kind::Subscription;
    const VERSION: u8 = 1;

    fn upgrade(version: u8, archive: &[u8]) -> Result<Self, DecodeError> {
        match version {
            0 => SubscriptionV0::from_archive(archive).map(Self::from),
            other => Err(DecodeError::Version(other)),
        }
    }
}

impl Record for Watcher {
    const KIND: Kind = Kind::Watcher;
    const VERSION: u8 = 1;
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
