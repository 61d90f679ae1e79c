//! URIs: sip, sips (RFC 3261 19.1), tel (RFC 3966), pres (RFC 3859) and im (RFC 3860); any other is
//! kept whole.

mod aor;
mod compare;
mod escape;
mod list;
pub(crate) mod read;

use crate::error::ParseError;
use crate::host::Host;

pub use aor::{split_aor, write_aor};
pub use escape::{unescape, write_user};
pub use list::{UriHeaders, UriList, UriParams};

/// What kind of URI it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// `pres:`
    Pres,
    /// `im:`
    Im,
    /// Any other (416 in a Request-URI).
    Other,
}

impl Scheme {
    /// Whether such a URI has a user and a host.
    #[must_use]
    pub fn has_host(self) -> bool {
        matches!(self, Self::Sip | Self::Sips | Self::Pres | Self::Im)
    }
}

/// A URI, borrowed.
///
/// For tel, [`Uri::user`] is the number and [`Uri::host`] is `None`; for [`Scheme::Other`] all
/// parts are empty and only [`Uri::as_bytes`] tells.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    bytes: &'a [u8],
    scheme: Scheme,
    user: Option<&'a [u8]>,
    password: Option<&'a [u8]>,
    host: Option<Host<'a>>,
    port: Option<u16>,
    params: &'a [u8],
    headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI that fills the input.
    ///
    /// # Errors
    /// The rule of RFC 3261 section 25 that it breaks, and where.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        read::uri(bytes)
    }

    /// As it was written.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user part, with its escapes; see [`unescape`].
    #[must_use]
    pub fn user(&self) -> Option<&'a [u8]> {
        self.user
    }

    /// The password, with its escapes.
    #[must_use]
    pub fn password(&self) -> Option<&'a [u8]> {
        self.password
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> Option<Host<'a>> {
        self.host
    }

    /// The port, when it is written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Its parameters.
    #[must_use]
    pub fn params(&self) -> UriParams<'a> {
        UriParams::new(self.params)
    }

    /// Its headers, those after the question mark.
    #[must_use]
    pub fn headers(&self) -> UriHeaders<'a> {
        UriHeaders::new(self.headers)
    }

    /// The value of a parameter as written; `Some(b"")` when it has none.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        self.params().get(name)
    }

    /// Whether it is a loose router (`lr`, RFC 3261 19.1.1).
    #[must_use]
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }
}
