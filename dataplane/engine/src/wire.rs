//! What we put on the wire and recognise when it comes back: tags, entity-tags and branches.
//!
//! All of them are 160 bits in base32: 32 bits of the AoR's hash, so that any shard knows the owner
//! without a table; then what names the thing; then a keyed check, so that nobody outside makes
//! one. Tags and entity-tags are not random but derived from the request that made them: its
//! retransmission, even after a crash, derives the same and so gets the same answer.

use core::hash::Hasher;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

/// RFC 3261 8.1.1.7: how every branch of a conforming element starts.
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";
/// Length of a [`Token`] on the wire, bytes.
pub const TOKEN_LEN: usize = 32;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A tag, entity-tag or the part of a branch after the cookie, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token([u8; TOKEN_LEN]);

impl Token {
    /// As written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A token out of a record, when it is written as ours are.
    pub fn from_text(text: &str) -> Option<Self> {
        let token = Self(text.as_bytes().try_into().ok()?);
        token.0.iter().all(|byte| ALPHABET.contains(byte)).then_some(token)
    }

    fn encode(raw: [u8; 20]) -> Self {
        let mut text = [0; TOKEN_LEN];
        for (group, out) in raw.chunks_exact(5).zip(text.chunks_exact_mut(8)) {
            let mut bits = [0; 8];
            bits[3..].copy_from_slice(group);
            out.copy_from_slice(&letters(u64::from_be_bytes(bits)).to_be_bytes());
        }
        Self(text)
    }

    fn decode(text: &[u8]) -> Option<[u8; 20]> {
        if text.len() != TOKEN_LEN {
            return None;
        }
        let mut raw = [0; 20];
        for (group, out) in text.chunks_exact(8).zip(raw.chunks_exact_mut(5)) {
            let mut bits = 0_u64;
            for byte in group {
                // Tags are tokens and tokens have no case (RFC 3261 7.3.1).
                let value = match byte.to_ascii_lowercase() {
                    letter @ b'a'..=b'z' => letter - b'a',
                    digit @ b'2'..=b'7' => digit - b'2' + 26,
                    _ => return None,
                };
                bits = bits << 5 | u64::from(value);
            }
            out.copy_from_slice(&bits.to_be_bytes()[3..]);
        }
        Some(raw)
    }
}

/// 40 bits as eight letters, all at once: each byte of the word becomes five bits, then the letter
/// for them, as in [`ALPHABET`].
const fn letters(bits: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let bits = (bits & 0xff_fff0_0000) << 12 | bits & 0x0f_ffff;
    let bits = (bits & 0x000f_fc00_000f_fc00) << 6 | bits & 0x0000_03ff_0000_03ff;
    let bits = (bits & 0x03e0_03e0_03e0_03e0) << 3 | bits & 0x001f_001f_001f_001f;
    // From 26 on they are digits: adding 6 carries into bit 5 there.
    let digit = (bits + 6 * ONES) >> 5 & ONES;
    bits + b'a' as u64 * ONES - digit * (b'a' + 26 - b'2') as u64
}

/// What a derived value is for: the same request makes different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Purpose {
    Tag = 1,
    Entity = 2,
    Branch = 3,
    Check = 4,
    Request = 5,
}

/// Names a request: the same for its retransmissions, different for anything else.
///
/// `merge` covers Call-ID, From tag, CSeq and method (RFC 3261 8.2.2.2), `branch` the top Via's
/// branch and sent-by (RFC 3261 17.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TxnKey {
    /// Call-ID, From tag, CSeq number and method.
    pub merge: u64,
    /// Branch and sent-by of the top Via.
    pub branch: u64,
}

/// The key of the data directory at work: one key for AoRs and one, made from it, for everything
/// that is matched or checked, so that no choice of AoR tells anything about a tag.
#[derive(Clone, Debug)]
pub struct Keys {
    aor: [u8; 16],
    key: [u8; 16],
}

impl Keys {
    /// From [`crate::Config::key`].
    pub fn new(key: [u8; 16]) -> Self {
        let mut hasher = SipHasher128::new_with_key(&key);
        hasher.write(b"tags, entity-tags, branches, transactions");
        Self { aor: key, key: u128::from(hasher.finish128()).to_be_bytes() }
    }

    /// The hash of an AoR in normal form: its top bits are the slot, it chooses shard and lane.
    pub fn aor(&self, aor: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.aor);
        hasher.write(aor);
        hasher.finish()
    }

    /// Names a request by its parts; `method` is that of the INVITE for its ACK and CANCEL.
    pub fn transaction(
        &self,
        [call_id, from_tag, method]: [&[u8]; 3],
        cseq: u32,
        [branch, sent_by]: [&[u8]; 2],
    ) -> TxnKey {
        let mut merge = Gathered::new(&self.key);
        for part in [call_id, from_tag, method] {
            merge.write(part);
            merge.write(&[0]);
        }
        merge.write(&cseq.to_le_bytes());
        let mut via = Gathered::new(&self.key);
        via.write(branch);
        via.write(&[0]);
        via.write_lowercase(sent_by);
        TxnKey { merge: merge.finish(), branch: via.finish() }
    }

    /// The mark a stored record keeps of the last request applied to it.
    pub fn request(&self, hash: u64, txn: TxnKey) -> u64 {
        self.derive(Purpose::Request, hash, txn.merge, txn.branch) as u64
    }

    /// The To tag of our answer to this request, when it has none.
    pub fn tag(&self, hash: u64, txn: TxnKey) -> Token {
        self.derived_token(Purpose::Tag, hash, txn)
    }

    /// The entity-tag that this PUBLISH makes (RFC 3903 4.1: opaque, unguessable).
    pub fn entity_tag(&self, hash: u64, txn: TxnKey) -> Token {
        self.derived_token(Purpose::Entity, hash, txn)
    }

    /// The branch, without its cookie, of a client transaction with this handle.
    pub fn branch(&self, hash: u64, handle: u64) -> Token {
        let short = (hash >> 32) as u32;
        let check = self.derive(Purpose::Branch, u64::from(short), handle, 0) as u64;
        let mut raw = [0; 20];
        raw[..4].copy_from_slice(&short.to_be_bytes());
        raw[4..12].copy_from_slice(&handle.to_be_bytes());
        raw[12..].copy_from_slice(&check.to_be_bytes());
        Token::encode(raw)
    }

    /// The hash (its top 32 bits) in a tag or entity-tag of ours.
    pub fn read_token(&self, text: &[u8]) -> Option<u64> {
        let raw = Token::decode(text)?;
        let (head, check) = raw.split_at(16);
        let (short, name) = head.split_at(4);
        let short = u32::from_be_bytes(short.try_into().ok()?);
        (self.check(short, name).to_be_bytes() == *check).then_some(u64::from(short) << 32)
    }

    /// The hash (its top 32 bits) and the handle in a branch of ours, cookie included.
    pub fn read_branch(&self, text: &[u8]) -> Option<(u64, u64)> {
        let (cookie, token) = text.split_at_checked(MAGIC_COOKIE.len())?;
        if !cookie.eq_ignore_ascii_case(MAGIC_COOKIE) {
            return None;
        }
        let raw = Token::decode(token)?;
        let short = u32::from_be_bytes(raw[..4].try_into().ok()?);
        let handle = u64::from_be_bytes(raw[4..12].try_into().ok()?);
        let check = self.derive(Purpose::Branch, u64::from(short), handle, 0) as u64;
        (check.to_be_bytes() == raw[12..]).then_some((u64::from(short) << 32, handle))
    }

    fn derived_token(&self, purpose: Purpose, hash: u64, txn: TxnKey) -> Token {
        let short = (hash >> 32) as u32;
        let name = self.derive(purpose, hash, txn.merge, txn.branch).to_be_bytes();
        let mut raw = [0; 20];
        raw[..4].copy_from_slice(&short.to_be_bytes());
        raw[4..16].copy_from_slice(&name[..12]);
        raw[16..].copy_from_slice(&self.check(short, &name[..12]).to_be_bytes());
        Token::encode(raw)
    }

    fn check(&self, short: u32, name: &[u8]) -> u32 {
        let mut hasher = Gathered::new(&self.key);
        hasher.write(&[Purpose::Check as u8]);
        hasher.write(&short.to_le_bytes());
        hasher.write(name);
        hasher.finish() as u32
    }

    fn derive(&self, purpose: Purpose, a: u64, b: u64, c: u64) -> u128 {
        let mut parts = [0; 25];
        parts[0] = purpose as u8;
        for (part, out) in [a, b, c].iter().zip(parts[1..].chunks_exact_mut(8)) {
            out.copy_from_slice(&part.to_le_bytes());
        }
        SipHasher128::new_with_key(&self.key).hash(&parts).into()
    }
}

/// A hash of parts that come one by one: they are gathered, since many small ones cost the hasher
/// several times what one does.
struct Gathered {
    hasher: SipHasher13,
    parts: [u8; 256],
    len: usize,
}

impl Gathered {
    fn new(key: &[u8; 16]) -> Self {
        Self { hasher: SipHasher13::new_with_key(key), parts: [0; 256], len: 0 }
    }

    /// Room for so many bytes; `None` when they are more than there ever is.
    fn room(&mut self, bytes: usize) -> Option<&mut [u8]> {
        if self.len + bytes > self.parts.len() {
            self.flush();
        }
        let room = self.parts.get_mut(self.len..self.len + bytes)?;
        self.len += bytes;
        Some(room)
    }

    fn write(&mut self, part: &[u8]) {
        match self.room(part.len()) {
            Some(room) => room.copy_from_slice(part),
            None => self.hasher.write(part),
        }
    }

    fn write_lowercase(&mut self, part: &[u8]) {
        for piece in part.chunks(64) {
            if let Some(room) = self.room(piece.len()) {
                room.copy_from_slice(piece);
                room.make_ascii_lowercase();
            }
        }
    }

    fn flush(&mut self) {
        self.hasher.write(self.parts.get(..self.len).unwrap_or_default());
        self.len = 0;
    }

    fn finish(mut self) -> u64 {
        self.flush();
        self.hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new([7; 16])
    }

    fn txn(cseq: u32) -> TxnKey {
        keys().transaction([b"a@b", b"tag", b"PUBLISH"], cseq, [b"z9hG4bKx", b"h:5060"])
    }

    #[test]
    fn tokens_come_back_as_they_went_and_in_either_case() {
        let hash = 0x0123_4567_89ab_cdef;
        for token in [keys().tag(hash, txn(1)), keys().entity_tag(hash, txn(1))] {
            assert_eq!(keys().read_token(token.as_bytes()), Some(0x0123_4567_0000_0000));
            let upper = token.as_str().to_uppercase();
            assert_eq!(keys().read_token(upper.as_bytes()), Some(0x0123_4567_0000_0000));
        }
        let branch = [MAGIC_COOKIE, keys().branch(hash, 99).as_bytes()].concat();
        assert_eq!(keys().read_branch(&branch), Some((0x0123_4567_0000_0000, 99)));
    }

    #[test]
    fn the_same_request_derives_the_same_and_another_something_else() {
        let hash = 5 << 40;
        assert_eq!(keys().tag(hash, txn(1)), keys().tag(hash, txn(1)));
        assert_ne!(keys().tag(hash, txn(1)), keys().tag(hash, txn(2)));
        assert_ne!(keys().tag(hash, txn(1)), keys().entity_tag(hash, txn(1)));
        assert_ne!(keys().tag(hash, txn(1)), Keys::new([8; 16]).tag(hash, txn(1)));
        assert_ne!(keys().request(hash, txn(1)), keys().request(hash, txn(2)));
    }

    #[test]
    fn any_changed_character_is_noticed() {
        let tag = *keys().tag(77 << 32, txn(1)).as_bytes().first_chunk::<TOKEN_LEN>().unwrap();
        let branch = [MAGIC_COOKIE, keys().branch(77 << 32, 5).as_bytes()].concat();
        for place in 0..TOKEN_LEN {
            let mut changed = tag;
            changed[place] = if changed[place] == b'a' { b'b' } else { b'a' };
            assert_eq!(keys().read_token(&changed), None);
            let mut changed = branch.clone();
            let place = place + MAGIC_COOKIE.len();
            changed[place] = if changed[place] == b'a' { b'b' } else { b'a' };
            assert_eq!(keys().read_branch(&changed), None);
        }
        assert_eq!(keys().read_token(b""), None);
        assert_eq!(keys().read_branch(b"z9hG4bK"), None);
        assert_eq!(keys().read_branch(b"z9h"), None);
    }

    #[test]
    fn letters_are_those_of_the_alphabet() {
        for seed in 0..1_000_u64 {
            let bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
            let one_by_one = (0..8).map(|place| ALPHABET[(bits >> (35 - 5 * place)) as usize & 31]);
            assert!(letters(bits).to_be_bytes().into_iter().eq(one_by_one));
        }
    }

    #[test]
    fn parts_of_any_length_are_gathered_whole() {
        for length in [0, 1, 7, 255, 256, 257, 5_000] {
            let part = vec![b'X'; length];
            let mut gathered = Gathered::new(&[7; 16]);
            gathered.write(b"a");
            gathered.write(&part);
            gathered.write_lowercase(&part);
            let whole = [b"a", &*part, &part.to_ascii_lowercase()].concat();
            assert_eq!(gathered.finish(), SipHasher13::new_with_key(&[7; 16]).hash(&whole));
        }
    }

    #[test]
    fn sent_by_has_no_case_and_parts_do_not_run_together() {
        let key = |parts, via| keys().transaction(parts, 1, via);
        assert_eq!(key([b"c", b"t", b"M"], [b"b", b"H"]), key([b"c", b"t", b"M"], [b"b", b"h"]));
        assert_ne!(key([b"ct", b"", b"M"], [b"b", b"h"]), key([b"c", b"t", b"M"], [b"b", b"h"]));
    }
}
