//! The keyed hash of an address-of-record: it chooses slot, shard and lane.

use siphasher::sip::SipHasher13;

/// SipHash-1-3 of an AoR in normal form under the key of the data directory, so that nobody outside
/// can aim many addresses at one place. Records hold it: it must never change.
pub fn aor_hash(key: &[u8; 16], aor: &[u8]) -> u64 {
    SipHasher13::new_with_key(key).hash(aor)
}

/// The lane of a hash: its top bits, by range. `lanes` is a power of two.
pub const fn lane_of(hash: u64, lanes: u16) -> u16 {
    debug_assert!(lanes.is_power_of_two());
    ((hash as u128 * lanes as u128) >> 64) as u16
}

#[cfg(test)]
mod tests {
    use core::hash::Hasher;

    use super::*;

    #[test]
    fn a_stored_hash_means_the_same_for_ever() {
        let key = core::array::from_fn(|i| i as u8);
        assert_eq!(aor_hash(&key, b"alice@example.com"), GOLDEN);
        let mut stepwise = SipHasher13::new_with_key(&key);
        stepwise.write(b"alice@");
        stepwise.write(b"example.com");
        assert_eq!(stepwise.finish(), GOLDEN, "written in parts, as the engine does");
        assert_ne!(aor_hash(&[0; 16], b"alice@example.com"), GOLDEN);
    }

    const GOLDEN: u64 = 1_568_037_820_819_659_955;

    #[test]
    fn lanes_are_ranges_of_the_top_bits() {
        assert_eq!(lane_of(u64::MAX, 1), 0);
        assert_eq!(lane_of(0, 4), 0);
        assert_eq!(lane_of(u64::MAX, 4), 3);
        assert_eq!(lane_of(1 << 63, 4), 2);
    }
}
