//! What passed at the server's door, for checks that look at a whole run.

use std::fmt;
use std::net::SocketAddr;

use pharos_engine::Instant;

use crate::message::Sip;

/// One message that the server received or sent.
#[derive(Clone, Debug)]
pub struct Wire {
    /// When.
    pub at: Instant,
    /// Received by the server; else sent by it.
    pub received: bool,
    /// The other side.
    pub peer: SocketAddr,
    /// Over a connection.
    pub stream: bool,
    /// The process has been started so many times.
    pub life: u32,
    /// The message.
    pub bytes: Box<[u8]>,
}

/// An instant as seconds with milliseconds.
pub(crate) struct Seconds(pub(crate) Instant);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0.0 / 1_000_000_000, self.0.0 / 1_000 % 1_000_000);
        f.pad(&text)
    }
}

/// One line: when, who, and what of the message tells it from others.
impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.received { "->" } else { "<-" };
        let how = if self.stream { " tcp" } else { "" };
        write!(f, "{:>12} {} {arrow}{how} ", Seconds(self.at), self.peer.ip())?;
        let sip = Sip::read(self.at, self.peer, self.stream, &self.bytes);
        write!(f, "{}", sip.start())?;
        for name in [
            "CSeq",
            "Call-ID",
            "Event",
            "Expires",
            "SIP-If-Match",
            "SIP-ETag",
            "Subscription-State",
        ] {
            for value in sip.headers(name) {
                write!(f, " | {name}: {value}")?;
            }
        }
        let tag = |header| sip.parameter(header, "tag").unwrap_or("-").to_owned();
        write!(f, " | {} {} {}", tag("From"), tag("To"), sip.branch())?;
        let body: String = sip.body.split_whitespace().collect::<Vec<_>>().join(" ");
        if body.is_empty() { Ok(()) } else { write!(f, " | {body}") }
    }
}
