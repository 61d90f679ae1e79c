//! A dialog (RFC 3261 12), as its user keeps it.

use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};

use crate::net::{FlowId, ListenerId};

/// One end of a dialog: ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: Box<[u8]>,
    /// Our tag.
    pub local_tag: Box<[u8]>,
    /// The peer's tag; empty when the peer is of RFC 2543.
    pub remote_tag: Box<[u8]>,
    /// Our From: the name-addr without its tag.
    pub local_uri: Box<[u8]>,
    /// Our To: the name-addr without its tag.
    pub remote_uri: Box<[u8]>,
    /// Remote target: the URI of the peer's Contact.
    pub target: Box<[u8]>,
    /// Route set in the order we send it, each a name-addr.
    pub routes: Box<[Box<[u8]>]>,
    /// CSeq of the last request sent.
    pub local_cseq: u32,
    /// CSeq of the last request taken.
    pub remote_cseq: u32,
    /// Our Contact: a name-addr or URI in angle brackets.
    pub local_contact: Box<[u8]>,
    /// Hash of the AoR that owns the dialog.
    pub hash: u64,
    /// The listener it came by.
    pub listener: ListenerId,
    /// The address of ours it came by.
    pub local: IpAddr,
    /// The peer's address as seen.
    pub source: SocketAddr,
    /// The connection it came by.
    pub flow: Option<FlowId>,
}
