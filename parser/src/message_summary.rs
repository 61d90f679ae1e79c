//! simple-message-summary (RFC 3842 5.2), checked by its grammar.

/// What a summary says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSummary<'a> {
    /// `Messages-Waiting: yes`.
    pub waiting: bool,
    /// `Message-Account`.
    pub account: Option<&'a str>,
    /// Number of summary lines (`Voice-Message: 4/8 (1/2)`).
    pub summaries: usize,
    /// Number of lines about single messages, after the empty line.
    pub headers: usize,
}

/// Which line breaks the grammar, and at which byte it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryError {
    /// Byte offset of the line.
    pub offset: usize,
}

/// Lines end with CRLF; the last one may go without, the body's end being its end.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line as text without its end; `None` when there is none left.
    fn next_line(&mut self) -> Result<Option<&'a str>, SummaryError> {
        let error = SummaryError { offset: self.at };
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let (line, length) = match memchr::memchr2(b'\r', b'\n', rest) {
            None => (rest, rest.len()),
            Some(end) => {
                let behind = end.saturating_add(2);
                if rest.get(end..behind) != Some(b"\r\n") {
                    return Err(error);
                }
                (rest.get(..end).unwrap_or_default(), behind)
            }
        };
        self.at = self.at.saturating_add(length);
        core::str::from_utf8(line).map(Some).map_err(|_| error)
    }
}

/// Check a body, whole. Header names compare without case (RFC 3261 7.3.1).
pub fn parse(bytes: &[u8]) -> Result<MessageSummary<'_>, SummaryError> {
    let mut lines = Lines { bytes, at: 0 };
    let first = lines.next_line()?.and_then(field).filter(|(name, _)| is(name, "Messages-Waiting"));
    let waiting = match first {
        Some((_, value)) if is(value, "yes") => true,
        Some((_, value)) if is(value, "no") => false,
        _ => return Err(SummaryError { offset: 0 }),
    };
    let mut summary = MessageSummary { waiting, account: None, summaries: 0, headers: 0 };
    loop {
        let error = SummaryError { offset: lines.at };
        let Some(line) = lines.next_line()? else { return Ok(summary) };
        if line.is_empty() {
            return single_messages(&mut lines, summary, error);
        }
        let (name, value) = field(line).ok_or(error)?;
        if is(name, "Message-Account") {
            if summary.account.is_some() || summary.summaries > 0 || !is_uri(value) {
                return Err(error);
            }
            summary.account = Some(value);
        } else if is_count(value) {
            summary.summaries = summary.summaries.saturating_add(1);
        } else {
            return Err(error);
        }
    }
}

/// What follows the empty line: blocks of header lines, one block a message.
fn single_messages<'a>(
    lines: &mut Lines<'a>,
    mut summary: MessageSummary<'a>,
    start: SummaryError,
) -> Result<MessageSummary<'a>, SummaryError> {
    let mut block = 0_usize;
    loop {
        let error = SummaryError { offset: lines.at };
        match lines.next_line()? {
            None if block == 0 => return Err(start),
            None => return Ok(summary),
            Some("") if block == 0 => return Err(error),
            Some("") => block = 0,
            Some(line) => {
                let folded = line.starts_with([' ', '\t']) && block > 0;
                if !folded && field(line).is_none() {
                    return Err(error);
                }
                block = block.saturating_add(1);
                summary.headers = summary.headers.saturating_add(usize::from(!folded));
            }
        }
    }
}

fn is(text: &str, name: &str) -> bool {
    text.eq_ignore_ascii_case(name)
}

/// Name and value of `name HCOLON value`.
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end_matches([' ', '\t']);
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    let printable = !value.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f);
    (!name.is_empty() && name.bytes().all(token) && printable)
        .then(|| (name, value.trim_matches([' ', '\t'])))
}

/// An absolute URI as far as it matters here: a scheme, a colon and something without blanks.
fn is_uri(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !rest.is_empty()
        && !rest.contains(|c: char| c.is_whitespace() || c == '<' || c == '>')
}

/// `new SLASH old [ LPAREN urgent-new SLASH urgent-old RPAREN ]`; counts fit 32 bits.
fn is_count(value: &str) -> bool {
    let (all, urgent) = match value.split_once('(') {
        None => (value, None),
        Some((all, rest)) => match rest.strip_suffix(')') {
            Some(urgent) => (all, Some(urgent)),
            None => return false,
        },
    };
    let pair = |text: &str| {
        let count = |number: &str| {
            let digits = number.trim_matches([' ', '\t']);
            digits.len() <= 10
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && digits.parse::<u32>().is_ok()
        };
        text.split_once('/').is_some_and(|(new, old)| count(new) && count(old))
    };
    pair(all) && urgent.is_none_or(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3842 5.2 and the wire format of the inventory's section 9.
    #[test]
    fn real_summaries_pass() {
        let text = b"Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n\
            Voice-Message: 4/8 (1/2)\r\nfax-message : 0/0\r\n";
        let found = parse(text).unwrap();
        assert_eq!((found.waiting, found.summaries, found.headers), (true, 2, 0));
        assert_eq!(found.account, Some("sip:alice@vmail.example.com"));
        assert!(!parse(b"messages-waiting: NO\r\n").unwrap().waiting);
        assert!(parse(b"Messages-Waiting: no").is_ok(), "the body's end ends the line");
        let with_headers = b"Messages-Waiting: yes\r\nVoice-Message: 2/0\r\n\r\n\
            To: <alice@atlanta.example.com>\r\nSubject: carpool\r\n tomorrow?\r\n\r\n\
            To: <alice@example.com>\r\nSubject: HELP!\r\n";
        assert_eq!(parse(with_headers).unwrap().headers, 4);
    }

    /// X18: the original's check could not be reached; every rule is broken once here.
    #[test]
    fn broken_summaries_are_refused_by_line() {
        for (broken, offset) in [
            ("", 0),
            ("Messages-Waiting: maybe\r\n", 0),
            ("Voice-Message: 1/2\r\n", 0),
            ("Messages-Waiting: yes\n", 0),
            ("Messages-Waiting: yes\r\nVoice-Message: 4\r\n", 23),
            ("Messages-Waiting: yes\r\nVoice-Message: 4/8 (1/2\r\n", 23),
            ("Messages-Waiting: yes\r\nVoice-Message: 4/8 ()\r\n", 23),
            ("Messages-Waiting: yes\r\nVoice-Message: +4/8\r\n", 23),
            ("Messages-Waiting: yes\r\nVoice-Message: 4294967296/0\r\n", 23),
            ("Messages-Waiting: yes\r\nVoice Message: 4/8\r\n", 23),
            ("Messages-Waiting: yes\r\nMessage-Account: alice\r\n", 23),
            ("Messages-Waiting: yes\r\nVoice-Message: 1/2\r\nMessage-Account: sip:a@b\r\n", 43),
            ("Messages-Waiting: yes\r\n\r\n", 23),
            ("Messages-Waiting: yes\r\n\r\nno header\r\n", 25),
            ("Messages-Waiting: yes\r\n\r\nA: b\r\n\r\n\r\n", 33),
        ] {
            assert_eq!(parse(broken.as_bytes()), Err(SummaryError { offset }), "{broken:?}");
        }
        assert!(parse(b"Messages-Waiting: yes\r\nX: \xff\r\n").is_err());
    }
}
