//! `dump`: every live object as one JSON line.

use std::io::Write;
use std::path::Path;

use pharos_storage::record::{Publication, Subscription, Watcher};
use pharos_storage::{DecodeError, Kind, decode};
use serde_json::{Map, Value, json};

use super::follow::{Copied, Follower};
use super::row::text_or_hex;
use super::{ToolError, line, meta};

/// Writes all live objects, lane by lane in log order; returns how many. On a directory in use each
/// object is as it was when its step was read.
///
/// # Errors
/// See [`ToolError`].
pub fn dump(dir: &Path, out: &mut dyn Write) -> Result<u64, ToolError> {
    let mut count = 0;
    for lane in 0..meta(dir)?.lanes {
        let Some(mut follower) = Follower::open(dir, lane)? else { continue };
        follower.objects(&|_| None, &mut |_, object| {
            count += 1;
            line(out, &object_json(lane, &object))
        })?;
        follower.close();
    }
    Ok(count)
}

fn object_json(lane: u16, object: &Copied) -> Value {
    let mut value = Map::new();
    value.insert("lane".into(), lane.into());
    value.insert("sequence".into(), object.sequence.into());
    value.insert("id".into(), object.id.0.into());
    value.insert("hash".into(), format!("{:016x}", object.hash).into());
    value.insert("kind".into(), object.kind.name().into());
    let record = match object.kind {
        Kind::Body => Ok(json!({ "body": text_or_hex(&object.bytes) })),
        Kind::Publication => decode(&object.bytes).map(publication),
        Kind::Subscription => decode(&object.bytes).map(subscription),
        Kind::Watcher => decode(&object.bytes).map(watcher),
    };
    match record {
        Ok(Value::Object(fields)) => value.extend(fields),
        Ok(_) => {}
        Err(error) => {
            let error: DecodeError = error;
            value.insert("error".into(), format!("{error:?}").into());
            value.insert("bytes".into(), text_or_hex(&object.bytes).into());
        }
    }
    Value::Object(value)
}

fn publication(record: Publication) -> Value {
    json!({
        "aor": record.aor,
        "event": record.event,
        "etag": record.etag,
        "previous_etag": record.previous_etag,
        "expires": record.expires,
        "received": record.received,
        "body": record.body,
        "content_type": record.content_type,
        "sender": record.sender,
        "extra_headers": record.extra_headers,
        "last_request": format!("{:016x}", record.last_request),
        "answered_expires": record.answered_expires,
        "removed": record.removed,
    })
}

fn subscription(record: Subscription) -> Value {
    let mut dialog = json!({
        "call_id": record.call_id,
        "local_tag": record.local_tag,
        "remote_tag": record.remote_tag,
        "local_uri": record.local_uri,
        "remote_uri": record.remote_uri,
        "contact": record.contact,
        "routes": record.routes,
        "local_cseq": record.local_cseq,
        "remote_cseq": record.remote_cseq,
        "socket": record.socket,
        "local_contact": record.local_contact,
        "source": record.source,
    });
    let state = json!({
        "aor": record.aor,
        "event": record.event,
        "event_id": record.event_id,
        "watcher": record.watcher,
        "version": record.version,
        "expires": record.expires,
        "since": record.since,
        "status": record.status,
        "reason": record.reason,
        "accept": record.accept,
        "last_request": format!("{:016x}", record.last_request),
        "answered_expires": record.answered_expires,
    });
    if let (Value::Object(all), Value::Object(state)) = (&mut dialog, state) {
        all.extend(state);
    }
    dialog
}

fn watcher(record: Watcher) -> Value {
    json!({
        "aor": record.aor,
        "watcher": record.watcher,
        "event": record.event,
        "status": record.status,
        "reason": record.reason,
        "inserted": record.inserted,
    })
}
