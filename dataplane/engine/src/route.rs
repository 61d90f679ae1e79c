//! Whose a message is: *mine*, *that shard's*, or *answer now*.

use alloc::vec::Vec;

use pharos_parser::message::Essential;
use pharos_parser::uri::split_aor;
use pharos_parser::{Host, Message, Method, Scheme, Uri};

use crate::Core;
use crate::config::BlaPresentity;
use crate::reject::Reject;

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It belongs to the shard of this hash; the AoR is in the caller's buffer.
    Owner(u64),
    /// Whoever got it answers: it concerns no AoR (OPTIONS).
    Anyone,
    /// Whoever got it refuses it.
    Refuse(Reject),
}

/// Routes a request. `aor` receives the AoR in normal form where there is one.
pub fn route(core: &Core, msg: &Message<'_>, head: &Essential<'_>, aor: &mut Vec<u8>) -> Route {
    aor.clear();
    let method = head.cseq.method;
    let local = head.to.tag();
    match method {
        Method::Options => match read_uri(msg.request_uri()) {
            Ok(uri) if is_served(uri.scheme()) => Route::Anyone,
            Ok(_) => Route::Refuse(Reject::Scheme),
            Err(reject) => Route::Refuse(reject),
        },
        Method::Publish => by_aor(core, head, msg.request_uri(), aor),
        Method::Subscribe => match local.map(|tag| core.keys.read_token(tag)) {
            None => new_subscription(core, msg, head, aor),
            Some(Some(hash)) => Route::Owner(hash),
            // A dialog that came by import: its tag is not of our making.
            Some(None) => match by_aor(core, head, Some(head.to.uri().as_bytes()), aor) {
                Route::Refuse(_) => Route::Refuse(Reject::NoDialog),
                owner => owner,
            },
        },
        // No dialog is checked by these: their transactions live where the INVITE's would.
        Method::Invite | Method::Cancel | Method::Ack => {
            match read_uri(msg.request_uri()).map(|uri| uri.write_aor(aor)) {
                Ok(Ok(())) => Route::Owner(core.aor_hash(aor)),
                Ok(Err(_)) => Route::Refuse(Reject::Scheme),
                Err(reject) => Route::Refuse(reject),
            }
        }
        // We subscribe to nothing, so no NOTIFY has a dialog here. One of our own that comes back
        // to us would go round for ever.
        Method::Notify if is_our_own(core, msg) => Route::Refuse(Reject::Looped),
        Method::Notify => Route::Refuse(Reject::NoDialog),
        Method::Other(_) => Route::Refuse(Reject::UnknownMethod),
        _ if local.is_some() => Route::Refuse(Reject::NoDialog),
        _ => Route::Refuse(Reject::MethodNotAllowed),
    }
}

fn by_aor(core: &Core, head: &Essential<'_>, uri: Option<&[u8]>, aor: &mut Vec<u8>) -> Route {
    let uri = match read_uri(uri) {
        Ok(uri) => uri,
        Err(reject) => return Route::Refuse(reject),
    };
    match write_local_aor(core, &uri, aor) {
        Ok(()) => Route::Owner(core.aor_hash(aor)),
        // Not ours: it would have to be forwarded, and a proxy looks at the hops first (16.3).
        Err(Reject::ForeignDomain) if head.max_forwards == Some(0) => {
            Route::Refuse(Reject::TooManyHops)
        }
        Err(reject) => Route::Refuse(reject),
    }
}

fn read_uri(uri: Option<&[u8]>) -> Result<Uri<'_>, Reject> {
    Uri::parse(uri.unwrap_or_default()).map_err(|_| Reject::Malformed)
}

/// The schemes that name an AoR (row C92).
fn is_served(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Im)
}

/// An initial SUBSCRIBE: by the Request-URI, dialog;sla by row C15.
fn new_subscription(
    core: &Core,
    msg: &Message<'_>,
    head: &Essential<'_>,
    aor: &mut Vec<u8>,
) -> Route {
    let sla =
        msg.event().ok().flatten().is_some_and(|event| {
            event.package() == b"dialog" && event.params().get("sla").is_some()
        });
    if !sla {
        return by_aor(core, head, msg.request_uri(), aor);
    }
    match core.config.presence.bla_presentity_spec {
        BlaPresentity::RequestUri => by_aor(core, head, msg.request_uri(), aor),
        BlaPresentity::From => by_aor(core, head, Some(head.from.uri().as_bytes()), aor),
        BlaPresentity::To => by_aor(core, head, Some(head.to.uri().as_bytes()), aor),
        BlaPresentity::ContactUserFromDomain => {
            let contact = msg.contact().ok().flatten();
            let user = contact.and_then(|contact| contact.uri().user());
            match (user, local_host(core, head.from.uri())) {
                (Some(user), Ok(host)) => {
                    aor.extend_from_slice(&pharos_parser::uri::unescape(user));
                    aor.push(b'@');
                    aor.extend_from_slice(&host);
                    Route::Owner(core.aor_hash(aor))
                }
                (None, _) => Route::Refuse(Reject::NoAor),
                (_, Err(reject)) => Route::Refuse(reject),
            }
        }
    }
}

/// Appends the AoR of a URI in normal form (row C92), its domain replaced when it is an alias.
///
/// # Errors
/// The domain is not ours, or the URI has no user or is of a scheme without AoRs.
pub fn write_local_aor(core: &Core, uri: &Uri<'_>, out: &mut Vec<u8>) -> Result<(), Reject> {
    let start = out.len();
    if !is_served(uri.scheme()) {
        return Err(Reject::Scheme);
    }
    uri.write_aor(out).map_err(|_| Reject::Scheme)?;
    let aor = out.get(start..).unwrap_or_default();
    let (user, host) = split_aor(aor);
    let (domain, host_len) = (local_domain(core, host), host.len());
    if user.is_none_or(<[u8]>::is_empty) {
        return Err(if domain.is_some() { Reject::NoAor } else { Reject::ForeignDomain });
    }
    match domain {
        None => return Err(Reject::ForeignDomain),
        Some(Domain::Own) => {}
        Some(Domain::Alias(domain)) => {
            out.truncate(out.len() - host_len);
            out.extend_from_slice(domain.as_bytes());
        }
    }
    Ok(())
}

/// The host of a URI in normal form, aliases resolved.
fn local_host(core: &Core, uri: &Uri<'_>) -> Result<Vec<u8>, Reject> {
    let host: Host<'_> = uri.host().ok_or(Reject::Scheme)?;
    let mut name = Vec::new();
    host.write(&mut name);
    match local_domain(core, &name) {
        None => Err(Reject::ForeignDomain),
        Some(Domain::Own) => Ok(name),
        Some(Domain::Alias(domain)) => Ok(domain.as_bytes().to_vec()),
    }
}

enum Domain<'c> {
    Own,
    Alias(&'c str),
}

/// What a host in normal form is to us; `None` = not ours.
fn local_domain<'c>(core: &'c Core, host: &[u8]) -> Option<Domain<'c>> {
    let config = &core.config;
    let alias = config.domain_alias.iter().find(|(alias, _)| alias.as_bytes() == host);
    if let Some((_, domain)) = alias {
        return Some(Domain::Alias(domain));
    }
    let own = config.domains.iter().any(|domain| domain.as_bytes() == host);
    (own || config.domains.is_empty()).then_some(Domain::Own)
}

/// A Via of ours is on it: the branch is checked, so nobody makes one.
fn is_our_own(core: &Core, msg: &Message<'_>) -> bool {
    msg.vias()
        .flatten()
        .any(|via| via.branch().is_some_and(|branch| core.keys.read_branch(branch).is_some()))
}
