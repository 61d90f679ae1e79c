//! Header parameters: `;name` and `;name=value` (generic-param, RFC 3261 section 25.1).

use alloc::borrow::Cow;

use crate::error::{ParseError, Reason};
use crate::scan::{self, Cursor, TOKEN, VALUE};

/// One parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name, as written.
    pub name: &'a [u8],
    /// Its value as written, a quoted string with its quotes.
    pub value: Option<&'a [u8]>,
}

impl<'a> Param<'a> {
    /// Whether it has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        scan::same_text(self.name, name.as_bytes())
    }

    /// The value without quotes and escapes; empty when there is none.
    #[must_use]
    pub fn text(&self) -> Cow<'a, [u8]> {
        scan::unquote(self.value.unwrap_or_default())
    }

    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let name = cursor.token().ok_or_else(|| cursor.fault(Reason::GenericParam))?;
        if !cursor.eat_spaced(b'=') {
            return Ok(Self { name, value: None });
        }
        let value = if cursor.peek() == Some(b'"') {
            cursor.quoted().ok_or_else(|| cursor.fault(Reason::QuotedString))?
        } else {
            cursor.take_while(VALUE)
        };
        if value.is_empty() {
            return Err(cursor.fault(Reason::GenericParam));
        }
        Ok(Self { name, value: Some(value) })
    }
}

/// The parameters of a header value, checked, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    bytes: &'a [u8],
}

impl<'a> Params<'a> {
    /// Reads all parameters up to the end of the input; `see` looks at each as it is read.
    pub(crate) fn read(
        cursor: &mut Cursor<'a>,
        mut see: impl FnMut(&Param<'a>),
    ) -> Result<Self, ParseError> {
        cursor.lws();
        let bytes = cursor.rest();
        while !cursor.is_empty() {
            if !cursor.eat_spaced(b';') {
                return Err(cursor.fault(Reason::Trailing));
            }
            see(&Param::read(cursor)?);
            cursor.lws();
        }
        Ok(Self { bytes })
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        core::iter::from_fn(move || {
            cursor.eat_spaced(b';').then(|| Param::read(&mut cursor).ok()).flatten()
        })
    }

    /// The first of this name, in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Param<'a>> {
        self.iter().find(|param| param.is(name))
    }

    /// The value of the first of this name, as written.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.get(name)?.value
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// As they are written, from the first semicolon on.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Seconds: a number below 2^32.
pub(crate) fn delta_seconds(value: &[u8]) -> Result<u32, ParseError> {
    scan::number(value).ok_or_else(|| ParseError::new(Reason::DeltaSeconds, 0))
}

/// A weight in thousandths: `0` to `1` with up to three digits after the point.
pub(crate) fn qvalue(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = scan::split(b'.', value).unwrap_or((value, b""));
    let mut thousandths = match whole {
        b"0" => 0_u32,
        b"1" => 1000,
        _ => return None,
    };
    let mut unit = 100_u32;
    for digit in decimals {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9 && unit > 0)?;
        thousandths = thousandths.checked_add(u32::from(digit).checked_mul(unit)?)?;
        unit = unit.checked_div(10)?;
    }
    u16::try_from(thousandths).ok().filter(|value| *value <= 1000)
}

/// A token up to the end of the value.
pub(crate) fn whole_token(value: &[u8]) -> Option<&[u8]> {
    let value = scan::trim(value);
    scan::all(value, TOKEN).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Params<'_>, ParseError> {
        Params::read(&mut Cursor::new(text), |_| {})
    }

    #[test]
    fn tokens_flags_quotes_and_hosts() {
        let text = b" ; tag = a48s ;lr; x=\"a;b\\\"\";received=[2001:db8::1]; y=1.2.3.4:5";
        let params = read(text).unwrap();
        assert_eq!(params.value("TAG"), Some(&b"a48s"[..]));
        assert_eq!(params.get("lr").unwrap().value, None);
        assert_eq!(&*params.get("x").unwrap().text(), b"a;b\"");
        assert_eq!(params.value("received"), Some(&b"[2001:db8::1]"[..]));
        assert_eq!(params.iter().count(), 5);
        assert!(params.get("z").is_none());
    }

    #[test]
    fn faults_have_their_place() {
        let fault = |text: &'static [u8]| {
            let error = read(text).unwrap_err();
            (error.reason, error.offset)
        };
        assert_eq!(fault(b";"), (Reason::GenericParam, 1));
        assert_eq!(fault(b";a="), (Reason::GenericParam, 3));
        assert_eq!(fault(b";a=b c"), (Reason::Trailing, 5));
        assert_eq!(fault(b";a=\"b"), (Reason::QuotedString, 5));
        assert_eq!(fault(b";;"), (Reason::GenericParam, 1));
    }

    #[test]
    fn weights() {
        assert_eq!(qvalue(b"1"), Some(1000));
        assert_eq!(qvalue(b"0.25"), Some(250));
        assert_eq!(qvalue(b"1.000"), Some(1000));
        assert_eq!(qvalue(b"0."), Some(0));
        for wrong in [&b"1.001"[..], b"2", b"0.1234", b".5", b"", b"0.x"] {
            assert_eq!(qvalue(wrong), None);
        }
    }
}
