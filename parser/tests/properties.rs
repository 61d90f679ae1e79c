//! Properties over random input: nothing panics, views lie within their input, what is written
//! reads back, and every way of framing a stream finds the same messages.

use std::collections::BTreeSet;

use pharos_parser::write::{self, RequestHead, ResponseHead};
use pharos_parser::{Frame, Framer, Message, Method, Name, Uri, uri};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Names of lines: known ones in several forms, unknown ones, and what is none.
const NAMES: &[&str] = &[
    "Via",
    "v",
    "FROM",
    "t",
    "Max-Forwards",
    "max-forwards",
    "SIP-If-Match",
    "Proxy-Authorization",
    "Subscription-State",
    "P-Preferred-Identity",
    "X-Other",
    "P-Access-Network-Info-And-More",
    "X",
    "",
    "no name",
    "\u{e9}",
    "Max_Forwards",
    "Call\rID",
    " Via",
    "Accept",
];

/// Pieces that SIP is made of, so that random sequences of them get far into the grammar.
const PIECES: &[&str] = &[
    "SUBSCRIBE",
    "PUBLISH",
    " ",
    "\t",
    "\r\n",
    "\n",
    "\r",
    "SIP/2.0",
    "SIP/2.0/UDP ",
    "200",
    "sip:",
    "sips:",
    "tel:",
    "pres:",
    "im:",
    "alice",
    "@",
    "example.com",
    "[2001:db8::1]",
    "192.0.2.1",
    ":",
    "5060",
    ";",
    "=",
    "?",
    "&",
    ",",
    "<",
    ">",
    "\"",
    "\\",
    "%41",
    "%",
    "*",
    "(",
    ")",
    "Via: ",
    "v:",
    "From: ",
    "To: ",
    "m: ",
    "Contact: ",
    "Call-ID: ",
    "CSeq: ",
    "1 SUBSCRIBE",
    "Max-Forwards: ",
    "Expires: ",
    "Event: ",
    "presence",
    "Subscription-State: ",
    "active",
    "SIP-If-Match: ",
    "Accept: ",
    "application/pidf+xml",
    "q=0.5",
    "Route: ",
    "Record-Route: ",
    "Path: ",
    "Content-Type: ",
    "Content-Length: ",
    "l:",
    "0",
    "10",
    "Authorization: ",
    "Digest ",
    "username=\"a\"",
    "Date: ",
    "Sat, 13 Nov 2010 23:29:00 GMT",
    "Retry-After: ",
    "tag=1",
    "lr",
    "branch=z9hG4bK1",
    "rport",
    "received=",
    "\0",
    "\u{e9}",
];

fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(select(PIECES), 0..120).prop_map(|pieces| pieces.concat().into_bytes())
}

/// A start line and header lines from pieces: always a message, mostly a broken one.
fn broken_message() -> impl Strategy<Value = Vec<u8>> {
    soup().prop_map(|mut head| {
        let mut message = b"SUBSCRIBE sip:alice@example.com SIP/2.0\r\n".to_vec();
        message.append(&mut head);
        message.extend_from_slice(b"\r\n\r\nbody");
        message
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(any::<u8>(), 0..300), soup(), broken_message()]
}

/// Calls everything that reads a message.
fn read(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let _ = message.verify();
    let _ = (message.from(), message.to(), message.contact(), message.event(), message.body());
    let _ = (message.subscription_state(), message.retry_after(), message.content_type());
    for header in message.headers() {
        assert!(bytes.as_ptr_range().contains(&header.name_bytes.as_ptr()));
        assert!(header.value.len() <= bytes.len());
    }
    for credentials in message.authorization().flatten() {
        let _ = (credentials.digest(), credentials.get("realm"));
    }
    for uri in message.vias().flatten().map(|via| via.host()) {
        uri.write(&mut Vec::new());
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
    let answer = Message::parse(&out).expect("an answer to anything is a message");
    assert_eq!(answer.fault(), None);
    assert_eq!(answer.status(), Some(400));
    assert_eq!(answer.body(), Ok(&b""[..]));
    // What came in never starts a header of its own.
    let names: BTreeSet<_> = answer.headers().map(|header| header.name).collect();
    assert!(!names.contains(&Name::Other) && !names.contains(&Name::Contact));
}

fn frames(stream: &[u8], cuts: &[usize]) -> Result<Vec<Vec<u8>>, pharos_parser::FrameError> {
    let mut framer = Framer::default();
    let (mut start, mut messages) = (0, Vec::new());
    for end in cuts.iter().copied().chain([stream.len()]) {
        loop {
            match framer.next(&stream[start..end])? {
                Frame::NeedMore => break,
                Frame::KeepAlive(bytes) | Frame::Pong(bytes) => start += bytes,
                Frame::Message(range) => {
                    messages.push(stream[start..][range.clone()].to_vec());
                    start += range.end;
                }
            }
        }
    }
    Ok(messages)
}

fn word() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9.!~-]{0,8}"
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_panics(bytes in bytes()) {
        read(&bytes);
    }

    #[test]
    fn uris_never_panic_and_keep_their_bytes(bytes in bytes()) {
        if let Ok(uri) = Uri::parse(&bytes) {
            prop_assert_eq!(uri.as_bytes(), &bytes[..]);
            prop_assert!(uri.eq(&uri));
            let _ = uri.write_aor(&mut Vec::new());
        }
    }

    /// Row C92: an address of record, written as a URI, has the same address of record.
    #[test]
    fn aors_survive_being_written(
        user in vec(any::<u8>(), 1..20), host in "[a-z][a-z0-9]{0,5}(\\.[a-z]{2,4})?",
    ) {
        let aor = [&user[..], b"@", host.as_bytes()].concat();
        for scheme in ["sip", "sips", "pres", "im"] {
            let mut text = Vec::new();
            uri::write_aor(scheme, &aor, &mut text);
            let mut again = Vec::new();
            Uri::parse(&text).unwrap().write_aor(&mut again).unwrap();
            prop_assert_eq!(&again, &aor);
        }
    }

    #[test]
    fn escapes_do_not_change_a_uri(user in word(), at in 0..8_usize) {
        let at = at % user.len();
        let byte = user.as_bytes()[at];
        let escaped = format!("{}%{byte:02X}{}", &user[..at], &user[at + 1..]);
        let (one, two) = (format!("sip:{user}@a.com"), format!("sip:{escaped}@A.com"));
        prop_assert!(Uri::parse(one.as_bytes()).unwrap() == Uri::parse(two.as_bytes()).unwrap());
    }

    #[test]
    fn requests_read_back(
        from in word(), to in word(), call_id in word(), tag in "[a-z0-9]{1,8}",
        cseq in 0..1_u32 << 31, hops in any::<u8>(), body in vec(any::<u8>(), 0..200),
    ) {
        let from = format!("<sip:{from}@example.com>;tag={tag}");
        let to = format!("<sip:{to}@example.com>");
        let head = RequestHead {
            method: Method::Publish,
            uri: b"sip:x@example.com",
            via: b"SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1",
            max_forwards: hops,
            from: from.as_bytes(),
            to: to.as_bytes(),
            call_id: call_id.as_bytes(),
            cseq,
        };
        let mut out = Vec::new();
        write::request(&head, &mut out).body("text/plain", &body);
        let message = Message::parse(&out).unwrap();
        prop_assert_eq!(message.verify(), Ok(()));
        let essential = message.essential().unwrap();
        prop_assert_eq!(essential.from.tag(), Some(tag.as_bytes()));
        prop_assert_eq!(essential.call_id, call_id.as_bytes());
        prop_assert_eq!((essential.cseq.number, essential.max_forwards), (cseq, Some(hops)));
        prop_assert_eq!(message.body().unwrap(), &body[..]);
    }

    /// Headers are found whatever their order, case and folding.
    #[test]
    fn order_case_and_folding_do_not_matter(
        lines in subsequence((0..6_usize).collect::<Vec<_>>(), 6).prop_shuffle(),
        upper in any::<bool>(), fold in any::<bool>(),
    ) {
        let all = [
            ("via", "SIP/2.0/UDP a.com;branch=z9hG4bK1"), ("from", "<sip:a@b.com>;tag=1"),
            ("to", "<sip:c@d.com>"), ("call-id", "1@a"), ("cseq", "5 OPTIONS"),
            ("max-forwards", "7"),
        ];
        let mut text = String::from("OPTIONS sip:c@d.com SIP/2.0\r\n");
        for line in lines {
            let (name, value) = all[line];
            let name = if upper { name.to_uppercase() } else { name.to_owned() };
            let gap = if fold { " :\r\n\t" } else { ":" };
            text += &format!("{name}{gap}{value}\r\n");
        }
        text += "\r\n";
        let message = Message::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(message.verify(), Ok(()));
        prop_assert_eq!(message.essential().unwrap().max_forwards, Some(7));
    }

    /// Lines that end with CR LF are read by a way of their own: a bare LF must give the same.
    #[test]
    fn line_ends_do_not_matter(
        lines in vec((select(NAMES), "[ \t]{0,2}:[ \t]{0,3}", "[!-~ \t\x01\x7f]{0,90}"), 1..40),
    ) {
        let text = |end: &str| {
            let whole = |(name, colon, value): &(&str, String, String)| {
                [*name, colon.as_str(), value.as_str(), end].concat()
            };
            let lines = lines.iter().map(whole);
            ["A sip:b SIP/2.0", end, &lines.collect::<String>(), end, "body"].concat()
        };
        let (plain, bare) = (text("\r\n"), text("\n"));
        let plain = Message::parse(plain.as_bytes()).expect("a start line");
        let bare = Message::parse(bare.as_bytes()).expect("a start line");
        // A folded value keeps its line ends.
        let read = |message: &Message<'_>| -> Vec<(Name, Vec<u8>, String)> {
            let headers = message.headers().map(|header| {
                let value = String::from_utf8_lossy(header.value).replace("\r\n", "\n");
                (header.name, header.name_bytes.to_vec(), value)
            });
            headers.collect()
        };
        prop_assert_eq!(read(&plain), read(&bare));
        let reason = |message: &Message<'_>| message.fault().map(|fault| fault.reason);
        prop_assert_eq!(reason(&plain), reason(&bare));
        for header in plain.headers() {
            let all = plain.headers().filter(|other| other.name == header.name);
            prop_assert!(plain.values(header.name).eq(all.map(|other| other.value)));
        }
        prop_assert!(plain.as_bytes().ends_with(b"body") && plain.body() == bare.body());
    }

    #[test]
    fn framing_does_not_depend_on_the_cuts(
        bodies in vec(vec(any::<u8>(), 0..40), 0..5),
        gaps in vec(select(vec!["", "\r\n", "\r\n\r\n"]), 5),
        mut cuts in vec(0..600_usize, 0..12),
    ) {
        let mut stream = Vec::new();
        let mut want = Vec::new();
        for (body, gap) in bodies.iter().zip(&gaps) {
            stream.extend_from_slice(gap.as_bytes());
            let mut message = format!("A sip:b SIP/2.0\r\nl:{}\r\n\r\n", body.len()).into_bytes();
            message.extend_from_slice(body);
            stream.extend_from_slice(&message);
            want.push(message);
        }
        cuts.retain(|cut| *cut <= stream.len());
        cuts.sort_unstable();
        prop_assert_eq!(frames(&stream, &cuts), Ok(want));
    }

    #[test]
    fn framing_never_panics(stream in bytes(), mut cuts in vec(0..300_usize, 0..8)) {
        cuts.retain(|cut| *cut <= stream.len());
        cuts.sort_unstable();
        prop_assert_eq!(frames(&stream, &cuts), frames(&stream, &[]));
    }
}
