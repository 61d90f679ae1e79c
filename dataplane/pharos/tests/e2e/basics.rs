//! It answers: over both transports and families, with any number of shards.

use crate::with_shards;

with_shards! {
    answers_on_every_listener
    metrics_show_what_came
}

mod run {
    use crate::phone::Phone;
    use crate::server::Server;

    /// RFC 3261 11: OPTIONS over UDP and TCP, IPv4 and IPv6; many sources, so that every shard has
    /// some.
    pub(super) fn answers_on_every_listener(shards: u16) {
        let server = Server::start(shards);
        for address in [server.v4, server.v6] {
            for n in 0..8 {
                let user = format!("u{n}");
                for mut phone in [Phone::udp(address, &user), Phone::tcp(address, &user)] {
                    let request = phone.options();
                    let response = phone.call(&request);
                    assert_eq!(response.status(), 200, "{response:?}");
                    assert!(response.header("Allow").contains("SUBSCRIBE"));
                }
            }
        }
    }

    pub(super) fn metrics_show_what_came(shards: u16) {
        let server = Server::start(shards);
        let mut phone = Phone::udp(server.v4, "alice");
        let before = server.metric("pharos_runtime_datagrams_received_total");
        for _ in 0..5 {
            let request = phone.options();
            phone.call(&request);
        }
        let after = server.metric("pharos_runtime_datagrams_received_total");
        assert!(after - before >= 5.0, "{before} {after}");
        assert!(server.metric("pharos_runtime_datagrams_sent_total") >= 5.0);
    }
}
