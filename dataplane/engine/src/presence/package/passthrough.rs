//! Packages whose newest publication is what watchers get, byte for byte.

use super::{Accepted, BodyError, Document, Info, Inputs, Package, PackageId, Publish, View};

/// A package that carries documents without looking into them.
pub(super) struct Passthrough(pub(super) &'static Info);

impl Package for Passthrough {
    fn info(&self) -> &'static Info {
        self.0
    }

    fn validate_publish(&self, publish: &Publish<'_>) -> Result<Accepted, BodyError> {
        match (publish.body.is_empty(), self.0.mandatory_body) {
            (true, true) => Err(BodyError::Missing),
            (false, _) if !self.0.publishes(publish.content_type) => Err(BodyError::MediaType),
            _ => Ok(Accepted::AsIs),
        }
    }

    fn aggregate(&self, inputs: &Inputs<'_>, view: &mut View) -> bool {
        let Some(newest) = inputs.publications.first() else {
            return view.set(self.empty_body(inputs));
        };
        let content_type = if newest.body.is_empty() { "" } else { self.0.notify_type };
        let mut document = Document::new(content_type, newest.body.to_vec());
        document.headers.extend_from_slice(newest.headers);
        view.set(document)
    }
}

pub(super) static PRESENCE: Info = Info {
    publish_types: &["application/pidf+xml"],
    notify_type: "application/pidf+xml",
    req_auth: true,
    winfo: true,
    rfc_interval: 5_000,
    ..Info::new(PackageId::PRESENCE, "presence")
};
pub(super) static DIALOG: Info = Info {
    publish_types: &["application/dialog-info+xml"],
    notify_type: "application/dialog-info+xml",
    full_state: false,
    rfc_interval: 1_000,
    ..Info::new(PackageId::DIALOG, "dialog")
};
pub(super) static DIALOG_SLA: Info = Info {
    event_type: "dialog",
    publish_types: &["application/dialog-info+xml"],
    notify_type: "application/dialog-info+xml",
    full_state: false,
    rfc_interval: 1_000,
    ..Info::new(PackageId::DIALOG_SLA, "dialog;sla")
};
pub(super) static MESSAGE_SUMMARY: Info = Info {
    publish_types: &["application/simple-message-summary"],
    notify_type: "application/simple-message-summary",
    rfc_interval: 1_000,
    ..Info::new(PackageId::MESSAGE_SUMMARY, "message-summary")
};
pub(super) static CALL_INFO: Info = Info {
    mandatory_body: false,
    extra_headers: &["Call-Info"],
    ..Info::new(PackageId::CALL_INFO, "call-info")
};
pub(super) static LINE_SEIZE: Info = Info {
    mandatory_body: false,
    default_expires: 15,
    min_expires_exempt: true,
    extra_headers: &["Call-Info"],
    ..Info::new(PackageId::LINE_SEIZE, "line-seize")
};
pub(super) static REG: Info = Info {
    publish_types: &["application/reginfo+xml"],
    notify_type: "application/reginfo+xml",
    ..Info::new(PackageId::REG, "reg")
};
pub(super) static XCAP_DIFF: Info = Info {
    publish_types: &["application/xcap-diff+xml"],
    notify_type: "application/xcap-diff+xml",
    ..Info::new(PackageId::XCAP_DIFF, "xcap-diff")
};
pub(super) static AS_FEATURE_EVENT: Info = Info {
    publish_types: &["application/x-as-feature-event+xml"],
    notify_type: "application/x-as-feature-event+xml",
    subscribe_types: &["application/x-as-feature-event+xml"],
    ..Info::new(PackageId::AS_FEATURE_EVENT, "as-feature-event")
};
