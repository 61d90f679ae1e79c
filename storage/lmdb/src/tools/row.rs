//! Rows of a table in a file: CSV with a head line (RFC 4180), or one JSON object a line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use serde_json::Value;

use super::ToolError;

/// Longest line of a JSON file, bytes: a body of the largest size, every byte written as `\u00xx`.
const LINE_BYTES: u64 = 8 << 20;

/// How a table is written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, the first line names the columns, `\N` is null.
    Csv,
    /// One JSON object a line, its keys are the columns.
    JsonLines,
}

impl Format {
    /// By the file's name: `.csv`, or `.jsonl`, `.ndjson`, `.json`.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// One row: column to value, `None` where it is null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Where it is in the file, counted from 1.
    pub(super) line: u64,
    pub(super) values: BTreeMap<String, Option<Vec<u8>>>,
}

impl Row {
    /// A value that must be there.
    pub(super) fn bytes(&self, column: &str) -> Result<&[u8], String> {
        self.given(column).ok_or_else(|| format!("{column} is missing"))
    }

    /// A text that must be there; it may be empty.
    pub(super) fn text(&self, column: &str) -> Result<&str, String> {
        str::from_utf8(self.bytes(column)?).map_err(|_| format!("{column} is not UTF-8"))
    }

    /// A text that must be there and say something.
    pub(super) fn some_text(&self, column: &str) -> Result<&str, String> {
        match self.text(column)? {
            "" => Err(format!("{column} is empty")),
            text => Ok(text),
        }
    }

    /// A text, or the column's default.
    pub(super) fn text_or<'r>(&'r self, column: &str, default: &'r str) -> Result<&'r str, String> {
        if self.given(column).is_some() { self.text(column) } else { Ok(default) }
    }

    /// A text of a column that may be null; some exports write null as an empty text or as NULL.
    pub(super) fn nullable(&self, column: &str) -> Result<Option<&str>, String> {
        Ok(Some(self.text_or(column, "")?).filter(|text| !text.is_empty() && *text != "NULL"))
    }

    /// A number, or the column's default.
    pub(super) fn number(&self, column: &str, default: Option<u64>) -> Result<u64, String> {
        match (self.given(column), default) {
            (None, Some(default)) => Ok(default),
            _ => {
                let text = self.text(column)?.trim();
                text.parse().map_err(|_| format!("{column} is no number: '{text}'"))
            }
        }
    }

    /// A number of 32 bits, or the column's default.
    pub(super) fn number32(&self, column: &str, default: Option<u32>) -> Result<u32, String> {
        let number = self.number(column, default.map(u64::from))?;
        u32::try_from(number).map_err(|_| format!("{column} is too large: {number}"))
    }

    fn given(&self, column: &str) -> Option<&[u8]> {
        self.values.get(column)?.as_deref()
    }
}

/// A row, or its line and why it is none.
pub(super) type Parsed = Result<Row, (u64, String)>;

/// The rows of a file, one by one.
pub(super) enum Rows<R: Read> {
    Csv(Box<csv::Reader<R>>, Vec<String>),
    Json(BufReader<R>, u64),
}

impl<R: Read> Rows<R> {
    /// Reads the head, if the format has one.
    pub(super) fn new(format: Format, input: R) -> Result<Self, ToolError> {
        match format {
            Format::JsonLines => Ok(Self::Json(BufReader::new(input), 0)),
            Format::Csv => {
                let mut reader =
                    csv::ReaderBuilder::new().has_headers(true).flexible(true).from_reader(input);
                let head = reader.byte_headers().map_err(|error| csv_error(&error))?;
                let name = |name: &[u8]| {
                    String::from_utf8_lossy(name).trim().trim_start_matches('\u{feff}').to_owned()
                };
                let columns = head.iter().map(name).collect();
                Ok(Self::Csv(Box::new(reader), columns))
            }
        }
    }

    /// The next row; an error that is not of one row alone ends the file.
    pub(super) fn next(&mut self) -> Result<Option<Parsed>, ToolError> {
        match self {
            Self::Csv(reader, columns) => next_csv(reader, columns),
            Self::Json(reader, line) => next_json(reader, line),
        }
    }
}

fn csv_error(error: &csv::Error) -> ToolError {
    ToolError::Input(error.to_string())
}

fn next_csv<R: Read>(
    reader: &mut csv::Reader<R>,
    columns: &[String],
) -> Result<Option<Parsed>, ToolError> {
    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(|error| csv_error(&error))? {
        return Ok(None);
    }
    let line = record.position().map_or(0, csv::Position::line);
    if record.len() != columns.len() {
        let reason = format!("{} values for {} columns", record.len(), columns.len());
        return Ok(Some(Err((line, reason))));
    }
    let value = |bytes: &[u8]| (bytes != b"\\N").then(|| bytes.to_vec());
    let values = columns.iter().cloned().zip(record.iter().map(value)).collect();
    Ok(Some(Ok(Row { line, values })))
}

fn next_json<R: Read>(
    reader: &mut BufReader<R>,
    line: &mut u64,
) -> Result<Option<Parsed>, ToolError> {
    loop {
        let mut text = Vec::new();
        reader.by_ref().take(LINE_BYTES).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        *line += 1;
        if text.len() as u64 == LINE_BYTES {
            return Err(ToolError::Input(format!("line {line} is longer than {LINE_BYTES} bytes")));
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        return Ok(Some(match serde_json::from_slice::<serde_json::Map<_, _>>(&text) {
            Ok(object) => row_of(*line, object),
            Err(error) => Err((*line, format!("no JSON object: {error}"))),
        }));
    }
}

fn row_of(line: u64, object: serde_json::Map<String, Value>) -> Parsed {
    let mut row = Row { line, ..Row::default() };
    for (column, value) in object {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text.into_bytes()),
            Value::Number(number) => Some(number.to_string().into_bytes()),
            _ => return Err((line, format!("{column} is neither text nor number"))),
        };
        row.values.insert(column, value);
    }
    Ok(row)
}

/// A value of a row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Number(u64),
    Text(String),
    /// Bytes of any kind: as text where they are UTF-8, else in hexadecimal after `0x`.
    Blob(Vec<u8>),
}

/// Writes rows of one table.
pub(super) enum Writer<'w> {
    Csv(Box<csv::Writer<&'w mut dyn Write>>),
    Json(&'w mut dyn Write),
}

impl<'w> Writer<'w> {
    pub(super) fn new(
        format: Format,
        columns: &[&str],
        out: &'w mut dyn Write,
    ) -> Result<Self, ToolError> {
        match format {
            Format::JsonLines => Ok(Self::Json(out)),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(columns).map_err(|error| csv_error(&error))?;
                Ok(Self::Csv(Box::new(writer)))
            }
        }
    }

    pub(super) fn row(&mut self, columns: &[&str], cells: &[Cell]) -> Result<(), ToolError> {
        match self {
            Self::Csv(writer) => {
                let text = |cell: &Cell| match cell {
                    Cell::Null => "\\N".to_owned(),
                    Cell::Number(number) => number.to_string(),
                    Cell::Text(text) => text.clone(),
                    Cell::Blob(bytes) => text_or_hex(bytes),
                };
                writer.write_record(cells.iter().map(text)).map_err(|error| csv_error(&error))
            }
            Self::Json(out) => {
                let value = |cell: &Cell| match cell {
                    Cell::Null => Value::Null,
                    Cell::Number(number) => (*number).into(),
                    Cell::Text(text) => text.clone().into(),
                    Cell::Blob(bytes) => text_or_hex(bytes).into(),
                };
                let names = columns.iter().map(|name| (*name).to_owned());
                let object: serde_json::Map<_, _> = names.zip(cells.iter().map(value)).collect();
                super::line(*out, &Value::Object(object))
            }
        }
    }

    pub(super) fn finish(self) -> Result<(), ToolError> {
        match self {
            Self::Csv(mut writer) => writer.flush()?,
            Self::Json(out) => out.flush()?,
        }
        Ok(())
    }
}

/// UTF-8 as it is, anything else (and what would be taken for it) as `0x` and hexadecimal digits.
pub(super) fn text_or_hex(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if hex(text).is_none() => text.to_owned(),
        _ => bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02X}")),
    }
}

/// The bytes that [`text_or_hex`] and `mysqldump --hex-blob` write as `0x..`.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    let even = digits.len().is_multiple_of(2) && !digits.is_empty() && digits.is_ascii();
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    if even { (0..digits.len()).step_by(2).map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(format: Format, text: &str) -> Vec<Parsed> {
        let mut rows = Rows::new(format, text.as_bytes()).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            found.push(row);
        }
        found
    }

    #[test]
    fn csv_with_quotes_nulls_and_a_short_row() {
        let rows = all(Format::Csv, "a,b\n1,\"x,\"\"y\"\"\nz\"\n\\N,2\nonly\n");
        let first = rows[0].as_ref().unwrap();
        assert_eq!((first.line, first.text("b")), (2, Ok("x,\"y\"\nz")));
        let second = rows[1].as_ref().unwrap();
        assert_eq!((second.line, second.number("a", Some(7))), (4, Ok(7)));
        assert_eq!(second.number32("b", None), Ok(2));
        assert_eq!(rows[2], Err((5, "1 values for 2 columns".into())));
    }

    #[test]
    fn json_lines_with_null_numbers_and_a_broken_line() {
        let rows = all(Format::JsonLines, "{\"a\":1,\"b\":null}\n\n[1]\n{\"a\":{}}\n{\"a\":\"t\"}");
        assert_eq!(rows[0].as_ref().unwrap().number("a", None), Ok(1));
        assert_eq!(rows[0].as_ref().unwrap().nullable("b"), Ok(None));
        assert!(matches!(&rows[1], Err((3, _))));
        assert_eq!(rows[2], Err((4, "a is neither text nor number".into())));
        assert_eq!(rows[3].as_ref().unwrap().text("a"), Ok("t"));
    }

    #[test]
    fn bytes_of_any_kind_survive_as_text() {
        for bytes in [&b"<presence/>"[..], b"\xff\x00", b"0x41", b"0x4", b""] {
            let text = text_or_hex(bytes);
            let back = hex(&text).unwrap_or_else(|| text.clone().into_bytes());
            assert_eq!(back, bytes, "{text}");
        }
        assert_eq!(text_or_hex(b"\xff\x00"), "0xFF00");
    }
}
