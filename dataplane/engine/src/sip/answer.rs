//! What an answer says. A completed transaction keeps no more than this: the retransmission brings
//! the rest.

/// An event package, by its place in the registry of presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PackageId(pub u8);

/// A final answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status, 200 to 699.
    pub status: u16,
    /// The headers that go with it.
    pub detail: Detail,
}

/// What an answer carries beside what every answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    None,
    /// SIP-ETag (derived from the request, [`super::Incoming::entity_tag`]) and Expires, seconds.
    Publication(u32),
    /// Expires in seconds, our Contact, the Record-Route of the request.
    Subscription(u32),
    /// Min-Expires, seconds (423).
    MinExpires(u32),
    /// Retry-After, seconds (500, 503).
    RetryAfter(u32),
    /// Accept with the body types of the package (406, 415).
    Accept(PackageId),
    /// Accept-Encoding: identity only (415).
    AcceptEncoding,
    /// Allow-Events with all packages (489).
    AllowEvents,
    /// Allow with the methods served (405, and 200 to OPTIONS with all that it lists).
    Allow,
    /// Unsupported with what Require asked for (420).
    Unsupported,
}

impl Answer {
    /// A status and nothing else.
    pub const fn status(status: u16) -> Self {
        Self { status, detail: Detail::None }
    }

    /// A status with its detail.
    pub const fn with(status: u16, detail: Detail) -> Self {
        Self { status, detail }
    }
}

const _: () = assert!(size_of::<Answer>() <= 12);
