//! `message-summary` (RFC 3842): the newest summary, checked by its grammar (X18) and always whole.

use alloc::vec::Vec;

use pharos_parser::message_summary;

use super::entity::write_uri;
use super::{Accepted, BodyError, Document, Info, Inputs, Package, PackageId, Publish, View};

const SUMMARY: &str = "application/simple-message-summary";

/// The package.
pub(super) struct MessageSummary;

static INFO: Info = Info {
    publish_types: &[SUMMARY],
    notify_type: SUMMARY,
    rfc_interval: 1_000,
    ..Info::new(PackageId::MESSAGE_SUMMARY, "message-summary")
};

impl Package for MessageSummary {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn validate_publish(&self, publish: &Publish<'_>) -> Result<Accepted, BodyError> {
        publish.needs_body(&INFO)?;
        match message_summary::parse(publish.body) {
            Ok(_) => Ok(Accepted::AsIs),
            Err(_) => Err(BodyError::Invalid),
        }
    }

    fn aggregate(&self, inputs: &Inputs<'_>, view: &mut View) -> bool {
        view.set(match inputs.publications.first() {
            Some(newest) => Document::new(SUMMARY, newest.body.to_vec()),
            None => self.empty_body(inputs),
        })
    }

    /// With nothing published there is nothing waiting: said in words, since a lamp that was lit by
    /// the last summary does not go out for a NOTIFY without body.
    fn empty_body(&self, inputs: &Inputs<'_>) -> Document {
        let mut bytes = b"Messages-Waiting: no\r\nMessage-Account: ".to_vec();
        let mut uri = Vec::new();
        write_uri(inputs.aor, &mut uri);
        // Not XML here: what was written for XML is read back.
        let uri = core::str::from_utf8(&uri).unwrap_or_default();
        bytes.extend_from_slice(pharos_parser::xml::unescape(uri).as_bytes());
        bytes.extend_from_slice(b"\r\n");
        Document::new(SUMMARY, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wall;
    use crate::config::PresenceConfig;
    use crate::presence::package::Published;

    fn publish(content_type: &str, body: &[u8]) -> Result<Accepted, BodyError> {
        let config = PresenceConfig::default();
        let aor = "alice@example.com";
        let publish = Publish { aor, content_type, body, previous: None, config: &config };
        MessageSummary.validate_publish(&publish)
    }

    /// X18: the syntax is really checked; a broken summary is a 400.
    #[test]
    fn summaries_are_checked() {
        let good = b"Messages-Waiting: yes\r\nVoice-Message: 4/8 (1/2)\r\n";
        assert_eq!(publish(SUMMARY, good), Ok(Accepted::AsIs));
        assert_eq!(publish(SUMMARY, b"Voice-Message: 4/8\r\n"), Err(BodyError::Invalid));
        assert_eq!(publish("text/plain", good), Err(BodyError::MediaType));
        assert_eq!(publish(SUMMARY, b""), Err(BodyError::Missing));
    }

    /// RFC 3842 3: full state always; the newest counts, and the end turns the lamp off.
    #[test]
    fn the_newest_summary_is_told() {
        let config = PresenceConfig::default();
        let mut view = View::new(PackageId::MESSAGE_SUMMARY, "a&b@example.com");
        let both = [
            Published { id: 2, body: b"Messages-Waiting: yes\r\n", headers: b"" },
            Published { id: 1, body: b"Messages-Waiting: no\r\n", headers: b"" },
        ];
        let inputs = |publications| Inputs {
            aor: "a&b@example.com",
            publications,
            dialogs: &[],
            config: &config,
        };
        assert!(MessageSummary.aggregate(&inputs(&both), &mut view));
        assert_eq!(MessageSummary.subscribe_body(&view, Wall(0)).bytes, both[0].body);
        assert!(MessageSummary.aggregate(&inputs(&[]), &mut view));
        let document = MessageSummary.change_body(&view, 1, Wall(0)).unwrap();
        let empty = "Messages-Waiting: no\r\nMessage-Account: sip:a&b@example.com\r\n";
        assert_eq!(document.bytes, empty.as_bytes());
        assert!(message_summary::parse(&document.bytes).is_ok());
    }
}
