//! What can be wrong with a message, by the ABNF rule that it breaks.

use core::fmt;

use crate::header::Name;

/// Why no message can be cut out of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The header block is longer than the limit.
    HeadersTooLong,
    /// Content-Length is over the limit.
    BodyTooLong,
    /// Content-Length is missing or not a number, or the start is no SIP message.
    Malformed,
}

/// A fault in the input: what and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub reason: Reason,
    /// Byte offset of the fault: into the message for faults that a [`crate::Message`] reports,
    /// into the given bytes otherwise.
    pub offset: u32,
}

impl ParseError {
    /// A fault at an offset.
    pub(crate) fn new(reason: Reason, offset: usize) -> Self {
        Self { reason, offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    /// The same fault, seen from a slice that starts `base` bytes earlier.
    pub(crate) fn shifted(self, base: usize) -> Self {
        let base = u32::try_from(base).unwrap_or(u32::MAX);
        Self { reason: self.reason, offset: self.offset.saturating_add(base) }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Missing(name) => write!(f, "no {} header", name.as_str()),
            Reason::Repeated(name) => {
                write!(f, "a second {} header at byte {}", name.as_str(), self.offset)
            }
            reason => write!(f, "{} at byte {}", reason.rule(), self.offset),
        }
    }
}

impl core::error::Error for ParseError {}

/// What is wrong. [`Reason::rule`] names the rule of RFC 3261 section 25 (or of the named RFC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing but line ends.
    Empty,
    /// Neither a request line nor a status line.
    StartLine,
    /// The method is not a token.
    Method,
    /// The Request-URI is missing or has whitespace in it.
    RequestUri,
    /// A protocol version other than SIP/2.0 (505).
    SipVersion,
    /// Too much whitespace in the request line.
    RequestLine,
    /// The status code is not three digits from 100 to 699.
    StatusCode,
    /// The head is over [`crate::limits::MAX_HEAD`].
    HeadTooLong,
    /// More lines than [`crate::limits::MAX_HEADERS`].
    TooManyHeaders,
    /// A header line without a name, or with one that is not a token.
    HeaderName,
    /// The message ends within its head.
    HeadEnd,
    /// A mandatory header is not there.
    Missing(Name),
    /// A header that may be there once is there again.
    Repeated(Name),
    /// A token was due.
    Token,
    /// A quoted string does not end, or was due.
    QuotedString,
    /// A comment does not end.
    Comment,
    /// A parameter without a name or with a wrong value.
    GenericParam,
    /// A parameter that may be there once is there again.
    RepeatedParam,
    /// A display name that is neither tokens nor a quoted string.
    DisplayName,
    /// The angle brackets of a name-addr do not match.
    NameAddr,
    /// An addr-spec that needs angle brackets (RFC 3261 20.10: comma, question mark, semicolon).
    AddrSpec,
    /// A `*` among other contacts, or with parameters.
    ContactStar,
    /// A URI without a scheme.
    Scheme,
    /// The user or password of a URI.
    UserInfo,
    /// A host that is no name and no address.
    Host,
    /// A port that is not 0 to 65535.
    Port,
    /// A `%` without two hex digits.
    Escaped,
    /// A parameter of a URI.
    UriParameter,
    /// A header of a URI.
    UriHeaders,
    /// A telephone number (RFC 3966).
    TelephoneSubscriber,
    /// Not `SIP/2.0/transport`.
    SentProtocol,
    /// The host and port of a Via.
    SentBy,
    /// A parameter of a Via whose value is wrong.
    ViaParams,
    /// A Call-ID that is not one word, or two around an `@`.
    CallId,
    /// A CSeq that is not a number below 2^31 and a method.
    CSeq,
    /// A CSeq whose method is not that of the request.
    CSeqMethod,
    /// A Max-Forwards that is not 0 to 255.
    MaxForwards,
    /// Seconds that are not a number below 2^32.
    DeltaSeconds,
    /// A weight that is not 0 to 1 with up to three digits.
    QValue,
    /// An event type (RFC 6665).
    EventType,
    /// A state of a subscription (RFC 6665).
    SubstateValue,
    /// An entity-tag (RFC 3903).
    EntityTag,
    /// A media type or media range.
    MediaType,
    /// Credentials or a challenge.
    Credentials,
    /// A date that is not of RFC 1123 and GMT.
    SipDate,
    /// A Content-Length that is no number.
    ContentLength,
    /// The body is shorter than Content-Length says.
    BodyTruncated,
    /// Something follows the end of the value.
    Trailing,
}

impl Reason {
    /// The rule that was broken, as the RFCs name it.
    #[must_use]
    pub fn rule(self) -> &'static str {
        match self {
            Self::Empty => "SIP-message",
            Self::StartLine => "start-line",
            Self::Method => "Method",
            Self::RequestUri => "Request-URI",
            Self::SipVersion => "SIP-Version",
            Self::RequestLine => "Request-Line",
            Self::StatusCode => "Status-Code",
            Self::HeadTooLong => "head over the limit",
            Self::TooManyHeaders => "header lines over the limit",
            Self::HeaderName => "header-name",
            Self::HeadEnd => "CRLF after the headers",
            Self::Missing(_) => "missing header",
            Self::Repeated(_) => "repeated header",
            Self::Token => "token",
            Self::QuotedString => "quoted-string",
            Self::Comment => "comment",
            Self::GenericParam => "generic-param",
            Self::RepeatedParam => "repeated parameter",
            Self::DisplayName => "display-name",
            Self::NameAddr => "name-addr",
            Self::AddrSpec => "addr-spec",
            Self::ContactStar => "STAR",
            Self::Scheme => "scheme",
            Self::UserInfo => "userinfo",
            Self::Host => "host",
            Self::Port => "port",
            Self::Escaped => "escaped",
            Self::UriParameter => "uri-parameter",
            Self::UriHeaders => "headers",
            Self::TelephoneSubscriber => "telephone-subscriber",
            Self::SentProtocol => "sent-protocol",
            Self::SentBy => "sent-by",
            Self::ViaParams => "via-params",
            Self::CallId => "callid",
            Self::CSeq => "CSeq",
            Self::CSeqMethod => "CSeq method",
            Self::MaxForwards => "Max-Forwards",
            Self::DeltaSeconds => "delta-seconds",
            Self::QValue => "qvalue",
            Self::EventType => "event-type",
            Self::SubstateValue => "substate-value",
            Self::EntityTag => "entity-tag",
            Self::MediaType => "media-type",
            Self::Credentials => "credentials",
            Self::SipDate => "SIP-date",
            Self::ContentLength => "Content-Length",
            Self::BodyTruncated => "message-body",
            Self::Trailing => "end of value",
        }
    }
}
