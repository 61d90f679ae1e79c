//! Why a message is not taken: every reason with the status it is answered with and its counter.
//! Tests assert the reason, operators count it.

macro_rules! rejects {
    ($($(#[$doc:meta])* $variant:ident $status:literal $name:literal,)*) => {
        /// A reason not to take a message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reject { $($(#[$doc])* $variant,)* }

        impl Reject {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The status of the answer; 0 = no answer.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The counter's label value.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

rejects! {
    /// Not SIP, or without what an answer needs.
    Unreadable 0 "unreadable",
    /// The parser refuses it, but it can be answered.
    Malformed 400 "malformed",
    /// The source is neither loopback nor trusted.
    Untrusted 403 "untrusted_source",
    /// The Request-URI's domain is not ours (row C92, no relay).
    ForeignDomain 404 "foreign_domain",
    /// A Request-URI without an AoR that we serve.
    NoAor 404 "no_aor",
    /// A known method that is not served here; the answer carries Allow (RFC 3261 8.2.1).
    MethodNotAllowed 405 "method_not_allowed",
    /// The head or the body of a stream message is over the limit.
    TooLarge 413 "too_large",
    /// A Request-URI scheme that is not served (RFC 3261 8.2.2.1).
    Scheme 416 "uri_scheme",
    /// Require names an option we do not have; the answer carries Unsupported (RFC 3261 8.2.2.3).
    BadExtension 420 "bad_extension",
    /// No dialog with these tags, or CANCEL without its transaction.
    NoDialog 481 "no_dialog",
    /// The request came by two ways (RFC 3261 8.2.2.2).
    Merged 482 "merged_request",
    /// A request of ours came back to us.
    Looped 482 "looped_request",
    /// Max-Forwards is used up (RFC 3261 16.3).
    TooManyHops 483 "too_many_hops",
    /// A method we do not know (RFC 3261 21.5.2).
    UnknownMethod 501 "unknown_method",
    /// The shard is draining.
    Draining 503 "draining",
    /// The table of transactions is full.
    TransactionsFull 503 "transactions_full",
    /// Not SIP/2.0.
    Version 505 "sip_version",
    /// Event is missing, unknown, or not one that can be published (row C70).
    BadEvent 489 "bad_event",
    /// SIP-If-Match names no publication of the presentity (row C74).
    UnknownEntityTag 412 "unknown_entity_tag",
    /// Expires below `min_expires` (row C10).
    ExpiresTooBrief 423 "expires_too_brief",
    /// A body that the package demands is not there (row C71).
    BodyMissing 400 "body_missing",
    /// A body that breaks a rule of its package.
    BodyInvalid 400 "body_invalid",
    /// A body of a media type that the package does not take.
    BodyType 415 "body_type",
    /// A body that is not what its media type says (row C71).
    BodyNotUnderstood 415 "body_not_understood",
    /// A body with a Content-Encoding.
    BodyEncoding 415 "body_encoding",
    /// A body over the limit (row C81).
    BodyTooLarge 413 "body_too_large",
    /// Accept leaves out what the package sends (row C100).
    NotAcceptable 406 "not_acceptable",
    /// A Request-URI with an AoR longer than any we serve.
    AorTooLong 414 "aor_too_long",
    /// A SUBSCRIBE without one Contact that a NOTIFY could be sent to.
    NoContact 400 "no_contact",
    /// A dialog with more bytes than we keep.
    DialogTooLarge 513 "dialog_too_large",
    /// The watcher may not see this (RFC 3857 4.5; rules later).
    Forbidden 403 "forbidden",
    /// No subscription in this dialog (row C93).
    NoSubscription 481 "no_subscription",
    /// CSeq is not higher than the last one (row C94, RFC 3261 12.2.2).
    CseqTooLow 500 "cseq_too_low",
    /// Too many changes of this AoR wait.
    QueueFull 503 "queue_full",
    /// The lane is full or slow.
    StoreBusy 503 "store_busy",
    /// The lane could not store the change.
    StoreFailed 503 "store_failed",
    /// `max_watchers_per_presentity`.
    TooManyWatchers 503 "too_many_watchers",
    /// `max_publications_per_presentity`.
    TooManyPublications 503 "too_many_publications",
    /// The shard has no room for another presentity.
    PresentitiesFull 503 "presentities_full",
    /// The shard has no room for another publication.
    PublicationsFull 503 "publications_full",
    /// The shard has no room for another subscription.
    SubscriptionsFull 503 "subscriptions_full",
    /// A response whose branch is not of ours.
    ForeignBranch 0 "foreign_branch",
    /// A response to a transaction that is over: a repeat.
    StaleResponse 0 "stale_response",
    /// An ACK that belongs to nothing.
    StrayAck 0 "stray_ack",
    /// A message for a connection that is gone, without another way.
    FlowGone 0 "flow_gone",
    /// A response that does not match its request.
    BadResponse 0 "bad_response",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_and_names_are_unique() {
        for (place, reject) in Reject::ALL.iter().enumerate() {
            assert_eq!(*reject as usize, place);
            assert!(reject.status() == 0 || (400..700).contains(&reject.status()));
            let twins = Reject::ALL.iter().filter(|other| other.name() == reject.name());
            assert_eq!(twins.count(), 1);
        }
    }
}
