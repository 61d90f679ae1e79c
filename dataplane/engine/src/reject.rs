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
    /// The source is neither loopback nor trusted (architecture.md section 8).
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
