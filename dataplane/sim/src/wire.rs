//! What passed at the server's door, for checks that look at a whole run.

use std::net::SocketAddr;

use pharos_engine::Instant;

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
