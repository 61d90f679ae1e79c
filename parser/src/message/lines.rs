//! Going over header lines and their comma-separated elements.

use super::{Entry, Message, NONE};
use crate::header::Name;
use crate::scan;

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name, when it is a known one.
    pub name: Name,
    /// Its name as written.
    pub name_bytes: &'a [u8],
    /// Its value without whitespace around it; folding within it is kept.
    pub value: &'a [u8],
}

/// Header lines in order; see [`Message::headers`].
#[derive(Clone, Debug)]
pub struct Headers<'m, 'a> {
    bytes: &'a [u8],
    entries: core::slice::Iter<'m, Entry>,
}

impl<'a> Iterator for Headers<'_, 'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        let entry = self.entries.next()?;
        let line = self.bytes.get(usize::from(entry.line)..usize::from(entry.value))?;
        let name_bytes = scan::split(b':', line).map_or(line, |(name, _)| scan::trim(name));
        Some(Header { name: entry.name, name_bytes, value: entry.value(self.bytes) })
    }
}

/// Values of the lines of one name, in order; see [`Message::values`].
#[derive(Clone, Debug)]
pub struct Values<'m, 'a> {
    bytes: &'a [u8],
    entries: core::slice::Iter<'m, Entry>,
    name: Name,
}

impl<'a> Iterator for Values<'_, 'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let name = self.name;
        self.entries.find(|entry| entry.name == name).map(|entry| entry.value(self.bytes))
    }
}

/// Comma-separated elements of all lines of one name; see [`Message::items`].
#[derive(Clone, Debug)]
pub struct Items<'m, 'a> {
    values: Values<'m, 'a>,
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Items<'_, 'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while self.rest.is_none() {
            // A line without a value has no elements, where the grammar lets it be empty.
            self.rest = Some(self.values.next()?).filter(|value| !value.is_empty());
        }
        let (element, rest) = scan::element(self.rest?);
        self.rest = rest;
        Some(element)
    }
}

impl Entry {
    fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(usize::from(self.value)..usize::from(self.end)).unwrap_or_default()
    }
}

impl<'a> Message<'a> {
    /// All header lines in order, with known and unknown names.
    #[must_use]
    pub fn headers(&self) -> Headers<'_, 'a> {
        Headers { bytes: self.bytes, entries: self.entries_from(0).iter() }
    }

    /// The value of the first line of this name.
    #[must_use]
    #[inline]
    pub fn value(&self, name: Name) -> Option<&'a [u8]> {
        let index = *self.first.get(name as usize)?;
        self.entries.get(usize::from(index)).map(|entry| entry.value(self.bytes))
    }

    /// The values of all lines of this name, in order.
    #[must_use]
    pub fn values(&self, name: Name) -> Values<'_, 'a> {
        let first = self.first.get(name as usize).copied().unwrap_or(NONE);
        Values { bytes: self.bytes, entries: self.entries_from(first).iter(), name }
    }

    /// The comma-separated elements of all lines of this name, in order. Quoted strings and what is
    /// in angle brackets hold together. Only for headers that are lists: Via, Contact, Route,
    /// Accept, Supported and their like.
    #[must_use]
    pub fn items(&self, name: Name) -> Items<'_, 'a> {
        Items { values: self.values(name), rest: None }
    }

    /// Whether there is a line of this name.
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        self.first.get(name as usize).is_some_and(|index| *index != NONE)
    }

    fn entries_from(&self, first: u8) -> &[Entry] {
        self.entries.get(usize::from(first)..).unwrap_or_default()
    }
}
