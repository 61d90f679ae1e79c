//! From, To, Contact, Route and their like: `name-addr` or `addr-spec` with parameters.

use alloc::borrow::Cow;

use crate::error::{ParseError, Reason};
use crate::params::{self, Params};
use crate::scan::{self, Cursor, LWS, TOKEN};
use crate::uri::Uri;
use crate::uri::read::plain;

/// An address with its header parameters.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    display: &'a [u8],
    uri: Uri<'a>,
    params: Params<'a>,
    tag: Option<&'a [u8]>,
}

impl<'a> Address<'a> {
    /// Reads one address that fills the input: `(name-addr / addr-spec) *(SEMI generic-param)`.
    ///
    /// # Errors
    /// The rule that is broken, and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        let (display, uri) = match plain_target(&mut cursor) {
            Some(plain) => plain,
            None => any_target(&mut cursor)?,
        };
        let mut tag = None;
        let mut repeated = false;
        let params = Params::read(&mut cursor, |param| {
            if param.is("tag") {
                repeated |= tag.is_some();
                tag = Some(param.value.unwrap_or_default());
            }
        })?;
        let wrong = tag.is_some_and(|tag: &[u8]| !scan::all(tag, TOKEN));
        if repeated || wrong {
            let reason = if repeated { Reason::RepeatedParam } else { Reason::GenericParam };
            return Err(ParseError::new(reason, scan::offset_in(value, params.as_bytes())));
        }
        Ok(Self { display, uri, params, tag })
    }

    /// Reads one address that must be in angle brackets: Route, Record-Route, Path.
    ///
    /// # Errors
    /// As [`Address::parse`]; [`Reason::NameAddr`] without the brackets.
    pub fn parse_name_addr(value: &'a [u8]) -> Result<Self, ParseError> {
        let address = Self::parse(value)?;
        let at = scan::offset_in(value, address.uri.as_bytes());
        match at.checked_sub(1).and_then(|before| value.get(before)) {
            Some(b'<') => Ok(address),
            _ => Err(ParseError::new(Reason::NameAddr, at)),
        }
    }

    /// The display name without quotes and escapes; empty when there is none.
    #[must_use]
    pub fn display(&self) -> Cow<'a, [u8]> {
        scan::unquote(self.display)
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &Uri<'a> {
        &self.uri
    }

    /// The header parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The tag (From and To).
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.tag
    }

    /// `expires` of a Contact, seconds.
    ///
    /// # Errors
    /// [`Reason::DeltaSeconds`] when it is no number below 2^32.
    pub fn expires(&self) -> Result<Option<u32>, ParseError> {
        self.params.value("expires").map(params::delta_seconds).transpose()
    }

    /// `q` of a Contact, in thousandths.
    ///
    /// # Errors
    /// [`Reason::QValue`] when it is none.
    pub fn q(&self) -> Result<Option<u16>, ParseError> {
        match self.params.value("q") {
            None => Ok(None),
            Some(value) => {
                params::qvalue(value).map(Some).ok_or_else(|| ParseError::new(Reason::QValue, 0))
            }
        }
    }
}

/// One element of a Contact header.
#[derive(Clone, Copy, Debug)]
pub enum Contact<'a> {
    /// `*`: all bindings (RFC 3261 10.2.2).
    All,
    /// An address.
    Address(Address<'a>),
}

/// Passes `<` URI `>`, perhaps with a quoted name before it, when both are as nearly all are.
#[inline]
fn plain_target<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Uri<'a>)> {
    let mut here = *cursor;
    let display = here.quoted().unwrap_or_default();
    here.lws();
    if !here.eat(b'<') {
        return None;
    }
    let (uri, _) = plain(here.rest())?;
    here.take(uri.as_bytes().len());
    if !here.eat(b'>') {
        return None;
    }
    *cursor = here;
    Some((display, uri))
}

/// Passes the display name and the URI of any kind; gives both.
#[inline(never)]
fn any_target<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], Uri<'a>), ParseError> {
    let start = *cursor;
    let (display, spec) = target(cursor)?;
    let uri =
        Uri::parse(spec).map_err(|error| error.shifted(scan::offset_in(start.rest(), spec)))?;
    Ok((display, uri))
}

/// Passes the display name and the URI; gives both. The cursor is then before the parameters.
fn target<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], &'a [u8]), ParseError> {
    cursor.lws();
    let start = *cursor;
    let display = if cursor.peek() == Some(b'"') {
        cursor.quoted().ok_or_else(|| start.fault(Reason::QuotedString))?
    } else {
        match scan::find3(b'<', b';', b'"', cursor.rest()) {
            Some(at) if cursor.rest().get(at) == Some(&b'<') => scan::trim(cursor.take(at)),
            _ => return bare(cursor),
        }
    };
    cursor.lws();
    if !cursor.eat(b'<') {
        return Err(cursor.fault(Reason::NameAddr));
    }
    // Names in letters beyond ASCII come without their quotes often enough.
    let is_name = |byte: &u8| scan::is(*byte, TOKEN | LWS) || !byte.is_ascii();
    if !display.starts_with(b"\"") && !display.iter().all(is_name) {
        return Err(start.fault(Reason::DisplayName));
    }
    let length = scan::find(b'>', cursor.rest()).ok_or_else(|| cursor.fault(Reason::NameAddr))?;
    let spec = cursor.take(length);
    cursor.advance(1);
    Ok((display, spec))
}

/// An addr-spec without brackets: it ends at the first semicolon, which begins the header's own
/// parameters, and may hold neither comma nor question mark (RFC 3261 20.10).
fn bare<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a [u8], &'a [u8]), ParseError> {
    let length = scan::find(b';', cursor.rest()).unwrap_or_else(|| cursor.rest().len());
    let start = *cursor;
    let spec = scan::trim(cursor.take(length));
    if scan::find2(b',', b'?', spec).is_some() {
        return Err(start.fault(Reason::AddrSpec));
    }
    Ok((b"", spec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (text, display, uri, tag) in [
            ("sip:a@b.com;tag=1", "", "sip:a@b.com", Some("1")),
            ("<sip:a@b.com;lr>;tag=1", "", "sip:a@b.com;lr", Some("1")),
            ("A. G. Bell  <sip:a@b.com> ;tag = 1", "A. G. Bell", "sip:a@b.com", Some("1")),
            ("caller<sip:c@b.com>", "caller", "sip:c@b.com", None),
            ("J\u{fc}rgen <sip:j@b.com>", "J\u{fc}rgen", "sip:j@b.com", None),
            ("\"a <b> \\\"c\\\"\"\r\n <sip:a@b.com>", "a <b> \"c\"", "sip:a@b.com", None),
            ("<sip:a@b.com?x=%3Cy%3E>", "", "sip:a@b.com?x=%3Cy%3E", None),
            ("sip:a@b.com ; tag=1 ; x=\"<\"", "", "sip:a@b.com", Some("1")),
        ] {
            let address = Address::parse(text.as_bytes()).expect(text);
            assert_eq!(&*address.display(), display.as_bytes(), "{text}");
            assert_eq!(address.uri().as_bytes(), uri.as_bytes(), "{text}");
            assert_eq!(address.tag(), tag.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn faults() {
        for (text, reason) in [
            ("", Reason::Scheme),
            ("\"a <sip:a@b.com>", Reason::QuotedString),
            ("\"a\" sip:a@b.com", Reason::NameAddr),
            ("Bell, Alexander <sip:a@b.com>", Reason::DisplayName),
            ("<sip:a@b.com", Reason::NameAddr),
            ("< sip:a@b.com >", Reason::Scheme),
            ("<sip:a@b.com>x", Reason::Trailing),
            ("<sip:a@b.com>;", Reason::GenericParam),
            ("sip:a@b.com?x=y", Reason::AddrSpec),
            ("sip:a,b@b.com", Reason::AddrSpec),
            ("<sip:a@b.com>;tag=1;tag=2", Reason::RepeatedParam),
            ("<sip:a@b.com>;tag", Reason::GenericParam),
            ("<sip:a@b.com>;tag=\"1\"", Reason::GenericParam),
        ] {
            assert_eq!(Address::parse(text.as_bytes()).unwrap_err().reason, reason, "{text}");
        }
        let route = Address::parse_name_addr(b"sip:a@b.com").unwrap_err();
        assert_eq!(route.reason, Reason::NameAddr);
    }

    #[test]
    fn contact_parameters() {
        let text = b"<sip:a@b.com>;q=0.7;expires=3600;+sip.instance=\"<urn:uuid:1>\"";
        let contact = Address::parse(text).unwrap();
        assert_eq!(contact.expires(), Ok(Some(3600)));
        assert_eq!(contact.q(), Ok(Some(700)));
        assert_eq!(&*contact.params().get("+sip.instance").unwrap().text(), b"<urn:uuid:1>");
        let wrong = Address::parse(b"<sip:a@b.com>;q=2;expires=280297596632815").unwrap();
        assert_eq!(wrong.expires().unwrap_err().reason, Reason::DeltaSeconds);
        assert_eq!(wrong.q().unwrap_err().reason, Reason::QValue);
    }
}
