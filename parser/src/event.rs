//! Event, Subscription-State and entity-tags (RFC 6665, RFC 3903).

use crate::error::{ParseError, Reason};
use crate::params::{self, Params};
use crate::scan::{self, Cursor, TOKEN};

/// An Event header: package, templates and parameters.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    package: &'a [u8],
    id: Option<&'a [u8]>,
    params: Params<'a>,
}

impl<'a> Event<'a> {
    /// Reads one Event value: `event-type *( SEMI event-param )`.
    ///
    /// # Errors
    /// The rule that is broken, and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.lws();
        let package = cursor.token().ok_or_else(|| cursor.fault(Reason::EventType))?;
        if package.split(|byte| *byte == b'.').any(<[u8]>::is_empty) {
            return Err(ParseError::new(Reason::EventType, 0));
        }
        let mut id = None;
        let params = Params::read(&mut cursor, |param| {
            if id.is_none() && param.is("id") {
                id = Some(param.value.unwrap_or_default());
            }
        })?;
        if id.is_some_and(|id| !scan::all(id, TOKEN)) {
            let at = scan::offset_in(value, params.as_bytes());
            return Err(ParseError::new(Reason::GenericParam, at));
        }
        Ok(Self { package, id, params })
    }

    /// The package with its templates, such as `presence.winfo`. Case counts (RFC 6665 8.2.1).
    #[must_use]
    pub fn package(&self) -> &'a [u8] {
        self.package
    }

    /// The `id` parameter.
    #[must_use]
    pub fn id(&self) -> Option<&'a [u8]> {
        self.id
    }

    /// All parameters, such as `sla` of the dialog package.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Substate<'a> {
    /// Authorized.
    Active,
    /// Not yet authorized.
    Pending,
    /// Over.
    Terminated,
    /// An extension.
    Other(&'a [u8]),
}

/// A Subscription-State header.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionState<'a> {
    state: Substate<'a>,
    params: Params<'a>,
}

impl<'a> SubscriptionState<'a> {
    /// Reads one value: `substate-value *( SEMI subexp-params )`.
    ///
    /// # Errors
    /// The rule that is broken, and where.
    pub fn parse(value: &'a [u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(value);
        cursor.lws();
        let word = cursor.token().ok_or_else(|| cursor.fault(Reason::SubstateValue))?;
        let mut state = Substate::Other(word);
        for (text, known) in [
            (&b"active"[..], Substate::Active),
            (b"pending", Substate::Pending),
            (b"terminated", Substate::Terminated),
        ] {
            if scan::same_text(word, text) {
                state = known;
            }
        }
        let params = Params::read(&mut cursor, |_| {})?;
        Ok(Self { state, params })
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> Substate<'a> {
        self.state
    }

    /// Why it ended, such as `noresource`.
    #[must_use]
    pub fn reason(&self) -> Option<&'a [u8]> {
        self.params.value("reason")
    }

    /// Seconds that are left.
    ///
    /// # Errors
    /// [`Reason::DeltaSeconds`] when it is no number below 2^32.
    pub fn expires(&self) -> Result<Option<u32>, ParseError> {
        self.params.value("expires").map(params::delta_seconds).transpose()
    }

    /// Seconds to wait before the next SUBSCRIBE.
    ///
    /// # Errors
    /// [`Reason::DeltaSeconds`] when it is no number below 2^32.
    pub fn retry_after(&self) -> Result<Option<u32>, ParseError> {
        self.params.value("retry-after").map(params::delta_seconds).transpose()
    }

    /// All parameters.
    #[must_use]
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

/// An entity-tag: one token.
pub(crate) fn entity_tag(value: &[u8]) -> Result<&[u8], ParseError> {
    params::whole_token(value).ok_or_else(|| ParseError::new(Reason::EntityTag, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events() {
        let event = Event::parse(b"presence.winfo ; id=7;x").unwrap();
        assert_eq!(event.package(), b"presence.winfo");
        assert_eq!(event.id(), Some(&b"7"[..]));
        assert!(Event::parse(b"dialog;sla").unwrap().params().get("sla").is_some());
        for (text, reason) in [
            ("", Reason::EventType),
            (";id=1", Reason::EventType),
            ("presence.", Reason::EventType),
            ("presence;id", Reason::GenericParam),
            ("presence, dialog", Reason::Trailing),
        ] {
            assert_eq!(Event::parse(text.as_bytes()).unwrap_err().reason, reason, "{text}");
        }
    }

    #[test]
    fn states() {
        let state =
            SubscriptionState::parse(b"terminated;reason=noresource;retry-after=5").unwrap();
        assert_eq!(state.state(), Substate::Terminated);
        assert_eq!(state.reason(), Some(&b"noresource"[..]));
        assert_eq!(state.retry_after(), Ok(Some(5)));
        let state = SubscriptionState::parse(b"Active;expires=x").unwrap();
        assert_eq!(state.state(), Substate::Active);
        assert_eq!(state.expires().unwrap_err().reason, Reason::DeltaSeconds);
        let state = SubscriptionState::parse(b"waiting").unwrap();
        assert_eq!(state.state(), Substate::Other(b"waiting"));
        assert!(SubscriptionState::parse(b";a").is_err());
    }

    #[test]
    fn entity_tags() {
        assert_eq!(entity_tag(b" dx200xyz "), Ok(&b"dx200xyz"[..]));
        assert_eq!(entity_tag(b"a b").unwrap_err().reason, Reason::EntityTag);
        assert_eq!(entity_tag(b"\"a\"").unwrap_err().reason, Reason::EntityTag);
    }
}
