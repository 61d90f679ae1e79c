//! Fills a data directory with presentities and subscriptions, to measure a start with.
//!
//! ```text
//! cargo run --release -p pharos-storage-lmdb --example fill -- DIR [PRESENTITIES] [IP:PORT]
//! ```
//!
//! Presentity `uN@bench.example` has one document of 400 bytes and one active watcher,
//! `wN@bench.example`, whose dialog is Call-ID `dN@bench`, To tag `tN`, From tag `fN`, CSeq 1 of
//! the SUBSCRIBE; all end in a day. The listener of the dialogs is the last argument.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Sender, bounded};
use pharos_storage::{Kind, ObjectId, Op, Record, Request, Token, aor_hash, encode, record};
use pharos_storage_lmdb::{Clock, Delivery, Found, Lanes, Options, ReadSink, ReplySink, Submitter};

/// Requests on their way at most: a part of what a lane takes.
const AHEAD: usize = 4_096;

struct Real(Instant);

impl Clock for Real {
    fn nanos(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    fn wall(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    }
}

struct Counted(Sender<usize>);

impl ReplySink for Counted {
    fn deliver(&mut self, replies: &[Delivery]) {
        assert!(replies.iter().all(|delivery| delivery.reply.result.is_ok()), "a commit failed");
        let _ = self.0.send(replies.len());
    }
}

struct Nobody;

impl ReadSink for Nobody {
    fn deliver(&mut self, _found: Vec<Found>) {}
}

/// What all of them share.
struct Fill {
    submitter: Submitter,
    key: [u8; 16],
    first: u64,
    wall: u64,
    address: String,
}

impl Fill {
    fn put<T: Record>(id: u64, record: &T) -> Op {
        Op::Put { id: ObjectId(id), kind: T::KIND, bytes: encode(record) }
    }

    /// Presentity `n`: its publication with the body, then its subscription.
    fn store(&self, now: u64, n: u64) {
        let aor = format!("u{n}@bench.example");
        let hash = aor_hash(&self.key, aor.as_bytes());
        let id = self.first + 3 * n;
        let body = self.body(&aor).into_bytes().into();
        let body = Op::Put { id: ObjectId(id + 1), kind: Kind::Body, bytes: body };
        let publication = Self::put(id, &self.publication(&aor, n, id + 1));
        let subscription = Self::put(id + 2, &self.subscription(&aor, n));
        let ops: [Op; 3] = [body, publication, subscription];
        let request = Request { token: Some(Token(n)), hash, ops: ops.into_iter().collect() };
        let refused = self.submitter.submit(now, 0, request).err();
        assert!(refused.is_none(), "the lane refuses: {:?}", refused.map(|it| it.error));
    }

    fn body(&self, aor: &str) -> String {
        let mut body = format!(
            "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             entity=\"sip:{aor}\"><tuple id=\"t1\"><status><basic>open</basic></status>\
             <contact>sip:{aor}</contact><note>"
        );
        const END: &str = "</note></tuple></presence>";
        while body.len() + END.len() < 400 {
            body.push('n');
        }
        body + END
    }

    fn publication(&self, aor: &str, n: u64, body: u64) -> record::Publication {
        record::Publication {
            aor: aor.into(),
            event: "presence".into(),
            etag: format!("fill.{n}"),
            expires: self.wall + 86_400_000,
            received: self.wall,
            body,
            content_type: "application/pidf+xml".into(),
            sender: aor.into(),
            answered_expires: 86_400,
            ..record::Publication::default()
        }
    }

    fn subscription(&self, aor: &str, n: u64) -> record::Subscription {
        let watcher = format!("w{n}@bench.example");
        record::Subscription {
            aor: aor.into(),
            event: "presence".into(),
            call_id: format!("d{n}@bench"),
            local_tag: format!("t{n}"),
            remote_tag: format!("f{n}"),
            local_uri: format!("<sip:{aor}>"),
            remote_uri: format!("<sip:{watcher}>"),
            watcher,
            contact: "sip:w@127.0.0.1:9".into(),
            local_cseq: 1,
            remote_cseq: 1,
            version: 1,
            expires: self.wall + 86_400_000,
            since: self.wall,
            status: 1,
            reason: "subscribe".into(),
            socket: format!("udp:{}", self.address),
            local_contact: format!("<sip:{}>", self.address),
            source: "127.0.0.1:9".into(),
            answered_expires: 86_400,
            ..record::Subscription::default()
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("fill DIR [PRESENTITIES] [IP:PORT]")?;
    let count = args.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let address = args.next().unwrap_or_else(|| "127.0.0.1:5060".into());
    let clock: Arc<dyn Clock> = Arc::new(Real(Instant::now()));
    let opened = Lanes::open(dir.as_ref(), Options::default())?;
    let (key, first) = (opened.key(), opened.highest_id() + 1);
    let (send, done) = bounded(1 << 16);
    let lanes =
        opened.start(&clock, &mut |_| (Box::new(Counted(send.clone())), Box::new(Nobody)))?;
    let fill = Fill { submitter: lanes.submitter(), key, first, wall: clock.wall(), address };
    let mut waiting = 0;
    for n in 0..count {
        fill.store(clock.nanos(), n);
        waiting += 1;
        while waiting > AHEAD || (n + 1 == count && waiting > 0) {
            waiting -= done.recv()?;
        }
    }
    drop(fill);
    assert!(lanes.close(Duration::from_secs(60))?, "a clean stop");
    println!("{count} presentities and {count} subscriptions in {dir}");
    Ok(())
}
