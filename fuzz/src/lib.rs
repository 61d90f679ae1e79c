//! What each fuzz target does with its bytes. Plain builds have it too: `cargo test -p pharos-fuzz`
//! replays the corpus, and `fuzz/run.sh` looks for more.

use pharos_parser::write::{self, ResponseHead};
use pharos_parser::{
    Frame, FrameError, Framer, Message, Uri, dialog_info, message_summary, pidf, uri, xml,
};
use pharos_storage::record::{Publication, Subscription, Watcher};
use pharos_storage::{Record, codec};

/// A target: its name, which is that of its corpus folder, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("sip_message", sip_message),
    ("stream_framing", stream_framing),
    ("uri", sip_uri),
    ("pidf", bodies),
    ("storage_record", storage_record),
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
