//! One record of the log: a fixed head of 21 bytes and the object.
//!
//! | bytes | what |
//! | --- | --- |
//! | 1 | what it is: a [`Kind`], [`MARK`] or [`TOMBSTONE`] |
//! | 8 | object id, little-endian; of a mark the wall clock in ms |
//! | 8 | AoR hash, little-endian; of a mark the highest object id |
//! | 4 | CRC-32 of the other bytes, little-endian |
//! | n | the object as it was put |
//!
//! The key is the sequence number, 8 bytes big-endian, so that keys only grow.

use pharos_storage::{Kind, Object, ObjectId};

/// The number of a commit's mark: clock and highest id, so that neither is ever given again.
pub(crate) const MARK: u8 = 0;

/// The number of a removed object's record.
pub(crate) const TOMBSTONE: u8 = 255;

/// Bytes of the head.
pub(crate) const HEAD: usize = 21;

/// What a record says, borrowed from the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A version of an object.
    Object(Object<'a>),
    /// The object is gone.
    Tombstone { id: ObjectId, hash: u64 },
    /// A commit's clock (ms since 1970) and the highest id given out.
    Mark { wall: u64, highest: u64 },
}

impl<'a> Entry<'a> {
    /// Reads a record; `None` when its checksum or its kind is not ours.
    pub(crate) fn read(value: &'a [u8]) -> Option<Self> {
        let (head, bytes) = value.split_first_chunk::<HEAD>()?;
        let (kind, first, second) = (head[0], number(&head[1..9]), number(&head[9..17]));
        let stored = u32::from_le_bytes([head[17], head[18], head[19], head[20]]);
        if checksum(&head[..17], bytes) != stored {
            return None;
        }
        let id = ObjectId(first);
        match kind {
            MARK => Some(Self::Mark { wall: first, highest: second }),
            TOMBSTONE => Some(Self::Tombstone { id, hash: second }),
            kind => {
                let kind = Kind::from_u8(kind)?;
                Some(Self::Object(Object { id, hash: second, kind, bytes }))
            }
        }
    }

    /// The object in a record whose checksum has been looked at; `None` when it is something else.
    pub(crate) fn object(value: &'a [u8]) -> Option<Object<'a>> {
        let (head, bytes) = value.split_first_chunk::<HEAD>()?;
        let kind = Kind::from_u8(head[0])?;
        Some(Object { id: ObjectId(number(&head[1..9])), hash: number(&head[9..17]), kind, bytes })
    }

    /// Its head, and the bytes that follow: what goes into the log, in two parts so that an object
    /// is copied once, into LMDB's page.
    pub(crate) fn parts(&self) -> ([u8; HEAD], &'a [u8]) {
        let (kind, first, second, bytes) = match *self {
            Self::Object(object) => (object.kind as u8, object.id.0, object.hash, object.bytes),
            Self::Tombstone { id, hash } => (TOMBSTONE, id.0, hash, &[][..]),
            Self::Mark { wall, highest } => (MARK, wall, highest, &[][..]),
        };
        let mut head = [0; HEAD];
        head[0] = kind;
        head[1..9].copy_from_slice(&first.to_le_bytes());
        head[9..17].copy_from_slice(&second.to_le_bytes());
        let checksum = checksum(&head[..17], bytes);
        head[17..].copy_from_slice(&checksum.to_le_bytes());
        (head, bytes)
    }

    /// The record as one piece, instead of what the buffer holds.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let (head, bytes) = self.parts();
        out.clear();
        out.extend_from_slice(&head);
        out.extend_from_slice(bytes);
    }
}

/// The object id in a record's head without a check of the rest, for the cleaner, which moves
/// records as they are; `None` for marks and what is too short to be a record.
pub(crate) fn object_id(value: &[u8]) -> Option<ObjectId> {
    let head = value.first_chunk::<HEAD>()?;
    (head[0] != MARK && head[0] != TOMBSTONE).then(|| ObjectId(number(&head[1..9])))
}

/// Bytes that a value of this length takes in the file: its share of a page when it is small, whole
/// overflow pages when it is not. LMDB keeps at least two nodes in a page of 4 096.
pub(crate) const fn footprint(value: usize) -> u64 {
    // Node head 8, key 8, page pointer 2, rounded to even; 4 080 bytes of a page hold nodes.
    let node = (value + 19) & !1;
    if node <= 2_040 {
        (PAGE / (4_080 / node)) as u64
    } else {
        ((value + 16).div_ceil(PAGE) * PAGE + 32) as u64
    }
}

const PAGE: usize = 4_096;

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn checksum(head: &[u8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_a_flipped_bit_is_seen() {
        let object = Object { id: ObjectId(7), hash: 9, kind: Kind::Body, bytes: b"body" };
        let entries = [
            Entry::Object(object),
            Entry::Tombstone { id: ObjectId(1 << 40), hash: u64::MAX },
            Entry::Mark { wall: 1_700_000_000_000, highest: 12 },
        ];
        let mut value = Vec::new();
        for entry in entries {
            entry.write(&mut value);
            assert_eq!(Entry::read(&value), Some(entry));
            for bit in 0..value.len() * 8 {
                let mut damaged = value.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Entry::read(&damaged), None);
            }
        }
        assert_eq!(Entry::read(&value[..HEAD - 1]), None);
    }

    #[test]
    fn the_bytes_on_disk_are_what_they_were() {
        let mut value = Vec::new();
        Entry::Tombstone { id: ObjectId(0x0102), hash: 0x03 }.write(&mut value);
        let head = [255, 2, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(value[..17], head);
        assert_eq!(value[17..], crc32fast::hash(&head).to_le_bytes());
    }

    #[test]
    fn the_footprint_is_never_less_than_the_bytes() {
        for length in HEAD..70_000 {
            assert!(footprint(length) >= length as u64 + 16, "{length}");
        }
        assert_eq!(footprint(700), 4_096 / 5);
        assert_eq!(footprint(5_000), 8_192 + 32);
    }
}
