//! The root's start tag and its child elements, by their places in the text.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::{Markup, Scanner, Tag, XmlError, XmlReason, text_of, unescape};

/// A child element of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child<'a> {
    /// Its start tag.
    pub tag: Tag<'a>,
    /// Behind its end tag.
    pub end: usize,
}

/// A document one level deep.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    text: &'a str,
    /// The root's start tag.
    pub root: Tag<'a>,
    /// The root's child elements in document order.
    pub children: Vec<Child<'a>>,
    /// Where the root's end tag starts; of an empty-element root behind the tag.
    pub content_end: usize,
}

/// A namespace binding: prefix (empty = default) and name.
type Binding<'a> = (&'a str, Cow<'a, str>);

impl<'a> Outline<'a> {
    /// The outline of a document. The tags balance; nothing else is promised. One pass without
    /// limits: for documents that [`super::read`] has seen before.
    pub fn read(bytes: &'a [u8]) -> Result<Self, XmlError> {
        Self::of_text(text_of(bytes)?)
    }

    /// The start tag of the root alone: all that many uses need.
    pub fn root_tag(text: &'a str) -> Result<Tag<'a>, XmlError> {
        let mut scanner = Scanner::new(text);
        loop {
            match scanner.next_markup()? {
                Some(Markup::Open(tag)) => return Ok(tag),
                Some(Markup::Other) => {}
                Some(Markup::Close { start, .. }) => {
                    return Err(XmlError::new(XmlReason::Malformed, start));
                }
                None => return Err(XmlError::new(XmlReason::Malformed, text.len())),
            }
        }
    }

    /// As [`Outline::read`], of text, such as an element cut out of a document.
    pub fn of_text(text: &'a str) -> Result<Self, XmlError> {
        let root = Self::root_tag(text)?;
        let mut outline = Self { text, root, children: Vec::new(), content_end: root.end };
        if root.empty {
            return Ok(outline);
        }
        let mut scanner = Scanner::behind_tag(text, &root);
        let mut depth = 1_usize;
        let mut open: Option<Tag<'a>> = None;
        while let Some(markup) = scanner.next_markup()? {
            match markup {
                Markup::Open(tag) if tag.empty && depth == 1 => {
                    outline.children.push(Child { tag, end: tag.end });
                }
                Markup::Open(tag) if !tag.empty => {
                    if depth == 1 {
                        open = Some(tag);
                    }
                    depth = depth.saturating_add(1);
                }
                Markup::Close { start, end } => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        outline.content_end = start;
                        return Ok(outline);
                    }
                    if let (1, Some(tag)) = (depth, open) {
                        outline.children.push(Child { tag, end });
                    }
                }
                Markup::Open(_) | Markup::Other => {}
            }
        }
        Err(XmlError::new(XmlReason::Malformed, text.len()))
    }

    /// The whole text.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// A child's text, tags included.
    pub fn text_of(&self, child: &Child<'a>) -> &'a str {
        self.text.get(child.tag.start..child.end).unwrap_or_default()
    }

    /// What stands between the root's tags, as written.
    pub fn content(&self) -> &'a str {
        self.text.get(self.root.end..self.content_end).unwrap_or_default()
    }

    /// The namespaces that the root declares.
    pub fn declarations(&self) -> impl Iterator<Item = Binding<'a>> {
        declared(&self.root)
    }

    /// The namespace of a child's name; empty when it has none.
    pub fn namespace(&self, child: &Child<'a>) -> Cow<'a, str> {
        let (prefix, _) = child.tag.split_name();
        declared(&child.tag)
            .chain(self.declarations())
            .find(|(bound, _)| *bound == prefix)
            .map_or(Cow::Borrowed(""), |(_, name)| name)
    }

    /// The child's local name, if it is in this namespace.
    pub fn local_name(&self, child: &Child<'a>, namespace: &str) -> Option<&'a str> {
        (self.namespace(child) == namespace).then(|| child.tag.split_name().1)
    }

    /// Append a child to a document whose root binds `target`: the bindings that the root here
    /// makes, the child relies on and the target does not have are added to the child's start tag.
    ///
    /// A binding counts as relied on when its prefix with a colon stands anywhere in the child
    /// (never one too few, also for prefixes within values), a default namespace when an element
    /// has no prefix. Where there is no default namespace here, the target's is taken away.
    pub fn copy_child(&self, child: &Child<'a>, target: &[(&str, &str)], out: &mut Vec<u8>) {
        let text = self.text_of(child);
        let name_length = child.tag.name.len().saturating_add(1);
        let (name, rest) = text.split_at_checked(name_length).unwrap_or((text, ""));
        out.extend_from_slice(name.as_bytes());
        let own = |prefix: &str| declared(&child.tag).any(|(bound, _)| bound == prefix);
        let mut has_default = own("");
        for (prefix, namespace) in self.declarations() {
            has_default |= prefix.is_empty();
            let same = target.iter().any(|bound| *bound == (prefix, namespace.as_ref()));
            if !same && !own(prefix) && relies_on(text, prefix) {
                declare(prefix, &namespace, out);
            }
        }
        let loses = !has_default && target.iter().any(|(prefix, _)| prefix.is_empty());
        if loses && relies_on(text, "") {
            declare("", "", out);
        }
        out.extend_from_slice(rest.as_bytes());
    }
}

/// The namespaces that a tag declares.
fn declared<'a>(tag: &Tag<'a>) -> impl Iterator<Item = Binding<'a>> + use<'a> {
    tag.attributes()
        .filter_map(|attribute| Some((attribute.declares()?, unescape(attribute.value))))
}

/// Append a namespace declaration as an attribute.
pub fn declare(prefix: &str, namespace: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(if prefix.is_empty() { b" xmlns" } else { b" xmlns:" });
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(b"=\"");
    super::escape(namespace, out);
    out.push(b'"');
}

fn relies_on(text: &str, prefix: &str) -> bool {
    if prefix.is_empty() {
        return has_unprefixed(text);
    }
    memchr::memmem::find_iter(text.as_bytes(), prefix.as_bytes()).any(|at| {
        let behind = at.saturating_add(prefix.len());
        text.as_bytes().get(behind) == Some(&b':')
    })
}

/// Has any element no prefix? True also when the text cannot be scanned.
fn has_unprefixed(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    loop {
        match scanner.next_markup() {
            Ok(Some(Markup::Open(tag))) if !tag.name.contains(':') => return true,
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}
