//! Header names: the ones this crate knows, their compact forms and how they are found.

use crate::scan;

macro_rules! names {
    ($($variant:ident $text:literal $($compact:literal)?,)*) => {
        /// A header name that this crate knows, or [`Name::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[allow(missing_docs)] // each variant is the header of that name
        pub enum Name {
            /// A name that is not known here; [`crate::Header::name_bytes`] has it.
            Other,
            $($variant,)*
        }

        /// By discriminant: canonical text.
        static TEXTS: [&str; Name::COUNT] = ["", $($text,)*];

        impl Name {
            /// How many names there are, [`Name::Other`] among them.
            pub const COUNT: usize = 1 + [$(Self::$variant),*].len();
        }

        const KNOWN: &[(&str, Name)] =
            &[$(($text, Name::$variant), $(($compact, Name::$variant),)?)*];
    };
}

names! {
    Via "Via" "v",
    From "From" "f",
    To "To" "t",
    CallId "Call-ID" "i",
    CSeq "CSeq",
    Contact "Contact" "m",
    MaxForwards "Max-Forwards",
    Expires "Expires",
    MinExpires "Min-Expires",
    Event "Event" "o",
    SubscriptionState "Subscription-State",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    SuppressIfMatch "Suppress-If-Match",
    Accept "Accept",
    AcceptContact "Accept-Contact" "a",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    Supported "Supported" "k",
    Unsupported "Unsupported",
    Require "Require",
    ProxyRequire "Proxy-Require",
    Route "Route",
    RecordRoute "Record-Route",
    Path "Path",
    ServiceRoute "Service-Route",
    ContentType "Content-Type" "c",
    ContentLength "Content-Length" "l",
    ContentEncoding "Content-Encoding" "e",
    ContentDisposition "Content-Disposition",
    ContentLanguage "Content-Language",
    MimeVersion "MIME-Version",
    Authorization "Authorization",
    ProxyAuthorization "Proxy-Authorization",
    WwwAuthenticate "WWW-Authenticate",
    ProxyAuthenticate "Proxy-Authenticate",
    AuthenticationInfo "Authentication-Info",
    Date "Date",
    RetryAfter "Retry-After",
    Timestamp "Timestamp",
    UserAgent "User-Agent",
    Server "Server",
    Subject "Subject" "s",
    Warning "Warning",
    Reason "Reason",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    Replaces "Replaces",
    SessionExpires "Session-Expires" "x",
    RequestDisposition "Request-Disposition" "d",
    RejectContact "Reject-Contact" "j",
    Identity "Identity" "y",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Privacy "Privacy",
}

const NONE: u8 = u8::MAX;
const LONGEST: usize = 20;

/// Where a name goes: its length, first and last byte as one number, spread by a factor that was
/// searched for so that no two known names meet (the table does not compile otherwise).
const fn slot(length: usize, first: u8, last: u8) -> usize {
    let key = (length as u32) | ((first | 0x20) as u32) << 8 | ((last | 0x20) as u32) << 16;
    (key.wrapping_mul(0x3703_f0c9) >> 24) as usize
}

/// By slot: index into [`KNOWN`], or [`NONE`].
// Computed by the compiler: an index out of range would not build.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
static SLOTS: [u8; 256] = {
    let mut slots = [NONE; 256];
    let mut index = 0;
    while index < KNOWN.len() {
        let text = KNOWN[index].0.as_bytes();
        assert!(text.len() <= LONGEST);
        let at = slot(text.len(), text[0], text[text.len() - 1]);
        assert!(slots[at] == NONE, "two names meet: look for another factor");
        slots[at] = index as u8;
        index += 1;
    }
    slots
};

impl Name {
    /// The name of these bytes in any case and in compact or full form.
    #[must_use]
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return Self::Other };
        if bytes.len() > LONGEST {
            return Self::Other;
        }
        let index = SLOTS.get(slot(bytes.len(), *first, *last)).copied().unwrap_or(NONE);
        match KNOWN.get(usize::from(index)) {
            Some((text, name)) if same_name(bytes, text.as_bytes()) => *name,
            _ => Self::Other,
        }
    }

    /// The full form, as the RFCs write it; empty for [`Name::Other`].
    #[must_use]
    pub fn as_str(self) -> &'static str {
        TEXTS.get(self as usize).copied().unwrap_or("")
    }

    /// A bit of its own in a set of names.
    pub(crate) fn bit(self) -> u64 {
        1_u64.wrapping_shl(self as u32)
    }
}

/// Whether `bytes` are the known name `text` in any case: 8 bytes at a time, the last ones
/// overlapping.
#[inline]
fn same_name(bytes: &[u8], text: &[u8]) -> bool {
    scan::step(bytes.len());
    if bytes.len() != text.len() {
        return false;
    }
    match bytes.len() {
        8.. => {
            let middle = |bytes: &[u8]| word::<8>(bytes.get(8..).unwrap_or_default());
            same(word::<8>(bytes), word::<8>(text))
                && same(last_word::<8>(bytes), last_word::<8>(text))
                && (bytes.len() < 17 || same(middle(bytes), middle(text)))
        }
        4.. => {
            same(word::<4>(bytes), word::<4>(text))
                && same(last_word::<4>(bytes), last_word::<4>(text))
        }
        _ => bytes.eq_ignore_ascii_case(text),
    }
}

/// Whether these bytes are the same letters. Of the bytes in names only letters have bit 6, and
/// they alone may differ, by bit 5.
#[inline]
fn same(bytes: u64, text: u64) -> bool {
    (bytes ^ text) & !((text >> 1) & 0x2020_2020_2020_2020) == 0
}

/// The first `N` bytes as a number.
#[inline]
fn word<const N: usize>(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<N>().map_or(0, number)
}

/// The last `N` bytes as a number.
#[inline]
fn last_word<const N: usize>(bytes: &[u8]) -> u64 {
    bytes.last_chunk::<N>().map_or(0, number)
}

#[inline]
fn number<const N: usize>(bytes: &[u8; N]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (text, name) in KNOWN {
            assert_eq!(Name::of(text.as_bytes()), *name, "{text}");
            assert_eq!(Name::of(text.to_ascii_lowercase().as_bytes()), *name, "{text}");
            assert_eq!(Name::of(text.to_ascii_uppercase().as_bytes()), *name, "{text}");
        }
    }

    /// The compact forms of RFC 3261 7.3.3 and of the IANA registry.
    #[test]
    fn compact_forms() {
        for (compact, full) in [
            ("a", "Accept-Contact"),
            ("b", "Referred-By"),
            ("c", "Content-Type"),
            ("d", "Request-Disposition"),
            ("e", "Content-Encoding"),
            ("f", "From"),
            ("i", "Call-ID"),
            ("j", "Reject-Contact"),
            ("k", "Supported"),
            ("l", "Content-Length"),
            ("m", "Contact"),
            ("o", "Event"),
            ("r", "Refer-To"),
            ("s", "Subject"),
            ("t", "To"),
            ("u", "Allow-Events"),
            ("v", "Via"),
            ("x", "Session-Expires"),
            ("y", "Identity"),
        ] {
            assert_eq!(Name::of(compact.as_bytes()).as_str(), full);
        }
    }

    #[test]
    fn near_misses_are_other() {
        for text in [
            "",
            "Vi",
            "Viaa",
            "Call ID",
            "Call_ID",
            "Fram",
            "\u{e9}",
            "CSeQ ",
            "-",
            "Max\rForwards",
        ] {
            assert_eq!(Name::of(text.as_bytes()), Name::Other, "{text:?}");
        }
    }
}
