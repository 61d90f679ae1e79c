//! Authorization and its family (RFC 3261 20.7, 20.27, 20.28, 20.44; RFC 7616; RFC 8760).

use alloc::borrow::Cow;

use crate::error::{ParseError, Reason};
use crate::scan::{self, Cursor};

/// Credentials or a challenge: a scheme and its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    scheme: &'a [u8],
    params: &'a [u8],
}

impl<'a> Credentials<'a> {
    /// Reads the value of Authorization, Proxy-Authorization, WWW-Authenticate or
    /// Proxy-Authenticate: `scheme LWS auth-param *(COMMA auth-param)`.
    ///
    /// # Errors
    /// [`Reason::Credentials`], and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.lws();
        let scheme = cursor.token().ok_or_else(|| cursor.fault(Reason::Credentials))?;
        Self::params(scheme, cursor)
    }

    /// Reads the value of Authentication-Info, which is parameters alone.
    ///
    /// # Errors
    /// [`Reason::Credentials`], and where.
    pub fn parse_info(value: &'a [u8]) -> Result<Self, ParseError> {
        Self::params(b"", Cursor::new(value))
    }

    fn params(scheme: &'a [u8], mut cursor: Cursor<'a>) -> Result<Self, ParseError> {
        let before = cursor.position();
        cursor.lws();
        if !scheme.is_empty() && cursor.position() == before {
            return Err(cursor.fault(Reason::Credentials));
        }
        let params = cursor.rest();
        loop {
            auth_param(&mut cursor).ok_or_else(|| cursor.fault(Reason::Credentials))?;
            if !cursor.eat_spaced(b',') {
                break;
            }
        }
        cursor.lws();
        if cursor.is_empty() {
            Ok(Self { scheme, params })
        } else {
            Err(cursor.fault(Reason::Credentials))
        }
    }

    /// The scheme, as written.
    #[must_use]
    pub fn scheme(&self) -> &'a [u8] {
        self.scheme
    }

    /// Whether the scheme is Digest, in any case.
    #[must_use]
    pub fn is_digest(&self) -> bool {
        scan::same_text(self.scheme, b"Digest")
    }

    /// Name and value of each parameter, in order, as written.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut cursor = Cursor::new(self.params);
        core::iter::from_fn(move || {
            let param = auth_param(&mut cursor);
            cursor.eat_spaced(b',');
            param
        })
    }

    /// The first parameter of this name, without quotes.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let (_, value) = self.iter().find(|(have, _)| scan::same_text(have, name.as_bytes()))?;
        Some(scan::unquote(value))
    }

    /// All parameters that Digest defines, in one pass; values as written, with their quotes.
    #[must_use]
    pub fn digest(&self) -> Digest<'a> {
        let mut digest = Digest::default();
        for (name, value) in self.iter() {
            let known = [
                ("username", &mut digest.username),
                ("realm", &mut digest.realm),
                ("nonce", &mut digest.nonce),
                ("uri", &mut digest.uri),
                ("response", &mut digest.response),
                ("algorithm", &mut digest.algorithm),
                ("cnonce", &mut digest.cnonce),
                ("opaque", &mut digest.opaque),
                ("qop", &mut digest.qop),
                ("nc", &mut digest.nc),
                ("stale", &mut digest.stale),
            ];
            for (text, slot) in known {
                if scan::same_text(name, text.as_bytes()) && slot.is_none() {
                    *slot = Some(value);
                }
            }
        }
        digest
    }
}

/// The parameters of Digest as written, a quoted string with its quotes ([`crate::unquote`]).
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // each field is the parameter of that name
pub struct Digest<'a> {
    pub username: Option<&'a [u8]>,
    pub realm: Option<&'a [u8]>,
    pub nonce: Option<&'a [u8]>,
    pub uri: Option<&'a [u8]>,
    pub response: Option<&'a [u8]>,
    pub algorithm: Option<&'a [u8]>,
    pub cnonce: Option<&'a [u8]>,
    pub opaque: Option<&'a [u8]>,
    pub qop: Option<&'a [u8]>,
    pub nc: Option<&'a [u8]>,
    pub stale: Option<&'a [u8]>,
}

/// `auth-param-name EQUAL ( token / quoted-string )`
fn auth_param<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let name = cursor.token()?;
    if !cursor.eat_spaced(b'=') {
        return None;
    }
    let value = if cursor.peek() == Some(b'"') { cursor.quoted()? } else { cursor.token()? };
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_the_rfc() {
        let text =
            b"Digest username=\"Alice\", realm = \"atlanta.com\",\r\n nonce=\"84a4\\\"cc\", \
                     response=\"7587\", qop=auth,nc=00000001";
        let credentials = Credentials::parse(text).unwrap();
        assert!(credentials.is_digest());
        let digest = credentials.digest();
        assert_eq!(digest.username, Some(&b"\"Alice\""[..]));
        assert_eq!(digest.qop, Some(&b"auth"[..]));
        assert_eq!(&*credentials.get("NONCE").unwrap(), b"84a4\"cc");
        assert_eq!(credentials.iter().count(), 6);
    }

    /// RFC 4475 3.1.2.19: an unknown scheme is well formed.
    #[test]
    fn unknown_scheme() {
        let text = b"NoOneKnowsThisScheme opaque-data=here";
        assert!(!Credentials::parse(text).unwrap().is_digest());
    }

    #[test]
    fn faults() {
        for text in
            ["", "Digest", "Digest ", "Digest a", "Digest a=", "Digest a=b c", "Digest a=\""]
        {
            let error = Credentials::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.reason, Reason::Credentials, "{text}");
        }
        assert!(Credentials::parse_info(b"nextnonce=\"47364\"").is_ok());
    }
}
