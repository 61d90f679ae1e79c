//! What was acknowledged survives: `kill -9`, SIGTERM, another number of shards.

use crate::with_shards;

with_shards! {
    a_kill_loses_nothing
    an_orderly_stop_owes_nothing
    an_orderly_stop_ends_with_connections_open
}

/// Restart with another number of shards: every user is found on its new shard.
#[test]
fn another_number_of_shards_keeps_everything() {
    run::other_shards(&[2, 4, 1, 2]);
}

mod run {
    use crate::message::Message;
    use crate::phone::{Phone, Publish, QUIET};
    use crate::server::Server;

    fn note(note: &str) -> Publish<'_> {
        Publish { note: Some(note), expires: 600, etag: None }
    }

    /// After `kill -9`: the repeated PUBLISH and SUBSCRIBE get the answers they had, the watcher
    /// gets one full state, publication and dialog go on (architecture: what a 2xx promises).
    pub(super) fn a_kill_loses_nothing(shards: u16) {
        let mut server = Server::start(shards);
        let mut alice = Phone::udp(server.v4, "alice");
        let mut bob = Phone::udp(server.v4, "bob");
        let publish = alice.publish_request(&note("here"));
        let published = alice.call(&publish);
        assert_eq!(published.status(), 200, "{published:?}");
        let etag = published.header("SIP-ETag").to_owned();
        let mut dialog = bob.subscribe("alice", 600);
        let before = bob.notify_saying(&dialog, "here");

        server.kill();
        server.restart();

        let again = alice.call(&publish);
        assert_eq!(again.status(), 200, "{again:?}");
        assert_eq!(again.header("SIP-ETag"), etag, "the repeat gets the stored answer");
        assert_eq!(again.header("Expires"), published.header("Expires"));
        assert_eq!(again.tag("To"), published.tag("To"));

        let full = bob.notify_saying(&dialog, "here");
        assert!(full.cseq() > before.cseq(), "CSeq never goes back");
        let next = alice.publish(&Publish { etag: Some(&etag), ..note("there") });
        assert_ne!(next, etag);
        let there = bob.notify_saying(&dialog, "there");
        assert!(there.cseq() > full.cseq());
        assert_eq!(there.tag("From"), Some(&*dialog.remote_tag), "the same dialog");
        bob.refresh(&mut dialog, 600);
        bob.notify_saying(&dialog, "there");
    }

    /// SIGTERM: exit status 0, nobody is told anything at the next start, everything goes on.
    pub(super) fn an_orderly_stop_owes_nothing(shards: u16) {
        let mut server = Server::start(shards);
        let mut alice = Phone::udp(server.v4, "alice");
        let mut bob = Phone::udp(server.v4, "bob");
        let etag = alice.publish(&note("here"));
        let dialog = bob.subscribe("alice", 600);
        let before = bob.notify_saying(&dialog, "here");
        let status = server.terminate();
        assert!(status.success(), "{status}: {}", server.log());
        server.restart();
        assert!(bob.notify_within(QUIET).is_none(), "a clean stop owes no NOTIFY");
        alice.publish(&Publish { etag: Some(&etag), ..note("there") });
        let there = bob.notify_saying(&dialog, "there");
        assert!(there.cseq() > before.cseq());
    }

    /// Open connections, one of them silent in the middle of a message, do not hold up a stop.
    pub(super) fn an_orderly_stop_ends_with_connections_open(shards: u16) {
        let mut server = Server::start(shards);
        let mut phones: Vec<Phone> =
            (0..8).map(|n| Phone::tcp(server.v4, &format!("u{n}"))).collect();
        for phone in &mut phones {
            let request = phone.options();
            assert_eq!(phone.call(&request).status(), 200);
        }
        phones[0].send("OPTIONS sip:a@b SIP/2.0\r\nVia");
        let status = server.terminate();
        assert!(status.success(), "{status}: {}", server.log());
        for phone in &mut phones {
            assert!(phone.receive(QUIET).is_none(), "closed without a word");
        }
    }

    pub(super) fn other_shards(counts: &[u16]) {
        const USERS: usize = 20;
        let mut server = Server::start(counts[0]);
        let mut publisher = Phone::udp(server.v4, "");
        let mut bob = Phone::udp(server.v4, "bob");
        let mut states: Vec<_> = (0..USERS)
            .map(|n| {
                publisher.user = format!("u{n}");
                let etag = publisher.publish(&note(&format!("start of {n}.")));
                let dialog = bob.subscribe(&publisher.user, 600);
                bob.notify_saying(&dialog, &format!("start of {n}."));
                (etag, dialog)
            })
            .collect();
        for (round, &shards) in counts[1..].iter().enumerate() {
            if round % 2 == 0 {
                assert!(server.terminate().success());
            } else {
                server.kill();
            }
            server.restart_with(shards);
            for (n, (etag, dialog)) in states.iter_mut().enumerate() {
                publisher.user = format!("u{n}");
                let text = format!("round {round} of {n}.");
                *etag = publisher.publish(&Publish { etag: Some(etag), ..note(&text) });
                bob.notify_saying(dialog, &text);
            }
        }
        let probe: Message = {
            let request = bob.options();
            bob.call(&request)
        };
        assert_eq!(probe.status(), 200);
    }
}
