//! Import and export of the seeds' tables (rows C60 to C62, C64, C65).
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{RealClock, Running, request};
use pharos_storage::record::{Publication, Subscription, Watcher};
use pharos_storage::{Kind, ObjectId, Op, aor_hash, decode, encode};
use pharos_storage_lmdb::tools::{
    Format, Imported, Shape, Table, ToolError, export, import, verify,
};
use pharos_storage_lmdb::{Lanes, OpenError, Options};

/// In the year 2100: nothing of it expires while a test runs.
const LATER: u64 = 4_102_444_800;

fn take(dir: &Path, table: Table, format: Format, text: &str) -> Imported {
    import(dir, table, format, &mut text.as_bytes(), &RealClock::shared()).unwrap()
}

fn give(dir: &Path, table: Table, format: Format, shape: Shape) -> String {
    let mut out = Vec::new();
    export(dir, table, format, shape, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// All live objects, decoded; each lies under the hash of its AoR.
#[derive(Default)]
struct Stored {
    publications: Vec<Publication>,
    bodies: BTreeMap<u64, Vec<u8>>,
    subscriptions: Vec<Subscription>,
    watchers: Vec<Watcher>,
}

fn stored(dir: &Path) -> Stored {
    let opened = Lanes::open(dir, Options::default()).unwrap();
    let (mut all, key) = (Stored::default(), opened.key());
    opened
        .objects(|object| {
            let aor = match object.kind {
                Kind::Body => {
                    all.bodies.insert(object.id.0, object.bytes.to_vec());
                    return;
                }
                Kind::Publication => {
                    all.publications.push(decode(object.bytes).unwrap());
                    all.publications.last().map(|record| &record.aor)
                }
                Kind::Subscription => {
                    all.subscriptions.push(decode(object.bytes).unwrap());
                    all.subscriptions.last().map(|record| &record.aor)
                }
                Kind::Watcher => {
                    all.watchers.push(decode(object.bytes).unwrap());
                    all.watchers.last().map(|record| &record.aor)
                }
            };
            assert_eq!(object.hash, aor_hash(&key, aor.unwrap().as_bytes()));
        })
        .unwrap();
    all
}

#[test]
fn c60_a_publication_of_the_seeds_is_kept_with_tag_and_body() {
    let dir = tempfile::tempdir().unwrap();
    let csv = format!(
        "id,username,domain,event,etag,expires,received_time,body\n\
         1,Alice,Example.COM,presence,a.1.2.3.4,{LATER},1700000000,\"<presence a=\"\"1\"\"/>\n\"\n\
         2,Alice,example.com,presence,a.1.2.3.5,{LATER},1700000001,0x00FF\n\
         3,bob,example.com,presence,a.9,1600000000,1600000000,<old/>\n"
    );
    let report = take(dir.path(), Table::Presentity, Format::Csv, &csv);
    assert_eq!((report.rows, report.stored, report.skipped), (3, 2, 1));
    assert_eq!((report.reasons[0].line, report.reasons[0].reason.as_str()), (5, "it has expired"));
    let all = stored(dir.path());
    let first = all.publications.iter().find(|it| it.etag == "a.1.2.3.4").unwrap();
    assert_eq!((first.aor.as_str(), first.expires), ("Alice@example.com", LATER * 1_000));
    assert_eq!((first.event.as_str(), first.received), ("presence", 1_700_000_000_000));
    assert_eq!(first.content_type, "application/pidf+xml");
    assert_eq!(all.bodies[&first.body], b"<presence a=\"1\"/>\n");
    let second = all.publications.iter().find(|it| it.etag == "a.1.2.3.5").unwrap();
    assert_eq!(all.bodies[&second.body], [0x00, 0xFF]);
}

const DIALOG: &str = "{\"presentity_uri\":\"sip:alice@example.com\",\"watcher_username\":\"bob\",\
    \"watcher_domain\":\"example.org\",\"to_user\":\"alice\",\"to_domain\":\"example.com\",\
    \"event\":\"dialog\",\"event_id\":\"7\",\"to_tag\":\"ours\",\"from_tag\":\"theirs\",\
    \"callid\":\"c1@host\",\"local_cseq\":41,\"remote_cseq\":3,\
    \"contact\":\"sip:bob@192.0.2.7:5062;transport=tcp\",\
    \"record_route\":\"<sip:p1.example.com;lr>, \\\"P, two\\\" <sip:p2.example.com;lr;x=1>\",\
    \"expires\":4102444800,\"status\":1,\"reason\":\"\",\"version\":12,\
    \"socket_info\":\"udp:10.0.0.1:5060\",\"local_contact\":\"sip:10.0.0.1:5060\",\
    \"sharing_tag\":\"vip1\",\"priority\":9}\n";

#[test]
fn c61_a_live_dialog_is_kept_with_tags_cseq_version_and_routes() {
    let dir = tempfile::tempdir().unwrap();
    let report = take(dir.path(), Table::ActiveWatchers, Format::JsonLines, DIALOG);
    assert_eq!((report.stored, report.skipped), (1, 0), "{:?}", report.reasons);
    assert_eq!(report.unknown_columns, ["priority"]);
    assert_eq!(report.ignored_columns, ["sharing_tag"]);
    let all = stored(dir.path());
    let [dialog] = &all.subscriptions[..] else { panic!("one dialog") };
    assert_eq!((dialog.local_tag.as_str(), dialog.remote_tag.as_str()), ("ours", "theirs"));
    assert_eq!((dialog.local_cseq, dialog.remote_cseq, dialog.version), (41, 3, 12));
    assert_eq!(
        (dialog.aor.as_str(), dialog.watcher.as_str()),
        ("alice@example.com", "bob@example.org")
    );
    assert_eq!(dialog.local_uri, "<sip:alice@example.com>");
    assert_eq!(dialog.remote_uri, "<sip:bob@example.org>");
    assert_eq!(
        dialog.routes,
        ["<sip:p1.example.com;lr>", "\"P, two\" <sip:p2.example.com;lr;x=1>"]
    );
    assert_eq!((dialog.event_id.as_deref(), dialog.status), (Some("7"), 1));
    assert_eq!(dialog.socket, "udp:10.0.0.1:5060");
    assert_eq!(dialog.local_contact, "<sip:10.0.0.1:5060>");
    assert!(u64::from(dialog.answered_expires) > LATER - 2_000_000_000 - 1_800_000_000);
    assert_eq!(dialog.contact, "sip:bob@192.0.2.7:5062;transport=tcp");
}

/// Row C65: what comes out is what went in, in both shapes and both formats.
#[test]
fn c65_export_gives_back_what_import_took() {
    let dir = tempfile::tempdir().unwrap();
    take(dir.path(), Table::ActiveWatchers, Format::JsonLines, DIALOG);
    let seed = give(dir.path(), Table::ActiveWatchers, Format::Csv, Shape::Seed);
    assert_eq!(
        seed,
        "id,presentity_uri,watcher_username,watcher_domain,to_user,to_domain,event,event_id,to_tag,\
         from_tag,callid,local_cseq,remote_cseq,contact,record_route,expires,status,reason,version,\
         socket_info,local_contact\n\
         1,sip:alice@example.com,bob,example.org,alice,example.com,dialog,7,ours,theirs,c1@host,41,\
         3,sip:bob@192.0.2.7:5062;transport=tcp,\
         \"<sip:p1.example.com;lr>,\"\"P, two\"\" <sip:p2.example.com;lr;x=1>\",4102444800,1,,12,\
         udp:10.0.0.1:5060,sip:10.0.0.1:5060\n"
    );
    let rows = format!(
        "{{\"username\":\"a%3Ab\",\"domain\":\"x.org\",\"event\":\"presence\",\"etag\":\"e\",\
         \"expires\":{LATER},\"received_time\":5,\"body\":\"<p/>\",\
         \"extra_hdrs\":\"Sender: <sip:c@x>\\r\\n\",\"sender\":\"sip:c@x.org\"}}\n\
         {{\"username\":\"b\",\"domain\":\"x.org\",\"event\":\"message-summary\",\"etag\":\"f\",\
         \"expires\":{LATER},\"received_time\":6,\"body\":\"0xFF\",\"extra_hdrs\":null,\
         \"sender\":null}}\n"
    );
    take(dir.path(), Table::Presentity, Format::JsonLines, &rows);
    let watchers = "presentity_uri,watcher_username,watcher_domain,event,status,reason,\
                    inserted_time\n\
                    sip:alice@example.com,bob,example.org,presence,2,\\N,1700000000\n";
    take(dir.path(), Table::Watchers, Format::Csv, watchers);
    for table in Table::ALL {
        for (format, shape) in [(Format::Csv, Shape::Current), (Format::JsonLines, Shape::Current)]
        {
            let first = give(dir.path(), table, format, shape);
            let other = tempfile::tempdir().unwrap();
            let report = take(other.path(), table, format, &first);
            assert_eq!((report.skipped, &report.unknown_columns[..]), (0, &[][..]));
            assert!(report.stored > 0);
            assert_eq!(give(other.path(), table, format, shape), first, "{table:?} {format:?}");
        }
    }
    let json = give(dir.path(), Table::Presentity, Format::JsonLines, Shape::Current);
    assert!(json.contains("\"username\":\"a:b\"") || json.contains("\"username\":\"a%3Ab\""));
    assert!(json.contains("\"sender\":\"sip:c@x.org\""), "{json}");
}

#[test]
fn a_second_import_replaces_by_the_unique_key_and_leaves_no_body_behind() {
    let dir = tempfile::tempdir().unwrap();
    let csv = |body: &str| {
        format!(
            "username,domain,event,etag,expires,received_time,body\n\
             a,x,presence,e,{LATER},1,{body}\n"
        )
    };
    let first = take(dir.path(), Table::Presentity, Format::Csv, &csv("<one/>"));
    assert_eq!((first.stored, first.replaced), (1, 0));
    let second = take(dir.path(), Table::Presentity, Format::Csv, &csv("<two/>"));
    assert_eq!((second.stored, second.replaced), (1, 1));
    let all = stored(dir.path());
    assert_eq!(all.publications.len(), 1);
    assert_eq!(all.bodies.into_values().collect::<Vec<_>>(), [b"<two/>"]);
    let mut out = Vec::new();
    assert_eq!(verify(dir.path(), &mut out).unwrap().problems, 0);
}

#[test]
fn rows_that_cannot_be_taken_are_reported_by_line_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let line = |change: (&str, &str)| DIALOG.replace(change.0, change.1);
    let text = [
        line(("\"status\":1", "\"status\":3")),
        line(("\"status\":1", "\"status\":9")),
        line(("sip:alice@example.com", "tel:+15551234")),
        line(("\"local_cseq\":41", "\"local_cseq\":\"x\"")),
        line(("\"to_tag\":\"ours\"", "\"to_tag\":\"\"")),
        line(("<sip:p1.example.com;lr>", "junk")),
        line(("4102444800", "1600000000")),
        "not json\n".to_owned(),
        line(("\"status\":1,", "")),
    ]
    .concat();
    let report = take(dir.path(), Table::ActiveWatchers, Format::JsonLines, &text);
    let reasons: Vec<_> = report.reasons.iter().map(|it| (it.line, it.reason.as_str())).collect();
    assert_eq!(
        reasons[..7],
        [
            (1, "the subscription is terminated"),
            (2, "status 9 is none of 1 to 4"),
            (3, "presentity_uri has no AoR: 'tel:+15551234'"),
            (4, "local_cseq is no number: 'x'"),
            (5, "to_tag is empty"),
            (6, "record_route holds no route: 'junk'"),
            (7, "it has expired"),
        ]
    );
    assert!(reasons[7].1.starts_with("no JSON object"), "{reasons:?}");
    assert_eq!((report.rows, report.stored, report.skipped), (9, 1, 8));
    let all = stored(dir.path());
    assert_eq!(all.subscriptions[0].status, 2, "the column's default is pending");
}

#[test]
fn import_refuses_a_directory_in_use_and_keeps_how_the_last_server_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let lanes = Running::open(dir.path(), Options::default());
    let refused = import(
        dir.path(),
        Table::Watchers,
        Format::Csv,
        &mut &b"event\n"[..],
        &RealClock::shared(),
    );
    assert!(matches!(refused, Err(ToolError::Open(OpenError::InUse { .. }))), "{refused:?}");
    drop(lanes);
    take(dir.path(), Table::ActiveWatchers, Format::JsonLines, DIALOG);
    let opened = Lanes::open(dir.path(), Options::default()).unwrap();
    assert_eq!((opened.clean(), opened.boots()), (false, 1));
}

#[test]
fn what_is_kept_only_to_answer_repeats_is_no_row() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Lanes::open(dir.path(), Options::default()).unwrap();
    let hash = aor_hash(&opened.key(), b"a@x");
    let lanes = Running::start(opened, RealClock::shared());
    let gone = Publication { aor: "a@x".into(), removed: true, ..Publication::default() };
    let ended = Subscription { aor: "a@x".into(), status: 3, ..Subscription::default() };
    let put = |id, kind, bytes| Op::Put { id: ObjectId(id), kind, bytes };
    let ops =
        [put(1, Kind::Publication, encode(&gone)), put(2, Kind::Subscription, encode(&ended))];
    lanes.store(request(1, hash, ops)).unwrap();
    assert!(lanes.close());
    for table in [Table::Presentity, Table::ActiveWatchers] {
        let json = give(dir.path(), table, Format::JsonLines, Shape::Current);
        assert_eq!(json, "");
    }
}

/// Ten thousand rows pass through, more than are on their way at a time.
#[test]
fn a_large_table_goes_in_and_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut csv = String::from("username,domain,event,etag,expires,received_time,body\n");
    for n in 0..10_000 {
        csv += &format!("user{n},example.com,presence,e{n},{LATER},1,<presence n='{n}'/>\n");
    }
    let report = take(dir.path(), Table::Presentity, Format::Csv, &csv);
    assert_eq!((report.stored, report.skipped), (10_000, 0));
    let out = give(dir.path(), Table::Presentity, Format::Csv, Shape::Seed);
    assert_eq!(out.lines().count(), 10_001);
    let mut problems = Vec::new();
    let verified = verify(dir.path(), &mut problems).unwrap();
    assert_eq!((verified.objects, verified.problems), (20_000, 0));
}
