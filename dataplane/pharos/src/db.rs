//! `pharos db`: what an operator does with a data directory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use pharos_engine::Wall;
use pharos_runtime::clock::Clock;
use pharos_storage_lmdb::tools::{self, Format, Imported, Shape, Table, ToolError};
use pharos_storage_lmdb::{Lanes, Options};

use crate::config::settings::Settings;
use crate::config::{self, Overrides};

/// What is done.
#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// What each lane holds, a JSON object per lane; also beside a running server
    Stat(Directory),
    /// Every stored object, a JSON object per line; also beside a running server
    Dump(Directory),
    /// Check every record; problems are JSON lines and exit code 1; also beside a running server
    Verify(Directory),
    /// Write every lane anew, without dead records; wants the server stopped
    Compact(Directory),
    /// Take the rows of a table of OpenSIPS or Kamailio; wants the server stopped
    ///
    /// Live dialogs keep their tags, CSeq and version, so that watchers notice nothing. Columns
    /// that no version of the table has are reported; a row that cannot be taken is named and
    /// skipped.
    Import(Transfer),
    /// Write a table as OpenSIPS and Kamailio have it; also beside a running server
    Export(Export),
}

#[derive(Args, Debug)]
pub(crate) struct Directory {
    /// Data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Transfer {
    /// presentity, active_watchers or watchers, or the name that the configuration gives it
    #[arg(value_name = "TABLE")]
    table: String,
    /// File, its format by its name: .csv, .jsonl; "-" = standard input or output, with --format
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Format of the file, when its name does not say
    #[arg(long)]
    format: Option<FormatName>,
    /// Configuration file that names the data directory and the tables
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, instead of the configuration's
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    transfer: Transfer,
    /// Columns as OpenSIPS has them now, or as the module had them first
    #[arg(long, default_value = "current")]
    shape: ShapeName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    /// Comma-separated, the first line names the columns, \N is null
    Csv,
    /// A JSON object per line
    Jsonl,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShapeName {
    Current,
    Seed,
}

/// Why it did not work out.
enum Failure {
    /// The arguments or the configuration are wrong.
    Use(String),
    /// The tool could not finish.
    Tool(ToolError),
    /// It finished and found problems, which are written.
    Found,
}

impl<T: Into<ToolError>> From<T> for Failure {
    fn from(error: T) -> Self {
        Self::Tool(error.into())
    }
}

/// Does it and says how it went.
pub(crate) fn run(db: &Db) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = match db {
        Db::Stat(Directory { directory }) => stat(directory, &mut out),
        Db::Dump(Directory { directory }) => tools::dump(directory, &mut out).map(drop).or_fail(),
        Db::Verify(Directory { directory }) => verify(directory, &mut out),
        Db::Compact(Directory { directory }) => compact(directory, &mut out),
        Db::Import(transfer) => import(transfer, &mut out),
        Db::Export(export) => self::export(export, &mut out),
    };
    match outcome.and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        // `pharos db dump DIR | head`
        Err(Failure::Tool(ToolError::Io(error))) if error.kind() == ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failure::Found) => ExitCode::FAILURE,
        Err(Failure::Tool(error)) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
        Err(Failure::Use(why)) => {
            eprintln!("{why}");
            ExitCode::from(crate::cli::WRONG_USE)
        }
    }
}

type Outcome = Result<(), Failure>;

trait OrFail<T> {
    fn or_fail(self) -> Result<T, Failure>;
}

impl<T> OrFail<T> for Result<T, ToolError> {
    fn or_fail(self) -> Result<T, Failure> {
        self.map_err(Failure::Tool)
    }
}

fn stat(directory: &Path, out: &mut dyn Write) -> Outcome {
    let stat = tools::stat(directory, out)?;
    out.flush()?;
    let objects: u64 = stat.lanes.iter().map(tools::LaneStat::count).sum();
    let stop = if stat.clean { "in order" } else { "not in order, or it runs" };
    let lanes = stat.lanes.len();
    eprintln!("{objects} objects, {lanes} lanes, {} starts, last stop {stop}", stat.boots);
    Ok(())
}

fn verify(directory: &Path, out: &mut dyn Write) -> Outcome {
    let found = tools::verify(directory, out)?;
    out.flush()?;
    eprintln!("{} records, {} objects, {} problems", found.records, found.objects, found.problems);
    if found.problems > 0 { Err(Failure::Found) } else { Ok(()) }
}

fn compact(directory: &Path, out: &mut dyn Write) -> Outcome {
    for lane in tools::compact(directory)? {
        let tools::Compacted { lane, objects, before, after } = lane;
        writeln!(out, "lane {lane}: {objects} objects, {before} bytes before, {after} bytes now")?;
    }
    Ok(())
}

fn import(transfer: &Transfer, out: &mut dyn Write) -> Outcome {
    let (settings, table, format) = transfer.resolve()?;
    let directory = transfer.directory(&settings)?;
    let mut input: Box<dyn Read> = match transfer.is_stream() {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(opened(&transfer.file, File::open(&transfer.file))?)),
    };
    // A directory that is made now has the configuration's number of lanes.
    let options = Options { maintenance: true, ..settings.lanes() };
    drop(Lanes::open(&directory, options).map_err(ToolError::Open)?);
    let clock: Arc<dyn pharos_storage_lmdb::Clock> = Arc::new(Clock::new(Wall(0)));
    let report = tools::import(&directory, table, format, &mut input, &clock)?;
    say(&report, &transfer.file, out)?;
    Ok(())
}

fn say(report: &Imported, file: &Path, out: &mut dyn Write) -> io::Result<()> {
    let file = file.display();
    for skipped in &report.reasons {
        writeln!(out, "{file}:{}: not taken: {}", skipped.line, skipped.reason)?;
    }
    for column in &report.unknown_columns {
        let what = "is in no version of the table; its values are dropped";
        writeln!(out, "{file}: column {column} {what}")?;
    }
    for column in &report.ignored_columns {
        writeln!(out, "{file}: column {column} has no place here; its values are dropped")?;
    }
    let Imported { rows, stored, replaced, skipped, .. } = report;
    writeln!(out, "{rows} rows: {stored} stored, {replaced} of them in place of an older one")?;
    writeln!(out, "{skipped} not taken")
}

fn export(export: &Export, out: &mut dyn Write) -> Outcome {
    let transfer = &export.transfer;
    let (settings, table, format) = transfer.resolve()?;
    let directory = transfer.directory(&settings)?;
    let shape = match export.shape {
        ShapeName::Current => Shape::Current,
        ShapeName::Seed => Shape::Seed,
    };
    let rows = if transfer.is_stream() {
        tools::export(&directory, table, format, shape, out)?
    } else {
        let mut file = BufWriter::new(opened(&transfer.file, File::create(&transfer.file))?);
        let rows = tools::export(&directory, table, format, shape, &mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        rows
    };
    eprintln!("{rows} rows of {}", table.name());
    Ok(())
}

fn opened(path: &Path, file: io::Result<File>) -> Result<File, Failure> {
    file.map_err(|error| Failure::Use(format!("{}: {error}", path.display())))
}

impl Transfer {
    fn is_stream(&self) -> bool {
        self.file == Path::new("-")
    }

    fn resolve(&self) -> Result<(Settings, Table, Format), Failure> {
        let overrides = Overrides { data: self.data.clone(), ..Overrides::default() };
        let loaded = config::load(self.config.as_deref(), &overrides);
        let settings = loaded.map_err(|report| Failure::Use(report.to_string()))?.settings;
        let table = settings.table(&self.table).ok_or_else(|| {
            let known = "presentity, active_watchers and watchers";
            Failure::Use(format!("{}: no such table; there are {known}", self.table))
        })?;
        let format = match self.format {
            Some(FormatName::Csv) => Some(Format::Csv),
            Some(FormatName::Jsonl) => Some(Format::JsonLines),
            None => Format::of(&self.file),
        };
        let format = format.ok_or_else(|| {
            let file = self.file.display();
            Failure::Use(format!("{file}: its name tells no format; say --format csv or jsonl"))
        })?;
        Ok((settings, table, format))
    }

    fn directory(&self, settings: &Settings) -> Result<PathBuf, Failure> {
        let directory = settings.data_directory().map(PathBuf::from);
        let none = "db_url = \"memory\" keeps nothing on disk; say --data DIR";
        directory.ok_or_else(|| Failure::Use(none.into()))
    }
}

impl Settings {
    /// A table by the name that the configuration gives it, or its own (row C21).
    fn table(&self, name: &str) -> Option<Table> {
        let presence = &self.presence;
        let given = [
            (&presence.presentity_table, Table::Presentity),
            (&presence.active_watchers_table, Table::ActiveWatchers),
            (&presence.watchers_table, Table::Watchers),
        ];
        let given = given.into_iter().find(|(given, _)| *given == name).map(|(_, table)| table);
        given.or_else(|| Table::from_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row C21: tables go by their configured names, and by their own.
    #[test]
    fn tables_are_known_by_both_names() {
        let mut settings = Settings::default();
        settings.presence.presentity_table = "pres".into();
        assert_eq!(settings.table("pres"), Some(Table::Presentity));
        assert_eq!(settings.table("presentity"), Some(Table::Presentity));
        assert_eq!(settings.table("active_watchers"), Some(Table::ActiveWatchers));
        assert_eq!(settings.table("pua"), None);
    }
}
