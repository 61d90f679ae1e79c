//! An address-of-record written as the URI that documents name it by, and recognised in one.

use alloc::string::String;
use alloc::vec::Vec;

use pharos_parser::xml::{escape, unescape};

/// Append `sip:user@host`, escaped as a URI and then as XML (row C121).
pub(super) fn write_uri(aor: &str, out: &mut Vec<u8>) {
    let mut uri = String::with_capacity(aor.len() + 4);
    uri.push_str("sip:");
    let (user, host) = aor.rsplit_once('@').unwrap_or(("", aor));
    for byte in user.bytes() {
        if is_user_char(byte) {
            uri.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            uri.push('%');
            uri.push(char::from(HEX[usize::from(byte >> 4)]));
            uri.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    if !user.is_empty() {
        uri.push('@');
    }
    uri.push_str(host);
    escape(&uri, out);
}

/// What RFC 3261 25.1 lets stand in a user part: unreserved and user-unreserved.
const fn is_user_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'')
        || matches!(byte, b'(' | b')' | b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
}

/// Does this attribute value, as written, name the presentity? The schemes sip, sips and pres name
/// the same (row C92, RFC 3856 5).
pub(super) fn names(raw: &str, aor: &str) -> bool {
    let value = unescape(raw);
    let Some((scheme, rest)) = value.split_once(':') else { return false };
    if !["sip", "sips", "pres"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return false;
    }
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (aor_user, aor_host) = aor.rsplit_once('@').unwrap_or(("", aor));
    host.eq_ignore_ascii_case(aor_host) && unescaped(user).eq(aor_user.bytes())
}

/// The bytes of a user part with `%XX` resolved.
fn unescaped(user: &str) -> impl Iterator<Item = u8> {
    let bytes = user.as_bytes();
    let mut at = 0;
    core::iter::from_fn(move || {
        let byte = *bytes.get(at)?;
        let digit = |place: usize| char::from(*bytes.get(place)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (byte, digit(at + 1), digit(at + 2)) {
            at += 3;
            return Some((high << 4 | low) as u8);
        }
        at += 1;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(aor: &str) -> String {
        let mut out = Vec::new();
        write_uri(aor, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// C121: escaped as a URI first, then as XML.
    #[test]
    fn aors_are_written_as_uris() {
        assert_eq!(written("alice@example.com"), "sip:alice@example.com");
        assert_eq!(written("a b&\"c@example.com"), "sip:a%20b&amp;%22c@example.com");
        assert_eq!(written("example.com"), "sip:example.com");
        assert_eq!(written("jos\u{e9}@[::1]"), "sip:jos%C3%A9@[::1]");
    }

    /// C92, C121: one presentity under its schemes, the user's case counting and the host's not.
    #[test]
    fn entities_name_the_presentity() {
        for same in ["sip:alice@example.com", "pres:alice@EXAMPLE.com", "SIPS:%61lice@example.com"]
        {
            assert!(names(same, "alice@example.com"), "{same}");
        }
        for other in ["sip:Alice@example.com", "alice@example.com", "tel:alice@example.com", ""] {
            assert!(!names(other, "alice@example.com"), "{other}");
        }
        assert!(names("sip:a&amp;b@example.com", "a&b@example.com"));
        assert!(names("sip:a%2", "a%2"), "a broken escape stands for itself");
    }
}
