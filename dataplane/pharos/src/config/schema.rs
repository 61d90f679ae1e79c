//! From one declaration of parameters: the struct, its default, its reader, its documentation.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::advice;
use super::problem::{Problem, nearest};

/// Where each parameter that the file sets stands, by dotted name (`presence.min_expires`);
/// elements of a list have their index as last part (`socket.0`).
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Range<usize>>);

impl Places {
    /// The bytes of a value, when the file sets it.
    pub(crate) fn get(&self, name: &str) -> Option<Range<usize>> {
        self.0.get(name).cloned()
    }

    /// All parameters the file sets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.0.iter().map(|(name, at)| (name.as_str(), at.clone()))
    }

    /// The command line has replaced this one and its elements.
    pub(crate) fn forget(&mut self, name: &str) {
        self.0.retain(|key, _| key != name && !key.starts_with(&format!("{name}.")));
    }
}

/// Collects places and mistakes while a file is read.
pub(crate) struct Reader<'a> {
    /// Where things stand.
    pub(crate) places: &'a mut Places,
    /// What is wrong.
    pub(crate) problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// Notes a mistake.
    pub(crate) fn refuse(&mut self, at: Range<usize>, text: String) {
        self.problems.push(Problem::at(at, text));
    }
}

/// One parameter, as documentation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// Name in the file.
    pub(crate) name: &'static str,
    /// Meaning, unit and row, one entry a line.
    pub(crate) doc: &'static [&'static str],
    /// Why it has no effect, when it has none.
    pub(crate) inert: Option<&'static str>,
    /// A value to show while it is unset by default.
    pub(crate) example: Option<&'static str>,
}

/// A table of the file.
pub(crate) trait Section: Default {
    /// What the table is about, one entry a line.
    const ABOUT: &'static [&'static str];
    /// Its parameters in order.
    const FIELDS: &'static [Field];

    /// Takes the parameters of `table` that belong here; `prefix` is `""` or `"presence."`.
    fn read(table: &DeTable<'_>, prefix: &str, reader: &mut Reader<'_>) -> Self;

    /// The values as TOML, in the order of the fields; `None` = unset.
    fn show(&self) -> Vec<Option<String>>;
}

/// Why a value is not taken: the value and what is wanted, without name and place.
pub(crate) struct Wrong {
    /// The element of a list or table it is about.
    pub(crate) index: Option<usize>,
    /// In words.
    pub(crate) why: String,
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self { index: None, why }
    }
}

/// A type that a parameter can have.
pub(crate) trait Value: Sized {
    /// Reads it.
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong>;

    /// As TOML; `None` = unset.
    fn show(&self) -> Option<String>;
}

/// Reads one parameter if the table has it. A list is read element by element, so that the message
/// about a wrong one points at it.
pub(crate) fn read_field<T: Value>(
    table: &DeTable<'_>,
    prefix: &str,
    name: &str,
    reader: &mut Reader<'_>,
) -> Option<T> {
    let value = table.get(name)?;
    let path = format!("{prefix}{name}");
    reader.places.0.insert(path.clone(), value.span());
    for (index, element) in elements(value).enumerate() {
        reader.places.0.insert(format!("{path}.{index}"), element);
    }
    match T::read(value.get_ref()) {
        Ok(value) => Some(value),
        Err(Wrong { index, why }) => {
            let at = index.and_then(|index| reader.places.get(&format!("{path}.{index}")));
            reader.refuse(at.unwrap_or_else(|| value.span()), format!("{path}: {why}"));
            None
        }
    }
}

fn elements<'a>(value: &'a Spanned<DeValue<'_>>) -> impl Iterator<Item = Range<usize>> + 'a {
    let array = value.get_ref().as_array().into_iter().flatten().map(Spanned::span);
    let table = value.get_ref().as_table().into_iter().flatten().map(|(key, _)| key.span());
    array.chain(table)
}

/// Complains about each key of `table` that is none of `names`.
pub(crate) fn refuse_unknown(
    table: &DeTable<'_>,
    prefix: &str,
    names: &[&'static str],
    reader: &mut Reader<'_>,
) {
    for (key, _) in table.iter() {
        let name: &str = key.get_ref();
        if names.contains(&name) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let hint = advice::of(&path).map_or_else(
            || match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean {prefix}{near}?"),
                None => format!("known here: {}", names.join(", ")),
            },
            str::to_owned,
        );
        reader.refuse(key.span(), format!("{path}: no such parameter; {hint}"));
    }
}

/// Declares a table of the file: doc comments become the printed documentation, `#[inert = "why"]`
/// marks a parameter that is checked but changes nothing, `#[example = "value"]` shows an unset
/// one.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $section:ident {
            $(
                $(#[doc = $doc:literal])*
                $(#[inert = $why:literal])?
                $(#[example = $example:literal])?
                $field:ident: $type:ty = $default:expr,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $section {
            $($(#[doc = $doc])* pub(crate) $field: $type,)*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $crate::config::schema::Section for $section {
            const ABOUT: &'static [&'static str] = &[$($about),*];
            const FIELDS: &'static [$crate::config::schema::Field] = &[$(
                $crate::config::schema::Field {
                    name: stringify!($field),
                    doc: &[$($doc),*],
                    inert: $crate::config::schema::section!(@option $($why)?),
                    example: $crate::config::schema::section!(@option $($example)?),
                },
            )*];

            fn read(
                table: &toml::de::DeTable<'_>,
                prefix: &str,
                reader: &mut $crate::config::schema::Reader<'_>,
            ) -> Self {
                let mut section = Self::default();
                $(
                    let value = $crate::config::schema::read_field(
                        table, prefix, stringify!($field), reader,
                    );
                    if let Some(value) = value {
                        section.$field = value;
                    }
                )*
                section
            }

            fn show(&self) -> Vec<Option<String>> {
                vec![$($crate::config::schema::Value::show(&self.$field),)*]
            }
        }
    };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
}
pub(crate) use section;
