//! Moving house: tables of another server in, the server on, and its clients notice nothing.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    socket
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("loopback")
}

fn import(data: &Path, table: &str, rows: &str) {
    let file = data.with_extension("jsonl");
    fs::write(&file, rows).expect("written");
    let arguments = ["db", "import", table, text(&file), "--data", text(data)];
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    let output = command.args(arguments).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("1 rows: 1 stored"), "{said}");
}

/// Sends a request until something that starts so comes back.
fn ask(from: &UdpSocket, server: SocketAddr, request: &str, start: &str) -> String {
    let tries = PATIENCE.as_millis() / 500;
    for _ in 0..tries {
        from.send_to(request.as_bytes(), server).expect("sent");
        if let Some(answer) = receive(from, start) {
            return answer;
        }
    }
    panic!("no {start}");
}

/// The next message that starts so; `None` when nothing comes for half a second.
fn receive(socket: &UdpSocket, start: &str) -> Option<String> {
    let mut buffer = [0; 8_192];
    while let Ok((length, _)) = socket.recv_from(&mut buffer) {
        let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if message.starts_with(start) {
            return Some(message);
        }
    }
    None
}

/// Waits for a NOTIFY and answers it.
fn notify(watcher: &UdpSocket, server: SocketAddr) -> String {
    for _ in 0..PATIENCE.as_millis() / 500 {
        let Some(notify) = receive(watcher, "NOTIFY ") else { continue };
        let copied = |name: &str| notify.lines().find(|line| line.starts_with(name)).expect(name);
        let heads = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(copied).join("\r\n");
        let answer = format!("SIP/2.0 200 OK\r\n{heads}\r\nContent-Length: 0\r\n\r\n");
        watcher.send_to(answer.as_bytes(), server).expect("sent");
        return notify;
    }
    panic!("no NOTIFY");
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}")).trim()
}

fn pidf(basic: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         entity=\"sip:alice@example.org\"><tuple id=\"t\"><status><basic>{basic}</basic></status>\
         </tuple></presence>"
    )
}

/// Rows C60, C61 and C65: the old server's entity-tag is known, its dialog goes on with its tags
/// and rising CSeq, and a refresh within the dialog finds it.
#[test]
fn publications_and_dialogs_of_another_server_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (watcher, phone) = (socket(), socket());
    let at = |socket: &UdpSocket| socket.local_addr().expect("bound");
    let server = free();
    let document = serde_json::json!({
        "username": "alice", "domain": "example.org", "event": "presence", "etag": "old.1.2.3",
        "expires": 4_000_000_000_u32, "received_time": 1_700_000_000, "body": pidf("closed"),
    });
    import(&data, "presentity", &format!("{document}\n"));
    let dialog = serde_json::json!({
        "presentity_uri": "sip:alice@example.org", "watcher_username": "bob",
        "watcher_domain": "example.com", "to_user": "alice", "to_domain": "example.org",
        "event": "presence", "event_id": null, "to_tag": "ours-1", "from_tag": "theirs-1",
        "callid": "old-call@example.com", "local_cseq": 41, "remote_cseq": 7,
        "contact": format!("sip:bob@{}", at(&watcher)), "record_route": "",
        "expires": 4_000_000_000_u32, "status": 1, "reason": "", "version": 3,
        "socket_info": format!("udp:{server}"), "local_contact": format!("sip:{server}"),
    });
    import(&data, "active_watchers", &format!("{dialog}\n"));

    let child = Command::new(env!("CARGO_BIN_EXE_pharos"))
        .args(["run", "--socket", &format!("udp:{server}"), "--control", &free().to_string()])
        .args(["--data", text(&data)])
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let _server = Server(child);

    let body = pidf("open");
    let publish = format!(
        "PUBLISH sip:alice@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {phone};branch=z9hG4bKmoved\r\n\
         From: <sip:alice@example.org>;tag=p\r\nTo: <sip:alice@example.org>\r\nCall-ID: pub\r\n\
         CSeq: 1 PUBLISH\r\nMax-Forwards: 70\r\nEvent: presence\r\nExpires: 600\r\n\
         SIP-If-Match: old.1.2.3\r\nContent-Type: application/pidf+xml\r\n\
         Content-Length: {length}\r\n\r\n{body}",
        phone = at(&phone),
        length = body.len(),
    );
    let published = ask(&phone, server, &publish, "SIP/2.0 ");
    assert!(published.starts_with("SIP/2.0 200 "), "{published}");

    let first = notify(&watcher, server);
    assert!(first.contains("<basic>open</basic>"), "{first}");
    assert!(first.starts_with(&format!("NOTIFY sip:bob@{} ", at(&watcher))), "{first}");
    assert_eq!(header(&first, "Call-ID"), "old-call@example.com");
    assert_eq!(header(&first, "From"), "<sip:alice@example.org>;tag=ours-1");
    assert_eq!(header(&first, "To"), "<sip:bob@example.com>;tag=theirs-1");
    let number = |message: &str| {
        let digits = header(message, "CSeq").split(' ').next().expect("a number");
        digits.parse::<u32>().expect("a number")
    };
    assert!(number(&first) > 41, "CSeq goes on: {first}");

    let refresh = format!(
        "SUBSCRIBE sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {watcher};branch=z9hG4bKrefresh\r\n\
         From: <sip:bob@example.com>;tag=theirs-1\r\nTo: <sip:alice@example.org>;tag=ours-1\r\n\
         Call-ID: old-call@example.com\r\nCSeq: 8 SUBSCRIBE\r\nMax-Forwards: 70\r\n\
         Event: presence\r\nExpires: 600\r\nContact: <sip:bob@{watcher}>\r\n\
         Content-Length: 0\r\n\r\n",
        watcher = at(&watcher),
    );
    let refreshed = ask(&watcher, server, &refresh, "SIP/2.0 ");
    assert!(refreshed.starts_with("SIP/2.0 200 "), "{refreshed}");
    let second = notify(&watcher, server);
    assert!(number(&second) > number(&first), "{second}");
    assert!(second.contains("<basic>open</basic>"), "{second}");
}
