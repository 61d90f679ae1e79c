//! The small headers: CSeq, Call-ID, Max-Forwards, Retry-After.

use crate::error::{ParseError, Reason};
use crate::method::Method;
use crate::params::{self, Params};
use crate::scan::{self, Cursor, WORD};

/// A CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// The number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads `1*DIGIT LWS Method`.
    ///
    /// # Errors
    /// [`Reason::CSeq`], and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.lws();
        let number = cursor.token().and_then(scan::number).filter(|number| *number < 1 << 31);
        let number = number.ok_or_else(|| ParseError::new(Reason::CSeq, 0))?;
        cursor.lws();
        let method = cursor.token().ok_or_else(|| cursor.fault(Reason::CSeq))?;
        cursor.lws();
        if !cursor.is_empty() {
            return Err(cursor.fault(Reason::CSeq));
        }
        Ok(Self { number, method: Method::of(method) })
    }
}

/// `callid = word [ "@" word ]`
pub(crate) fn call_id(value: &[u8]) -> Result<&[u8], ParseError> {
    let value = scan::trim(value);
    let valid = match scan::split(b'@', value) {
        Some((left, right)) => scan::all(left, WORD) && scan::all(right, WORD),
        None => scan::all(value, WORD),
    };
    if valid { Ok(value) } else { Err(ParseError::new(Reason::CallId, 0)) }
}

/// 0 to 255 (RFC 3261 20.22).
pub(crate) fn max_forwards(value: &[u8]) -> Result<u8, ParseError> {
    scan::number(scan::trim(value))
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| ParseError::new(Reason::MaxForwards, 0))
}

/// Seconds that fill the value.
pub(crate) fn seconds(value: &[u8]) -> Result<u32, ParseError> {
    params::delta_seconds(scan::trim(value))
}

/// A Retry-After.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter<'a> {
    /// Seconds to wait.
    pub seconds: u32,
    /// Parameters, such as `duration`.
    pub params: Params<'a>,
}

impl<'a> RetryAfter<'a> {
    /// Reads `delta-seconds [ comment ] *( SEMI retry-param )`.
    ///
    /// # Errors
    /// The rule that is broken, and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.lws();
        let seconds = cursor.token().and_then(scan::number);
        let seconds = seconds.ok_or_else(|| ParseError::new(Reason::DeltaSeconds, 0))?;
        cursor.lws();
        if cursor.peek() == Some(b'(') {
            cursor.comment()?;
        }
        let params = Params::read(&mut cursor, |_| {})?;
        Ok(Self { seconds, params })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cseqs() {
        let cseq = CSeq::parse(b"0009\r\n  INVITE").unwrap();
        assert_eq!(cseq, CSeq { number: 9, method: Method::Invite });
        assert_eq!(CSeq::parse(b"2147483647 X").unwrap().method, Method::Other(b"X"));
        for text in ["", "1", "1 ", "-1 A", "2147483648 A", "36893488147419103232 A", "1 A B", "A"]
        {
            assert_eq!(CSeq::parse(text.as_bytes()).unwrap_err().reason, Reason::CSeq, "{text}");
        }
    }

    #[test]
    fn call_ids() {
        for text in
            ["a84b4c76e66710@pc33.atlanta.com", "a", "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"]
        {
            assert!(call_id(text.as_bytes()).is_ok(), "{text}");
        }
        for text in ["", "@", "a@", "a b", "a@b@c", "a,b"] {
            assert_eq!(call_id(text.as_bytes()).unwrap_err().reason, Reason::CallId, "{text}");
        }
    }

    #[test]
    fn hops_and_seconds() {
        assert_eq!(max_forwards(b" 0068 "), Ok(68));
        assert_eq!(max_forwards(b"256").unwrap_err().reason, Reason::MaxForwards);
        assert_eq!(seconds(b"4294967295"), Ok(u32::MAX));
        assert_eq!(seconds(b"1000000000000").unwrap_err().reason, Reason::DeltaSeconds);
    }

    #[test]
    fn retry_after() {
        let retry = RetryAfter::parse(b"120 (I'm in a \\( (meeting)) ;duration=3600").unwrap();
        assert_eq!(retry.seconds, 120);
        assert_eq!(retry.params.value("duration"), Some(&b"3600"[..]));
        assert_eq!(RetryAfter::parse(b"1 (").unwrap_err().reason, Reason::Comment);
        assert!(RetryAfter::parse(b"949302838503028349304023988").is_err());
    }
}
