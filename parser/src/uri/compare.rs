//! Equality of URIs (RFC 3261 19.1.4).

use super::escape::characters;
use super::{Scheme, Uri};
use crate::limits::MAX_URI_PARAMS;
use crate::scan;

/// Parameters that count even when only one of the two URIs has them: those of the list in 19.1.4,
/// and `transport`, whose default differs from its absence (the examples there).
const TELLING: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];

impl PartialEq for Uri<'_> {
    /// Whether both name the same resource by RFC 3261 19.1.4. URIs of other schemes than sip,
    /// sips, pres, im and tel are equal only when their bytes are; and so are URIs with more
    /// parameters or headers than [`MAX_URI_PARAMS`].
    fn eq(&self, other: &Self) -> bool {
        // Also what makes a URI with a repeated parameter (forbidden by 19.1.1) equal to itself.
        if self.bytes == other.bytes {
            return true;
        }
        if self.scheme != other.scheme {
            return false;
        }
        let many = |uri: &Self| {
            uri.params().iter().nth(MAX_URI_PARAMS).is_some()
                || uri.headers().iter().nth(MAX_URI_PARAMS).is_some()
        };
        if self.scheme == Scheme::Other || many(self) || many(other) {
            return false;
        }
        if self.scheme == Scheme::Tel {
            return same_number(self.user, other.user) && same_tel_params(self, other);
        }
        same_part(self.user, other.user)
            && same_part(self.password, other.password)
            && same_host(self, other)
            && self.port == other.port
            && same_params(self, other)
            && same_params(other, self)
            && same_headers(self, other)
            && same_headers(other, self)
    }
}

impl Eq for Uri<'_> {}

/// User and password: case counts, and an escape equals its character unless that one is reserved.
fn same_part(left: Option<&[u8]>, right: Option<&[u8]>) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => same(left, right, true),
        _ => false,
    }
}

fn same(left: &[u8], right: &[u8], case: bool) -> bool {
    let normal = |(byte, escaped): (u8, bool)| {
        let byte = if case { byte } else { byte.to_ascii_lowercase() };
        (byte, escaped && b";/?:@&=+$,".contains(&byte))
    };
    characters(left).map(normal).eq(characters(right).map(normal))
}

fn same_host(left: &Uri<'_>, right: &Uri<'_>) -> bool {
    use crate::host::Host::{Address, Name};
    match (left.host, right.host) {
        (Some(Name(left)), Some(Name(right))) => scan::same_text(left, right),
        (Some(Address(left)), Some(Address(right))) => left == right,
        _ => false,
    }
}

/// Every parameter of the left that the right has, or must have, has the same value there.
fn same_params(left: &Uri<'_>, right: &Uri<'_>) -> bool {
    left.params().iter().all(|(name, value)| {
        match right.params().iter().find(|(have, _)| same(name, have, false)) {
            Some((_, other)) => same(value, other, false),
            None => !TELLING.iter().any(|telling| same(name, telling, false)),
        }
    })
}

/// Every header of the left is in the right.
fn same_headers(left: &Uri<'_>, right: &Uri<'_>) -> bool {
    left.headers().iter().all(|(name, value)| {
        right
            .headers()
            .iter()
            .any(|(have, other)| same(name, have, false) && same(value, other, false))
    })
}

/// Numbers without their visual separators (RFC 3966 section 4).
fn same_number(left: Option<&[u8]>, right: Option<&[u8]>) -> bool {
    let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
    scan::step(left.len());
    let counts = |byte: &&u8| !b"-.()".contains(byte);
    left.iter()
        .filter(counts)
        .map(u8::to_ascii_lowercase)
        .eq(right.iter().filter(counts).map(u8::to_ascii_lowercase))
}

/// All parameters of both are the same (RFC 3966 section 4).
fn same_tel_params(left: &Uri<'_>, right: &Uri<'_>) -> bool {
    let within = |left: &Uri<'_>, right: &Uri<'_>| {
        left.params().iter().all(|(name, value)| {
            right
                .params()
                .iter()
                .any(|(have, other)| same(name, have, false) && same(value, other, false))
        })
    };
    within(left, right) && within(right, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(left: &str, right: &str) -> bool {
        let one = Uri::parse(left.as_bytes()).unwrap();
        let two = Uri::parse(right.as_bytes()).unwrap();
        let (there, back) = (one.eq(&two), two.eq(&one));
        assert_eq!(there, back, "{left} and {right} are not symmetric");
        there
    }

    /// The first two lists of examples in RFC 3261 19.1.4.
    #[test]
    fn equal_by_the_rfc() {
        for (left, right) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:a@b.com;maddr=c;maddr=d", "sip:a@b.com;maddr=c;maddr=d"),
            ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
            ("tel:+1-201-555-0123", "tel:+12015550123"),
            ("pres:a@example.com", "pres:a@EXAMPLE.com"),
        ] {
            assert!(equal(left, right), "{left} = {right}");
        }
    }

    /// The third list there.
    #[test]
    fn different_by_the_rfc() {
        for (left, right) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@b.com", "sips:a@b.com"),
            ("sip:a@b.com", "sip:b.com"),
            ("sip:a%40x@b.com", "sip:ax@b.com"),
            ("sip:a%3Bx@b.com", "sip:a;x@b.com"),
            ("sip:a:p@b.com", "sip:a:P@b.com"),
            ("tel:+1;ext=2", "tel:+1"),
        ] {
            assert!(!equal(left, right), "{left} != {right}");
        }
    }

    /// 19.1.4: the relation is not transitive, since parameters in one only are ignored.
    #[test]
    fn not_transitive() {
        assert!(equal("sip:carol@chicago.com;security=on", "sip:carol@chicago.com"));
        assert!(equal("sip:carol@chicago.com", "sip:carol@chicago.com;security=off"));
    }

    #[test]
    fn too_many_parameters_compare_by_bytes() {
        let many = (0..=MAX_URI_PARAMS).map(|n| format!(";p{n}")).collect::<String>();
        let (one, two) = (format!("sip:a@b.com{many}"), format!("sip:a@B.com{many}"));
        assert!(equal(&one, &one) && !equal(&one, &two));
    }
}
