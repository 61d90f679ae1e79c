//! Escapes (`%HH`, RFC 3261 19.1.2).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::scan::{self, USER};

/// One character of a URI part: its byte, and whether it was written as an escape.
pub(super) fn characters(bytes: &[u8]) -> impl Iterator<Item = (u8, bool)> + '_ {
    scan::step(bytes.len());
    let mut rest = bytes;
    core::iter::from_fn(move || match rest {
        [b'%', high, low, tail @ ..] if hex(*high).is_some() && hex(*low).is_some() => {
            rest = tail;
            Some((hex(*high)? << 4 | hex(*low)?, true))
        }
        [byte, tail @ ..] => {
            rest = tail;
            Some((*byte, false))
        }
        [] => None,
    })
}

fn hex(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

/// Only bytes of the class and whole escapes, and at least one.
pub(super) fn valid(bytes: &[u8], class: u8) -> bool {
    !bytes.is_empty() && valid_or_empty(bytes, class)
}

/// Only bytes of the class and whole escapes.
pub(super) fn valid_or_empty(bytes: &[u8], class: u8) -> bool {
    scan::step(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        if scan::is(*byte, class) {
            continue;
        }
        let mut digit = || rest.next().is_some_and(u8::is_ascii_hexdigit);
        if *byte != b'%' || !digit() || !digit() {
            return false;
        }
    }
    true
}

/// The part of a URI without escapes.
#[must_use]
pub fn unescape(bytes: &[u8]) -> Cow<'_, [u8]> {
    match scan::find(b'%', bytes) {
        None => Cow::Borrowed(bytes),
        Some(_) => Cow::Owned(characters(bytes).map(|(byte, _)| byte).collect()),
    }
}

/// Appends an unescaped user part as it must stand in a URI: everything but unreserved and
/// user-unreserved characters is escaped.
pub fn write_user(user: &[u8], out: &mut Vec<u8>) {
    scan::step(user.len());
    for byte in user {
        if scan::is(*byte, USER) {
            out.push(*byte);
        } else {
            let digit = |nibble: u8| {
                char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase() as u8
            };
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let user: Vec<u8> = (0..=255).collect();
        let mut written = Vec::new();
        write_user(&user, &mut written);
        assert!(valid(&written, USER));
        assert_eq!(&*unescape(&written), &user[..]);
    }

    #[test]
    fn broken_escapes_stay_and_are_not_valid() {
        assert_eq!(&*unescape(b"a%4"), b"a%4");
        assert_eq!(&*unescape(b"%zz%41"), b"%zzA");
        assert!(!valid(b"a%4", USER) && !valid(b"%zz", USER) && !valid(b"%", USER));
    }
}
