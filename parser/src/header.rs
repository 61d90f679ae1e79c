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

        /// Each name, followed by its compact form.
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
/// Bytes that a name is compared in: [`LONGEST`] in whole words.
pub(crate) const WINDOW: usize = 24;

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

/// A known name as words.
#[derive(Clone, Copy)]
struct Pattern {
    text: [u64; WINDOW / 8],
    /// The bits that count: none behind the name, and of a letter all but the one for its case.
    mask: [u64; WINDOW / 8],
    length: u8,
    name: Name,
}

/// [`KNOWN`] as words.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // as of SLOTS
static PATTERNS: [Pattern; KNOWN.len()] = {
    let none = Pattern { text: [0; 3], mask: [0; 3], length: 0, name: Name::Other };
    let mut patterns = [none; KNOWN.len()];
    let mut index = 0;
    while index < KNOWN.len() {
        let (text, name) = (KNOWN[index].0.as_bytes(), KNOWN[index].1);
        let mut at = 0;
        while at < text.len() {
            let mask = if text[at].is_ascii_alphabetic() { 0xdf_u64 } else { 0xff };
            patterns[index].text[at / 8] |= (text[at] as u64) << (8 * (at % 8));
            patterns[index].mask[at / 8] |= mask << (8 * (at % 8));
            at += 1;
        }
        patterns[index].length = text.len() as u8;
        patterns[index].name = name;
        index += 1;
    }
    patterns
};

impl Name {
    /// The name of these bytes in any case and in compact or full form.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut window = [0; WINDOW];
        match window.get_mut(..bytes.len()) {
            Some(start) => start.copy_from_slice(bytes),
            None => return Self::Other,
        }
        Self::at_start(&window, bytes.len())
    }

    /// The name that the first `length` bytes are, as [`Name::of`].
    #[inline(always)]
    pub(crate) fn at_start(window: &[u8; WINDOW], length: usize) -> Self {
        let Some(last) = length.checked_sub(1).and_then(|last| window.get(last)) else {
            return Self::Other;
        };
        let index = SLOTS.get(slot(length, window[0], *last)).copied().unwrap_or(NONE);
        let Some(known) = PATTERNS.get(usize::from(index)) else { return Self::Other };
        scan::step(WINDOW);
        let (words, _) = window.as_chunks::<8>();
        let differ = words
            .iter()
            .zip(known.text.iter().zip(&known.mask))
            .fold(0, |differ, (word, (text, mask))| {
                differ | ((u64::from_le_bytes(*word) ^ text) & mask)
            });
        if differ == 0 && usize::from(known.length) == length { known.name } else { Self::Other }
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
