//! One presentity, two hundred watchers.

use crate::with_shards;

with_shards! {
    two_hundred_watchers_see_each_change
}

mod run {
    use std::collections::HashSet;

    use crate::phone::{Phone, Publish};
    use crate::server::Server;

    /// Every watcher converges to the newest state; one that never answers delays nobody.
    pub(super) fn two_hundred_watchers_see_each_change(shards: u16) {
        const WATCHERS: usize = 200;
        let server = Server::start(shards);
        let mut alice = Phone::udp(server.v4, "alice");
        let mut dead = Phone::udp(server.v4, "dead");
        dead.subscribe("alice", 600);
        let mut bob = Phone::udp(server.v4, "bob");
        let mut dialogs = HashSet::new();
        for _ in 0..WATCHERS {
            dialogs.insert(bob.subscribe("alice", 600).call_id);
        }
        assert_eq!(dialogs.len(), WATCHERS);
        let mut etag: Option<String> = None;
        for round in 0..3 {
            let text = format!("round {round}.");
            let publish = Publish { etag: etag.as_deref(), note: Some(&text), expires: 600 };
            etag = Some(alice.publish(&publish));
            let mut missing = dialogs.clone();
            while !missing.is_empty() {
                let seen = bob.notify();
                if seen.body.contains(&text) {
                    missing.remove(seen.header("Call-ID"));
                }
            }
        }
    }
}
