//! Presence: PUBLISH (RFC 3903), SUBSCRIBE and NOTIFY (RFC 6665), composition and event packages.

pub mod package;
