//! A user agent: one socket, requests with retransmission, NOTIFYs answered as they come.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::message::Message;

/// Longest time that anything expected may take: generous, since the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// Time in which something that must not come would have come.
pub(crate) const QUIET: Duration = Duration::from_millis(400);
/// RFC 3261 T1.
const T1: Duration = Duration::from_millis(500);

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// A text that no other message of this test run has.
pub(crate) fn unique() -> String {
    format!("{}x{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed))
}

#[expect(clippy::disallowed_methods, reason = "a test waits by the clock of the world")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks again and again until there is an answer or the time is over.
pub(crate) fn until<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let start = now();
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
}

/// A user agent.
pub(crate) struct Phone {
    link: Link,
    server: SocketAddr,
    local: SocketAddr,
    /// User part of its address of record.
    pub(crate) user: String,
    inbox: VecDeque<Message>,
}

/// A subscription as its watcher sees it.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    pub(crate) local_tag: String,
    pub(crate) remote_tag: String,
    pub(crate) cseq: u32,
    presentity: String,
    target: String,
}

/// What a PUBLISH says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Publish<'a> {
    /// SIP-If-Match.
    pub(crate) etag: Option<&'a str>,
    /// The note in the document; `None` = no body.
    pub(crate) note: Option<&'a str>,
    /// Expires.
    pub(crate) expires: u32,
}

impl Phone {
    /// Over UDP.
    pub(crate) fn udp(server: SocketAddr, user: &str) -> Self {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).expect("a client socket");
        socket.connect(server).expect("connected");
        let local = socket.local_addr().expect("bound");
        Self::over(Link::Udp(socket), server, local, user)
    }

    /// Over TCP.
    pub(crate) fn tcp(server: SocketAddr, user: &str) -> Self {
        let stream = TcpStream::connect(server).expect("connected");
        stream.set_nodelay(true).expect("an option");
        let local = stream.local_addr().expect("bound");
        Self::over(Link::Tcp(stream, Vec::new()), server, local, user)
    }

    fn over(link: Link, server: SocketAddr, local: SocketAddr, user: &str) -> Self {
        Self { link, server, local, user: user.to_owned(), inbox: VecDeque::new() }
    }

    fn transport(&self) -> &'static str {
        match self.link {
            Link::Udp(_) => "UDP",
            Link::Tcp(..) => "TCP",
        }
    }

    /// Its Contact.
    pub(crate) fn contact(&self) -> String {
        let transport = if self.transport() == "TCP" { ";transport=tcp" } else { "" };
        format!("<sip:{}@{}{transport}>", self.user, self.local)
    }

    /// A request with everything it needs but what is in `more`.
    pub(crate) fn write(&self, method: &str, uri: &str, more: &str, body: &str) -> String {
        format!(
            "{method} {uri} SIP/2.0\r\n\
             Via: SIP/2.0/{} {};branch=z9hG4bK{};rport\r\n\
             Max-Forwards: 70\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            self.transport(),
            self.local,
            unique(),
            body.len()
        )
    }

    /// Send as it is.
    pub(crate) fn send(&mut self, text: &str) {
        match &mut self.link {
            Link::Udp(socket) => match socket.send(text.as_bytes()) {
                Ok(_) => {}
                // What an earlier datagram met; this one is repeated like a lost one.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("sending: {error}"),
            },
            Link::Tcp(stream, _) => stream.write_all(text.as_bytes()).expect("sent"),
        }
    }

    /// The next message, or `None` when none comes in time.
    pub(crate) fn receive(&mut self, limit: Duration) -> Option<Message> {
        if let Some(message) = self.inbox.pop_front() {
            return Some(message);
        }
        self.receive_new(limit)
    }

    fn receive_new(&mut self, limit: Duration) -> Option<Message> {
        let end = now() + limit;
        loop {
            let left = end.saturating_duration_since(now()).max(Duration::from_millis(1));
            match &mut self.link {
                Link::Udp(socket) => {
                    socket.set_read_timeout(Some(left)).expect("a limit");
                    let mut buffer = [0; 65_536];
                    match socket.recv(&mut buffer) {
                        Ok(length) => return Some(Message::read(&buffer[..length])),
                        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                        Err(error) => expect_timeout(&error),
                    }
                }
                Link::Tcp(stream, buffer) => {
                    if let Some(message) = cut(buffer) {
                        return Some(message);
                    }
                    stream.set_read_timeout(Some(left)).expect("a limit");
                    let mut chunk = [0; 16_384];
                    match stream.read(&mut chunk) {
                        Ok(0) => return None,
                        Ok(length) => buffer.extend_from_slice(&chunk[..length]),
                        Err(error) => expect_timeout(&error),
                    }
                }
            }
            if now() >= end {
                return None;
            }
        }
    }

    /// Send a request and repeat it until its final response is there (RFC 3261 17.1.2).
    pub(crate) fn call(&mut self, request: &str) -> Message {
        let asked = Message::read(request.as_bytes());
        let reliable = self.transport() == "TCP";
        let start = now();
        let mut wait = T1;
        self.send(request);
        loop {
            if let Some(response) = self.response_to(&asked, wait) {
                return response;
            }
            assert!(start.elapsed() < PATIENCE, "no response to {request}");
            wait = (wait * 2).min(Duration::from_secs(4));
            if !reliable {
                self.send(request);
            }
        }
    }

    fn response_to(&mut self, asked: &Message, limit: Duration) -> Option<Message> {
        let end = now() + limit;
        let answers = |m: &Message| {
            m.status() >= 200 && m.branch() == asked.branch() && m.method() == asked.method()
        };
        loop {
            if let Some(place) = self.inbox.iter().position(answers) {
                return self.inbox.remove(place);
            }
            let left = end.saturating_duration_since(now());
            let message = self.receive_new(left)?;
            self.inbox.push_back(message);
        }
    }

    /// OPTIONS, once, without repetition: whether it was answered in time.
    pub(crate) fn options_within(&mut self, limit: Duration) -> bool {
        let request = self.options();
        let asked = Message::read(request.as_bytes());
        self.send(&request);
        self.response_to(&asked, limit).is_some_and(|response| response.status() == 200)
    }

    /// An OPTIONS request.
    pub(crate) fn options(&self) -> String {
        let (user, server) = (&self.user, self.server);
        let more = format!(
            "From: <sip:{user}@example.com>;tag={}\r\nTo: <sip:{server}>\r\n\
             Call-ID: {}\r\nCSeq: 1 OPTIONS\r\n",
            unique(),
            unique()
        );
        self.write("OPTIONS", &format!("sip:{server}"), &more, "")
    }

    /// A PUBLISH for oneself (RFC 3903).
    pub(crate) fn publish_request(&self, publish: &Publish<'_>) -> String {
        let user = &self.user;
        let mut more = format!(
            "From: <sip:{user}@example.com>;tag={}\r\nTo: <sip:{user}@example.com>\r\n\
             Call-ID: {}\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: {}\r\n",
            unique(),
            unique(),
            publish.expires
        );
        if let Some(etag) = publish.etag {
            more += &format!("SIP-If-Match: {etag}\r\n");
        }
        let body = publish.note.map(|note| document(user, note)).unwrap_or_default();
        if !body.is_empty() {
            more += "Content-Type: application/pidf+xml\r\n";
        }
        self.write("PUBLISH", &format!("sip:{user}@example.com"), &more, &body)
    }

    /// PUBLISH and take the 200: the entity-tag.
    pub(crate) fn publish(&mut self, publish: &Publish<'_>) -> String {
        let request = self.publish_request(publish);
        let response = self.call(&request);
        assert_eq!(response.status(), 200, "{response:?}");
        response.header("SIP-ETag").to_owned()
    }

    /// A SUBSCRIBE to `presentity`, within `dialog` or to make one.
    pub(crate) fn subscribe_request(
        &self,
        presentity: &str,
        dialog: Option<&Dialog>,
        expires: u32,
    ) -> String {
        let to_tag = dialog.map(|d| format!(";tag={}", d.remote_tag)).unwrap_or_default();
        let more = format!(
            "From: <sip:{}@example.com>;tag={}\r\nTo: <sip:{presentity}@example.com>{to_tag}\r\n\
             Call-ID: {}\r\nCSeq: {} SUBSCRIBE\r\nContact: {}\r\nEvent: presence\r\n\
             Accept: application/pidf+xml\r\nExpires: {expires}\r\n",
            self.user,
            dialog.map_or_else(unique, |d| d.local_tag.clone()),
            dialog.map_or_else(unique, |d| d.call_id.clone()),
            dialog.map_or(1, |d| d.cseq),
            self.contact(),
        );
        let uri = match dialog {
            Some(dialog) => dialog.target.clone(),
            None => format!("sip:{presentity}@example.com"),
        };
        self.write("SUBSCRIBE", &uri, &more, "")
    }

    /// Subscribe and take the 200; the first NOTIFY comes on its own.
    pub(crate) fn subscribe(&mut self, presentity: &str, expires: u32) -> Dialog {
        let request = self.subscribe_request(presentity, None, expires);
        let asked = Message::read(request.as_bytes());
        let response = self.call(&request);
        assert!(matches!(response.status(), 200 | 202), "{response:?}");
        Dialog {
            call_id: asked.header("Call-ID").to_owned(),
            local_tag: asked.tag("From").expect("our tag").to_owned(),
            remote_tag: response.tag("To").expect("the server's tag").to_owned(),
            cseq: 1,
            presentity: presentity.to_owned(),
            target: response.contact_uri().to_owned(),
        }
    }

    /// Refresh (or, with 0, end) a subscription; the 200.
    pub(crate) fn refresh(&mut self, dialog: &mut Dialog, expires: u32) -> Message {
        dialog.cseq += 1;
        let presentity = dialog.presentity.clone();
        let request = self.subscribe_request(&presentity, Some(dialog), expires);
        let response = self.call(&request);
        assert_eq!(response.status(), 200, "{response:?}");
        response
    }

    /// The next NOTIFY of any dialog, answered with 200; repetitions are answered and passed over.
    pub(crate) fn notify(&mut self) -> Message {
        self.notify_within(PATIENCE).expect("a NOTIFY")
    }

    /// [`Phone::notify`] with a limit.
    pub(crate) fn notify_within(&mut self, limit: Duration) -> Option<Message> {
        let end = now() + limit;
        loop {
            let place = self.inbox.iter().position(|m| m.status() == 0);
            let message = match place {
                Some(place) => self.inbox.remove(place)?,
                None => {
                    let left = end.saturating_duration_since(now());
                    let message = self.receive_new(left)?;
                    self.inbox.push_back(message);
                    continue;
                }
            };
            assert_eq!(message.method(), "NOTIFY", "{message:?}");
            self.send(&message.response("200 OK"));
            return Some(message);
        }
    }

    /// NOTIFYs until one of this dialog says `text` in its body.
    pub(crate) fn notify_saying(&mut self, dialog: &Dialog, text: &str) -> Message {
        let end = now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(now());
            let Some(message) = self.notify_within(left) else {
                panic!("no NOTIFY says {text}");
            };
            if message.header("Call-ID") == dialog.call_id && message.body.contains(text) {
                return message;
            }
        }
    }
}

fn expect_timeout(error: &std::io::Error) {
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "receiving: {error}"
    );
}

/// Cut the first message out of what a stream brought.
fn cut(buffer: &mut Vec<u8>) -> Option<Message> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length = text.split_once("content-length:").expect("a length on a stream").1;
    let length: usize = length.lines().next()?.trim().parse().expect("a number");
    if buffer.len() < head + length {
        return None;
    }
    let rest = buffer.split_off(head + length);
    let message = Message::read(buffer);
    *buffer = rest;
    Some(message)
}

/// A PIDF document (RFC 3863).
fn document(user: &str, note: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{user}@example.com\">\
         <tuple id=\"t1\"><status><basic>open</basic></status><note>{note}</note></tuple>\
         </presence>\n"
    )
}
