//! Reading URIs.

use super::list::{UriHeaders, UriParams};
use super::{Scheme, Uri, escape};
use crate::error::{ParseError, Reason};
use crate::host::Host;
use crate::scan::{self, Cursor, HEADER, PARAM, TOKEN, USER};

pub(super) fn uri(bytes: &[u8]) -> Result<Uri<'_>, ParseError> {
    match plain(bytes) {
        Some((uri, [])) => Ok(uri),
        _ => any(bytes),
    }
}

/// The URI at the start of the bytes, and what follows it, when it is as nearly all are written:
/// `sip:`, a user, a name or IPv4 address, perhaps a port and parameters, nothing escaped. `None`
/// says nothing about another.
#[inline]
pub(crate) fn plain(bytes: &[u8]) -> Option<(Uri<'_>, &[u8])> {
    let mut cursor = Cursor::new(bytes.strip_prefix(b"sip:")?);
    let user = cursor.take_while(USER);
    if user.is_empty() || !cursor.eat(b'@') {
        return None;
    }
    let (host, rest) = Host::plain(cursor.rest())?;
    let mut cursor = Cursor::new(rest);
    let port = match cursor.eat(b':') {
        true => Some(u16::try_from(cursor.number()?).ok()?),
        false => None,
    };
    let mut params: &[u8] = b"";
    if let [b';', list @ ..] = cursor.rest() {
        while cursor.eat(b';') {
            let named = !cursor.take_while(PARAM).is_empty();
            if !named || (cursor.eat(b'=') && cursor.take_while(PARAM).is_empty()) {
                return None;
            }
        }
        params = list.get(..list.len().saturating_sub(cursor.rest().len()))?;
    }
    let rest = cursor.rest();
    let uri = Uri {
        bytes: bytes.get(..bytes.len().saturating_sub(rest.len()))?,
        scheme: Scheme::Sip,
        user: Some(user),
        password: None,
        host: Some(host),
        port,
        params,
        headers: b"",
    };
    Some((uri, rest))
}

/// Any URI that fills the input.
#[inline(never)]
fn any(bytes: &[u8]) -> Result<Uri<'_>, ParseError> {
    let fault = |reason, part: &[u8]| ParseError::new(reason, scan::offset_in(bytes, part));
    let (name, rest) =
        scan::split(b':', bytes).ok_or_else(|| ParseError::new(Reason::Scheme, 0))?;
    let scheme = scheme(name).ok_or_else(|| ParseError::new(Reason::Scheme, 0))?;
    let mut uri = Uri {
        bytes,
        scheme,
        user: None,
        password: None,
        host: None,
        port: None,
        params: b"",
        headers: b"",
    };
    match scheme {
        Scheme::Other => opaque(rest).map_err(|reason| fault(reason, rest))?,
        Scheme::Tel => telephone(rest, &mut uri).map_err(|(reason, part)| fault(reason, part))?,
        _ => located(rest, &mut uri).map_err(|(reason, part)| fault(reason, part))?,
    }
    Ok(uri)
}

/// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`
fn scheme(name: &[u8]) -> Option<Scheme> {
    if name == b"sip" {
        return Some(Scheme::Sip);
    }
    for (text, scheme) in [
        (&b"sip"[..], Scheme::Sip),
        (b"sips", Scheme::Sips),
        (b"tel", Scheme::Tel),
        (b"pres", Scheme::Pres),
        (b"im", Scheme::Im),
    ] {
        if scan::same_text(name, text) {
            return Some(scheme);
        }
    }
    scan::step(name.len());
    let valid = name.first()?.is_ascii_alphabetic()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    valid.then_some(Scheme::Other)
}

/// Any other URI: at least one byte, and none that ends a URI.
fn opaque(rest: &[u8]) -> Result<(), Reason> {
    scan::step(rest.len());
    let valid = |byte: &u8| byte.is_ascii_graphic() && !b"<>\"".contains(byte);
    if !rest.is_empty() && rest.iter().all(valid) { Ok(()) } else { Err(Reason::Scheme) }
}

type Fault<'a> = (Reason, &'a [u8]);

/// `[ userinfo "@" ] hostport uri-parameters [ headers ]`
fn located<'a>(rest: &'a [u8], uri: &mut Uri<'a>) -> Result<(), Fault<'a>> {
    let mut tail = rest;
    // Neither host, parameters nor headers may hold an `@`: the first one ends the user.
    if let Some((userinfo, after)) = scan::split(b'@', rest) {
        tail = after;
        let (user, password) = match scan::split(b':', userinfo) {
            Some((user, password)) => (user, Some(password)),
            None => (userinfo, None),
        };
        let wrong = user.is_empty()
            || !escape::valid(user, USER)
            || password.is_some_and(|password| !valid_password(password));
        if wrong {
            return Err((Reason::UserInfo, userinfo));
        }
        uri.user = Some(user);
        uri.password = password;
    }
    let end = host_end(tail);
    let (host, mut tail) = tail.split_at_checked(end).unwrap_or((tail, b""));
    uri.host = Some(Host::parse(host).map_err(|reason| (reason, host))?);
    if let [b':', after @ ..] = tail {
        let end = scan::find2(b';', b'?', after).unwrap_or(after.len());
        let (digits, after) = after.split_at_checked(end).unwrap_or((after, b""));
        uri.port = Some(port(digits).ok_or((Reason::Port, digits))?);
        tail = after;
    }
    if let [b';', after @ ..] = tail {
        let end = scan::find(b'?', after).unwrap_or(after.len());
        (uri.params, tail) = after.split_at_checked(end).unwrap_or((after, b""));
        params(uri.params)?;
    }
    match tail {
        [] => Ok(()),
        [b'?', after @ ..] => {
            uri.headers = after;
            headers(after)
        }
        _ => Err((Reason::Host, tail)),
    }
}

/// Where the host ends: at the first `:`, `;` or `?` after a bracketed part.
fn host_end(tail: &[u8]) -> usize {
    let inside = match tail.first() {
        Some(b'[') => scan::find(b']', tail).unwrap_or(tail.len()),
        _ => 0,
    };
    let after = tail.get(inside..).unwrap_or_default();
    let end = scan::find3(b':', b';', b'?', after).unwrap_or(after.len());
    inside.saturating_add(end)
}

pub(crate) fn port(digits: &[u8]) -> Option<u16> {
    u16::try_from(scan::number(digits)?).ok()
}

/// `password = *( unreserved / escaped / "&" / "=" / "+" / "$" / "," )`
fn valid_password(password: &[u8]) -> bool {
    scan::step(password.len());
    !password.iter().any(|byte| b";?/".contains(byte)) && escape::valid_or_empty(password, USER)
}

fn params(bytes: &[u8]) -> Result<(), Fault<'_>> {
    for (name, value) in UriParams::new(bytes).raw() {
        let value_fails = value.is_some_and(|value| !escape::valid(value, PARAM));
        if value_fails || !escape::valid(name, PARAM) {
            return Err((Reason::UriParameter, name));
        }
    }
    Ok(())
}

fn headers(bytes: &[u8]) -> Result<(), Fault<'_>> {
    for (name, value) in UriHeaders::new(bytes).raw() {
        let value_fails = !value.is_some_and(|value| escape::valid_or_empty(value, HEADER));
        if value_fails || !escape::valid(name, HEADER) {
            return Err((Reason::UriHeaders, name));
        }
    }
    Ok(())
}

/// `global-number / local-number` with parameters (RFC 3966 section 3).
fn telephone<'a>(rest: &'a [u8], uri: &mut Uri<'a>) -> Result<(), Fault<'a>> {
    let (number, params) = scan::split(b';', rest).unwrap_or((rest, b""));
    let digits = number.strip_prefix(b"+").unwrap_or(number);
    scan::step(digits.len());
    let global = digits.len() < number.len();
    let local = |byte: &u8| byte.is_ascii_hexdigit() || b"*#".contains(byte);
    let digit = |byte: &u8| if global { byte.is_ascii_digit() } else { local(byte) };
    let separator = |byte: &u8| b"-.()".contains(byte);
    if !digits.iter().any(digit) || !digits.iter().all(|byte| digit(byte) || separator(byte)) {
        return Err((Reason::TelephoneSubscriber, number));
    }
    if number.len() < rest.len() {
        for (name, value) in UriParams::new(params).raw() {
            let value_fails = value.is_some_and(|value| !escape::valid(value, PARAM));
            if value_fails || !scan::all(name, TOKEN) {
                return Err((Reason::UriParameter, name));
            }
        }
    }
    uri.user = Some(number);
    uri.params = params;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn parse(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The examples of RFC 3261 19.1.3.
    #[test]
    fn examples_of_the_rfc() {
        let uri = parse("sips:alice@atlanta.com?subject=project%20x&priority=urgent");
        assert_eq!(uri.scheme(), Scheme::Sips);
        assert_eq!(uri.headers().iter().count(), 2);
        let uri = parse("sip:+1-212-555-1212:1234@gateway.com;user=phone");
        assert_eq!(uri.user(), Some(&b"+1-212-555-1212"[..]));
        assert_eq!(uri.password(), Some(&b"1234"[..]));
        assert_eq!(uri.param("USER"), Some(&b"phone"[..]));
        let uri = parse("sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com");
        assert_eq!(uri.user(), None);
        assert_eq!(uri.headers().get("to"), Some(&b"alice%40atlanta.com"[..]));
        let uri = parse("sip:alice;day=tuesday@atlanta.com");
        assert_eq!(uri.user(), Some(&b"alice;day=tuesday"[..]));
        assert!(uri.params().iter().next().is_none());
    }

    #[test]
    fn addresses_ports_and_routers() {
        let uri = parse("sip:[2001:db8::10:5070]");
        assert_eq!(uri.port(), None);
        assert_eq!(uri.host(), Some(Host::Address("2001:db8::10:5070".parse::<IpAddr>().unwrap())));
        let uri = parse("sip:p1@[2001:db8::10]:5070;lr;transport=tcp");
        assert_eq!(uri.port(), Some(5070));
        assert!(uri.is_loose());
        assert_eq!(parse("SIP:a@192.0.2.1").scheme(), Scheme::Sip);
    }

    /// The short way finds what the long one finds, where it finds anything.
    #[test]
    fn plain_ones_are_read_alike() {
        for text in [
            "sip:a@b",
            "sip:a@b.",
            "sip:a;b=c@d-e.f_g:05060;h;i=j;k=[l]",
            "sip:+1-2(3)@192.0.2.1:0;lr",
            "sip:a@b.c;transport=udp;x=%41",
            "sip:a@b:65536",
            "sip:a@b:",
            "sip:a@b;",
            "sip:a@b;c=",
            "sip:a@b;=c",
            "sip:a@b;c=d=e",
            "sip:a@b;c;;d",
            "sip:a@b?c=d",
            "sip:a:b@c",
            "sip:a@b@c",
            "sip:a@1.2.3",
            "sip:a@b..c",
            "sip:a@b-.c",
            "sip:a@-b",
            "sip:@b",
            "sip:a@",
            "sip:a b@c",
        ] {
            let long = any(text.as_bytes());
            let short = plain(text.as_bytes()).filter(|(_, rest)| rest.is_empty());
            let parts = |uri: &Uri<'_>| format!("{uri:?}");
            match (short, long) {
                (Some((short, _)), Ok(long)) => assert_eq!(parts(&short), parts(&long)),
                (Some(_), Err(error)) => panic!("{text}: {error}"),
                (None, _) => {}
            }
        }
        assert!(
            plain(b"sip:a;b=c@d-e.f_g:05060;h;i=j;k=[l]>").is_some_and(|(_, rest)| rest == b">")
        );
    }

    #[test]
    fn other_schemes() {
        assert_eq!(parse("pres:alice@example.com").user(), Some(&b"alice"[..]));
        assert_eq!(parse("im:alice@example.com").scheme(), Scheme::Im);
        let uri = parse("tel:+1-201-555-0123;phone-context=example.com");
        assert_eq!(uri.user(), Some(&b"+1-201-555-0123"[..]));
        assert_eq!(uri.param("phone-context"), Some(&b"example.com"[..]));
        assert_eq!(parse("tel:863-1234;phone-context=+1-914-555").scheme(), Scheme::Tel);
        assert_eq!(parse("soap.beep://192.0.2.103:3002").scheme(), Scheme::Other);
        assert_eq!(parse("urn:service:sos").host(), None);
    }

    #[test]
    fn faults() {
        for (text, reason, offset) in [
            ("", Reason::Scheme, 0),
            ("sip", Reason::Scheme, 0),
            ("1a:b", Reason::Scheme, 0),
            ("sip:", Reason::Host, 4),
            ("sip:@a.com", Reason::UserInfo, 4),
            ("sip:a b@c.com", Reason::UserInfo, 4),
            ("sip:a%4@c.com", Reason::UserInfo, 4),
            ("sip:a@b@c.com", Reason::Host, 6),
            ("sip:a@c.com:", Reason::Port, 12),
            ("sip:a@c.com:65536", Reason::Port, 12),
            ("sip:a@c.com;", Reason::UriParameter, 12),
            ("sip:a@c.com;a=", Reason::UriParameter, 12),
            ("sip:a@c.com;a;b\"", Reason::UriParameter, 14),
            ("sip:a@c.com?", Reason::UriHeaders, 12),
            ("sip:a@c.com?a", Reason::UriHeaders, 12),
            ("sip:2001:db8::10", Reason::Host, 4),
            ("sip:a@[::1]x", Reason::Host, 6),
            ("tel:", Reason::TelephoneSubscriber, 4),
            ("tel:+", Reason::TelephoneSubscriber, 4),
            ("tel:+a", Reason::TelephoneSubscriber, 4),
            ("tel:1;", Reason::UriParameter, 6),
            ("http:", Reason::Scheme, 5),
        ] {
            let error = Uri::parse(text.as_bytes()).expect_err(text);
            assert_eq!((error.reason, error.offset), (reason, offset), "{text}");
        }
    }
}
