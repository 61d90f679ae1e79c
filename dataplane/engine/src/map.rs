//! Hash maps that outsiders cannot aim at and that are the same in every run with the same key.
//! Their order never reaches an output.

use core::hash::BuildHasher;

use siphasher::sip::SipHasher13;

/// Builds the hashers of a [`Map`].
#[derive(Clone, Copy, Debug)]
pub struct Hashing([u8; 16]);

impl Hashing {
    /// From a secret key.
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }
}

impl BuildHasher for Hashing {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

/// A keyed hash map.
pub type Map<K, V> = hashbrown::HashMap<K, V, Hashing>;

/// A keyed hash set.
pub type Set<K> = hashbrown::HashSet<K, Hashing>;
