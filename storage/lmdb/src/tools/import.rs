//! `import`: a table of the seeds into the data directory, through the lanes like any other change.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use pharos_storage::{
    Kind, Object, ObjectId, Op, Request, StoreError, Token, aor_hash, decode, encode,
};

use super::row::Rows;
use super::table::{Entry, publication_key, subscription_key, watcher_key};
use super::{Format, Table, ToolError, maintenance};
use crate::clock::Clock;
use crate::lanes::{Lanes, Opened};
use crate::reader::{Found, ReadSink};
use crate::writer::{Delivery, ReplySink};

/// Rows on their way to the lanes at a time.
const IN_FLIGHT: usize = 4_096;

/// Skipped rows that are named; the others are only counted.
const NAMED: usize = 1_000;

/// How long the lanes may take to finish what they have.
const PATIENCE: Duration = Duration::from_secs(60);

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows read.
    pub rows: u64,
    /// Rows stored, those that replaced an older one included.
    pub stored: u64,
    /// Rows that replaced one with the same unique key.
    pub replaced: u64,
    /// Rows not taken.
    pub skipped: u64,
    /// The first thousand of them.
    pub reasons: Vec<Skipped>,
    /// Columns that no version of the table has; their values are dropped.
    pub unknown_columns: Vec<String>,
    /// Columns known but without a place here, which held values: `sharing_tag`.
    pub ignored_columns: Vec<String>,
}

/// Reads a table into a directory that no server uses. `clock` says what has expired.
///
/// # Errors
/// See [`ToolError`]; a row that cannot be taken is not an error, it is reported.
pub fn import(
    dir: &Path,
    table: Table,
    format: Format,
    input: &mut dyn Read,
    clock: &Arc<dyn Clock>,
) -> Result<Imported, ToolError> {
    let mut rows = Rows::new(format, input)?;
    let opened = Lanes::open(dir, maintenance(dir)?)?;
    let mut importer = Importer::new(opened, table, clock)?;
    let mut outcome = Ok(());
    while outcome.is_ok() {
        outcome = match rows.next() {
            Ok(Some(Ok(row))) => importer.row(&row),
            Ok(Some(Err((line, reason)))) => {
                importer.report.rows += 1;
                importer.skip(line, reason);
                Ok(())
            }
            Ok(None) => break,
            Err(error) => Err(error),
        };
    }
    importer.finish(outcome)
}

struct Importer {
    table: Table,
    lanes: Lanes,
    key: [u8; 16],
    clock: Arc<dyn Clock>,
    /// Unique key to the object and, of a publication, its body.
    known: HashMap<Vec<String>, (u64, u64)>,
    next_id: u64,
    replies: Receiver<Delivery>,
    in_flight: usize,
    unknown: BTreeSet<String>,
    ignored: BTreeSet<String>,
    report: Imported,
}

struct Replies(Sender<Delivery>);

impl ReplySink for Replies {
    fn deliver(&mut self, replies: &[Delivery]) {
        for &reply in replies {
            // The importer has given up: nobody wants to know.
            let _ = self.0.send(reply);
        }
    }
}

struct Nobody;

impl ReadSink for Nobody {
    fn deliver(&mut self, _found: Vec<Found>) {}
}

impl Importer {
    fn new(opened: Opened, table: Table, clock: &Arc<dyn Clock>) -> Result<Self, ToolError> {
        let mut known = HashMap::new();
        opened.objects(|object| {
            if let Some((key, body)) = key_of(table, object) {
                known.insert(key, (object.id.0, body));
            }
        })?;
        let (next_id, key) = (opened.highest_id() + 1, opened.key());
        let (send, replies) = unbounded();
        let lanes =
            opened.start(clock, &mut |_| (Box::new(Replies(send.clone())), Box::new(Nobody)))?;
        Ok(Self {
            table,
            lanes,
            key,
            clock: Arc::clone(clock),
            known,
            next_id,
            replies,
            in_flight: 0,
            unknown: BTreeSet::new(),
            ignored: BTreeSet::new(),
            report: Imported::default(),
        })
    }

    fn row(&mut self, row: &super::row::Row) -> Result<(), ToolError> {
        self.report.rows += 1;
        for (column, value) in &row.values {
            if !self.table.columns(super::Shape::Current).contains(&column.as_str()) {
                self.unknown.insert(column.clone());
            } else if column == "sharing_tag" && value.as_ref().is_some_and(|it| !it.is_empty()) {
                self.ignored.insert(column.clone());
            }
        }
        match self.table.read(row, self.clock.wall()) {
            Ok(entry) => self.store(row.line, entry),
            Err(reason) => {
                self.skip(row.line, reason);
                Ok(())
            }
        }
    }

    fn skip(&mut self, line: u64, reason: String) {
        self.report.skipped += 1;
        if self.report.reasons.len() < NAMED {
            self.report.reasons.push(Skipped { line, reason });
        }
    }

    fn store(&mut self, line: u64, entry: Entry) -> Result<(), ToolError> {
        let hash = aor_hash(&self.key, entry.aor().as_bytes());
        let key = entry.key();
        let (id, old_body) = match self.known.get(&key) {
            Some(&known) => known,
            None => (self.new_id(), 0),
        };
        let mut ops: Vec<Op> = Vec::new();
        let mut put = |id, kind, bytes| ops.push(Op::Put { id: ObjectId(id), kind, bytes });
        let mut body_id = 0;
        match entry {
            Entry::Subscription(record) => put(id, Kind::Subscription, encode(&record)),
            Entry::Watcher(record) => put(id, Kind::Watcher, encode(&record)),
            Entry::Publication(mut record, body) => {
                if !body.is_empty() {
                    body_id = self.new_id();
                    put(body_id, Kind::Body, body.into());
                }
                record.body = body_id;
                put(id, Kind::Publication, encode(&record));
            }
        }
        if old_body != 0 {
            ops.push(Op::Remove { id: ObjectId(old_body) });
        }
        let token = Some(Token(line));
        let request = Request { token, hash, ops: ops.into_iter().collect() };
        if !request.fits() {
            self.skip(line, "it is larger than a lane takes".into());
            return Ok(());
        }
        self.submit(request)?;
        self.report.stored += 1;
        self.report.replaced += u64::from(self.known.insert(key, (id, body_id)).is_some());
        Ok(())
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn submit(&mut self, request: Request) -> Result<(), ToolError> {
        while self.in_flight >= IN_FLIGHT {
            self.wait()?;
        }
        let mut request = request;
        loop {
            match self.lanes.submitter().submit(self.clock.nanos(), 0, request) {
                Ok(()) => break,
                Err(refused) if refused.error == StoreError::Busy && self.in_flight > 0 => {
                    self.wait()?;
                    request = refused.request;
                }
                Err(refused) => return Err(ToolError::Store(refused.error)),
            }
        }
        self.in_flight += 1;
        Ok(())
    }

    /// Waits for one reply.
    fn wait(&mut self) -> Result<(), ToolError> {
        let reply = self.replies.recv_timeout(PATIENCE);
        let delivery = reply.map_err(|_| ToolError::Store(StoreError::Busy))?;
        self.in_flight -= 1;
        delivery.reply.result.map_err(ToolError::Store)
    }

    fn finish(mut self, outcome: Result<(), ToolError>) -> Result<Imported, ToolError> {
        let mut outcome = outcome;
        while outcome.is_ok() && self.in_flight > 0 {
            outcome = self.wait();
        }
        let closed = self.lanes.close(PATIENCE);
        outcome?;
        if !closed? {
            return Err(ToolError::Store(StoreError::Closed));
        }
        self.report.unknown_columns = self.unknown.into_iter().collect();
        self.report.ignored_columns = self.ignored.into_iter().collect();
        Ok(self.report)
    }
}

/// Unique key and body of a stored object of this table.
fn key_of(table: Table, object: Object<'_>) -> Option<(Vec<String>, u64)> {
    if object.kind != table.kind() {
        return None;
    }
    match table {
        Table::Presentity => {
            let record = decode(object.bytes).ok()?;
            Some((publication_key(&record), record.body))
        }
        Table::ActiveWatchers => Some((subscription_key(&decode(object.bytes).ok()?), 0)),
        Table::Watchers => Some((watcher_key(&decode(object.bytes).ok()?), 0)),
    }
}
