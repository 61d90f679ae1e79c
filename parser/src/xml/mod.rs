//! XML bodies, bounded: no DTD, no entities beyond the five, and limits on size, depth and counts.
//!
//! There are two readers. [`read`] builds roxmltree's tree and proves that a document is
//! well-formed and its namespaces bound: for what comes from outside. [`Outline`] finds the root's
//! start tag and its children by their places in the text: for copying parts of documents that were
//! read before. It takes any bytes too, but vouches for nothing inside the children.
//!
//! roxmltree compares the attributes of one element with each other and copies the namespaces in
//! scope to each element that declares one; the limits keep both linear in the document's length.

mod outline;
pub(crate) mod plain;
mod scan;
mod text;

use roxmltree::{Document, Error, ParsingOptions, TextPos};

pub use outline::{Child, Outline, declare};
pub use scan::{Attribute, Attributes, Markup, Scanner, Tag};
pub use text::{escape, unescape};

/// Longest document, bytes: what a UDP datagram carries at most.
pub const MAX_LENGTH: usize = 65_536;
/// Deepest nesting of elements. PIDF with RPID needs 6, dialog-info 5.
pub const MAX_DEPTH: usize = 32;
/// Most elements: 64 KiB of the 16-byte elements that real documents are made of at the least.
pub const MAX_ELEMENTS: usize = 4_096;
/// Most attributes and namespace declarations of one element (dialog-info has 8).
pub const MAX_ATTRIBUTES: usize = 32;
/// Most namespace declarations of a document (rich PIDF has 6).
pub const MAX_DECLARATIONS: usize = 64;
/// Most nodes of all kinds: every element with text before and after it, and as much again for
/// comments.
const MAX_NODES: u32 = 16_384;

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlReason {
    /// Longer than [`MAX_LENGTH`].
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// A document type declaration.
    Dtd,
    /// An entity other than `lt`, `gt`, `amp`, `apos`, `quot` and characters by number.
    Entity,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
    /// More than [`MAX_ELEMENTS`], or nodes of other kinds in such number.
    TooManyElements,
    /// More than [`MAX_ATTRIBUTES`] on one element.
    TooManyAttributes,
    /// More than [`MAX_DECLARATIONS`].
    TooManyDeclarations,
    /// A prefix that is not bound, or a forbidden binding.
    Namespace,
    /// Not well-formed.
    Malformed,
}

impl XmlReason {
    /// A limit, not a rule of XML, was broken.
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::TooLong
                | Self::TooDeep
                | Self::TooManyElements
                | Self::TooManyAttributes
                | Self::TooManyDeclarations
        )
    }
}

/// Why and where a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlError {
    /// Why.
    pub reason: XmlReason,
    /// Byte offset near which it shows.
    pub offset: usize,
}

impl XmlError {
    const fn new(reason: XmlReason, offset: usize) -> Self {
        Self { reason, offset }
    }
}

/// The bytes as text, within the limits: one pass over the markup. A byte order mark is cut off.
pub fn check(bytes: &[u8]) -> Result<&str, XmlError> {
    if bytes.len() > MAX_LENGTH {
        return Err(XmlError::new(XmlReason::TooLong, MAX_LENGTH));
    }
    let text = text_of(bytes)?;
    let (mut depth, mut elements, mut declarations) = (0_usize, 0_usize, 0_usize);
    let mut scanner = Scanner::new(text);
    while let Some(markup) = scanner.next_markup()? {
        match markup {
            Markup::Open(tag) => {
                elements = elements.saturating_add(1);
                let depth_here = depth.saturating_add(1);
                if !tag.empty {
                    depth = depth_here;
                }
                if !is_qualified(tag.name) {
                    return Err(XmlError::new(XmlReason::Namespace, tag.start));
                }
                let declared = count_attributes(&tag)?;
                declarations = declarations.saturating_add(declared);
                let broken = [
                    (depth_here > MAX_DEPTH, XmlReason::TooDeep),
                    (elements > MAX_ELEMENTS, XmlReason::TooManyElements),
                    (declarations > MAX_DECLARATIONS, XmlReason::TooManyDeclarations),
                ];
                if let Some((_, reason)) = broken.into_iter().find(|(broken, _)| *broken) {
                    return Err(XmlError::new(reason, tag.start));
                }
            }
            Markup::Close { .. } => depth = depth.saturating_sub(1),
            Markup::Other => {}
        }
    }
    Ok(text)
}

/// The bytes as text without a byte order mark.
fn text_of(bytes: &[u8]) -> Result<&str, XmlError> {
    let text = core::str::from_utf8(bytes)
        .map_err(|error| XmlError::new(XmlReason::NotUtf8, error.valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Namespace declarations of a tag; an error when it has too many attributes of any kind, or a
/// declaration that Namespaces in XML forbids and roxmltree lets pass.
fn count_attributes(tag: &Tag<'_>) -> Result<usize, XmlError> {
    let (mut attributes, mut declarations, mut defaults) = (0_usize, 0_usize, 0_usize);
    for attribute in tag.attributes() {
        attributes = attributes.saturating_add(1);
        if attributes > MAX_ATTRIBUTES {
            return Err(XmlError::new(XmlReason::TooManyAttributes, attribute.value_at));
        }
        let allowed = match attribute.declares() {
            Some("") => {
                defaults = defaults.saturating_add(1);
                defaults == 1
            }
            Some(prefix) => prefix != "xmlns" && !attribute.value.is_empty(),
            None => true,
        };
        if !allowed || !is_qualified(attribute.name) {
            return Err(XmlError::new(XmlReason::Namespace, attribute.value_at));
        }
        if attribute.declares().is_some() {
            declarations = declarations.saturating_add(1);
        }
    }
    Ok(declarations)
}

/// A name with at most one colon, and something on both sides of it (Namespaces in XML 4).
/// roxmltree takes `:name` for one without prefix, which other readers refuse.
fn is_qualified(name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, local)) => !prefix.is_empty() && !local.is_empty() && !local.contains(':'),
        None => true,
    }
}

/// The document as a tree; well-formed, namespaces resolved, within the limits.
pub fn read(bytes: &[u8]) -> Result<Document<'_>, XmlError> {
    let text = check(bytes)?;
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| {
        let reason = match &error {
            Error::DtdDetected => XmlReason::Dtd,
            Error::UnknownEntityReference(..) | Error::MalformedEntityReference(_) => {
                XmlReason::Entity
            }
            Error::NodesLimitReached => XmlReason::TooManyElements,
            Error::InvalidXmlPrefixUri(_)
            | Error::UnexpectedXmlUri(_)
            | Error::UnexpectedXmlnsUri(_)
            | Error::InvalidElementNamePrefix(_)
            | Error::DuplicatedNamespace(..)
            | Error::UnknownNamespace(..) => XmlReason::Namespace,
            _ => XmlReason::Malformed,
        };
        XmlError::new(reason, offset_of(text, error.pos()))
    })
}

/// Byte offset of roxmltree's row and column.
fn offset_of(text: &str, at: TextPos) -> usize {
    let mut line = 0_usize;
    for _ in 1..at.row {
        let rest = text.as_bytes().get(line..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else { break };
        line = line.saturating_add(end).saturating_add(1);
    }
    let column = (at.col as usize).saturating_sub(1);
    let rest = text.get(line..).unwrap_or_default();
    rest.char_indices().nth(column).map_or(text.len(), |(place, _)| line.saturating_add(place))
}

#[cfg(test)]
mod tests;
