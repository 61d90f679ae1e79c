//! Addresses of record in normal form (row C92): the user unescaped with its case kept, the host in
//! lower case, no port, no parameters; sip, sips, pres and im alike.

use alloc::vec::Vec;

use super::escape::characters;
use super::{Uri, write_user};
use crate::error::{ParseError, Reason};
use crate::scan;

impl Uri<'_> {
    /// Appends the address of record: `user@host`, or `host` alone where there is no user. The last
    /// `@` ends the user, which as raw bytes may hold one itself.
    ///
    /// # Errors
    /// [`Reason::Scheme`] when the URI has no host: tel and unknown schemes.
    pub fn write_aor(&self, out: &mut Vec<u8>) -> Result<(), ParseError> {
        let host = self.host.ok_or_else(|| ParseError::new(Reason::Scheme, 0))?;
        if let Some(user) = self.user {
            match scan::find(b'%', user) {
                None => out.extend_from_slice(user),
                Some(_) => out.extend(characters(user).map(|(byte, _)| byte)),
            }
            out.push(b'@');
        }
        host.write(out);
        Ok(())
    }
}

/// User and host of an address of record.
#[must_use]
pub fn split_aor(aor: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match memchr::memrchr(b'@', aor).and_then(|at| aor.split_at_checked(at)) {
        Some((user, host)) => (Some(user), host.get(1..).unwrap_or_default()),
        None => (None, aor),
    }
}

/// Appends a URI that has this address of record: `scheme:user@host` with the user escaped.
pub fn write_aor(scheme: &str, aor: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(scheme.as_bytes());
    out.push(b':');
    let (user, host) = split_aor(aor);
    if let Some(user) = user {
        write_user(user, out);
        out.push(b'@');
    }
    out.extend_from_slice(host);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aor(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Uri::parse(text.as_bytes()).unwrap().write_aor(&mut out).unwrap();
        out
    }

    #[test]
    fn row_c92() {
        for text in [
            "sip:Al%69ce@Example.COM:5070;transport=tcp?subject=x",
            "sips:Alice@example.com",
            "pres:Alice@example.com.",
            "im:Alice@EXAMPLE.com",
            "sip:Alice:secret@example.com",
        ] {
            assert_eq!(aor(text), b"Alice@example.com", "{text}");
        }
        assert_eq!(aor("sip:example.com"), b"example.com");
        assert_eq!(aor("sip:a@[2001:DB8::1]:5060"), b"a@[2001:db8::1]");
    }

    #[test]
    fn there_and_back() {
        let one = aor("sip:sips%3Auser%40example.com@example.net");
        assert_eq!(one, b"sips:user@example.com@example.net");
        assert_eq!(split_aor(&one), (Some(&b"sips:user@example.com"[..]), &b"example.net"[..]));
        let mut uri = Vec::new();
        write_aor("sip", &one, &mut uri);
        assert_eq!(uri, b"sip:sips%3Auser%40example.com@example.net");
    }

    #[test]
    fn no_host_no_aor() {
        let uri = Uri::parse(b"tel:+12015550123").unwrap();
        assert_eq!(uri.write_aor(&mut Vec::new()).unwrap_err().reason, Reason::Scheme);
    }
}
