//! What must be true of the SIP layer between any two inputs.

use super::Sip;
use crate::limits::{CLIENTS_MAX, DEFERRED_MAX, FLOWS_MAX, NAMES_MAX, NO_TCP_MAX};

impl Sip {
    /// See [`crate::Shard::check`].
    pub(crate) fn check(&self) {
        self.servers.check();
        assert!(self.servers.waiting() <= DEFERRED_MAX);
        assert!(self.clients.pool.len() <= CLIENTS_MAX);
        self.clients.check();
        assert!(self.flows.len() <= FLOWS_MAX);
        self.flows.check();
        let parked: usize = self.waiting.values().map(|parked| parked.clients.len()).sum();
        assert_eq!(parked, self.resolving, "parked requests are counted");
        assert!(self.names.len() <= NAMES_MAX);
        assert!(self.clients.no_tcp_len() <= NO_TCP_MAX);
        assert!(self.failures.is_empty(), "every outcome was told");
    }
}
