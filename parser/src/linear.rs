//! Every input costs linear time: steps are counted, not seconds. A step is one call of a scanning
//! primitive or one byte that it looks at.

use std::vec::Vec;

use crate::scan::counter::count;
use crate::{Frame, Framer, Message, Name, Uri};

/// Shapes that cost a careless parser quadratic time: a prefix, a part to repeat, an end.
const SHAPES: [(&str, &str, &str); 37] = [
    ("", "\r\n", ""),
    ("", "A", ""),
    ("A ", " ", "sip:b SIP/2.0\r\n\r\n"),
    ("A ", "sip:", " SIP/2.0\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nX:", "\r\n ", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nX:", " \t", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\n", "X", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\n", "X\r\n", "\r\n"),
    ("A sip:b SIP/2.0\r\n", ":\r\n", "\r\n"),
    ("A sip:b SIP/2.0\r\n", "X Y:\r\n", "\r\n"),
    ("A sip:b SIP/2.0\r\nX", " ", ": y\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nVia: ", ",", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nVia: ", "\"", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nVia: ", "\",", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nVia: ", "SIP/2.0/UDP a,", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a", ";b=c", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nVia: SIP/2.0/UDP ", "a.", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nVia: SIP/2.0/UDP [", ":::", "]\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: ", "<", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: ", "<>,", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: ", "*,", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: ", "sip:a@b,", "sip:a@b\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: <sip:a@b>", ";q=1;expires=9", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: <sip:a@b", ";c=d", ">\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: <sip:a@b?a=b", "&c=d", ">\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: <sip:", "@", ">\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nContact: <sip:", "%4", "@b>\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nTo: ", "\"\\", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nTo: ", "a ", "<sip:a@b>\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nFrom: \"", "\\\"", "\" <sip:a@b>\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nFrom: <sip:a@b>", ";tag=1", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nAccept: ", "a/b;q=0,", "a/b\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nAuthorization: Digest a=b", ",c=\"d\"", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nRetry-After: 1 ", "(", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nRetry-After: 1 ", "()", "\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nEvent: ", "a.", "b\r\n\r\n"),
    ("A sip:b SIP/2.0\r\nl: ", "0", "9\r\n\r\n"),
];

/// Each accessor reads its own header; `verify` stops at the first fault, so all are called one by
/// one. The factor is how often a byte may be looked at: index, split into elements (twice for
/// contacts), address, URI, its parts, parameters.
const FACTOR: u64 = 16;

fn shape(part: &(&str, &str, &str), size: usize) -> Vec<u8> {
    let (prefix, middle, end) = part;
    let times = size.saturating_sub(prefix.len() + end.len()) / middle.len();
    [prefix.as_bytes(), middle.repeat(times).as_bytes(), end.as_bytes()].concat()
}

/// Everything that an element may ask of a message.
fn read_all(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let _ = message.verify();
    let _ = (message.target(), message.from(), message.to(), message.call_id(), message.cseq());
    let _ = (message.contact(), message.event(), message.subscription_state());
    let _ = (message.retry_after(), message.content_type(), message.date(), message.expires());
    let lists = message.vias().filter(Result::is_ok).count()
        + message.contacts().filter(Result::is_ok).count()
        + message.routes().filter(Result::is_ok).count()
        + message.accept().filter(Result::is_ok).count()
        + message.supported().filter(Result::is_ok).count()
        + message.authorization().filter(Result::is_ok).count();
    let _ = (lists, message.body(), message.headers().count());
    let _ = message.items(Name::Other).count();
}

#[test]
fn messages() {
    for part in &SHAPES {
        for size in [8 << 10, 64 << 10] {
            let bytes = shape(part, size);
            let steps = count(|| read_all(&bytes));
            let most = FACTOR * bytes.len() as u64;
            assert!(steps <= most, "{part:?}: {steps} steps for {} bytes", bytes.len());
        }
    }
}

/// The cost grows with the size and not faster: eight times the bytes, at most nine times the
/// steps.
#[test]
fn growth() {
    for part in &SHAPES {
        let small = shape(part, 7 << 10);
        let large = shape(part, 56 << 10);
        let few = count(|| read_all(&small));
        let many = count(|| read_all(&large));
        assert!(many <= few * 9 + 10_000, "{part:?}: {few} steps, then {many}");
    }
}

#[test]
fn uris() {
    for part in [
        ("sip:", "a", "@b"),
        ("sip:a@b", ";c", ""),
        ("sip:a@b", ";c=%41", ""),
        ("sip:a@b?c=d", "&e=f", ""),
        ("sip:", "a.", "b"),
        ("tel:+1", "-", ""),
        ("tel:1", ";a=b", ""),
        ("x:", "y", ""),
    ] {
        let bytes = shape(&part, 64 << 10);
        let steps = count(|| {
            let uri = Uri::parse(&bytes).expect("well formed");
            assert!(uri.eq(&uri));
            let _ = (uri.param("lr"), uri.headers().get("x"));
            let _ = uri.write_aor(&mut Vec::new());
        });
        assert!(steps <= 16 * bytes.len() as u64, "{part:?}: {steps} steps");
    }
}

/// A comparison looks each parameter up in the other URI, so their number is bounded: the most that
/// it may cost is that number of passes.
#[test]
fn comparison_is_bounded_by_the_number_of_parameters() {
    let value = "x".repeat(2000);
    let many: String = (0..32).map(|n| std::format!(";p{n}={value}")).collect();
    let (one, two) = (std::format!("sip:a@b{many}"), std::format!("sip:a@B{many}"));
    let (one, two) = (Uri::parse(one.as_bytes()).unwrap(), Uri::parse(two.as_bytes()).unwrap());
    let steps = count(|| assert!(one == two));
    assert!(steps <= 2 * 32 * 2 * one.as_bytes().len() as u64, "{steps} steps");
}

/// A stream that comes byte by byte costs as much as one that comes whole.
#[test]
fn streams_byte_by_byte() {
    for part in [
        ("A sip:b SIP/2.0\r\nX: ", "y", ""),
        ("A sip:b SIP/2.0\r\n", "X: y\r\n", ""),
        ("A sip:b SIP/2.0\r\nl: 60000\r\n\r\n", "z", ""),
        ("A sip:b SIP/2.0\r\n", "c: y\r\n", "l: 0\r\n\r\n"),
        ("A sip:b SIP/2.0\r\nl:", "\r\n ", "\r\n\r\n"),
    ] {
        let bytes = shape(&part, 60 << 10);
        let mut framer = Framer::default();
        let steps = count(|| {
            for end in 1..=bytes.len() {
                match framer.next(&bytes[..end]) {
                    Ok(Frame::NeedMore) => {}
                    _ => break,
                }
            }
        });
        assert!(steps <= 8 * bytes.len() as u64, "{part:?}: {steps} steps");
    }
}
