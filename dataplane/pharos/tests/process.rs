//! The running server as its supervisor sees it: start, pages, the word to systemd, stop.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    child: Child,
    sip: SocketAddr,
    control: SocketAddr,
}

/// A port that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound")
}

impl Server {
    /// Starts it and waits for READY.
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let (sip, control) = (free(), free());
        let notify = folder.join("notify");
        let _ = std::fs::remove_file(&notify);
        let supervisor = UnixDatagram::bind(&notify).expect("a socket");
        supervisor.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let child = Command::new(env!("CARGO_BIN_EXE_pharos"))
            .args(["run", "--socket", &format!("udp:{sip}"), "--socket", &format!("tcp:{sip}")])
            .args(["--control", &control.to_string()])
            .args(["--data", folder.join("data").to_str().expect("UTF-8")])
            .args(arguments)
            .env("NOTIFY_SOCKET", &notify)
            .env("WATCHDOG_USEC", "200000")
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let server = Self { child, sip, control };
        server.wait_for_word(&supervisor, "READY=1");
        server.wait_for_word(&supervisor, "WATCHDOG=1");
        server
    }

    fn wait_for_word(&self, supervisor: &UnixDatagram, word: &str) {
        let mut buffer = [0; 4096];
        for _ in 0..100 {
            let length = supervisor.recv(&mut buffer).expect("it says something in time");
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if said.lines().any(|line| line == word) {
                return;
            }
        }
        panic!("it never says {word}");
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.control).expect("control listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args([name, &pid]).status().expect("kill runs");
    }

    /// SIGTERM; the exit code and what it wrote.
    fn stop(self) -> (Option<i32>, String) {
        self.signal("-TERM");
        self.end()
    }

    /// The exit code and what it wrote, once it has ended.
    fn end(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        let mut stderr = self.child.stderr.take().expect("piped");
        stderr.read_to_string(&mut log).expect("a log");
        (self.child.wait().expect("it ends").code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn user_agent() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

fn send(socket: &UdpSocket, server: SocketAddr, method: &str, extra: &str) {
    let local = socket.local_addr().expect("bound");
    let request = format!(
        "{method} sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{method}\r\n\
         From: <sip:probe@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: probe\r\n\
         CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContact: <sip:probe@{local}>\r\n\
         {extra}Content-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), server).expect("sent");
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("a message in time");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn options(server: SocketAddr) -> String {
    let socket = user_agent();
    send(&socket, server, "OPTIONS", "");
    receive(&socket)
}

#[test]
fn it_starts_answers_shows_itself_and_stops_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), &[]);
    assert!(options(server.sip).starts_with("SIP/2.0 200 "));

    let metrics = server.get("/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
    for name in [
        "pharos_build_info{",
        "pharos_shards ",
        "pharos_lane_healthy{lane=\"0\"} 1",
        "pharos_runtime_datagrams_received_total ",
        "pharos_process_resident_memory_bytes ",
    ] {
        assert!(metrics.contains(&format!("\n{name}")), "{name} is missing:\n{metrics}");
    }
    let by_shard = server.get("/metrics?by=shard");
    assert!(by_shard.contains("pharos_runtime_datagrams_received_total{shard=\"0\"} "));
    assert!(server.get("/metrics?by=moon").starts_with("HTTP/1.1 400 "));
    let health = server.get("/healthz");
    assert!(health.starts_with("HTTP/1.1 200 ") && health.ends_with(r#"{"status":"good"}"#));
    assert!(server.get("/else").starts_with("HTTP/1.1 404 "));

    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("listening on udp:127.0.0.1:") && log.contains("stopped in order"),
        "{log}"
    );
}

/// A NOTIFY that nobody answers keeps the stop waiting; who is in a hurry asks twice.
#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("-TERM", "-INT"), ("-INT", "-INT")] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Server::start(folder.path(), &[]);
        let watcher = user_agent();
        send(&watcher, server.sip, "SUBSCRIBE", "Event: presence\r\nExpires: 600\r\n");
        while !receive(&watcher).starts_with("NOTIFY ") {}
        server.signal(first);
        // A retransmission after the signal: it is stopping, and not done.
        while !server.get("/healthz").contains("stopping") {}
        while !receive(&watcher).starts_with("NOTIFY ") {}
        assert!(server.child.try_wait().expect("ours").is_none(), "it waits for the watcher");
        server.signal(second);
        let (code, log) = server.end();
        assert_eq!(code, Some(1), "{log}");
        assert!(!log.contains("stopped"), "it did not wait for the end: {log}");
    }
}

#[test]
fn the_layout_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pharos.toml");
    std::fs::write(&file, "shards = 1\n").expect("written");
    let server = Server::start(folder.path(), &["-c", file.to_str().expect("UTF-8")]);
    let (_, log) = server.stop();
    let line = log.lines().find(|line| line.contains(": 1 shard on core ")).expect("told");
    assert!(line.contains(", lanes and control "), "{log}");
}

#[test]
fn a_second_server_on_the_same_data_says_who_holds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Server::start(folder.path(), &[]);
    let output = Command::new(env!("CARGO_BIN_EXE_pharos"))
        .args(["run", "--socket", &format!("udp:{}", free()), "--control", &free().to_string()])
        .args(["--data", folder.path().join("data").to_str().expect("UTF-8")])
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use"), "{said}");
    assert!(options(first.sip).starts_with("SIP/2.0 200 "), "the first one goes on");
}

#[test]
fn json_logs_are_an_object_each_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pharos.toml");
    std::fs::write(&file, "log.format = 'json'\nhash_size = 4\n").expect("written");
    let server = Server::start(folder.path(), &["-c", file.to_str().expect("UTF-8")]);
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.is_empty());
    for line in log.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(value["level"].is_string() && value["message"].is_string(), "{line}");
    }
}

/// A login shell on Debian allows 1024 open files, and the first command works there.
#[test]
fn the_soft_limit_of_a_login_shell_is_raised() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let script = format!(
        "ulimit -Sn 1024; exec {} run --socket udp:{} --control {} --data {}",
        env!("CARGO_BIN_EXE_pharos"),
        free(),
        free(),
        data.display()
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell runs");
    let mut log = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    let mut buffer = [0; 4096];
    while !log.contains("metrics on") {
        let length = stderr.read(&mut buffer).expect("readable");
        assert!(length > 0, "it ended: {log}");
        log.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("it runs");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let numbers: Vec<_> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "soft and hard limit: {files}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
