//! Media types and ranges: Content-Type and Accept (RFC 3261 20.1, 20.15).

use crate::error::{ParseError, Reason};
use crate::params::{self, Params};
use crate::scan::{self, Cursor, TOKEN};

/// `type/subtype` with parameters; in an Accept either may be `*`.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    kind: &'a [u8],
    subtype: &'a [u8],
    params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// Reads one media type or range that fills the input.
    ///
    /// # Errors
    /// The rule that is broken, and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.lws();
        let fault = |cursor: &Cursor<'_>| cursor.fault(Reason::MediaType);
        let kind = cursor.token().ok_or_else(|| fault(&cursor))?;
        if !cursor.eat_spaced(b'/') {
            return Err(fault(&cursor));
        }
        let subtype = cursor.token().ok_or_else(|| fault(&cursor))?;
        let params = Params::read(&mut cursor, |_| {})?;
        Ok(Self { kind, subtype, params })
    }

    /// The type, as written.
    #[must_use]
    pub fn kind(&self) -> &'a [u8] {
        self.kind
    }

    /// The subtype, as written.
    #[must_use]
    pub fn subtype(&self) -> &'a [u8] {
        self.subtype
    }

    /// Parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// Whether it is this type, such as `application/pidf+xml`, in any case and whatever its
    /// parameters.
    #[must_use]
    pub fn is(&self, media_type: &str) -> bool {
        let (kind, subtype) = halves(media_type);
        scan::same_text(self.kind, kind) && scan::same_text(self.subtype, subtype)
    }

    /// Whether this range of an Accept covers the type; one with `q=0` covers nothing.
    #[must_use]
    pub fn covers(&self, media_type: &str) -> bool {
        let (kind, subtype) = halves(media_type);
        let fits = |range: &[u8], text: &[u8]| range == b"*" || scan::same_text(range, text);
        fits(self.kind, kind) && fits(self.subtype, subtype) && self.q() > 0
    }

    /// The weight in thousandths; 1000 when it is absent or wrong.
    #[must_use]
    pub fn q(&self) -> u16 {
        self.params.value("q").and_then(params::qvalue).unwrap_or(1000)
    }
}

fn halves(media_type: &str) -> (&[u8], &[u8]) {
    scan::split(b'/', media_type.as_bytes()).unwrap_or((media_type.as_bytes(), b""))
}

/// A content-coding: one token.
pub(crate) fn coding(value: &[u8]) -> Result<&[u8], ParseError> {
    let value = scan::trim(value);
    if scan::all(value, TOKEN) { Ok(value) } else { Err(ParseError::new(Reason::Token, 0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let kind = MediaType::parse(b"Application / PIDF+xml ; charset=\"utf-8\"").unwrap();
        assert!(kind.is("application/pidf+xml"));
        assert!(!kind.is("application/pidf"));
        assert_eq!(&*kind.params().get("charset").unwrap().text(), b"utf-8");
        for text in ["", "application", "application/", "/xml", "a b/c"] {
            assert!(MediaType::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges() {
        let covers = |range: &str| {
            MediaType::parse(range.as_bytes()).unwrap().covers("application/pidf+xml")
        };
        assert!(covers("*/*") && covers("application/*;q=0.2") && covers("application/PIDF+xml"));
        assert!(!covers("text/*") && !covers("*/*;q=0") && !covers("application/pidf+xml;q=0.000"));
    }
}
