//! The seeds' presence tables: columns, their meaning, and the records they become.
//!
//! Rows C60 to C62 and C64. Times in tables are absolute Unix seconds, in records milliseconds. A
//! dialog's `to_tag` is ours and `from_tag` the watcher's; `record_route` is the route set in the
//! order a UAS keeps it (RFC 3261 12.1.1), name-addrs joined by commas.

use pharos_parser::uri::{split_aor, write_aor};
use pharos_parser::{Address, Uri};
use pharos_storage::Kind;
use pharos_storage::record::{Publication, Subscription, Watcher};

use super::row::{Cell, Row, hex};

/// A table that can be moved in and out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Row C60: publications.
    Presentity,
    /// Row C61: subscriptions with their dialogs.
    ActiveWatchers,
    /// Row C62: authorization states without a subscription.
    Watchers,
}

/// Which version of a table is written. Both are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Shape {
    /// As OpenSIPS has it now.
    #[default]
    Current,
    /// As the module had it first.
    Seed,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Publication(Publication, Vec<u8>),
    Subscription(Subscription),
    Watcher(Watcher),
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Presentity, Self::ActiveWatchers, Self::Watchers];

    /// Its name in the seeds.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Presentity => "presentity",
            Self::ActiveWatchers => "active_watchers",
            Self::Watchers => "watchers",
        }
    }

    /// By its name in the seeds.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Its columns, in the order they are written.
    pub const fn columns(self, shape: Shape) -> &'static [&'static str] {
        match (self, shape) {
            (Self::Presentity, Shape::Current) => &PRESENTITY,
            (Self::Presentity, Shape::Seed) => PRESENTITY.split_at(8).0,
            (Self::ActiveWatchers, Shape::Current) => &ACTIVE_WATCHERS,
            (Self::ActiveWatchers, Shape::Seed) => ACTIVE_WATCHERS.split_at(21).0,
            (Self::Watchers, _) => &WATCHERS,
        }
    }

    /// What its rows are stored as.
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Presentity => Kind::Publication,
            Self::ActiveWatchers => Kind::Subscription,
            Self::Watchers => Kind::Watcher,
        }
    }

    /// What a row says, or why it is skipped. `now` is ms since 1970.
    pub(super) fn read(self, row: &Row, now: u64) -> Result<Entry, String> {
        match self {
            Self::Presentity => presentity(row, now),
            Self::ActiveWatchers => active_watcher(row, now).map(Entry::Subscription),
            Self::Watchers => watcher(row).map(Entry::Watcher),
        }
    }
}

const PRESENTITY: [&str; 10] = [
    "id",
    "username",
    "domain",
    "event",
    "etag",
    "expires",
    "received_time",
    "body",
    "extra_hdrs",
    "sender",
];

const ACTIVE_WATCHERS: [&str; 22] = [
    "id",
    "presentity_uri",
    "watcher_username",
    "watcher_domain",
    "to_user",
    "to_domain",
    "event",
    "event_id",
    "to_tag",
    "from_tag",
    "callid",
    "local_cseq",
    "remote_cseq",
    "contact",
    "record_route",
    "expires",
    "status",
    "reason",
    "version",
    "socket_info",
    "local_contact",
    "sharing_tag",
];

const WATCHERS: [&str; 8] = [
    "id",
    "presentity_uri",
    "watcher_username",
    "watcher_domain",
    "event",
    "status",
    "reason",
    "inserted_time",
];

impl Entry {
    /// The presentity.
    pub(super) fn aor(&self) -> &str {
        match self {
            Self::Publication(record, _) => &record.aor,
            Self::Subscription(record) => &record.aor,
            Self::Watcher(record) => &record.aor,
        }
    }

    /// What the table's unique key says of it: a row with the same one replaces it.
    pub(super) fn key(&self) -> Vec<String> {
        match self {
            Self::Publication(record, _) => publication_key(record),
            Self::Subscription(record) => subscription_key(record),
            Self::Watcher(record) => watcher_key(record),
        }
    }

    /// The row, all columns of the current shape.
    pub(super) fn cells(&self, id: u64) -> Vec<Cell> {
        match self {
            Self::Publication(record, body) => presentity_cells(id, record, body),
            Self::Subscription(record) => active_watcher_cells(id, record),
            Self::Watcher(record) => watcher_cells(id, record),
        }
    }
}

pub(super) fn publication_key(record: &Publication) -> Vec<String> {
    vec![record.aor.clone(), record.event.clone(), record.etag.clone()]
}

pub(super) fn subscription_key(record: &Subscription) -> Vec<String> {
    let dialog = [&record.call_id, &record.local_tag, &record.remote_tag];
    [&record.aor].into_iter().chain(dialog).cloned().collect()
}

pub(super) fn watcher_key(record: &Watcher) -> Vec<String> {
    vec![record.aor.clone(), record.watcher.clone(), record.event.clone()]
}

fn presentity(row: &Row, now: u64) -> Result<Entry, String> {
    let body = row.bytes("body")?;
    let body = str::from_utf8(body).ok().and_then(hex).unwrap_or_else(|| body.to_vec());
    let event = row.some_text("event")?;
    let sender = match row.nullable("sender")? {
        Some(uri) => aor("sender", uri.as_bytes())?,
        None => String::new(),
    };
    let record = Publication {
        aor: parts("username", "domain", row)?,
        event: event.to_owned(),
        etag: row.some_text("etag")?.to_owned(),
        expires: future(row, now)?,
        answered_expires: left(row, now)?,
        received: row.number("received_time", Some(now / 1_000))?.saturating_mul(1_000),
        content_type: content_type(event, &body).to_owned(),
        sender,
        extra_headers: row.nullable("extra_hdrs")?.unwrap_or_default().to_owned(),
        ..Publication::default()
    };
    Ok(Entry::Publication(record, body))
}

fn presentity_cells(id: u64, record: &Publication, body: &[u8]) -> Vec<Cell> {
    let (username, domain) = user_and_domain(&record.aor);
    let sender = if record.sender.is_empty() { Cell::Null } else { uri(&record.sender) };
    vec![
        Cell::Number(id),
        username,
        domain,
        text(&record.event),
        text(&record.etag),
        Cell::Number(record.expires / 1_000),
        Cell::Number(record.received / 1_000),
        Cell::Blob(body.to_vec()),
        nullable(&record.extra_headers),
        sender,
    ]
}

fn active_watcher(row: &Row, now: u64) -> Result<Subscription, String> {
    let (to_user, to_domain) = (row.text("to_user")?, row.some_text("to_domain")?);
    let (user, domain) = (row.text("watcher_username")?, row.some_text("watcher_domain")?);
    let status = status(row, Some(2))?;
    if status == 3 {
        return Err("the subscription is terminated".into());
    }
    let contact = row.some_text("contact")?;
    Uri::parse(contact.as_bytes()).map_err(|_| format!("contact is no URI: '{contact}'"))?;
    Ok(Subscription {
        aor: aor("presentity_uri", row.bytes("presentity_uri")?)?,
        event: row.text_or("event", "presence")?.to_owned(),
        event_id: row.nullable("event_id")?.map(str::to_owned),
        watcher: parts("watcher_username", "watcher_domain", row)?,
        call_id: row.some_text("callid")?.to_owned(),
        local_tag: row.some_text("to_tag")?.to_owned(),
        remote_tag: row.some_text("from_tag")?.to_owned(),
        local_uri: name_addr(to_user, to_domain),
        remote_uri: name_addr(user, domain),
        contact: contact.to_owned(),
        routes: routes(row.nullable("record_route")?.unwrap_or_default())?,
        local_cseq: row.number32("local_cseq", None)?,
        remote_cseq: row.number32("remote_cseq", None)?,
        version: row.number32("version", Some(0))?,
        expires: future(row, now)?,
        answered_expires: left(row, now)?,
        since: now,
        status,
        reason: row.nullable("reason")?.unwrap_or_default().to_owned(),
        socket: row.text_or("socket_info", "")?.to_owned(),
        local_contact: bracketed(row.text_or("local_contact", "")?),
        ..Subscription::default()
    })
}

fn active_watcher_cells(id: u64, record: &Subscription) -> Vec<Cell> {
    let (to_user, to_domain) = uri_parts(&record.local_uri);
    let (user, domain) = uri_parts(&record.remote_uri);
    vec![
        Cell::Number(id),
        uri(&record.aor),
        user,
        domain,
        to_user,
        to_domain,
        text(&record.event),
        record.event_id.as_deref().map_or(Cell::Null, text),
        text(&record.local_tag),
        text(&record.remote_tag),
        text(&record.call_id),
        Cell::Number(record.local_cseq.into()),
        Cell::Number(record.remote_cseq.into()),
        text(&record.contact),
        nullable(&record.routes.join(",")),
        Cell::Number(record.expires / 1_000),
        Cell::Number(record.status.into()),
        text(&record.reason),
        Cell::Number(record.version.into()),
        text(&record.socket),
        text(bare(&record.local_contact)),
        Cell::Null,
    ]
}

fn watcher(row: &Row) -> Result<Watcher, String> {
    Ok(Watcher {
        aor: aor("presentity_uri", row.bytes("presentity_uri")?)?,
        watcher: parts("watcher_username", "watcher_domain", row)?,
        event: row.text_or("event", "presence")?.to_owned(),
        status: status(row, None)?,
        reason: row.nullable("reason")?.unwrap_or_default().to_owned(),
        inserted: row.number("inserted_time", None)?.saturating_mul(1_000),
    })
}

fn watcher_cells(id: u64, record: &Watcher) -> Vec<Cell> {
    let (user, domain) = user_and_domain(&record.watcher);
    vec![
        Cell::Number(id),
        uri(&record.aor),
        user,
        domain,
        text(&record.event),
        Cell::Number(record.status.into()),
        nullable(&record.reason),
        Cell::Number(record.inserted / 1_000),
    ]
}

/// `expires`, which must not have passed.
fn future(row: &Row, now: u64) -> Result<u64, String> {
    let expires = row.number("expires", None)?.saturating_mul(1_000);
    if expires > now { Ok(expires) } else { Err("it has expired".into()) }
}

/// Seconds until `expires`: what a 2xx sent now would say; so the record counts as written now.
fn left(row: &Row, now: u64) -> Result<u32, String> {
    let seconds = future(row, now)?.saturating_sub(now) / 1_000;
    Ok(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// A URI as a name-addr, so that its parameters stay its own.
fn bracketed(uri: &str) -> String {
    if uri.is_empty() || uri.contains('<') { uri.to_owned() } else { format!("<{uri}>") }
}

/// The URI of a name-addr without a display name.
fn bare(address: &str) -> &str {
    address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(address)
}

/// Row C64.
fn status(row: &Row, default: Option<u32>) -> Result<u8, String> {
    match row.number32("status", default)? {
        status @ 1..=4 => Ok(status as u8),
        other => Err(format!("status {other} is none of 1 to 4")),
    }
}

/// The AoR of a URI (row C92).
fn aor(column: &str, uri: &[u8]) -> Result<String, String> {
    let wrong = || format!("{column} has no AoR: '{}'", String::from_utf8_lossy(uri));
    let mut out = Vec::new();
    let written = Uri::parse(uri).and_then(|uri| uri.write_aor(&mut out));
    written.map_err(|_| wrong())?;
    String::from_utf8(out).map_err(|_| wrong())
}

/// The AoR of a user and a domain column, as they stood in a URI.
fn parts(user: &str, domain: &str, row: &Row) -> Result<String, String> {
    let uri = sip(row.text(user)?, row.some_text(domain)?);
    aor(user, uri.as_bytes())
}

fn sip(user: &str, domain: &str) -> String {
    if user.is_empty() { format!("sip:{domain}") } else { format!("sip:{user}@{domain}") }
}

fn name_addr(user: &str, domain: &str) -> String {
    format!("<{}>", sip(user, domain))
}

/// The name-addrs of a route set, cut at the commas between them.
fn routes(text: &str) -> Result<Vec<String>, String> {
    let (mut routes, mut start, mut inside, mut quoted) = (Vec::new(), 0, false, false);
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !inside => quoted = !quoted,
            b'<' if !quoted => inside = true,
            b'>' if !quoted => inside = false,
            b',' if !quoted && !inside => {
                routes.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    routes.push(&text[start..]);
    let routes = routes.into_iter().map(str::trim).filter(|route| !route.is_empty());
    let routes: Vec<_> = routes.map(str::to_owned).collect();
    match routes.iter().find(|route| Address::parse_name_addr(route.as_bytes()).is_err()) {
        Some(wrong) => Err(format!("record_route holds no route: '{wrong}'")),
        None => Ok(routes),
    }
}

/// The tables do not say what a body is; its event does.
fn content_type(event: &str, body: &[u8]) -> &'static str {
    match event.split(';').next().unwrap_or_default() {
        _ if body.is_empty() => "",
        "presence" => "application/pidf+xml",
        "dialog" => "application/dialog-info+xml",
        "message-summary" => "application/simple-message-summary",
        "reg" => "application/reginfo+xml",
        "xcap-diff" => "application/xcap-diff+xml",
        "as-feature-event" => "application/x-as-feature-event+xml",
        name if name.ends_with(".winfo") => "application/watcherinfo+xml",
        _ => "",
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn nullable(value: &str) -> Cell {
    if value.is_empty() { Cell::Null } else { text(value) }
}

fn uri(aor: &str) -> Cell {
    let mut out = Vec::new();
    write_aor("sip", aor.as_bytes(), &mut out);
    Cell::Text(String::from_utf8_lossy(&out).into_owned())
}

/// User, escaped as in a URI, and domain of an AoR.
fn user_and_domain(aor: &str) -> (Cell, Cell) {
    let mut out = Vec::new();
    write_aor("sip", aor.as_bytes(), &mut out);
    let rest = out.strip_prefix(b"sip:").unwrap_or(&out);
    let (user, domain) = split_aor(rest);
    let lossy = |bytes: &[u8]| Cell::Text(String::from_utf8_lossy(bytes).into_owned());
    (lossy(user.unwrap_or_default()), lossy(domain))
}

/// User and domain of a stored From or To, as they stand there.
fn uri_parts(address: &str) -> (Cell, Cell) {
    let parsed = Address::parse(address.as_bytes());
    let Ok(address) = parsed else { return (text(""), text(address)) };
    let user = address.uri().user().unwrap_or_default();
    let mut host = Vec::new();
    if let Some(found) = address.uri().host() {
        found.write(&mut host);
    }
    let lossy = |bytes: &[u8]| Cell::Text(String::from_utf8_lossy(bytes).into_owned());
    (lossy(user), lossy(&host))
}
