//! Old shapes of the records and the way up to the present one.

use alloc::string::String;
use alloc::vec::Vec;

use rkyv::{Archive, Deserialize, Serialize};

use crate::record::Subscription;

/// [`Subscription`] as version 0 stored it: the columns of row C61 alone.
#[derive(Clone, Debug, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub(crate) struct SubscriptionV0 {
    pub(crate) aor: String,
    pub(crate) event: String,
    pub(crate) event_id: Option<String>,
    pub(crate) watcher: String,
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
    pub(crate) local_uri: String,
    pub(crate) remote_uri: String,
    pub(crate) contact: String,
    pub(crate) routes: Vec<String>,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: u32,
    pub(crate) version: u32,
    pub(crate) expires: u64,
    pub(crate) since: u64,
    pub(crate) status: u8,
    pub(crate) reason: String,
    pub(crate) socket: String,
    pub(crate) local_contact: String,
}

impl From<SubscriptionV0> for Subscription {
    /// What version 0 did not know: no source address (the route or the Contact decides), the
    /// package's own body types, and no request to repeat the answer of.
    fn from(old: SubscriptionV0) -> Self {
        Self {
            aor: old.aor,
            event: old.event,
            event_id: old.event_id,
            watcher: old.watcher,
            call_id: old.call_id,
            local_tag: old.local_tag,
            remote_tag: old.remote_tag,
            local_uri: old.local_uri,
            remote_uri: old.remote_uri,
            contact: old.contact,
            routes: old.routes,
            local_cseq: old.local_cseq,
            remote_cseq: old.remote_cseq,
            version: old.version,
            expires: old.expires,
            since: old.since,
            status: old.status,
            reason: old.reason,
            socket: old.socket,
            local_contact: old.local_contact,
            ..Self::default()
        }
    }
}
