//! Presence: PUBLISH, SUBSCRIBE, NOTIFY and the event packages.

pub mod package;
