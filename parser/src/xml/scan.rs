//! Markup by its places in the text: no tree, no copies, one pass.

use super::{XmlError, XmlReason, unescape};

/// A start tag or an empty-element tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Where its `<` is.
    pub start: usize,
    /// Behind its `>`.
    pub end: usize,
    /// Name as written, with prefix.
    pub name: &'a str,
    /// `<name/>`.
    pub empty: bool,
    inner: &'a str,
}

impl<'a> Tag<'a> {
    /// The attributes, namespace declarations among them.
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes {
            text: self.inner,
            base: self.start.saturating_add(1).saturating_add(self.name.len()),
            at: 0,
        }
    }

    /// The attribute of this name as written.
    pub fn attribute(&self, name: &str) -> Option<Attribute<'a>> {
        self.attributes().find(|attribute| attribute.name == name)
    }

    /// Prefix (empty when there is none) and local part of the name.
    pub fn split_name(&self) -> (&'a str, &'a str) {
        self.name.split_once(':').unwrap_or(("", self.name))
    }

    /// Is this a root of this local name in the namespace, by its own declarations?
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        let (prefix, name) = self.split_name();
        let mut declared = self.attributes();
        name == local
            && declared.any(|attribute| {
                attribute.declares() == Some(prefix) && unescape(attribute.value) == namespace
            })
    }

    /// Where the name ends: the place for another attribute.
    pub const fn name_end(&self) -> usize {
        self.start.saturating_add(1).saturating_add(self.name.len())
    }
}

/// One attribute of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Name as written, with prefix.
    pub name: &'a str,
    /// Value as written: references are not resolved.
    pub value: &'a str,
    /// Where the value starts in the text.
    pub value_at: usize,
}

impl<'a> Attribute<'a> {
    /// The prefix this attribute binds (empty for the default namespace), if it is a declaration.
    pub fn declares(&self) -> Option<&'a str> {
        match self.name {
            "xmlns" => Some(""),
            name => name.strip_prefix("xmlns:"),
        }
    }
}

/// The attributes of a tag in their order. It ends at the first piece that is none.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    text: &'a str,
    base: usize,
    at: usize,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let rest = self.text.get(self.at..)?;
        let name_text = rest.trim_start();
        let equals = memchr::memchr(b'=', name_text.as_bytes())?;
        let name = name_text.get(..equals)?.trim_end();
        let behind = name_text.get(equals.checked_add(1)?..)?.trim_start();
        let quote = *behind.as_bytes().first()?;
        if quote != b'"' && quote != b'\'' {
            return None;
        }
        let quoted = behind.get(1..)?;
        let length = memchr::memchr(quote, quoted.as_bytes())?;
        let value = quoted.get(..length)?;
        let value_at = self.text.len().checked_sub(quoted.len())?;
        self.at = value_at.checked_add(length)?.checked_add(1)?;
        Some(Attribute { name, value, value_at: self.base.checked_add(value_at)? })
    }
}

/// One piece of markup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup<'a> {
    /// A start tag or an empty-element tag.
    Open(Tag<'a>),
    /// An end tag.
    Close {
        /// Where its `<` is.
        start: usize,
        /// Behind its `>`.
        end: usize,
    },
    /// A comment, a processing instruction or a CDATA section.
    Other,
}

/// Walks from one piece of markup to the next.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// From the start of the text.
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// From behind a tag of this text.
    pub(super) const fn behind_tag(text: &'a str, tag: &Tag<'a>) -> Self {
        Self { text, at: tag.end }
    }

    /// The next piece; `None` at the end of the text.
    pub fn next_markup(&mut self) -> Result<Option<Markup<'a>>, XmlError> {
        let rest = self.rest(self.at);
        let Some(skip) = near(b'<', rest.as_bytes()) else {
            self.at = self.text.len();
            return Ok(None);
        };
        let start = self.at.saturating_add(skip);
        let rest = self.rest(start);
        let (end, markup) = match rest.as_bytes().get(1) {
            Some(b'!') => (self.bang(start, rest)?, Markup::Other),
            Some(b'?') => (self.behind(start, 2, b"?>")?, Markup::Other),
            Some(b'/') => {
                let length = near(b'>', rest.as_bytes());
                let length = length.ok_or_else(|| XmlError::new(XmlReason::Malformed, start))?;
                let end = start.saturating_add(length).saturating_add(1);
                (end, Markup::Close { start, end })
            }
            _ => {
                let tag = self.tag(start)?;
                (tag.end, Markup::Open(tag))
            }
        };
        self.at = end;
        Ok(Some(markup))
    }

    fn rest(&self, from: usize) -> &'a str {
        self.text.get(from..).unwrap_or_default()
    }

    /// Behind the next `end` that starts `skip` bytes after `start` or later.
    fn behind(&self, start: usize, skip: usize, end: &[u8]) -> Result<usize, XmlError> {
        let from = start.saturating_add(skip);
        let body = self.rest(from).as_bytes();
        // All ends are closed by this.
        memchr::memchr_iter(b'>', body)
            .map(|at| at.saturating_add(1))
            .find(|length| body.get(..*length).is_some_and(|part| part.ends_with(end)))
            .map(|length| from.saturating_add(length))
            .ok_or_else(|| XmlError::new(XmlReason::Malformed, start))
    }

    fn bang(&self, start: usize, rest: &str) -> Result<usize, XmlError> {
        if rest.starts_with("<!--") {
            self.behind(start, 4, b"-->")
        } else if rest.starts_with("<![CDATA[") {
            self.behind(start, 9, b"]]>")
        } else {
            Err(XmlError::new(XmlReason::Dtd, start))
        }
    }

    fn tag(&self, start: usize) -> Result<Tag<'a>, XmlError> {
        let malformed = XmlError::new(XmlReason::Malformed, start);
        let body = self.rest(start.saturating_add(1));
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>');
        let name_length = body.as_bytes().iter().position(is_end);
        let name_length = name_length.filter(|length| *length > 0).ok_or(malformed)?;
        let (name, behind) = body.split_at_checked(name_length).ok_or(malformed)?;
        let mut length = 0_usize;
        loop {
            let part = behind.as_bytes().get(length..).unwrap_or_default();
            let stop = memchr::memchr3(b'"', b'\'', b'>', part).ok_or(malformed)?;
            let at = length.saturating_add(stop);
            let quote = *part.get(stop).ok_or(malformed)?;
            if quote == b'>' {
                length = at;
                break;
            }
            let value = behind.as_bytes().get(at.saturating_add(1)..).unwrap_or_default();
            let close = near(quote, value).ok_or(malformed)?;
            length = at.saturating_add(close).saturating_add(2);
        }
        let inner = behind.get(..length).ok_or(malformed)?;
        let end = start.saturating_add(name_length).saturating_add(length).saturating_add(2);
        let (inner, empty) = match inner.strip_suffix('/') {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        Ok(Tag { start, end, name, empty, inner })
    }
}

/// Position of the first such byte, which most often is among the next few: the search for a far
/// one takes its time to begin.
fn near(needle: u8, bytes: &[u8]) -> Option<usize> {
    let (head, tail) = bytes.split_at_checked(16).unwrap_or((bytes, b""));
    let here = head.iter().position(|byte| *byte == needle);
    here.or_else(|| Some(memchr::memchr(needle, tail)?.saturating_add(head.len())))
}
