//! Documents as nearly all are written, proven well-formed in one pass and without a tree.
//!
//! [`Plain`] either reads a document to its end, and then [`super::read`] takes it too and its tree
//! says the same, or gives up (`None`) and says nothing at all: what is rare is left to the tree,
//! such as comments, CDATA, processing instructions, character references by number, references
//! and line ends in attributes, names beyond ASCII, and everything that is wrong.

use smallvec::SmallVec;

use super::{MAX_DECLARATIONS, MAX_DEPTH, MAX_ELEMENTS, MAX_LENGTH};

/// Most attributes of an element and bindings in scope: each is compared with each other.
const FEW: usize = 12;

/// The namespaces of the prefixes `xml` and `xmlns`.
const RESERVED: [&[u8]; 2] =
    [b"http://www.w3.org/XML/1998/namespace", b"http://www.w3.org/2000/xmlns/"];

/// Blank: space, tab, line ends.
const SPACE: u8 = 1;
/// What a name begins with.
const START: u8 = 1 << 1;
/// What a name goes on with.
const NAME: u8 = 1 << 2;
/// Attribute values but for quotes.
const VALUE: u8 = 1 << 3;
/// Text between markup.
const TEXT: u8 = 1 << 4;

static CLASSES: [u8; 256] = classes();

// Evaluated by the compiler alone: an index out of range would not build.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = match byte {
            b' ' => SPACE | VALUE | TEXT,
            b'\t' | b'\n' | b'\r' => SPACE | TEXT,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => START | NAME | VALUE | TEXT,
            b'0'..=b'9' | b'-' | b'.' => NAME | VALUE | TEXT,
            // References, markup and `]]>`.
            b'&' | b'<' | b'>' => 0,
            b'"' | b'\'' => TEXT,
            // U+FFFE and U+FFFF, which XML does not have, begin with EF.
            0..=0x1f | 0xef => 0,
            _ => VALUE | TEXT,
        };
        at += 1;
    }
    table
}

/// An attribute that is no namespace declaration.
#[derive(Clone, Copy, Debug)]
struct Attribute<'a> {
    prefix: &'a [u8],
    local: &'a [u8],
    value: &'a [u8],
}

/// A namespace declaration in scope.
#[derive(Clone, Copy, Debug)]
struct Binding<'a> {
    prefix: &'a [u8],
    namespace: &'a [u8],
    depth: usize,
}

/// An element that begins.
#[derive(Debug)]
pub(crate) struct Element<'a> {
    /// 1 for the root.
    pub(crate) depth: usize,
    /// Its local name.
    pub(crate) local: &'a [u8],
    /// Its namespace; empty when it has none.
    pub(crate) namespace: &'a [u8],
    attributes: SmallVec<[Attribute<'a>; 4]>,
}

impl<'a> Element<'a> {
    /// The value of the attribute of this local name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.attributes.iter().find(|have| have.local == name.as_bytes());
        found.map(|attribute| attribute.value)
    }
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A start tag, or the first half of an empty-element tag.
    Open(Element<'a>),
    /// The end of the element of this depth.
    Close(usize),
    /// The end of the document.
    End,
}

/// Walks over a document.
pub(crate) struct Plain<'a> {
    rest: &'a [u8],
    /// Names of the open elements.
    open: SmallVec<[&'a [u8]; 8]>,
    bindings: SmallVec<[Binding<'a>; 4]>,
    elements: usize,
    declarations: usize,
    /// The last tag was an empty-element tag, whose end is due.
    empty: bool,
}

impl<'a> Plain<'a> {
    /// Before the root of a document.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > MAX_LENGTH || core::str::from_utf8(bytes).is_err() {
            return None;
        }
        let mut reader = Self {
            rest: bytes,
            open: SmallVec::new(),
            bindings: SmallVec::new(),
            elements: 0,
            declarations: 0,
            empty: false,
        };
        if reader.eat(b"<?xml ") {
            reader.declaration()?;
        }
        reader.run(SPACE);
        Some(reader)
    }

    /// The next step; `None` when it is no plain one.
    pub(crate) fn next(&mut self) -> Option<Step<'a>> {
        if self.empty {
            self.empty = false;
            return self.close();
        }
        if self.elements > 0 && self.open.is_empty() {
            self.run(SPACE);
            return self.rest.is_empty().then_some(Step::End);
        }
        if !self.open.is_empty() {
            self.text()?;
        }
        if self.eat(b"</") {
            let name = self.open.last()?;
            self.rest = self.rest.strip_prefix(*name)?.strip_prefix(b">")?;
            return self.close();
        }
        self.rest = self.rest.strip_prefix(b"<")?;
        self.start_tag().map(Step::Open)
    }

    fn close(&mut self) -> Option<Step<'a>> {
        let depth = self.open.len();
        self.open.pop()?;
        while self.bindings.last().is_some_and(|binding| binding.depth == depth) {
            self.bindings.pop();
        }
        Some(Step::Close(depth))
    }

    /// The rest of an XML declaration: version 1.0 in UTF-8.
    fn declaration(&mut self) -> Option<()> {
        for (name, values) in [
            ("version", ["1.0", "1.0"]),
            ("encoding", ["UTF-8", "utf-8"]),
            ("standalone", ["yes", "no"]),
        ] {
            self.run(SPACE);
            if self.eat(name.as_bytes()) {
                self.rest = self.rest.strip_prefix(b"=")?;
                let value = self.quoted()?;
                if !values.iter().any(|known| known.as_bytes() == value) {
                    return None;
                }
                if !matches!(self.rest, [b' ' | b'?', ..]) {
                    return None;
                }
            } else if name == "version" {
                return None;
            }
        }
        self.rest = self.rest.strip_prefix(b"?>")?;
        Some(())
    }

    /// Text up to the next markup, in which only named references stand for something.
    fn text(&mut self) -> Option<()> {
        self.run(TEXT);
        while self.eat(b"&") {
            let known = [&b"amp;"[..], b"lt;", b"gt;", b"quot;", b"apos;"];
            if !known.into_iter().any(|name| self.eat(name)) {
                return None;
            }
            self.run(TEXT);
        }
        Some(())
    }

    /// A tag from its name to its `>`.
    fn start_tag(&mut self) -> Option<Element<'a>> {
        let (prefix, local, name) = self.name()?;
        let depth = self.open.len().checked_add(1)?;
        self.elements = self.elements.checked_add(1)?;
        if depth > MAX_DEPTH || self.elements > MAX_ELEMENTS {
            return None;
        }
        let mut attributes = SmallVec::new();
        loop {
            let blank = !self.run(SPACE).is_empty();
            match self.rest {
                [b'>', rest @ ..] => {
                    self.rest = rest;
                    break;
                }
                [b'/', b'>', rest @ ..] => {
                    (self.rest, self.empty) = (rest, true);
                    break;
                }
                _ if blank => self.attribute(depth, &mut attributes)?,
                _ => return None,
            }
        }
        self.open.push(name);
        if attributes.iter().any(|attribute| !self.knows(attribute)) || repeated(&attributes) {
            return None;
        }
        let namespace = match self.bound(prefix) {
            Some(namespace) => namespace,
            None if prefix.is_empty() => b"",
            None => return None,
        };
        Some(Element { depth, local, namespace, attributes })
    }

    fn attribute(
        &mut self,
        depth: usize,
        attributes: &mut SmallVec<[Attribute<'a>; 4]>,
    ) -> Option<()> {
        let (prefix, local, _) = self.name()?;
        self.rest = self.rest.strip_prefix(b"=")?;
        let value = self.quoted()?;
        let declared = match (prefix, local) {
            (b"xmlns", prefix) => prefix,
            (b"", b"xmlns") => b"",
            // roxmltree takes it for a declaration.
            (_, b"xmlns") => return None,
            _ => {
                attributes.push(Attribute { prefix, local, value });
                return (attributes.len() <= FEW).then_some(());
            }
        };
        // Bound for good (Namespaces in XML 3): declaring them is an error, or says nothing.
        let reserved = matches!(declared, b"xml" | b"xmlns") || RESERVED.contains(&value);
        let again = |known: &Binding<'_>| known.depth == depth && known.prefix == declared;
        self.declarations = self.declarations.checked_add(1)?;
        let wrong = reserved
            || value.is_empty()
            || self.bindings.iter().any(again)
            || self.declarations > MAX_DECLARATIONS
            || self.bindings.len() >= FEW;
        if wrong {
            return None;
        }
        self.bindings.push(Binding { prefix: declared, namespace: value, depth });
        Some(())
    }

    /// The namespace of a prefix.
    fn bound(&self, prefix: &[u8]) -> Option<&'a [u8]> {
        self.bindings.iter().rfind(|known| known.prefix == prefix).map(|known| known.namespace)
    }

    /// An attribute without prefix, or with one that is bound.
    fn knows(&self, attribute: &Attribute<'_>) -> bool {
        matches!(attribute.prefix, b"" | b"xml") || self.bound(attribute.prefix).is_some()
    }

    /// Prefix, local part and the whole of a name.
    fn name(&mut self) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
        let whole = self.rest;
        let first = self.part()?;
        if !self.eat(b":") {
            return Some((b"", first, first));
        }
        let local = self.part()?;
        let length = first.len().checked_add(1)?.checked_add(local.len())?;
        Some((first, local, whole.get(..length)?))
    }

    /// A name without colon.
    fn part(&mut self) -> Option<&'a [u8]> {
        let begins = self.rest.first().is_some_and(|byte| is(*byte, START));
        begins.then(|| self.run(NAME))
    }

    /// A quoted value without its quotes.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let [quote @ (b'"' | b'\''), value @ ..] = self.rest else { return None };
        self.rest = value;
        loop {
            self.run(VALUE);
            match self.rest {
                [end, rest @ ..] if end == quote => {
                    let length = value.len().checked_sub(self.rest.len())?;
                    self.rest = rest;
                    return value.get(..length);
                }
                // The other quote.
                [b'"' | b'\'', rest @ ..] => self.rest = rest,
                _ => return None,
            }
        }
    }

    /// Passes the bytes of a class.
    #[inline]
    fn run(&mut self, class: u8) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !is(*byte, class)).unwrap_or(self.rest.len());
        let (head, tail) = self.rest.split_at_checked(end).unwrap_or((self.rest, b""));
        self.rest = tail;
        head
    }

    /// Passes these bytes if they are here.
    #[inline]
    fn eat(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// Have two attributes the same local part? They are the same when their prefixes are bound alike,
/// and roxmltree looks attributes up by it.
fn repeated(attributes: &[Attribute<'_>]) -> bool {
    let mut later = attributes;
    while let [first, rest @ ..] = later {
        if rest.iter().any(|other| other.local == first.local) {
            return true;
        }
        later = rest;
    }
    false
}
