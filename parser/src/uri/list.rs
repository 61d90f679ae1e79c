//! The parameters and the headers of a URI.

use crate::scan;

/// Parameters of a URI, `name[=value]` between semicolons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriParams<'a>(&'a [u8]);

impl<'a> UriParams<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Every part between semicolons, whether well formed or not.
    pub(super) fn raw(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        pairs(b';', self.0)
    }

    /// Name and value of each, as written; the value is empty when there is none.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let none = self.0.is_empty();
        self.raw().filter(move |_| !none).map(|(name, value)| (name, value.unwrap_or_default()))
    }

    /// The value of the first of this name, in any case.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(have, _)| scan::same_text(have, name.as_bytes())).map(|found| found.1)
    }

    /// As they are written, without the first semicolon.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Headers of a URI, `name=value` between ampersands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriHeaders<'a>(&'a [u8]);

impl<'a> UriHeaders<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Every part between ampersands, whether well formed or not.
    pub(super) fn raw(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        pairs(b'&', self.0)
    }

    /// Name and value of each, as written.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let none = self.0.is_empty();
        self.raw().filter(move |_| !none).map(|(name, value)| (name, value.unwrap_or_default()))
    }

    /// The value of the first of this name, in any case.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(have, _)| scan::same_text(have, name.as_bytes())).map(|found| found.1)
    }

    /// As they are written, without the question mark.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

fn pairs(separator: u8, bytes: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let mut rest = Some(bytes);
    core::iter::from_fn(move || {
        let here = rest?;
        let (pair, tail) = match scan::split(separator, here) {
            Some((pair, tail)) => (pair, Some(tail)),
            None => (here, None),
        };
        rest = tail;
        Some(match scan::split(b'=', pair) {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        })
    })
}
