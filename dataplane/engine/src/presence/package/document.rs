//! A composed document: written once per change, copied for each watcher with its version.

use alloc::vec::Vec;

/// Bytes of a version attribute's value with its closing quote and one space: ten digits hold every
/// `u32`.
pub const VERSION_FIELD: usize = 12;

/// What a NOTIFY carries. Default is a NOTIFY without body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Media type; empty when there is no body.
    pub content_type: &'static str,
    /// Extra header lines, each with its CRLF (`Call-Info: ...`).
    pub headers: Vec<u8>,
    /// The body with the version field blank.
    pub bytes: Vec<u8>,
    /// Where the version goes: [`VERSION_FIELD`] bytes after the opening quote of the attribute.
    pub version_at: Option<usize>,
}

impl Document {
    /// A document without version.
    pub const fn new(content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { content_type, headers: Vec::new(), bytes, version_at: None }
    }

    /// Is there anything to put behind Content-Type?
    pub const fn has_body(&self) -> bool {
        !self.content_type.is_empty()
    }

    /// Append a blank version field to a document being written. The value is followed by its
    /// closing quote and then by white space, which XML allows between attributes: no leading
    /// zeros, and the length of the document does not depend on the version.
    pub fn push_version_field(&mut self) {
        self.version_at = Some(self.bytes.len());
        self.bytes.extend_from_slice(b"0\"");
        self.bytes.resize(self.bytes.len() + VERSION_FIELD - 2, b' ');
    }

    /// Append the body to `out`, its version set.
    pub fn write_body(&self, version: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let Some(field) =
            self.version_at.and_then(|at| out.get_mut(start + at..start + at + VERSION_FIELD))
        else {
            return;
        };
        field.fill(b' ');
        let mut digits = [0; 10];
        let mut rest = version;
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let length = digits.len() - first;
        field[..length].copy_from_slice(&digits[first..]);
        field[length] = b'"';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versioned(version: u32) -> String {
        let mut document = Document::new("a/b", b"<a version=\"".to_vec());
        document.push_version_field();
        document.bytes.extend_from_slice(b"x=\"1\"/>");
        let mut out = b"head ".to_vec();
        document.write_body(version, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// C113, C115: one length for every version, no leading zeros.
    #[test]
    fn the_version_is_patched_in_place() {
        assert_eq!(versioned(0), "head <a version=\"0\"          x=\"1\"/>");
        assert_eq!(versioned(907), "head <a version=\"907\"        x=\"1\"/>");
        assert_eq!(versioned(u32::MAX), "head <a version=\"4294967295\" x=\"1\"/>");
    }
}
