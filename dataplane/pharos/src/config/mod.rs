//! The configuration: one TOML file, a table for each module, the parameters of the originals.
//!
//! [`settings`] declares every parameter once, with its default and its meaning; [`schema`] makes
//! of that declaration the struct, the reader with its error messages and the file `pharos config`
//! prints. [`check`] holds the rules that concern more than one parameter.

pub(crate) mod address;
pub(crate) mod advice;
pub(crate) mod check;
pub(crate) mod engine;
pub(crate) mod print;
pub(crate) mod problem;
pub(crate) mod schema;
pub(crate) mod settings;
pub(crate) mod values;

#[cfg(test)]
mod tests;

use std::path::Path;

use toml::de::DeTable;

use problem::{Problem, Report};
use schema::{Places, Reader};
use settings::Settings;

/// A configuration that may be started, and where its parts were written.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The values.
    pub(crate) settings: Settings,
    /// Accepted parameters of the file that change nothing, each with the reason.
    pub(crate) inert: Vec<String>,
}

/// What the command line says instead of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// `--socket`, each; none = the file's.
    pub(crate) sockets: Vec<String>,
    /// `--control`.
    pub(crate) control: Option<String>,
    /// `--data`.
    pub(crate) data: Option<String>,
}

/// Reads `file` (none = defaults), applies `overrides`, checks the whole.
pub(crate) fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Loaded, Report> {
    let Some(path) = file else { return parse("", "default configuration", overrides) };
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &name, overrides),
        Err(error) => Err(Report::of(format!("{name}: cannot be read: {error}"))),
    }
}

/// As [`load`], of a text whose name stands before each message.
pub(crate) fn parse(text: &str, name: &str, overrides: &Overrides) -> Result<Loaded, Report> {
    let mut places = Places::default();
    let mut problems = Vec::new();
    let (root, errors) = DeTable::parse_recoverable(text);
    if let Some(error) = errors.first() {
        let at = error.span().unwrap_or(0..0);
        return Err(Report::new(name, text, vec![Problem::at(at, error.message().to_string())]));
    }
    let mut reader = Reader { places: &mut places, problems: &mut problems };
    let mut settings = Settings::read(root.get_ref(), &mut reader);
    overrides.apply(&mut settings, &mut reader);
    if problems.is_empty() {
        check::check(&settings, &places, &mut problems);
    }
    if !problems.is_empty() {
        return Err(Report::new(name, text, problems));
    }
    let inert = check::inert(&places, name, text);
    Ok(Loaded { settings, inert })
}

impl Overrides {
    fn apply(&self, settings: &mut Settings, reader: &mut Reader<'_>) {
        if !self.sockets.is_empty() {
            reader.places.forget("socket");
            settings.server.socket.clear();
        }
        for text in &self.sockets {
            match text.parse() {
                Ok(socket) => settings.server.socket.push(socket),
                Err(why) => reader.problems.push(Problem::option("--socket", text, why)),
            }
        }
        if let Some(text) = &self.control {
            reader.places.forget("control");
            match text.parse() {
                Ok(address) => settings.server.control = address,
                Err(why) => reader.problems.push(Problem::option("--control", text, why)),
            }
        }
        if let Some(path) = &self.data {
            reader.places.forget("data");
            reader.places.forget("db_url");
            settings.server.data = path.clone();
            settings.server.db_url = None;
        }
    }
}
