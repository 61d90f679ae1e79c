//! `mix_dialog_presence` (rows C14, C82): a person on the phone shows it in presence.
//!
//! The original looked for a ringing dialog from the second one on (X12), so that the usual single
//! call did not ring. Here the furthest state of all live dialogs counts, wherever it stands.

use alloc::vec::Vec;

use pharos_parser::dialog_info::{DialogInfo, DialogState};
use pharos_parser::pidf::{DATA_MODEL, NAMESPACE, RPID};
use pharos_parser::xml::declare;

use super::Published;
use super::entity::write_uri;

/// What the dialogs say of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Activity {
    Calling,
    Ringing,
    OnThePhone,
}

impl Activity {
    /// RPID's activity (RFC 4480 3.2) and the words for clients that show the note. A call being
    /// set up is `busy`: nobody is talking yet, as `on-the-phone` would say.
    const fn shown(self) -> (&'static str, &'static str) {
        match self {
            Self::Calling => ("busy", "Calling"),
            Self::Ringing => ("busy", "Ringing"),
            Self::OnThePhone => ("on-the-phone", "On the phone"),
        }
    }
}

/// A PIDF document made of the dialogs, the newest of the presentity's. `alone`: nothing else is
/// published; then a phone that publishes its dialogs shows that the person can be reached, with a
/// call or without. `None` when the dialogs add nothing.
pub(super) fn document(aor: &str, dialogs: &[Published<'_>], alone: bool) -> Option<Vec<u8>> {
    let activities: Vec<Option<Activity>> =
        dialogs.iter().filter_map(|published| activity(published.body)).collect();
    let furthest = activities.iter().copied().max()?;
    if furthest.is_none() && !alone {
        return None;
    }
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence");
    for (prefix, namespace) in [("", NAMESPACE), ("dm", DATA_MODEL), ("rpid", RPID)] {
        declare(prefix, namespace, &mut out);
    }
    out.extend_from_slice(b" entity=\"");
    write_uri(aor, &mut out);
    out.extend_from_slice(b"\">");
    if alone {
        let tuple = b"<tuple id=\"dialog\"><status><basic>open</basic></status></tuple>";
        out.extend_from_slice(tuple);
    }
    if let Some(activity) = furthest {
        let (element, words) = activity.shown();
        out.extend_from_slice(b"<dm:person id=\"dialog\"><rpid:activities><rpid:");
        out.extend_from_slice(element.as_bytes());
        out.extend_from_slice(b"/></rpid:activities><dm:note>");
        out.extend_from_slice(words.as_bytes());
        out.extend_from_slice(b"</dm:note></dm:person>");
    }
    out.extend_from_slice(b"</presence>\r\n");
    Some(out)
}

/// What one publication's dialogs say: `None` when it cannot be read, `Some(None)` when none of
/// them is a call.
fn activity(body: &[u8]) -> Option<Option<Activity>> {
    let info = DialogInfo::read(body).ok()?;
    let each = info.dialogs.iter().filter_map(|dialog| match dialog.state? {
        DialogState::Confirmed => Some(Activity::OnThePhone),
        DialogState::Terminated => None,
        _ if dialog.direction == Some("initiator") => Some(Activity::Calling),
        _ => Some(Activity::Ringing),
    });
    Some(each.max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    fn mixed(content: &str, alone: bool) -> Option<String> {
        let body = format!(
            "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0' state='full' \
             entity='sip:alice@example.com'>{content}</dialog-info>"
        );
        let published = Published { id: 1, body: body.as_bytes(), headers: b"" };
        let bytes = document("alice@example.com", &[published], alone)?;
        pharos_parser::pidf::validate(&bytes).expect("a PIDF");
        Some(String::from_utf8(bytes).unwrap())
    }

    /// C14, X12: a single ringing dialog, the first one, is seen.
    #[test]
    fn one_ringing_dialog_rings() {
        let early = "<dialog id='1' direction='recipient'><state>early</state></dialog>";
        assert!(mixed(early, false).unwrap().contains("<dm:note>Ringing</dm:note>"));
        let trying = "<dialog id='1' direction='initiator'><state>trying</state></dialog>";
        assert!(mixed(trying, false).unwrap().contains("<dm:note>Calling</dm:note>"));
    }

    /// C14: who talks while another call rings is on the phone; who has hung up is not.
    #[test]
    fn the_furthest_live_state_counts() {
        let calls = "<dialog id='1'><state>terminated</state></dialog>\
            <dialog id='2'><state>confirmed</state></dialog>\
            <dialog id='3'><state>early</state></dialog>";
        insta::assert_snapshot!(mixed(calls, true).unwrap());
        let over = "<dialog id='1'><state>terminated</state></dialog>";
        assert_eq!(mixed(over, false), None);
        let idle = mixed(over, true).unwrap();
        assert!(idle.contains("<basic>open</basic>") && !idle.contains("dm:person"), "{idle}");
        assert_eq!(document("alice@example.com", &[], true), None);
        let broken = Published { id: 1, body: b"<", headers: b"" };
        assert_eq!(document("alice@example.com", &[broken], true), None);
    }
}
