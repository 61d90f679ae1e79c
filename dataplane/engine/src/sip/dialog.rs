//! A dialog (RFC 3261 12), as its user keeps it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use pharos_parser::write::write_value;
use pharos_parser::{Address, Message, Name};

use super::Incoming;
use super::listen::write_contact;
use crate::Core;
use crate::net::{FlowId, ListenerId, Path};

/// Routers of one route set, at the most: a request carries them all.
pub const ROUTES_MAX: usize = 32;

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

/// Why a request makes no dialog: each is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDialog {
    /// Not exactly one Contact, or one that is no sip or sips URI.
    Contact,
    /// A Record-Route that cannot be read, or more than [`ROUTES_MAX`].
    RecordRoute,
}

impl Dialog {
    /// The dialog that a 2xx to this request makes (12.1.1): the route set is Record-Route in the
    /// order it stands, the remote target the Contact.
    ///
    /// # Errors
    /// See [`NoDialog`].
    pub fn from_request(core: &Core, incoming: &Incoming<'_>) -> Result<Self, NoDialog> {
        let Incoming { msg, head, path, hash, .. } = incoming;
        let mut routes: Vec<Box<[u8]>> = Vec::new();
        for (item, route) in msg.items(Name::RecordRoute).zip(msg.record_routes()) {
            route.map_err(|_| NoDialog::RecordRoute)?;
            if routes.len() >= ROUTES_MAX {
                return Err(NoDialog::RecordRoute);
            }
            routes.push(item.into());
        }
        let mut local_contact = Vec::new();
        write_contact(&core.config, path.listener, path.local, &mut local_contact);
        let value = |name| msg.value(name).unwrap_or_default();
        Ok(Self {
            call_id: head.call_id.into(),
            local_tag: incoming.local_tag(core).as_bytes().into(),
            remote_tag: head.from.tag().unwrap_or_default().into(),
            local_uri: without_tag(value(Name::To), &head.to),
            remote_uri: without_tag(value(Name::From), &head.from),
            target: contact(msg).ok_or(NoDialog::Contact)?,
            routes: routes.into_boxed_slice(),
            local_cseq: 0,
            remote_cseq: head.cseq.number,
            local_contact: local_contact.into_boxed_slice(),
            hash: *hash,
            listener: path.listener,
            local: path.local,
            source: path.peer,
            flow: path.flow,
        })
    }

    /// A request within the dialog, or a 2xx to one of ours, brings a new remote target (12.2).
    pub fn refresh_target(&mut self, msg: &Message<'_>) {
        if let Some(target) = contact(msg)
            && target != self.target
        {
            self.target = target;
        }
    }

    /// A request within the dialog came by this path: requests of ours go back by it.
    pub fn refresh_path(&mut self, path: &Path) {
        self.listener = path.listener;
        self.local = path.local;
        self.source = path.peer;
        self.flow = path.flow;
    }

    /// RFC 3261 12.2.2: whether the CSeq of a request within the dialog is in order, which it then
    /// takes over. A lower one is answered with 500.
    pub fn take_cseq(&mut self, cseq: u32) -> bool {
        let in_order = cseq > self.remote_cseq;
        if in_order {
            self.remote_cseq = cseq;
        }
        in_order
    }
}

/// The URI of the one Contact, when it is sip or sips.
fn contact(msg: &Message<'_>) -> Option<Box<[u8]>> {
    use pharos_parser::Scheme::{Sip, Sips};
    let contact = msg.contact().ok()??;
    let uri = contact.uri();
    matches!(uri.scheme(), Sip | Sips).then(|| uri.as_bytes().into())
}

/// A From or To value without its tag, on one line.
pub fn without_tag(value: &[u8], address: &Address<'_>) -> Box<[u8]> {
    let params = address.params();
    let head = value.get(..value.len().saturating_sub(params.as_bytes().len())).unwrap_or_default();
    let mut out = Vec::with_capacity(value.len());
    write_value(head.trim_ascii_end(), &mut out);
    for param in params.iter().filter(|param| !param.is("tag")) {
        out.push(b';');
        out.extend_from_slice(param.name);
        if let Some(text) = param.value {
            out.push(b'=');
            write_value(text, &mut out);
        }
    }
    out.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_and_everything_else_stays() {
        for (value, want) in [
            ("<sip:a@b>;tag=1", "<sip:a@b>"),
            ("\"A; x\" <sip:a@b;lr> ;x=y ; tag=1;z", "\"A; x\" <sip:a@b;lr>;x=y;z"),
            ("sip:a@b;tag=1", "sip:a@b"),
            ("A\r\n <sip:a@b>", "A  <sip:a@b>"),
        ] {
            let address = Address::parse(value.as_bytes()).unwrap();
            let got = without_tag(value.as_bytes(), &address);
            assert_eq!(core::str::from_utf8(&got), Ok(want));
        }
    }
}
