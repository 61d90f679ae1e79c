//! Packages whose newest publication is what watchers get, byte for byte.
//!
//! | package | body | what is passed |
//! | --- | --- | --- |
//! | `reg` | reginfo+xml | the registrar's document with its version and state (RFC 3680) |
//! | `xcap-diff` | xcap-diff+xml | the XCAP server's document (RFC 5875) |
//! | `as-feature-event` | x-as-feature-event+xml | the application server's feature state |
//! | `call-info` | none | the PUBLISH's Call-Info: the state of all appearances of a shared line |
//! | `line-seize` | none | the PUBLISH's Call-Info: the appearance seized, for 15 s |
//!
//! With nothing published, or after the last publication ended, NOTIFY has neither body nor
//! Call-Info.

use super::{Accepted, BodyError, Document, Info, Inputs, Package, PackageId, Publish, View};

/// A package that carries documents without looking into them.
pub(super) struct Passthrough(pub(super) &'static Info);

impl Package for Passthrough {
    fn info(&self) -> &'static Info {
        self.0
    }

    fn validate_publish(&self, publish: &Publish<'_>) -> Result<Accepted, BodyError> {
        publish.needs_body(self.0).map(|()| Accepted::AsIs)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wall;
    use crate::config::PresenceConfig;
    use crate::presence::package::{Packages, Published};

    fn view(id: PackageId, publications: &[Published<'_>]) -> View {
        let mut view = View::new(id, "alice@example.com");
        let config = PresenceConfig::default();
        let inputs =
            Inputs { aor: "alice@example.com", publications, dialogs: &[], config: &config };
        assert!(id.package().aggregate(&inputs, &mut view));
        view
    }

    fn verdict(id: PackageId, content_type: &str, body: &[u8]) -> Result<Accepted, BodyError> {
        let config = PresenceConfig::default();
        let aor = "alice@example.com";
        let publish = Publish { aor, content_type, body, previous: None, config: &config };
        id.package().validate_publish(&publish)
    }

    /// M14, M16: documents of other servers pass unread.
    #[test]
    fn the_newest_document_passes() {
        for id in [PackageId::REG, PackageId::XCAP_DIFF, PackageId::AS_FEATURE_EVENT] {
            let info = id.info();
            let newest = Published { id: 2, body: b"<new/>", headers: b"" };
            let older = Published { id: 1, body: b"<old/>", headers: b"" };
            let document = id.package().subscribe_body(&view(id, &[newest, older]), Wall(0));
            assert_eq!(
                (document.bytes.as_slice(), document.content_type),
                (newest.body, info.notify_type)
            );
            assert!(!id.package().subscribe_body(&view(id, &[]), Wall(0)).has_body());
            assert_eq!(verdict(id, info.notify_type, b"<x/>"), Ok(Accepted::AsIs));
            assert_eq!(verdict(id, info.notify_type, b""), Err(BodyError::Missing));
            assert_eq!(verdict(id, "application/pidf+xml", b"<x/>"), Err(BodyError::MediaType));
        }
    }

    /// M13, C110: call-info and line-seize have no body; Call-Info is what they say.
    #[test]
    fn call_info_is_a_header() {
        let line: &[u8] = b"Call-Info: <sip:x>;appearance-index=1;appearance-state=seized\r\n";
        for id in [PackageId::CALL_INFO, PackageId::LINE_SEIZE] {
            assert_eq!(id.info().extra_headers, ["Call-Info"]);
            assert_eq!(verdict(id, "", b""), Ok(Accepted::AsIs));
            assert_eq!(verdict(id, "text/plain", b"x"), Err(BodyError::MediaType));
            let published = [Published { id: 1, body: b"", headers: line }];
            let document = id.package().subscribe_body(&view(id, &published), Wall(0));
            assert_eq!((document.headers.as_slice(), document.has_body()), (line, false));
        }
        let seize = PackageId::LINE_SEIZE.info();
        assert!(seize.default_expires == 15 && seize.min_expires_exempt);
    }

    /// A SUBSCRIBE body is refused but where the package has one (as-feature-event).
    #[test]
    fn subscribe_bodies() {
        for id in Packages::all() {
            let package = id.package();
            assert_eq!(package.validate_subscribe("", b""), Ok(()));
            let filter = package.validate_subscribe("application/simple-filter+xml", b"<x/>");
            assert_eq!(filter, Err(BodyError::MediaType));
        }
        let feature = PackageId::AS_FEATURE_EVENT.package();
        let own = feature.validate_subscribe("Application/x-as-feature-event+xml", b"<x/>");
        assert_eq!(own, Ok(()));
    }
}
