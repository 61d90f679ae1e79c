//! What is fixed about an event package (row C53).

use super::PackageId;

/// The constants of one package.
#[derive(Debug)]
pub struct Info {
    /// Its place in the registry.
    pub id: PackageId,
    /// Name as stored and configured: `presence`, `dialog;sla`, `presence.winfo`.
    pub name: &'static str,
    /// Event type on the wire, without the `sla` parameter.
    pub event_type: &'static str,
    /// Media types that a PUBLISH may carry; the Accept of a 415. Empty: published without body.
    pub publish_types: &'static [&'static str],
    /// Media type of our NOTIFY, which an Accept must contain (406 else); empty: no body ever.
    pub notify_type: &'static str,
    /// Media types that a SUBSCRIBE body may have.
    pub subscribe_types: &'static [&'static str],
    /// Expires when the request names none, seconds (row C72).
    pub default_expires: u32,
    /// `min_expires` does not hold (line-seize lives 15 s).
    pub min_expires_exempt: bool,
    /// May be published; winfo may not (489).
    pub publishable: bool,
    /// Documents are always the whole state. Else NOTIFY after the first is partial, and while one
    /// is in flight the union of changes waits, not just the newest document.
    pub full_state: bool,
    /// An initial PUBLISH must have a body (row C71).
    pub mandatory_body: bool,
    /// A NOTIFY tells the end by expiry (row C120). RFC 6665 4.4.1 wants it of all, so it is set
    /// for all; the originals left it out for line-seize and xcap-diff.
    pub mandatory_timeout_notification: bool,
    /// A refresh keeps the entity-tag (row C75). RFC 3903 4.3 wants a new one: set for none.
    pub etag_not_new: bool,
    /// The rules decide about watchers.
    pub req_auth: bool,
    /// Headers of the PUBLISH that NOTIFY repeats (`extra_hdrs`), by name.
    pub extra_headers: &'static [&'static str],
    /// The `.winfo` template is offered for it.
    pub winfo: bool,
    /// Least time between NOTIFYs that the package's RFC names, milliseconds; 0 = none. Only the
    /// documented value for `notify_interval`: off unless configured.
    pub rfc_interval: u32,
}

impl Info {
    /// What most packages are; each overrides what it has of its own.
    pub(super) const fn new(id: PackageId, name: &'static str) -> Self {
        Self {
            id,
            name,
            event_type: name,
            publish_types: &[],
            notify_type: "",
            subscribe_types: &[],
            default_expires: 3600,
            min_expires_exempt: false,
            publishable: true,
            full_state: true,
            mandatory_body: true,
            mandatory_timeout_notification: true,
            etag_not_new: false,
            req_auth: false,
            extra_headers: &[],
            winfo: false,
            rfc_interval: 0,
        }
    }

    /// Does a PUBLISH of the package take this media type?
    pub fn publishes(&self, content_type: &str) -> bool {
        self.publish_types.iter().any(|known| known.eq_ignore_ascii_case(content_type))
    }
}
