//! SIP messages as a user agent sees them: plain text, read and written without the server's
//! parser.

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) start: String,
    headers: Vec<(String, String)>,
    /// The body as text.
    pub(crate) body: String,
}

impl Message {
    /// Reads one message; panics on what is none, since the server never sends that.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("the server writes UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("an end of the head");
        let mut lines = head.split("\r\n");
        let start = lines.next().expect("a start line").to_owned();
        let headers = lines
            .map(|line| line.split_once(':').expect("a header"))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let read = Self { start, headers, body: body.to_owned() };
        let length: usize = read.header("Content-Length").parse().expect("a Content-Length");
        assert_eq!(length, body.len(), "Content-Length says how long the body is: {text}");
        read
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = name.to_ascii_lowercase();
        let named = self.headers.iter().filter(move |(header, _)| *header == name);
        named.map(|(_, value)| &**value)
    }

    /// The first value of a header.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// A header that must be there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// Status code of a response, 0 for a request.
    pub(crate) fn status(&self) -> u16 {
        let code = self.start.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.map_or(0, |code| code.parse().expect("a status code"))
    }

    /// Method of a request, or of the request that a response answers.
    pub(crate) fn method(&self) -> &str {
        self.header("CSeq").split_whitespace().nth(1).expect("a method")
    }

    /// The number in CSeq.
    pub(crate) fn cseq(&self) -> u32 {
        let number = self.header("CSeq").split_whitespace().next();
        number.and_then(|number| number.parse().ok()).expect("a number")
    }

    /// The branch of the top Via.
    pub(crate) fn branch(&self) -> &str {
        parameter(self.header("Via"), "branch").expect("a branch")
    }

    /// The tag of From or To.
    pub(crate) fn tag(&self, header: &str) -> Option<&str> {
        parameter(self.header(header), "tag")
    }

    /// The state in Subscription-State, without its parameters.
    pub(crate) fn subscription_state(&self) -> &str {
        self.header("Subscription-State").split(';').next().unwrap_or_default()
    }

    /// The URI in Contact.
    pub(crate) fn contact_uri(&self) -> &str {
        let contact = self.header("Contact");
        let inside = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        inside.map_or(contact, |(uri, _)| uri)
    }

    /// A response to this request: what it must copy (RFC 3261 8.2.6.2), and nothing else.
    pub(crate) fn response(&self, status: &str) -> String {
        let mut out = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in self.all(name) {
                out += &format!("{name}: {value}\r\n");
            }
        }
        out + "Content-Length: 0\r\n\r\n"
    }
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    // The parameters of a name-addr follow its bracket.
    let outside = value.rsplit_once('>').map_or(value, |(_, rest)| rest);
    outside.split(';').find_map(|p| {
        let (found, value) = p.trim().split_once('=')?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}
