//! The messages that are measured, and what they say.

use bytes::Bytes;

/// What a presence server reads of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// User and host of the Request-URI.
    pub target: String,
    /// Host and port of the topmost Via.
    pub sent_by: String,
    /// Its branch.
    pub branch: String,
    /// User and host of From.
    pub from: String,
    /// Its tag.
    pub from_tag: String,
    /// User and host of To.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// Number of CSeq.
    pub cseq: u32,
    /// Max-Forwards.
    pub max_forwards: u32,
    /// Event.
    pub event: String,
    /// Expires.
    pub expires: u32,
    /// SIP-If-Match.
    pub if_match: Option<String>,
    /// User, host and port of Contact.
    pub contact: Option<String>,
    /// Content-Type.
    pub content_type: Option<String>,
    /// Length of the body.
    pub body: usize,
}

/// A message in the forms that parsers take it.
pub struct Message {
    /// What it is called in the table.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The same, for those that keep a part of it by counting references.
    pub shared: Bytes,
    /// The same with a start line of HTTP, as long as its own.
    pub http: Vec<u8>,
    /// What it says.
    pub told: Told,
}

const SUBSCRIBE: &str = "SUBSCRIBE sip:alice@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK74bf9d1a2c;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Bob\" <sip:bob@example.com>;tag=9fxced76s\r\n\
    To: <sip:alice@example.com>\r\n\
    Call-ID: 3848276298220188511@192.0.2.17\r\n\
    CSeq: 17766 SUBSCRIBE\r\n\
    Contact: <sip:bob@192.0.2.17:5060;transport=udp>\r\n\
    Event: presence\r\n\
    Accept: application/pidf+xml\r\n\
    Expires: 3600\r\n\
    Allow-Events: presence, presence.winfo\r\n\
    User-Agent: Example/1.0\r\n\
    Content-Length: 0\r\n\r\n";

const PUBLISH: &str = "PUBLISH sip:alice@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK74bf9d1a2c;rport\r\n\
    Max-Forwards: 70\r\n\
    From: \"Alice\" <sip:alice@example.com>;tag=9fxced76s\r\n\
    To: <sip:alice@example.com>\r\n\
    Call-ID: 3848276298220188511@192.0.2.17\r\n\
    CSeq: 17766 PUBLISH\r\n\
    Event: presence\r\n\
    SIP-If-Match: dx200xyz\r\n\
    Expires: 3600\r\n\
    User-Agent: Example/1.0\r\n\
    Content-Type: application/pidf+xml\r\n\
    Content-Length: 400\r\n\r\n";

const PIDF: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n\
    <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
    xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" entity=\"sip:alice@example.com\">\r\n\
    <tuple id=\"t4109\"><status><basic>open</basic></status>\
    <contact priority=\"0.8\">sip:alice@192.0.2.17</contact></tuple>\r\n\
    <dm:person id=\"p12\"><dm:note>At my desk, in room twelve of the old building.</dm:note>\
    </dm:person>\r\n</presence>\r\n";

impl Message {
    /// A SUBSCRIBE of 464 bytes and a PUBLISH with a body of 400.
    pub fn all() -> [Self; 2] {
        let told = Told {
            target: "alice@example.com".into(),
            sent_by: "192.0.2.17:5060".into(),
            branch: "z9hG4bK74bf9d1a2c".into(),
            from: "alice@example.com".into(),
            from_tag: "9fxced76s".into(),
            to: "alice@example.com".into(),
            call_id: "3848276298220188511@192.0.2.17".into(),
            cseq: 17766,
            max_forwards: 70,
            event: "presence".into(),
            expires: 3600,
            if_match: Some("dx200xyz".into()),
            contact: None,
            content_type: Some("application/pidf+xml".into()),
            body: PIDF.len(),
        };
        let subscribe = Told {
            from: "bob@example.com".into(),
            if_match: None,
            contact: Some("bob@192.0.2.17:5060".into()),
            content_type: None,
            body: 0,
            ..told.clone()
        };
        assert_eq!((SUBSCRIBE.len(), PIDF.len()), (464, 400));
        [
            Self::new("SUBSCRIBE", SUBSCRIBE.into(), subscribe),
            Self::new("PUBLISH", [PUBLISH, PIDF].concat(), told),
        ]
    }

    fn new(name: &'static str, text: String, told: Told) -> Self {
        let http = text
            .replace(" sip:alice@example.com ", " /sip:alice@example.co ")
            .replacen("SIP/2.0", "HTTP/1.1", 1);
        let bytes = text.into_bytes();
        Self { name, shared: Bytes::from(bytes.clone()), bytes, http: http.into(), told }
    }
}
