//! The types that parameters have: what is read, what is refused and how it is written back.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::address::{Address, Network, Socket, is_host_name};
use super::problem::nearest;
use super::schema::{Value, Wrong};

/// A whole number between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Int<const MIN: u64, const MAX: u64>(pub(crate) u64);

/// A time in seconds that may be 0.
pub(crate) type Seconds = Int<0, 2_147_483_647>;

/// A time in seconds, at least one.
pub(crate) type SomeSeconds = Int<1, 2_147_483_647>;

impl<const MIN: u64, const MAX: u64> Int<MIN, MAX> {
    /// The number; bounds of every parameter fit.
    pub(crate) fn u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Value for Int<MIN, MAX> {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let wanted = format!("a whole number from {MIN} to {MAX}");
        let DeValue::Integer(integer) = value else { return Err(other_type(value, &wanted)) };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        match number.and_then(|number| u64::try_from(number).ok()) {
            Some(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(format!("{} is out of range; {wanted} is wanted", integer.as_str()).into()),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

impl Value for bool {
    /// The originals write 0 and 1.
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        match value {
            DeValue::Boolean(flag) => Ok(*flag),
            DeValue::Integer(integer) if integer.as_str() == "0" => Ok(false),
            DeValue::Integer(integer) if integer.as_str() == "1" => Ok(true),
            _ => Err(other_type(value, "true or false (or 1 or 0)")),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for String {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        match value.as_str() {
            Some(text) if text.contains(['\r', '\n', '\0']) => {
                Err(format!("{} has a line break or a NUL in it", quoted(text)).into())
            }
            Some(text) => Ok(text.to_owned()),
            None => Err(other_type(value, "a text in quotes")),
        }
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl<T: Value> Value for Option<T> {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        T::read(value).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let Some(array) = value.as_array() else {
            return Err(other_type(value, "a list, such as [\"...\"],"));
        };
        let read = |(index, element): (usize, &Spanned<DeValue<'_>>)| {
            T::read(element.get_ref()).map_err(|wrong| Wrong { index: Some(index), why: wrong.why })
        };
        array.iter().enumerate().map(read).collect()
    }

    fn show(&self) -> Option<String> {
        let parts: Vec<_> = self.iter().filter_map(T::show).collect();
        Some(format!("[{}]", parts.join(", ")))
    }
}

impl<T: Value> Value for BTreeMap<String, T> {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let Some(table) = value.as_table() else {
            return Err(other_type(value, "a table, such as { name = ... },"));
        };
        let read =
            |(index, (key, value)): (usize, (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>))| {
                match T::read(value.get_ref()) {
                    Ok(value) => Ok((key.get_ref().to_string(), value)),
                    Err(wrong) => Err(Wrong { index: Some(index), why: wrong.why }),
                }
            };
        table.iter().enumerate().map(read).collect()
    }

    fn show(&self) -> Option<String> {
        if self.is_empty() {
            return Some("{}".into());
        }
        let pair =
            |(key, value): (&String, &T)| Some(format!("{} = {}", quoted(key), value.show()?));
        let parts: Vec<_> = self.iter().filter_map(pair).collect();
        Some(format!("{{ {} }}", parts.join(", ")))
    }
}

/// A type that is written as a text: `FromStr` reads it, `Display` writes it.
macro_rules! textual {
    ($($type:ty: $wanted:literal),* $(,)?) => {$(
        impl Value for $type {
            fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
                let Some(text) = value.as_str() else { return Err(other_type(value, $wanted)) };
                text.parse().map_err(|why| format!("{}: {why}", quoted(text)).into())
            }

            fn show(&self) -> Option<String> {
                Some(quoted(&self.to_string()))
            }
        }
    )*};
}

textual! {
    Socket: "an address such as \"udp:127.0.0.1:5060\"",
    Address: "an address such as \"127.0.0.1:8888\"",
    Network: "a network such as \"10.0.0.0/8\"",
    Domain: "a host name such as \"example.org\"",
    Store: "\"memory\" or \"lmdb:PATH\"",
}

/// A choice among words.
macro_rules! choice {
    ($($(#[doc = $about:literal])* $type:ident {
        $($(#[doc = $doc:literal])* $variant:ident = $word:literal,)*
    })*) => {$(
        $(#[doc = $about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $type {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Value for $type {
            fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
                let words = [$($word),*];
                match value.as_str() {
                    $(Some($word) => Ok(Self::$variant),)*
                    Some(text) => Err(not_one_of(text, &words)),
                    None => Err(other_type(value, &format!("one of {}", list(&words)))),
                }
            }

            fn show(&self) -> Option<String> {
                Some(quoted(match self { $(Self::$variant => $word,)* }))
            }
        }
    )*};
}

choice! {
    /// `storage.durability`.
    Durability {
        /// Answer after the commit.
        Commit = "commit",
        /// Answer at once, write behind.
        Periodic = "periodic",
    }
    /// `nat`.
    Nat {
        /// NOTIFY to the source address where the Contact cannot be reached.
        Auto = "auto",
        /// Always to the Contact.
        Off = "off",
    }
    /// `log.format`.
    LogFormat {
        /// A line for people.
        Text = "text",
        /// A JSON object per line.
        Json = "json",
    }
    /// `log.level`.
    LogLevel {
        /// Only what failed.
        Error = "error",
        /// And what a peer or the configuration has wrong.
        Warn = "warn",
        /// And what is normal and rare.
        Info = "info",
        /// And details for development.
        Debug = "debug",
    }
    /// `presence.bla_presentity_spec`, row C15.
    BlaSpec {
        /// Contact user @ From domain.
        Contact = "contact",
        /// Request-URI.
        RequestUri = "$ru",
        /// From.
        From = "$fu",
        /// To.
        To = "$tu",
    }
    /// `presence.cluster_federation_mode`, row C04.
    Federation {
        /// No federation.
        Disabled = "disabled",
        /// Not in this version.
        OnDemand = "on-demand-sharing",
        /// Not in this version.
        Full = "full-sharing",
    }
}

/// A domain of ours, in lower case without a trailing dot; also an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Domain(pub(crate) String);

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let ipv6 = bracketed.is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
        if !ipv6 && !is_host_name(text) {
            return Err("not a host name; only the host is wanted, without user or port".into());
        }
        Ok(Self(text.trim_end_matches('.').to_ascii_lowercase()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// `db_url`: where state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// In memory only: nothing outlives the process (row A02).
    Memory,
    /// In a data directory.
    Lmdb(String),
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("lmdb", path)) if !path.is_empty() => Ok(Self::Lmdb(path.to_owned())),
            Some(("lmdb", _)) => Err("a path is wanted after lmdb:".into()),
            Some((_, rest)) if rest.starts_with("//") => Err("Pharos keeps its state itself and \
                speaks to no SQL server; bring the rows over once, from CSV or JSON lines, with \
                `pharos db import TABLE FILE`, and leave db_url out"
                .into()),
            _ => Err("\"memory\" or \"lmdb:PATH\" is wanted".into()),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => out.write_str("memory"),
            Self::Lmdb(path) => write!(out, "lmdb:{path}"),
        }
    }
}

/// A text as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")
}

fn not_one_of(text: &str, words: &[&str]) -> Wrong {
    let hint = match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => format!("one of {} is wanted", list(words)),
    };
    format!("{} is not known here; {hint}", quoted(text)).into()
}

fn other_type(value: &DeValue<'_>, wanted: &str) -> Wrong {
    let found = match value {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("a value of type {}", other.type_str()),
    };
    format!("{found} is not taken; {} is wanted", wanted.trim_end_matches(',')).into()
}
