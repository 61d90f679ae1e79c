//! Connections: framing, errors, and their share of a busy server.

use crate::with_shards;

with_shards! {
    connections_are_served_while_datagrams_pour_in
    a_stream_without_a_length_is_answered_and_closed
    two_requests_in_one_piece_and_one_in_many
}

mod run {
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use crate::phone::{Phone, now};
    use crate::server::Server;

    /// A flood of datagrams from two sockets; meanwhile every OPTIONS over TCP is answered, most of
    /// them at once. The bounds leave room for a machine that does other things too.
    pub(super) fn connections_are_served_while_datagrams_pour_in(shards: u16) {
        let server = Server::start(shards);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let text = Phone::udp(server.v4, "flood").options();
                    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                    while !over.load(Ordering::Relaxed) {
                        // The kernel drops what the server does not take; nobody waits for it.
                        let _ = socket.send_to(text.as_bytes(), server.v4);
                    }
                });
            }
            let mut phones: Vec<Phone> =
                (0..4).map(|n| Phone::tcp(server.v4, &format!("u{n}"))).collect();
            let mut times = Vec::new();
            for turn in 0..80 {
                let phone = &mut phones[turn % 4];
                let start = now();
                let answered = phone.options_within(Duration::from_secs(5));
                times.push(start.elapsed());
                if !answered {
                    over.store(true, Ordering::Relaxed);
                }
                assert!(answered, "turn {turn}");
            }
            over.store(true, Ordering::Relaxed);
            times.sort();
            assert!(times[40] < Duration::from_millis(250), "half of them: {:?}", times[40]);
        });
        assert!(server.metric("pharos_runtime_datagrams_received_total") > 1_000.0);
    }

    /// RFC 3261 18.3 and 20.14: on a stream Content-Length is needed; without it nothing after the
    /// message can be found, so the connection ends after a 400.
    pub(super) fn a_stream_without_a_length_is_answered_and_closed(shards: u16) {
        let server = Server::start(shards);
        let mut phone = Phone::tcp(server.v4, "alice");
        let request = phone.options().replace("Content-Length: 0\r\n", "");
        phone.send(&request);
        let response = phone.receive(Duration::from_secs(5)).expect("an answer");
        assert_eq!(response.status(), 400, "{response:?}");
        assert!(phone.receive(Duration::from_secs(5)).is_none(), "then the end");
    }

    pub(super) fn two_requests_in_one_piece_and_one_in_many(shards: u16) {
        let server = Server::start(shards);
        let mut phone = Phone::tcp(server.v6, "alice");
        let both = phone.options() + &phone.options();
        phone.send(&both);
        for _ in 0..2 {
            let response = phone.receive(Duration::from_secs(5)).expect("an answer");
            assert_eq!(response.status(), 200);
        }
        let request = phone.options();
        for piece in request.as_bytes().chunks(7) {
            phone.send(std::str::from_utf8(piece).expect("ASCII"));
        }
        assert_eq!(phone.receive(Duration::from_secs(5)).expect("an answer").status(), 200);
    }
}
