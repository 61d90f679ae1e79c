//! SIP as a user agent of the world reads and writes it.
//!
//! This is on purpose not the server's parser: a few lines that split text, so that a mistake in
//! the parser cannot hide itself. What the server sends is also checked with the parser, in
//! [`crate::check`].

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use pharos_engine::Instant;

/// A message that a user agent received, whole.
#[derive(Clone)]
pub struct Sip {
    /// When it arrived.
    pub at: Instant,
    /// Who sent it.
    pub from: SocketAddr,
    /// It came over a connection, not as a datagram.
    pub stream: bool,
    start: String,
    headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: String,
}

impl Sip {
    /// Split `bytes`. Keep-alives and junk give a message with an empty start line.
    pub fn read(at: Instant, from: SocketAddr, stream: bool, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self { at, from, stream, start, headers, body: body.to_owned() }
    }

    /// The first line.
    pub fn start(&self) -> &str {
        &self.start
    }

    /// The status of a response, 0 of a request.
    pub fn status(&self) -> u16 {
        let Some(rest) = self.start.strip_prefix("SIP/2.0 ") else { return 0 };
        rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The method of a request, or the one that a response answers.
    pub fn method(&self) -> &str {
        if self.is_request() {
            self.start.split(' ').next().unwrap_or_default()
        } else {
            self.header("CSeq").split(' ').nth(1).unwrap_or_default()
        }
    }

    /// The Request-URI, empty in a response.
    pub fn uri(&self) -> &str {
        if self.is_request() { self.start.split(' ').nth(1).unwrap_or_default() } else { "" }
    }

    /// It is a request.
    pub fn is_request(&self) -> bool {
        self.status() == 0 && self.start.ends_with("SIP/2.0")
    }

    /// The value of the first header of this name, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// There is such a header.
    pub fn has(&self, name: &str) -> bool {
        self.headers(name).next().is_some()
    }

    /// All values of the headers of this name, one for each line.
    pub fn headers<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s str> {
        let of_name = move |(have, _): &&(String, String)| have.eq_ignore_ascii_case(name);
        self.headers.iter().filter(of_name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the first header of this name, such as `tag` of `To`.
    pub fn parameter(&self, header: &str, name: &str) -> Option<&str> {
        let value = self.header(header);
        let outside = value.rsplit_once('>').map_or(value, |(_, after)| after);
        outside.split(';').skip(1).find_map(|parameter| {
            let (have, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            have.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The number of CSeq.
    pub fn cseq(&self) -> u32 {
        self.header("CSeq").split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// The branch of the top Via.
    pub fn branch(&self) -> &str {
        self.parameter("Via", "branch").unwrap_or_default()
    }

    /// The dialog as Call-ID and both tags, the same whichever side sends a request and for its
    /// answer.
    pub fn dialog(&self) -> String {
        let tag = |header| self.parameter(header, "tag").unwrap_or_default();
        format!("{} {} {}", self.header("Call-ID"), tag("From"), tag("To"))
    }

    /// The SIP-ETag of a response.
    pub fn etag(&self) -> &str {
        self.header("SIP-ETag")
    }

    /// Expires in seconds.
    pub fn expires(&self) -> Option<u32> {
        self.header("Expires").parse().ok()
    }

    /// The URI between the angle brackets of Contact.
    pub fn contact(&self) -> &str {
        let value = self.header("Contact");
        value
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'))
            .map_or(value, |(uri, _)| uri)
    }

    /// The state that Subscription-State names.
    pub fn state(&self) -> &str {
        self.header("Subscription-State").split(';').next().unwrap_or_default()
    }

    /// The `reason` of Subscription-State.
    pub fn reason(&self) -> &str {
        self.parameter("Subscription-State", "reason").unwrap_or_default()
    }

    /// Itself, when it is the answer that the scenario names; else the scenario fails.
    ///
    /// # Panics
    /// When the status is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status() == status, "wanted {status}, got\n{self}");
        self
    }

    /// The first attribute of this name in the body, the XML declaration apart.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.body.split("?>").last()?.split_once(&format!(" {name}="))?;
        let quote = rest.chars().next()?;
        rest[1..].split(quote).next()
    }

    /// The answer of a user agent: what RFC 3261 8.2.6.2 says is copied, then the given lines.
    pub fn answer(&self, status: &str, tag: &str, lines: &[(String, String)]) -> Vec<u8> {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for via in self.headers("Via") {
            let _ = write!(text, "Via: {via}\r\n");
        }
        let to = self.header("To");
        let tag = if to.contains("tag=") { String::new() } else { format!(";tag={tag}") };
        let _ = write!(
            text,
            "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n",
            self.header("From"),
            self.header("Call-ID"),
            self.header("CSeq"),
        );
        for (name, value) in lines {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        text.into_bytes()
    }
}

impl fmt::Display for Sip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.start)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        write!(f, "\n{}", self.body)
    }
}

impl fmt::Debug for Sip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at {} ms from {}: {self}", self.at.0 / 1_000_000, self.from)
    }
}

/// A request as a user agent writes it; every part can be made wrong.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    /// A request line and nothing else.
    pub fn bare(method: &str, uri: &str) -> Self {
        let (method, uri) = (method.to_owned(), uri.to_owned());
        Self { method, uri, headers: Vec::new(), body: String::new() }
    }

    /// With this header, instead of any of that name.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl fmt::Display) -> Self {
        match self.headers.iter_mut().find(|(have, _)| have.eq_ignore_ascii_case(name)) {
            Some((_, have)) => *have = value.to_string(),
            None => self.headers.push((name.to_owned(), value.to_string())),
        }
        self
    }

    /// With one more header of this name, last.
    #[must_use]
    pub fn add(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Without any header of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(have, _)| !have.eq_ignore_ascii_case(name));
        self
    }

    /// To this Request-URI.
    #[must_use]
    pub fn uri(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.uri);
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.set("Content-Type", content_type)
    }

    /// The value of a header, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The branch of the top Via.
    pub fn branch(&self) -> &str {
        let via = self.header("Via");
        via.split_once("branch=")
            .map_or("", |(_, rest)| rest.split([';', ',']).next().unwrap_or(""))
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The bytes, with Content-Length unless one was set.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} SIP/2.0\r\n", self.method, self.uri);
        for (name, value) in &self.headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if self.header("Content-Length").is_empty() {
            let _ = write!(text, "Content-Length: {}\r\n", self.body.len());
        }
        let _ = write!(text, "\r\n{}", self.body);
        text.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);

    #[test]
    fn a_request_reads_as_it_was_written() {
        let request = Request::bare("NOTIFY", "sip:bob@192.0.2.9")
            .set("Via", "SIP/2.0/UDP h;branch=z9hG4bKx;rport")
            .set("To", "\"a\" <sip:bob@example.com;x=1>;tag=t")
            .set("Subscription-State", "terminated;reason=timeout")
            .set("CSeq", "7 NOTIFY")
            .body("text/plain", "hello");
        let sip = Sip::read(Instant(0), PEER, false, &request.bytes());
        assert_eq!((sip.method(), sip.uri(), sip.cseq()), ("NOTIFY", "sip:bob@192.0.2.9", 7));
        assert_eq!((sip.branch(), sip.parameter("To", "tag")), ("z9hG4bKx", Some("t")));
        assert_eq!((sip.state(), sip.reason()), ("terminated", "timeout"));
        assert_eq!((sip.header("content-length"), sip.body.as_str()), ("5", "hello"));
        assert_eq!(sip.branch(), request.branch());
        let answer = Sip::read(Instant(0), PEER, false, &sip.answer("200 OK", "me", &[]));
        assert_eq!((answer.status(), answer.method()), (200, "NOTIFY"));
        assert_eq!(answer.parameter("To", "tag"), Some("t"));
    }
}
