//! What there is now, for metrics (row C51: the originals export nothing).

use alloc::vec::Vec;

use super::Presence;
use crate::counters::Sample;

impl Presence {
    pub(super) fn write_gauges(&self, out: &mut Vec<Sample>) {
        let tables = &self.tables;
        let gauges = [
            ("presence_presentities", "Presentities with state.", tables.presentities.len()),
            ("presence_publications", "Publications.", tables.publications.len()),
            ("presence_subscriptions", "Subscriptions.", tables.subscriptions.len()),
            ("presence_waiting_watchers", "Watchers without an answer.", tables.rows.len()),
            ("presence_changes_under_way", "Changes that wait for a commit.", self.under_way),
            ("presence_fan_outs", "Presentities whose news is on its way.", self.fans.len()),
            ("presence_notifies_blocked", "NOTIFYs that wait for a window.", self.blocked.len()),
            ("presence_dirty_objects", "Objects not written yet.", self.dirty.len()),
        ];
        for (name, help, value) in gauges {
            out.push(Sample { name, help, counter: false, label: None, value: value as u64 });
        }
    }
}
