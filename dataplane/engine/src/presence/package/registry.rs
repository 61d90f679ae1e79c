//! The static registry of event packages (row C53), by wire name and by number.

use super::dialog::{self, DialogPackage};
use super::message_summary::MessageSummary;
use super::passthrough::{self, Passthrough};
use super::presence::Presence;
use super::winfo::Winfo;
use super::{Info, Package};

/// Names a package within this build; not stored (records carry the name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub u8);

impl PackageId {
    /// `presence`, RFC 3856.
    pub const PRESENCE: Self = Self(0);
    /// `presence.winfo`, RFC 3857.
    pub const PRESENCE_WINFO: Self = Self(1);
    /// `dialog`, RFC 4235.
    pub const DIALOG: Self = Self(2);
    /// `dialog;sla`: bridged line appearance.
    pub const DIALOG_SLA: Self = Self(3);
    /// `message-summary`, RFC 3842.
    pub const MESSAGE_SUMMARY: Self = Self(4);
    /// `call-info`: shared call appearance.
    pub const CALL_INFO: Self = Self(5);
    /// `line-seize`: shared call appearance.
    pub const LINE_SEIZE: Self = Self(6);
    /// `reg`, RFC 3680.
    pub const REG: Self = Self(7);
    /// `xcap-diff`, RFC 5875.
    pub const XCAP_DIFF: Self = Self(8);
    /// `as-feature-event`: feature key synchronisation.
    pub const AS_FEATURE_EVENT: Self = Self(9);

    /// Number of packages; ids are below it.
    pub const COUNT: usize = 10;

    /// The package.
    pub fn package(self) -> &'static dyn Package {
        PACKAGES[self.0 as usize]
    }

    /// Its constants.
    pub fn info(self) -> &'static Info {
        self.package().info()
    }

    /// The `.winfo` template applied to this package (RFC 3857), where it is offered.
    pub fn winfo(self) -> Option<Self> {
        (self == Self::PRESENCE).then_some(Self::PRESENCE_WINFO)
    }

    /// The package whose watchers this template package reports.
    pub fn watched(self) -> Option<Self> {
        (self == Self::PRESENCE_WINFO).then_some(Self::PRESENCE)
    }
}

static PACKAGES: [&dyn Package; PackageId::COUNT] = [
    &Presence,
    &Winfo,
    &DialogPackage(&dialog::DIALOG),
    &DialogPackage(&dialog::DIALOG_SLA),
    &MessageSummary,
    &Passthrough(&passthrough::CALL_INFO),
    &Passthrough(&passthrough::LINE_SEIZE),
    &Passthrough(&passthrough::REG),
    &Passthrough(&passthrough::XCAP_DIFF),
    &Passthrough(&passthrough::AS_FEATURE_EVENT),
];

/// Look-ups over all packages.
#[derive(Clone, Copy, Debug)]
pub struct Packages;

impl Packages {
    /// Value of Allow-Events (row C70). `dialog;sla` is no event-type by the letter of RFC 6665,
    /// but is how the originals spell it and what phones look for.
    pub const ALLOW_EVENTS: &'static str = "presence, presence.winfo, dialog, dialog;sla, \
        message-summary, call-info, line-seize, reg, xcap-diff, as-feature-event";

    /// The package of an Event header: the event type as on the wire (RFC 6665 8.2.1: compared byte
    /// for byte) and whether it has the parameter `sla`, which only `dialog` heeds.
    pub fn by_event(event_type: &str, sla: bool) -> Option<PackageId> {
        let found = Self::all().find(|id| id.info().event_type == event_type)?;
        Some(if sla && found == PackageId::DIALOG { PackageId::DIALOG_SLA } else { found })
    }

    /// The package of a stored or configured name, such as `dialog;sla`.
    pub fn by_name(name: &str) -> Option<PackageId> {
        Self::all().find(|id| id.info().name == name)
    }

    /// All packages in the order of their ids.
    pub fn all() -> impl Iterator<Item = PackageId> {
        (0..PackageId::COUNT as u8).map(PackageId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C53, C70: every name is found, stands in Allow-Events, and ids are places in the table.
    #[test]
    fn names_and_numbers_agree() {
        for (place, id) in Packages::all().enumerate() {
            let info = id.info();
            assert_eq!((info.id, id.0 as usize), (id, place));
            assert_eq!(Packages::by_name(info.name), Some(id));
            assert_eq!(Packages::by_event(info.event_type, info.name.ends_with(";sla")), Some(id));
            assert!(Packages::ALLOW_EVENTS.split(", ").any(|name| name == info.name));
            assert_eq!(info.winfo, id.winfo().is_some());
        }
        assert_eq!(Packages::ALLOW_EVENTS.split(", ").count(), PackageId::COUNT);
    }

    /// RFC 6665 8.2.1: event types compare byte for byte; a foreign parameter changes nothing.
    #[test]
    fn unknown_events_are_not_found() {
        assert_eq!(Packages::by_event("Presence", false), None);
        assert_eq!(Packages::by_event("dialog;sla", false), None);
        assert_eq!(Packages::by_event("dialog.winfo", false), None);
        assert_eq!(Packages::by_event("presence", true), Some(PackageId::PRESENCE));
    }
}
