//! The records: plain values here, rkyv archives behind a version byte in a lane
//! ([`crate::codec`]).
//!
//! A change of any field changes the format: the old shape moves to `upgrade.rs` under its number,
//! [`crate::codec::Record::VERSION`] rises, and the golden bytes in the tests are made anew.
//!
//! Wall times are milliseconds since 1970 UTC. An AoR is in normal form (`user@host`, row C92).

use alloc::string::String;
use alloc::vec::Vec;

use rkyv::{Archive, Deserialize, Serialize};

/// A published document's state, [`crate::Kind::Publication`] (row C60). The body is an object of
/// its own, so that a refresh writes only this.
#[derive(Clone, Debug, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct Publication {
    /// Presentity.
    pub aor: String,
    /// Event package name with its template, such as `presence` or `dialog;sla`.
    pub event: String,
    /// Current entity-tag; our own are unguessable, imported ones are kept as they are.
    pub etag: String,
    /// Entity-tag before the last change: a repeat of that change names it in SIP-If-Match.
    pub previous_etag: String,
    /// End, wall clock.
    pub expires: u64,
    /// Last change of the document (row C60 `received_time`), wall clock: the newest is composed
    /// first.
    pub received: u64,
    /// The object that holds the body; 0 when there is none.
    pub body: u64,
    /// Media type of the body.
    pub content_type: String,
    /// Publisher (From AoR).
    pub sender: String,
    /// Header lines of the publication that NOTIFY repeats (row C60 `extra_hdrs`).
    pub extra_headers: String,
    /// Keyed hash of the last request applied (Call-ID, CSeq, From tag, method, top branch).
    pub last_request: u64,
    /// Expires value that its 2xx carried, seconds.
    pub answered_expires: u32,
    /// Removed by `Expires: 0`; the record stays until `expires` only to answer repeats.
    pub removed: bool,
}

/// A subscription with its dialog, [`crate::Kind::Subscription`] (row C61).
#[derive(Clone, Debug, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct Subscription {
    /// Presentity.
    pub aor: String,
    /// Event package name with its template.
    pub event: String,
    /// Event `id` parameter, echoed in every NOTIFY (row C99).
    pub event_id: Option<String>,
    /// Watcher (From AoR).
    pub watcher: String,
    /// Dialog Call-ID.
    pub call_id: String,
    /// Our tag (To of the SUBSCRIBE).
    pub local_tag: String,
    /// The subscriber's tag (From of the SUBSCRIBE).
    pub remote_tag: String,
    /// To of the SUBSCRIBE without its tag, as received: From of every NOTIFY.
    pub local_uri: String,
    /// From of the SUBSCRIBE without its tag, as received: To of every NOTIFY.
    pub remote_uri: String,
    /// Remote target: the URI of the subscriber's Contact.
    pub contact: String,
    /// Route set in the order we send it, each a name-addr.
    pub routes: Vec<String>,
    /// Highest NOTIFY CSeq that may have been sent: reserved ahead, never goes back.
    pub local_cseq: u32,
    /// CSeq of the last SUBSCRIBE taken.
    pub remote_cseq: u32,
    /// Highest document version that may have been sent: reserved ahead, never goes back.
    pub version: u32,
    /// End, wall clock.
    pub expires: u64,
    /// Start, wall clock (winfo `duration-subscribed`).
    pub since: u64,
    /// Row C64: 1 active, 2 pending, 3 terminated, 4 waiting. Terminated stays only to answer
    /// repeats.
    pub status: u8,
    /// Subscription-State reason or winfo event.
    pub reason: String,
    /// Listener it came by, as `udp:10.0.0.1:5060` (row C61 `socket_info`).
    pub socket: String,
    /// Our Contact in this dialog (row C61 `local_contact`).
    pub local_contact: String,
    /// Source address of the SUBSCRIBE, `ip:port`.
    pub source: String,
    /// Body types the watcher accepts, comma-separated; empty = the package's own.
    pub accept: String,
    /// Keyed hash of the last request applied.
    pub last_request: u64,
    /// Expires value that its 2xx carried, seconds.
    pub answered_expires: u32,
}

/// A watcher's authorization state kept without a subscription, [`crate::Kind::Watcher`] (row C62).
#[derive(Clone, Debug, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct Watcher {
    /// Presentity.
    pub aor: String,
    /// Watcher AoR.
    pub watcher: String,
    /// Event package name.
    pub event: String,
    /// Row C64 status code.
    pub status: u8,
    /// Reason.
    pub reason: String,
    /// First seen, wall clock.
    pub inserted: u64,
}
