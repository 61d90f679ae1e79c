//! Between memory and the stored records (rows C60-C64).

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use pharos_parser::host::write_address;
use pharos_parser::write::write_number;
use pharos_storage::{ObjectId, encode, record};

use super::package::PackageId;
use super::publication::{EntityTag, Rare as PublicationRare, State};
use super::subscribe::Refresh;
use super::subscription::{Delivery, Rare, Reserved, Row, Status, Subscription, stored_event};
use super::tables::TopicId;
use crate::config::Listener;
use crate::net::{ListenerId, Transport};
use crate::sip::Dialog;
use crate::sip::listen::write_contact;
use crate::{Config, Wall, limits};

/// All that goes into the record of a publication.
pub(super) struct OfPublication<'a> {
    pub(super) aor: &'a str,
    pub(super) package: PackageId,
    pub(super) state: &'a State,
    pub(super) previous_etag: &'a str,
    pub(super) received: Wall,
    pub(super) body: ObjectId,
}

/// The small object of a publication.
pub(super) fn publication(of: &OfPublication<'_>) -> Box<[u8]> {
    let info = of.package.info();
    let rare = of.state.rare.as_deref();
    let named = |text: Option<&str>, usual: &str| match text {
        Some(text) if !text.is_empty() => String::from(text),
        _ => String::from(usual),
    };
    let usual_type = match of.body {
        ObjectId(0) => "",
        _ => info.publish_types.first().copied().unwrap_or_default(),
    };
    encode(&record::Publication {
        aor: of.aor.into(),
        event: info.name.into(),
        etag: of.state.etag.as_str().into(),
        previous_etag: of.previous_etag.into(),
        expires: of.state.expires.0,
        received: of.received.0,
        body: of.body.0,
        content_type: named(rare.map(|rare| &*rare.content_type), usual_type),
        sender: named(rare.map(|rare| &*rare.sender), of.aor),
        extra_headers: rare.map(|rare| String::from(&*rare.headers)).unwrap_or_default(),
        last_request: of.state.last_request,
        answered_expires: of.state.answered,
        removed: of.state.removed,
    })
}

/// The state of a publication out of its record.
pub(super) fn stored_state(package: PackageId, record: &record::Publication) -> State {
    let usual = package.info().publish_types.first().copied().unwrap_or_default();
    let unless = |text: &str, usual: &str| -> Box<str> {
        if text == usual { "".into() } else { text.into() }
    };
    State {
        etag: EntityTag::stored(&record.etag),
        expires: Wall(record.expires),
        last_request: record.last_request,
        answered: record.answered_expires,
        removed: record.removed,
        rare: PublicationRare {
            sender: unless(&record.sender, &record.aor),
            content_type: unless(&record.content_type, usual),
            headers: record.extra_headers.as_str().into(),
        }
        .boxed(),
    }
}

/// CSeq and version up to which a record written now lets NOTIFYs go.
pub(super) fn head_room(subscription: &Subscription) -> Reserved {
    Reserved {
        cseq: subscription.dialog.local_cseq.saturating_add(limits::HEAD_ROOM),
        version: subscription.version.saturating_add(limits::HEAD_ROOM),
    }
}

/// The record of a subscription as it is, or as `refresh` will make it.
pub(super) fn subscription(
    config: &Config,
    aor: &str,
    of: &Subscription,
    refresh: Option<&Refresh>,
) -> Box<[u8]> {
    let dialog = &of.dialog;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let Reserved { cseq, version } = head_room(of);
    let path = refresh.map(|refresh| refresh.path);
    let listener = path.map_or(dialog.listener, |path| path.listener);
    let local = path.map_or(dialog.local, |path| path.local);
    let source = path.map_or(dialog.source, |path| path.peer);
    let target = refresh.and_then(|refresh| refresh.target.as_deref());
    let rare = of.rare.as_deref();
    encode(&record::Subscription {
        aor: aor.into(),
        event: of.package.info().name.into(),
        event_id: of.event_id().map(String::from),
        watcher: String::from(&*of.watcher),
        call_id: text(&dialog.call_id),
        local_tag: text(&dialog.local_tag),
        remote_tag: text(&dialog.remote_tag),
        local_uri: text(&dialog.local_uri),
        remote_uri: text(&dialog.remote_uri),
        contact: text(target.unwrap_or(&dialog.target)),
        routes: dialog.routes.iter().map(|route| text(route)).collect(),
        local_cseq: cseq,
        remote_cseq: refresh.map_or(dialog.remote_cseq, |refresh| refresh.remote_cseq),
        version,
        expires: refresh.map_or(of.expires, |refresh| refresh.expires).0,
        since: of.since.0,
        status: refresh.map_or(of.status, |refresh| refresh.status) as u8,
        reason: refresh.map_or(of.event, |refresh| refresh.event).name().into(),
        socket: socket_info(config, listener, local),
        local_contact: text(&dialog.local_contact),
        source: place(source),
        accept: rare.map(|rare| String::from(&*rare.accept)).unwrap_or_default(),
        last_request: refresh.map_or(of.last_request, |refresh| refresh.last_request),
        answered_expires: refresh.map_or(of.answered, |refresh| refresh.answered),
    })
}

/// A subscription out of its record, not yet linked; `None` when its addresses cannot be used.
pub(super) fn stored_subscription(
    config: &Config,
    record: &record::Subscription,
    (topic, package, hash, object): (TopicId, PackageId, u64, ObjectId),
) -> Option<Subscription> {
    let (listener, local, same) = listener_of(config, &record.socket)?;
    let bytes = |text: &str| -> Box<[u8]> { text.as_bytes().into() };
    let mut local_contact = record.local_contact.clone().into_bytes();
    if !same {
        // The address it named is no longer ours: the next NOTIFY moves the watcher's target.
        local_contact.clear();
        write_contact(config, listener, local, &mut local_contact);
    }
    let dialog = Dialog {
        call_id: bytes(&record.call_id),
        local_tag: bytes(&record.local_tag),
        remote_tag: bytes(&record.remote_tag),
        local_uri: bytes(&record.local_uri),
        remote_uri: bytes(&record.remote_uri),
        target: bytes(&record.contact),
        routes: record.routes.iter().map(|route| bytes(route)).collect::<Vec<_>>().into(),
        local_cseq: record.local_cseq,
        remote_cseq: record.remote_cseq,
        local_contact: local_contact.into(),
        hash,
        listener,
        local,
        source: record.source.parse().unwrap_or_else(|_| SocketAddr::new(local, 0)),
        flow: None,
    };
    let rare = Rare {
        event_id: record.event_id.as_deref().map(Box::from),
        accept: record.accept.as_str().into(),
        ..Rare::default()
    };
    let usual = rare.event_id.is_none() && rare.accept.is_empty();
    Some(Subscription {
        dialog,
        topic,
        previous: None,
        next: None,
        object,
        watcher: record.watcher.as_str().into(),
        expires: Wall(record.expires),
        since: Wall(record.since),
        last_request: record.last_request,
        shown: 0,
        answered: record.answered_expires,
        version: record.version,
        // Used up by what may have been sent before the stop: the next NOTIFY reserves anew.
        reserved: Reserved { cseq: record.local_cseq.max(1), version: record.version.max(1) },
        timer: None,
        package,
        status: Status::stored(record.status),
        event: stored_event(&record.reason),
        delivery: Delivery::Idle,
        whole: false,
        owed: false,
        linked: false,
        gone: false,
        dirty: false,
        rare: (!usual).then(|| Box::new(rare)),
    })
}

/// The record of a waiting watcher.
pub(super) fn row(aor: &str, package: PackageId, row: &Row) -> Box<[u8]> {
    encode(&record::Watcher {
        aor: aor.into(),
        watcher: String::from(&*row.watcher),
        event: package.info().name.into(),
        status: Status::Waiting as u8,
        reason: row.event.name().into(),
        inserted: row.inserted.0,
    })
}

fn scheme(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    }
}

/// Address and port as text, as `Display` writes them.
fn place(at: SocketAddr) -> String {
    match at {
        SocketAddr::V4(v4) => {
            let mut text = Vec::with_capacity(24);
            write_address(at.ip(), &mut text);
            text.push(b':');
            write_number(u64::from(v4.port()), &mut text);
            String::from_utf8(text).unwrap_or_default()
        }
        // With flow and scope, which only `Display` knows.
        SocketAddr::V6(_) => at.to_string(),
    }
}

/// The listener as row C61 `socket_info` writes it, with the address that was used of it.
fn socket_info(config: &Config, id: ListenerId, local: IpAddr) -> String {
    let Some(listener) = config.listeners.get(usize::from(id.0)) else { return String::new() };
    let bound = listener.bound;
    let address = if bound.ip().is_unspecified() { local } else { bound.ip() };
    let mut text = String::from(scheme(listener.transport));
    text.push(':');
    text.push_str(&place(SocketAddr::new(address, bound.port())));
    text
}

/// The listener of a stored subscription: the same, else one of its transport, else any of its
/// address family. The configuration may have changed meanwhile: the last value says that it has
/// not.
fn listener_of(config: &Config, socket: &str) -> Option<(ListenerId, IpAddr, bool)> {
    let (transport, address) = socket.split_once(':').unwrap_or_default();
    let address: Option<SocketAddr> = address.parse().ok();
    let fits = |listener: &Listener| {
        let Some(address) = address else { return 0 };
        let ip = listener.bound.ip();
        let family = ip.is_ipv4() == address.is_ipv4();
        let speaks = scheme(listener.transport) == transport;
        let bound =
            listener.bound.port() == address.port() && (ip == address.ip() || ip.is_unspecified());
        4 * u8::from(family && speaks && bound) + 2 * u8::from(family && speaks) + u8::from(family)
    };
    let best = |(place, listener): (usize, &Listener)| (fits(listener), usize::MAX - place);
    let (place, listener) = config
        .listeners
        .iter()
        .enumerate()
        .max_by_key(|(place, listener)| best((*place, listener)))?;
    let bound = listener.bound.ip();
    let local = address.map(|address| address.ip()).filter(|_| bound.is_unspecified());
    Some((ListenerId(place as u16), local.unwrap_or(bound), fits(listener) >= 4))
}

#[cfg(test)]
mod tests {
    use pharos_storage::decode;

    use super::*;
    use crate::presence::package::WatcherEvent;
    use crate::presence::tables::Tables;
    use crate::presence::{read, trial};

    const SUBSCRIBE: &str = "SUBSCRIBE sip:alice@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKa\r\n\
        From: <sip:bob@example.com>;tag=77\r\nTo: <sip:alice@example.com>\r\n\
        Call-ID: c@h\r\nCSeq: 9 SUBSCRIBE\r\nRecord-Route: <sip:p1.example.com;lr>\r\n\
        Contact: <sip:bob@192.0.2.9:5070>\r\nEvent: presence\r\nContent-Length: 0\r\n\r\n";

    /// Rows C61, C114: a dialog comes back as it went, its numbers ahead of all that were used.
    #[test]
    fn a_subscription_comes_back_as_it_went() {
        trial::with_request(SUBSCRIBE, |core, request| {
            let mut tables = Tables::new(core.keys.clone());
            let owner = tables.make_presentity("alice@example.com", request.hash).unwrap();
            let topic = tables.make_topic(owner, PackageId::PRESENCE).unwrap();
            let mut dialog = read::new_dialog(core, request).unwrap();
            dialog.local_cseq = 5;
            let place = (topic, PackageId::PRESENCE, request.hash, ObjectId(3));
            let record = record::Subscription {
                socket: "udp:192.0.2.1:5060".into(),
                ..record::Subscription::default()
            };
            let mut before = stored_subscription(&core.config, &record, place).unwrap();
            before.dialog = dialog;
            before.watcher = "bob@example.com".into();
            before.status = Status::Pending;
            before.event = WatcherEvent::Approved;
            before.version = 2;
            before.rare().event_id = Some("7".into());
            let bytes = subscription(&core.config, "alice@example.com", &before, None);
            let record: record::Subscription = decode(&bytes).unwrap();
            let after = stored_subscription(&core.config, &record, place).unwrap();
            let expected = Dialog { local_cseq: 5 + limits::HEAD_ROOM, ..before.dialog.clone() };
            assert_eq!(after.dialog, expected);
            assert_eq!(after.reserved.cseq, expected.local_cseq, "the next one is stored first");
            assert_eq!(after.version, 2 + limits::HEAD_ROOM);
            assert_eq!((after.status, after.event), (before.status, before.event));
            assert_eq!((after.event_id(), &*after.watcher), (Some("7"), "bob@example.com"));
        });
    }

    /// Row C61 `socket_info`: the listener of a dialog is found again, or the next best one.
    #[test]
    fn a_listener_is_found_again() {
        let core = trial::core();
        let at = |socket: &str| {
            listener_of(&core.config, socket).map(|(id, local, same)| (id.0, local, same))
        };
        let elsewhere: IpAddr = "192.0.2.77".parse().unwrap();
        assert_eq!(at("udp:192.0.2.1:5060"), Some((0, trial::SERVER, true)));
        assert_eq!(at("tcp:192.0.2.1:5060"), Some((1, trial::SERVER, true)));
        assert_eq!(at("udp:192.0.2.77:5062"), Some((2, elsewhere, true)), "one for every address");
        assert_eq!(at("tcp:192.0.2.77:9"), Some((1, trial::SERVER, false)), "the same transport");
        assert_eq!(at("tls:192.0.2.77:9"), Some((0, trial::SERVER, false)), "the same family");
        assert_eq!(at(""), Some((0, trial::SERVER, false)));
        let any = socket_info(&core.config, ListenerId(2), elsewhere);
        assert_eq!(any, "udp:192.0.2.77:5062");
    }

    /// Row C60: what is usual takes no memory, what is unusual comes back.
    #[test]
    fn a_publication_comes_back_as_it_went() {
        let rare = PublicationRare {
            sender: "desk@example.com".into(),
            content_type: "application/pidf-diff+xml".into(),
            headers: "X: y\r\n".into(),
        };
        for rare in [None, rare.boxed()] {
            let state = State {
                etag: EntityTag::Foreign("a.1.2.3.4".into()),
                expires: Wall(9),
                last_request: 11,
                answered: 12,
                removed: false,
                rare,
            };
            let bytes = publication(&OfPublication {
                aor: "alice@example.com",
                package: PackageId::PRESENCE,
                state: &state,
                previous_etag: "before",
                received: Wall(8),
                body: ObjectId(4),
            });
            let record: record::Publication = decode(&bytes).unwrap();
            assert_eq!((record.body, record.received, &*record.previous_etag), (4, 8, "before"));
            let after = stored_state(PackageId::PRESENCE, &record);
            assert_eq!((after.etag, after.rare), (state.etag, state.rare));
            assert_eq!((after.expires, after.last_request, after.answered), (Wall(9), 11, 12));
        }
    }
}
