//! `kill -9` in the middle of the load, again and again, and every client repeats its last request.
//!
//! A request that was answered gets the same answer, entity-tag and To tag included; one that was
//! not gets its first. Nothing is lost and nothing is there twice.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const USERS: usize = 64;
const KILLS: u64 = 6;
/// Tries of a tenth of a second and more: within the 64*T1 in which a repeat is one.
const TRIES: usize = 250;

struct Server {
    child: Child,
    sip: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("loopback")
}

impl Server {
    fn start(data: &Path, sip: SocketAddr) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_pharos"))
            .args(["run", "--socket", &format!("udp:{sip}"), "--control", &free().to_string()])
            .args(["--data", data.to_str().expect("UTF-8")])
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        Self { child, sip }
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("dead");
    }
}

/// What a client sent last and what came back.
#[derive(Clone, Default)]
struct Last {
    request: String,
    /// Entity-tag or To tag of the 200.
    mark: Option<String>,
}

/// All clients, behind one socket.
struct Clients {
    socket: UdpSocket,
    local: SocketAddr,
    sent: u32,
    /// By Call-ID.
    last: BTreeMap<String, Last>,
    answered: u64,
}

impl Clients {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let local = socket.local_addr().expect("bound");
        Self { socket, local, sent: 0, last: BTreeMap::new(), answered: 0 }
    }

    /// A new request of a client, once its last one is answered.
    fn next(&mut self, server: SocketAddr, user: usize) {
        let call_id = format!("publish-{user}");
        let last = self.last.get(&call_id).cloned().unwrap_or_default();
        if !last.request.is_empty() && last.mark.is_none() {
            return;
        }
        let if_match = last.mark.map(|tag| format!("SIP-If-Match: {tag}\r\n")).unwrap_or_default();
        let body = format!(
            "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             entity=\"sip:u{user}@example.org\"><tuple id=\"t\"><status><basic>open</basic>\
             </status><note>{}</note></tuple></presence>",
            self.sent
        );
        let more = format!(
            "Event: presence\r\nExpires: 600\r\n{if_match}Content-Type: application/pidf+xml\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(server, &call_id, &format!("u{user}"), "PUBLISH", &more);
    }

    fn subscribe(&mut self, server: SocketAddr, name: &str) {
        let more = format!(
            "Event: presence\r\nExpires: 600\r\nContact: <sip:w@{}>\r\nContent-Length: 0\r\n\r\n",
            self.local
        );
        self.send(server, name, "u1", "SUBSCRIBE", &more);
    }

    fn send(&mut self, server: SocketAddr, call_id: &str, user: &str, method: &str, more: &str) {
        self.sent += 1;
        let (local, number) = (self.local, self.sent);
        let request = format!(
            "{method} sip:{user}@example.org SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{number}\r\n\
             From: <sip:{user}@example.org>;tag=f\r\nTo: <sip:{user}@example.org>\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n{more}"
        );
        self.socket.send_to(request.as_bytes(), server).expect("sent");
        self.last.insert(call_id.to_owned(), Last { request, mark: None });
    }

    /// Takes what comes until nothing does for so long; returns whose answers came.
    fn receive(&mut self, quiet: Duration) -> Vec<String> {
        self.socket.set_nonblocking(quiet.is_zero()).expect("a mode");
        self.socket.set_read_timeout(Some(quiet).filter(|it| !it.is_zero())).expect("a timeout");
        let (mut buffer, mut heard) = ([0; 8_192], Vec::new());
        while let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if message.starts_with("SIP/2.0 ") {
                self.answer(&message);
                heard.push(header(&message, "Call-ID").to_owned());
            } else {
                let line = |name| format!("{name}: {}\r\n", header(&message, name));
                let heads = ["Via", "From", "To", "Call-ID", "CSeq"].map(line).concat();
                let answer = format!("SIP/2.0 200 OK\r\n{heads}Content-Length: 0\r\n\r\n");
                self.socket.send_to(answer.as_bytes(), from).expect("sent");
            }
        }
        heard
    }

    fn answer(&mut self, message: &str) {
        let last = self.last.get_mut(header(message, "Call-ID")).expect("one of ours");
        if header(&last.request, "CSeq") != header(message, "CSeq") {
            // The answer to a repeat of an earlier request.
            return;
        }
        assert!(message.starts_with("SIP/2.0 200 "), "{}\n{message}", last.request);
        let mark = if message.contains("SIP-ETag: ") {
            header(message, "SIP-ETag").to_owned()
        } else {
            header(message, "To").rsplit("tag=").next().expect("a tag").to_owned()
        };
        if let Some(before) = &last.mark {
            assert_eq!(before, &mark, "the repeat of\n{}", last.request);
        }
        self.answered += 1;
        last.mark = Some(mark);
    }

    /// Everyone repeats its last request until it is answered by the server that has come back.
    fn repeat(&mut self, server: SocketAddr) {
        let mut waiting: Vec<_> = self.last.keys().cloned().collect();
        for _ in 0..TRIES {
            for call_id in &waiting {
                let request = &self.last[call_id].request;
                self.socket.send_to(request.as_bytes(), server).expect("sent");
            }
            let heard = self.receive(Duration::from_millis(100));
            waiting.retain(|call_id| !heard.contains(call_id));
            if waiting.is_empty() {
                return;
            }
        }
        panic!("not answered: {waiting:?}");
    }
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}")).trim()
}

/// How many publications, bodies and subscriptions are live, as `pharos db dump` says beside the
/// running server.
fn live(data: &Path) -> [usize; 3] {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    let output = command.args(["db", "dump", data.to_str().expect("UTF-8")]).output();
    let text = String::from_utf8(output.expect("the binary runs").stdout).expect("UTF-8");
    ["publication", "body", "subscription"].map(|kind| {
        let kind = format!("\"kind\":\"{kind}\"");
        text.lines().filter(|line| line.contains(&kind)).count()
    })
}

#[test]
fn repeats_over_a_kill_in_mid_load_get_the_answers_they_had() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let sip = free();
    let mut clients = Clients::new();
    let mut server = Server::start(&data, sip);
    clients.subscribe(server.sip, "watcher-0");
    clients.repeat(server.sip);
    for kill in 1..=KILLS {
        clients.subscribe(server.sip, &format!("watcher-{kill}"));
        for turn in 0..20 + 13 * kill {
            for user in 0..USERS {
                clients.next(server.sip, user);
                if (user as u64 + turn).is_multiple_of(9) {
                    clients.receive(Duration::ZERO);
                }
            }
            clients.receive(Duration::from_millis(1));
        }
        server.kill();
        clients.receive(Duration::from_millis(20));
        server = Server::start(&data, sip);
        clients.repeat(server.sip);
        let expected = [USERS, USERS, kill as usize + 1];
        assert_eq!(live(&data), expected, "none lost, none twice, each with its one body");
    }
    assert!(clients.answered > 1_000, "{} answers", clients.answered);
}
