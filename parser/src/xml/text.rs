//! Character references, both ways.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// Append `text` so that it is right as content and within either quote. Characters that XML 1.0
/// cannot carry at all become U+FFFD; line ends and tabs are written by number, so that attribute
/// values keep them.
pub fn escape(text: &str, out: &mut Vec<u8>) {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let written: &[u8] = match c {
            '&' => b"&amp;",
            '<' => b"&lt;",
            '>' => b"&gt;",
            '"' => b"&quot;",
            '\'' => b"&apos;",
            '\t' => b"&#9;",
            '\n' => b"&#10;",
            '\r' => b"&#13;",
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => "\u{fffd}".as_bytes(),
            _ => continue,
        };
        out.extend_from_slice(text.get(plain..at).unwrap_or_default().as_bytes());
        out.extend_from_slice(written);
        plain = at.saturating_add(c.len_utf8());
    }
    out.extend_from_slice(text.get(plain..).unwrap_or_default().as_bytes());
}

/// The text that an attribute value or a piece of content stands for. What is no known reference
/// stays as it is.
pub fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let (head, mut rest) = raw.split_at_checked(first).unwrap_or((raw, ""));
    let mut out = String::from(head);
    while let Some(behind) = rest.strip_prefix('&') {
        let resolved = behind
            .as_bytes()
            .iter()
            .take(MAX_REFERENCE)
            .position(|byte| *byte == b';')
            .and_then(|length| Some((reference(behind.get(..length)?)?, length)));
        rest = match resolved {
            Some((c, length)) => {
                out.push(c);
                behind.get(length.saturating_add(1)..).unwrap_or_default()
            }
            None => {
                out.push('&');
                behind
            }
        };
        let next = memchr::memchr(b'&', rest.as_bytes()).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at_checked(next).unwrap_or((rest, ""));
        out.push_str(plain);
        rest = tail;
    }
    Cow::Owned(out)
}

/// Bytes behind `&` among which its `;` must be: `#x` and eight digits, with some leading zeros.
const MAX_REFERENCE: usize = 16;

fn reference(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}
