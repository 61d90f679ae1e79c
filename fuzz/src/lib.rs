//! What each fuzz target does with its bytes. Plain builds have it too: `cargo test -p pharos-fuzz`
//! replays the corpus, and `fuzz/run.sh` looks for more.

mod engine;

use pharos_engine::Wall;
use pharos_engine::config::PresenceConfig;
use pharos_engine::presence::package::{
    Accepted, Document, Inputs, PackageId, Publish, Published, View,
};
use pharos_parser::write::{self, ResponseHead};
use pharos_parser::{
    Frame, FrameError, Framer, Message, Uri, dialog_info, message_summary, pidf, uri, xml,
};
use pharos_storage::record::{Publication, Subscription, Watcher};
use pharos_storage::{Record, codec};

pub use engine::engine;

/// A target: its name, which is that of its corpus folder, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("sip_message", sip_message),
    ("stream_framing", stream_framing),
    ("uri", sip_uri),
    ("pidf", bodies),
    ("composition", composition),
    ("storage_record", storage_record),
    ("engine", engine),
];

/// Makes the `main` of a target's binary.
#[macro_export]
macro_rules! target {
    ($target:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $target(bytes));

        #[cfg(not(fuzzing))]
        fn main() {
            eprintln!("a fuzz target: fuzz/run.sh builds it with its flags");
            std::process::exit(2);
        }
    };
}

/// Reads every header of a message, and answers it: the answer must be a message itself, without a
/// header that came in from outside.
pub fn sip_message(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    // What is wrong is not the point here; that nothing panics is.
    let _ = message.verify();
    let _ = (message.from(), message.to(), message.contact(), message.event(), message.body());
    let _ = (message.subscription_state(), message.retry_after(), message.content_type());
    for credentials in message.authorization().flatten() {
        let _ = credentials.digest();
    }
    for header in message.headers() {
        assert!(header.value.len() <= bytes.len());
    }
    let head = ResponseHead {
        status: 400,
        reason: "Bad Request",
        to_tag: Some(b"t"),
        source: ([192, 0, 2, 1], 5060).into(),
        record_route: true,
    };
    let mut out = Vec::new();
    write::response(&message, &head, &mut out).end();
    match Message::parse(&out) {
        Ok(answer) => {
            assert_eq!((answer.status(), answer.fault()), (Some(400), None));
            assert_eq!(answer.body(), Ok(&b""[..]));
        }
        // What came in once may go out longer by `received`, `rport` and a tag.
        Err(error) => assert!(bytes.len() > 60_000, "{error}"),
    }
}

/// Cuts a stream whole and in pieces, whose sizes the first byte says: both find the same.
pub fn stream_framing(bytes: &[u8]) {
    let Some((size, stream)) = bytes.split_first() else { return };
    let size = usize::from(*size).max(1);
    assert_eq!(messages(stream, size), messages(stream, stream.len().max(1)));
}

fn messages(stream: &[u8], size: usize) -> Result<Vec<&[u8]>, FrameError> {
    let mut framer = Framer::new(4096, 4096);
    let mut messages = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        match framer.next(&stream[start..end])? {
            Frame::NeedMore if end == stream.len() => return Ok(messages),
            Frame::NeedMore => end = stream.len().min(end + size),
            Frame::KeepAlive(taken) | Frame::Pong(taken) => start += taken,
            Frame::Message(range) => {
                let message = &stream[start..][range];
                start += message.len();
                messages.push(message);
            }
        }
    }
}

/// Reads a URI, compares it with itself and takes its address of record there and back (row C92).
pub fn sip_uri(bytes: &[u8]) {
    let Ok(one) = Uri::parse(bytes) else { return };
    assert!(one.eq(&one));
    let mut aor = Vec::new();
    if one.write_aor(&mut aor).is_err() {
        return;
    }
    let mut text = Vec::new();
    uri::write_aor("sip", &aor, &mut text);
    let mut again = Vec::new();
    let result = Uri::parse(&text).and_then(|uri| uri.write_aor(&mut again));
    assert_eq!((result, &again), (Ok(()), &aor));
}

/// Reads a body as each kind of document.
pub fn bodies(bytes: &[u8]) {
    let _ = pidf::validate(bytes);
    let _ = dialog_info::validate(bytes);
    let _ = message_summary::parse(bytes);
    let _ = xml::read(bytes);
}

/// Publishes the documents between NUL bytes one after the other, the second half as changes of the
/// first: whatever the server takes, what it tells watchers is a valid document.
pub fn composition(bytes: &[u8]) {
    let config = PresenceConfig { mix_dialog_presence: true, ..PresenceConfig::default() };
    let aor = "a&\"b@example.com";
    let mut dialogs: Vec<Vec<u8>> = Vec::new();
    for id in [PackageId::DIALOG_SLA, PackageId::DIALOG, PackageId::PRESENCE] {
        let package = id.package();
        let content_type = package.info().notify_type;
        let mut view = View::new(id, aor);
        let mut stored: Vec<Vec<u8>> = Vec::new();
        for (place, body) in bytes.split(|byte| *byte == 0).take(6).enumerate() {
            let previous = stored.get(place / 2).cloned();
            let previous = previous.as_deref();
            let publish = Publish { aor, content_type, body, previous, config: &config };
            let body = match package.validate_publish(&publish) {
                Ok(Accepted::AsIs) => body.to_vec(),
                Ok(Accepted::Rewritten(body)) => body,
                Err(_) => continue,
            };
            match previous {
                Some(_) => stored[place / 2] = body,
                None => stored.push(body),
            }
            let seen = view.generation();
            aggregate(id, aor, &stored, &dialogs, &config, &mut view);
            for document in [
                Some(package.subscribe_body(&view, Wall(0))),
                package.change_body(&view, seen, Wall(0)),
            ] {
                valid(id, &document.unwrap_or_default());
            }
        }
        aggregate(id, aor, &[], &[], &config, &mut view);
        valid(id, &package.subscribe_body(&view, Wall(0)));
        dialogs = stored;
    }
}

/// The newest body is the last one.
fn aggregate(
    id: PackageId,
    aor: &str,
    bodies: &[Vec<u8>],
    dialogs: &[Vec<u8>],
    config: &PresenceConfig,
    view: &mut View,
) {
    fn published(bodies: &[Vec<u8>]) -> Vec<Published<'_>> {
        let numbered = bodies.iter().enumerate().rev();
        numbered.map(|(id, body)| Published { id: id as u64, body, headers: b"" }).collect()
    }
    let (publications, dialogs) = (published(bodies), published(dialogs));
    let inputs = Inputs { aor, publications: &publications, dialogs: &dialogs, config };
    id.package().aggregate(&inputs, view);
}

/// A document without body is always right.
fn valid(id: PackageId, document: &Document) {
    if !document.has_body() {
        return;
    }
    let mut body = Vec::new();
    id.package().patch(document, u32::MAX, &mut body);
    let text = String::from_utf8_lossy(&body);
    if id == PackageId::PRESENCE {
        assert_eq!(pidf::validate(&body), Ok(()), "{text}");
    } else {
        assert!(dialog_info::validate(&body).is_ok(), "{text}");
    }
}

/// Decodes stored bytes as each kind of record; what decodes, encodes and decodes to the same.
pub fn storage_record(bytes: &[u8]) {
    round_trip::<Publication>(bytes);
    round_trip::<Subscription>(bytes);
    round_trip::<Watcher>(bytes);
}

fn round_trip<T: Record + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(record) = codec::decode::<T>(bytes) {
        assert_eq!(codec::decode::<T>(&codec::encode(&record)).as_ref(), Ok(&record));
    }
}
