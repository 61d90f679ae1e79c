//! The parameters and the headers of a URI.

use crate::scan;

/// Parameters of a URI, `name[=value]` between semicolons.
pub type UriParams<'a> = UriList<'a, b';'>;

/// Headers of a URI, `name=value` between ampersands.
pub type UriHeaders<'a> = UriList<'a, b'&'>;

/// Names with values between separators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriList<'a, const SEPARATOR: u8>(&'a [u8]);

impl<'a, const SEPARATOR: u8> UriList<'a, SEPARATOR> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Every part between separators, whether well formed or not.
    pub(super) fn raw(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        pairs(SEPARATOR, self.0)
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

    /// As they are written, without what opens the list.
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
