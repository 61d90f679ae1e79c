//! Typed views of headers. Each reads its header when called; offsets of faults are into the
//! message.

use super::Message;
use crate::address::{Address, Contact};
use crate::date;
use crate::digest::Credentials;
use crate::error::{ParseError, Reason};
use crate::event::{self, Event, SubscriptionState};
use crate::field::{self, CSeq, RetryAfter};
use crate::header::Name;
use crate::media::{self, MediaType};
use crate::params;
use crate::scan;
use crate::uri::Uri;
use crate::via::Via;

/// The headers that every request must have (RFC 3261 8.1.1), read.
#[derive(Clone, Copy, Debug)]
pub struct Essential<'a> {
    /// The topmost Via.
    pub via: Via<'a>,
    /// From.
    pub from: Address<'a>,
    /// To.
    pub to: Address<'a>,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq.
    pub cseq: CSeq<'a>,
    /// Max-Forwards; RFC 2543 clients leave it out.
    pub max_forwards: Option<u8>,
}

/// The headers with credentials or challenges.
const AUTHORIZATION: [Name; 5] = [
    Name::Authorization,
    Name::ProxyAuthorization,
    Name::WwwAuthenticate,
    Name::ProxyAuthenticate,
    Name::AuthenticationInfo,
];

/// A contact with its parameters.
fn verify_contact(contact: Result<Contact<'_>, ParseError>) -> Result<(), ParseError> {
    if let Contact::Address(address) = contact? {
        address.expires()?;
        address.q()?;
    }
    Ok(())
}

impl<'a> Message<'a> {
    /// Reads the headers that must be there, and checks that CSeq names the method of the request.
    ///
    /// # Errors
    /// The first fault in the order Via, From, To, Call-ID, CSeq, Max-Forwards, CSeq's method.
    pub fn essential(&self) -> Result<Essential<'a>, ParseError> {
        let essential = Essential {
            via: self.via()?,
            from: self.from()?,
            to: self.to()?,
            call_id: self.call_id()?,
            cseq: self.cseq()?,
            max_forwards: self.max_forwards()?,
        };
        match self.method() {
            Some(method) if method != essential.cseq.method => {
                Err(self.fault_at(Name::CSeq, Reason::CSeqMethod))
            }
            _ => Ok(essential),
        }
    }

    /// The Request-URI, read. It has no headers (RFC 3261 19.1.1).
    ///
    /// # Errors
    /// Not a request, not a URI, or one with headers.
    pub fn target(&self) -> Result<Uri<'a>, ParseError> {
        let text = self.request_uri().ok_or_else(|| ParseError::new(Reason::RequestUri, 0))?;
        let uri = Uri::parse(text).map_err(|error| self.rebase(text, error))?;
        if uri.headers().as_bytes().is_empty() {
            Ok(uri)
        } else {
            Err(self.rebase(text, ParseError::new(Reason::RequestUri, 0)))
        }
    }

    /// Reads the start line and every header that has a view here. An element need not: it ignores
    /// what it does not use (RFC 3261 8.2.2).
    ///
    /// # Errors
    /// The first fault.
    pub fn verify(&self) -> Result<(), ParseError> {
        self.fault().map_or(Ok(()), Err)?;
        self.essential()?;
        if self.method().is_some() {
            self.target()?;
        }
        self.vias().try_for_each(|via| via.map(drop))?;
        self.contacts().try_for_each(verify_contact)?;
        for list in [Name::Route, Name::RecordRoute, Name::Path] {
            self.read_items(list, Address::parse_name_addr).try_for_each(|item| item.map(drop))?;
        }
        for list in [Name::AllowEvents, Name::Supported, Name::Require, Name::ContentEncoding] {
            self.tokens(list).try_for_each(|token| token.map(drop))?;
        }
        self.accept().try_for_each(|range| range.map(drop))?;
        for name in AUTHORIZATION {
            self.credentials(name).try_for_each(|item| item.map(drop))?;
        }
        self.expires()?;
        self.min_expires()?;
        self.event()?;
        self.subscription_state()?;
        self.sip_etag()?;
        self.sip_if_match()?;
        self.suppress_if_match()?;
        self.content_type()?;
        self.date()?;
        self.retry_after()?;
        self.body().map(drop)
    }

    /// The topmost Via.
    ///
    /// # Errors
    /// Missing, or not well formed.
    pub fn via(&self) -> Result<Via<'a>, ParseError> {
        self.vias().next().unwrap_or_else(|| Err(ParseError::new(Reason::Missing(Name::Via), 0)))
    }

    /// All Via elements from the topmost down.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, ParseError>> + '_ {
        self.read_items(Name::Via, Via::parse)
    }

    /// From.
    ///
    /// # Errors
    /// Missing, repeated or not well formed.
    pub fn from(&self) -> Result<Address<'a>, ParseError> {
        self.required(Name::From, Address::parse)
    }

    /// To.
    ///
    /// # Errors
    /// Missing, repeated or not well formed.
    pub fn to(&self) -> Result<Address<'a>, ParseError> {
        self.required(Name::To, Address::parse)
    }

    /// Call-ID, as written: compare it byte by byte.
    ///
    /// # Errors
    /// Missing, repeated or not well formed.
    pub fn call_id(&self) -> Result<&'a [u8], ParseError> {
        self.required(Name::CallId, field::call_id)
    }

    /// CSeq.
    ///
    /// # Errors
    /// Missing, repeated or not well formed.
    pub fn cseq(&self) -> Result<CSeq<'a>, ParseError> {
        self.required(Name::CSeq, CSeq::parse)
    }

    /// Max-Forwards.
    ///
    /// # Errors
    /// Repeated or not 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        self.optional(Name::MaxForwards, field::max_forwards)
    }

    /// Expires, seconds.
    ///
    /// # Errors
    /// Repeated or not a number below 2^32.
    pub fn expires(&self) -> Result<Option<u32>, ParseError> {
        self.optional(Name::Expires, field::seconds)
    }

    /// Min-Expires, seconds.
    ///
    /// # Errors
    /// Repeated or not a number below 2^32.
    pub fn min_expires(&self) -> Result<Option<u32>, ParseError> {
        self.optional(Name::MinExpires, field::seconds)
    }

    /// The one Contact that SUBSCRIBE, NOTIFY and their 2xx have.
    ///
    /// # Errors
    /// More than one, `*`, or not well formed.
    pub fn contact(&self) -> Result<Option<Address<'a>>, ParseError> {
        let mut items = self.items(Name::Contact);
        let Some(item) = items.next() else { return Ok(None) };
        if items.next().is_some() {
            return Err(self.fault_at(Name::Contact, Reason::Repeated(Name::Contact)));
        }
        if item.starts_with(b"*") {
            return Err(self.fault_at(Name::Contact, Reason::ContactStar));
        }
        Address::parse(item).map(Some).map_err(|error| self.rebase(item, error))
    }

    /// All contacts. A `*` must be alone: beside others it is a fault.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'a>, ParseError>> + '_ {
        let mut items = self.items(Name::Contact);
        let alone = items.next().is_some() && items.next().is_none();
        self.read_items(Name::Contact, move |item| match item {
            b"*" if alone => Ok(Contact::All),
            [b'*', ..] => Err(ParseError::new(Reason::ContactStar, 0)),
            _ => Address::parse(item).map(Contact::Address),
        })
    }

    /// Event.
    ///
    /// # Errors
    /// Repeated or not well formed.
    pub fn event(&self) -> Result<Option<Event<'a>>, ParseError> {
        self.optional(Name::Event, Event::parse)
    }

    /// Subscription-State.
    ///
    /// # Errors
    /// Repeated or not well formed.
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState<'a>>, ParseError> {
        self.optional(Name::SubscriptionState, SubscriptionState::parse)
    }

    /// SIP-ETag.
    ///
    /// # Errors
    /// Repeated or not a token.
    pub fn sip_etag(&self) -> Result<Option<&'a [u8]>, ParseError> {
        self.optional(Name::SipEtag, event::entity_tag)
    }

    /// SIP-If-Match.
    ///
    /// # Errors
    /// Repeated or not a token.
    pub fn sip_if_match(&self) -> Result<Option<&'a [u8]>, ParseError> {
        self.optional(Name::SipIfMatch, event::entity_tag)
    }

    /// Suppress-If-Match (RFC 5839): a tag or `*`.
    ///
    /// # Errors
    /// Repeated or not a token.
    pub fn suppress_if_match(&self) -> Result<Option<&'a [u8]>, ParseError> {
        self.optional(Name::SuppressIfMatch, event::entity_tag)
    }

    /// The ranges of Accept. With no Accept line there are none, and the default counts; with an
    /// empty one ([`Message::has`]) nothing is accepted.
    pub fn accept(&self) -> impl Iterator<Item = Result<MediaType<'a>, ParseError>> + '_ {
        self.read_items(Name::Accept, MediaType::parse)
    }

    /// The event types of Allow-Events.
    pub fn allow_events(&self) -> impl Iterator<Item = Result<&'a [u8], ParseError>> + '_ {
        self.tokens(Name::AllowEvents)
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> impl Iterator<Item = Result<&'a [u8], ParseError>> + '_ {
        self.tokens(Name::Supported)
    }

    /// The option tags of Require.
    pub fn require(&self) -> impl Iterator<Item = Result<&'a [u8], ParseError>> + '_ {
        self.tokens(Name::Require)
    }

    /// The elements of a header that is a list of tokens, such as Allow or Unsupported.
    pub fn tokens(&self, name: Name) -> impl Iterator<Item = Result<&'a [u8], ParseError>> + '_ {
        self.read_items(name, |item| {
            params::whole_token(item).ok_or_else(|| ParseError::new(Reason::Token, 0))
        })
    }

    /// Route, topmost first.
    pub fn routes(&self) -> impl Iterator<Item = Result<Address<'a>, ParseError>> + '_ {
        self.read_items(Name::Route, Address::parse_name_addr)
    }

    /// Record-Route, topmost first.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<Address<'a>, ParseError>> + '_ {
        self.read_items(Name::RecordRoute, Address::parse_name_addr)
    }

    /// Path (RFC 3327), topmost first.
    pub fn paths(&self) -> impl Iterator<Item = Result<Address<'a>, ParseError>> + '_ {
        self.read_items(Name::Path, Address::parse_name_addr)
    }

    /// Content-Type.
    ///
    /// # Errors
    /// Repeated or not well formed.
    pub fn content_type(&self) -> Result<Option<MediaType<'a>>, ParseError> {
        self.optional(Name::ContentType, MediaType::parse)
    }

    /// The codings of Content-Encoding, in the order they were applied.
    pub fn content_encoding(&self) -> impl Iterator<Item = Result<&'a [u8], ParseError>> + '_ {
        self.read_items(Name::ContentEncoding, media::coding)
    }

    /// Content-Length, bytes.
    ///
    /// # Errors
    /// Repeated or not a number.
    pub fn content_length(&self) -> Result<Option<u32>, ParseError> {
        self.optional(Name::ContentLength, |value| {
            scan::number(value).ok_or_else(|| ParseError::new(Reason::ContentLength, 0))
        })
    }

    /// Authorization: one line per realm.
    pub fn authorization(&self) -> impl Iterator<Item = Result<Credentials<'a>, ParseError>> + '_ {
        self.credentials(Name::Authorization)
    }

    /// Proxy-Authorization, WWW-Authenticate, Proxy-Authenticate, or Authentication-Info, by name.
    pub fn credentials(
        &self,
        name: Name,
    ) -> impl Iterator<Item = Result<Credentials<'a>, ParseError>> + '_ {
        let info = name == Name::AuthenticationInfo;
        self.values(name).map(move |value| {
            let read = if info { Credentials::parse_info } else { Credentials::parse };
            read(value).map_err(|error| self.rebase(value, error))
        })
    }

    /// Date, seconds since 1970.
    ///
    /// # Errors
    /// Repeated or not a date in GMT.
    pub fn date(&self) -> Result<Option<u64>, ParseError> {
        self.optional(Name::Date, date::parse)
    }

    /// Retry-After.
    ///
    /// # Errors
    /// Repeated or not well formed.
    pub fn retry_after(&self) -> Result<Option<RetryAfter<'a>>, ParseError> {
        self.optional(Name::RetryAfter, RetryAfter::parse)
    }

    /// The value of a header that may be there once.
    #[inline]
    fn single(&self, name: Name) -> Result<Option<&'a [u8]>, ParseError> {
        if self.repeated & name.bit() != 0 {
            Err(self.repetition(name))
        } else {
            Ok(self.value(name))
        }
    }

    #[cold]
    fn repetition(&self, name: Name) -> ParseError {
        let second = self.values(name).nth(1).unwrap_or_default();
        ParseError::new(Reason::Repeated(name), scan::offset_in(self.bytes, second))
    }

    #[inline]
    fn optional<T>(
        &self,
        name: Name,
        read: impl FnOnce(&'a [u8]) -> Result<T, ParseError>,
    ) -> Result<Option<T>, ParseError> {
        let Some(value) = self.single(name)? else { return Ok(None) };
        read(value).map(Some).map_err(|error| self.rebase(value, error))
    }

    #[inline]
    fn required<T>(
        &self,
        name: Name,
        read: impl FnOnce(&'a [u8]) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        let missing = ParseError::new(Reason::Missing(name), 0);
        self.optional(name, read)?.ok_or(missing)
    }

    fn read_items<'m, T: 'm>(
        &'m self,
        name: Name,
        read: impl Fn(&'a [u8]) -> Result<T, ParseError> + 'm,
    ) -> impl Iterator<Item = Result<T, ParseError>> + 'm {
        self.items(name).map(move |item| read(item).map_err(|error| self.rebase(item, error)))
    }

    /// A fault within a part of the message, by its offset into the message.
    fn rebase(&self, part: &[u8], error: ParseError) -> ParseError {
        error.shifted(scan::offset_in(self.bytes, part))
    }

    /// A fault at the first value of a name.
    fn fault_at(&self, name: Name, reason: Reason) -> ParseError {
        let at = self.value(name).map_or(0, |value| scan::offset_in(self.bytes, value));
        ParseError::new(reason, at)
    }
}
