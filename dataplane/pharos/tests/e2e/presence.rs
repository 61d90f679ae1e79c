//! A watcher sees what a presentity publishes: PUBLISH, SUBSCRIBE, NOTIFY over real sockets.

use crate::with_shards;

with_shards! {
    a_watcher_follows_a_presentity
    over_tcp_and_ipv6
    a_fetch_ends_at_once
    wrong_tags_are_told
    many_users_are_kept_apart
}

mod run {
    use crate::phone::{Phone, Publish, QUIET};
    use crate::server::Server;

    fn note(note: &str) -> Publish<'_> {
        Publish { note: Some(note), expires: 600, etag: None }
    }

    /// RFC 3903 and RFC 6665: the whole life of a publication and of a subscription.
    fn story(mut alice: Phone, mut bob: Phone) {
        let mut dialog = bob.subscribe("alice", 600);
        let first = bob.notify();
        assert_eq!(first.header("Call-ID"), dialog.call_id);
        assert_eq!(first.subscription_state(), "active");

        let etag = alice.publish(&note("here"));
        let here = bob.notify_saying(&dialog, "here");
        assert!(here.cseq() > first.cseq());
        assert!(here.header("Content-Type").starts_with("application/pidf+xml"));

        // A refresh makes a new tag and no NOTIFY.
        let refresh = Publish { etag: Some(&etag), expires: 600, note: None };
        let second = alice.publish(&refresh);
        assert_ne!(second, etag);
        assert!(bob.notify_within(QUIET).is_none(), "nothing has changed");

        let third = alice.publish(&Publish { etag: Some(&second), ..note("away") });
        bob.notify_saying(&dialog, "away");

        bob.refresh(&mut dialog, 900);
        let full = bob.notify_saying(&dialog, "away");
        assert_eq!(full.subscription_state(), "active");

        let remove = Publish { etag: Some(&third), expires: 0, note: None };
        alice.publish(&remove);
        let gone = bob.notify();
        assert!(!gone.body.contains("away"), "{gone:?}");

        bob.refresh(&mut dialog, 0);
        let last = bob.notify();
        assert_eq!(last.subscription_state(), "terminated", "{last:?}");
    }

    pub(super) fn a_watcher_follows_a_presentity(shards: u16) {
        let server = Server::start(shards);
        story(Phone::udp(server.v4, "alice"), Phone::udp(server.v4, "bob"));
    }

    pub(super) fn over_tcp_and_ipv6(shards: u16) {
        let server = Server::start(shards);
        story(Phone::udp(server.v4, "alice"), Phone::tcp(server.v4, "bob"));
        story(Phone::tcp(server.v6, "alice"), Phone::udp(server.v6, "bob"));
        story(Phone::udp(server.v6, "alice"), Phone::tcp(server.v6, "bob"));
    }

    /// RFC 6665 4.4.3: Expires 0 outside a dialog gives one NOTIFY and no subscription.
    pub(super) fn a_fetch_ends_at_once(shards: u16) {
        let server = Server::start(shards);
        let mut alice = Phone::udp(server.v4, "alice");
        alice.publish(&note("here"));
        let mut bob = Phone::udp(server.v4, "bob");
        let dialog = bob.subscribe("alice", 0);
        let only = bob.notify_saying(&dialog, "here");
        assert_eq!(only.subscription_state(), "terminated");
        alice.publish(&note("and also here"));
        assert!(bob.notify_within(QUIET).is_none(), "it is over");
    }

    /// RFC 3903 6, step 3: an entity-tag that is not known gets 412.
    pub(super) fn wrong_tags_are_told(shards: u16) {
        let server = Server::start(shards);
        let mut alice = Phone::udp(server.v4, "alice");
        let etag = alice.publish(&note("here"));
        alice.publish(&Publish { etag: Some(&etag), ..note("there") });
        for wrong in [&etag, "nonsense"] {
            let request = alice.publish_request(&Publish { etag: Some(wrong), ..note("nowhere") });
            assert_eq!(alice.call(&request).status(), 412, "{wrong}");
        }
    }

    /// Users land on every shard and every socket; nobody sees another's document.
    pub(super) fn many_users_are_kept_apart(shards: u16) {
        let server = Server::start(shards);
        let mut watcher = Phone::udp(server.v4, "bob");
        let mut sbc = Phone::udp(server.v4, "u0");
        let mut dialogs = Vec::new();
        for n in 0..24 {
            let dialog = watcher.subscribe(&format!("u{n}"), 600);
            let first = watcher.notify();
            assert_eq!(first.header("Call-ID"), dialog.call_id);
            dialogs.push(dialog);
        }
        for (n, dialog) in dialogs.iter().enumerate() {
            sbc.user = format!("u{n}");
            let text = format!("note of user {n}.");
            sbc.publish(&note(&text));
            let seen = watcher.notify();
            assert_eq!(seen.header("Call-ID"), dialog.call_id);
            assert!(seen.body.contains(&text), "{seen:?}");
        }
    }
}
