//! Every message of RFC 4475 and RFC 5118 with the outcome that the RFC asks for, and what the
//! RFC's text says to look at in each.

use std::net::IpAddr;
use std::path::Path;

use pharos_parser::via::ViaTransport;
use pharos_parser::{
    Contact, Frame, FrameError, Framer, Host, Message, Method, Name, Reason, Scheme, StartLine, uri,
};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Well formed in every header that this crate reads.
    Good,
    /// A request that can be answered with this status, and the fault.
    Answer(u16, Reason),
    /// Nothing can be answered: a response, or no message at all.
    Drop(Reason),
}

use Outcome::{Answer, Drop, Good};

/// Section of the RFC, file name, outcome.
const RFC4475: [(&str, &str, Outcome); 49] = [
    ("3.1.1.1", "wsinv", Good),
    ("3.1.1.2", "intmeth", Good),
    ("3.1.1.3", "esc01", Good),
    ("3.1.1.4", "escnull", Good),
    ("3.1.1.5", "esc02", Good),
    ("3.1.1.6", "lwsdisp", Good),
    ("3.1.1.7", "longreq", Good),
    ("3.1.1.8", "dblreq", Good),
    ("3.1.1.9", "semiuri", Good),
    ("3.1.1.10", "transports", Good),
    ("3.1.1.11", "mpart01", Good),
    ("3.1.1.12", "unreason", Good),
    ("3.1.1.13", "noreason", Good),
    ("3.1.2.1", "badinv01", Answer(400, Reason::GenericParam)),
    ("3.1.2.2", "clerr", Answer(400, Reason::BodyTruncated)),
    ("3.1.2.3", "ncl", Answer(400, Reason::ContentLength)),
    ("3.1.2.4", "scalar02", Answer(400, Reason::CSeq)),
    ("3.1.2.5", "scalarlg", Drop(Reason::CSeq)),
    ("3.1.2.6", "quotbal", Answer(400, Reason::QuotedString)),
    ("3.1.2.7", "ltgtruri", Answer(400, Reason::Scheme)),
    ("3.1.2.8", "lwsruri", Answer(400, Reason::RequestUri)),
    ("3.1.2.9", "lwsstart", Answer(400, Reason::RequestLine)),
    ("3.1.2.10", "trws", Answer(400, Reason::RequestLine)),
    ("3.1.2.11", "escruri", Answer(400, Reason::RequestUri)),
    ("3.1.2.12", "baddate", Answer(400, Reason::SipDate)),
    ("3.1.2.13", "regbadct", Answer(400, Reason::AddrSpec)),
    ("3.1.2.14", "badaspec", Answer(400, Reason::Scheme)),
    ("3.1.2.15", "baddn", Answer(400, Reason::DisplayName)),
    ("3.1.2.16", "badvers", Answer(505, Reason::SipVersion)),
    ("3.1.2.17", "mismatch01", Answer(400, Reason::CSeqMethod)),
    ("3.1.2.18", "mismatch02", Answer(501, Reason::CSeqMethod)),
    ("3.1.2.19", "bigcode", Drop(Reason::StatusCode)),
    // 400 or the transaction matching of RFC 2543: the branch is a token, so it is for the layer
    // above.
    ("3.2.1", "badbranch", Good),
    ("3.3.1", "insuf", Answer(400, Reason::Missing(Name::From))),
    ("3.3.2", "unkscm", Answer(416, Reason::Scheme)),
    ("3.3.3", "novelsc", Answer(416, Reason::Scheme)),
    ("3.3.4", "unksm2", Good),
    ("3.3.5", "bext01", Good),
    ("3.3.6", "invut", Good),
    ("3.3.7", "regaut01", Good),
    ("3.3.8", "multi01", Answer(400, Reason::Repeated(Name::From))),
    ("3.3.9", "mcl01", Answer(400, Reason::Repeated(Name::ContentLength))),
    ("3.3.10", "bcast", Good),
    ("3.3.11", "zeromf", Good),
    ("3.3.12", "cparam01", Good),
    ("3.3.13", "cparam02", Good),
    ("3.3.14", "regescrt", Good),
    ("3.3.15", "sdp01", Good),
    ("3.4.1", "inv2543", Good),
];

/// The same for RFC 5118. The text of 4.6 says 268 bytes and has 251.
const RFC5118: [(&str, &str, Outcome); 12] = [
    ("4.1", "ipv6-good", Good),
    ("4.2", "ipv6-bad", Answer(400, Reason::Host)),
    ("4.3", "port-ambiguous", Good),
    ("4.4", "port-unambiguous", Good),
    ("4.5", "via-received-param-with-delim", Good),
    ("4.5", "via-received-param-no-delim", Good),
    ("4.6", "ipv6-in-sdp", Answer(400, Reason::BodyTruncated)),
    ("4.7", "mult-ip-in-header", Good),
    ("4.8", "mult-ip-in-sdp", Good),
    ("4.9", "ipv4-mapped-ipv6", Good),
    ("4.10", "ipv6-bug-abnf-3-colons", Good),
    ("4.10", "ipv6-correct-abnf-2-colons", Good),
];

fn load(name: &str) -> Vec<u8> {
    let torture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let file = |rfc: &str| torture.join(rfc).join(name).with_extension("dat");
    std::fs::read(file("rfc4475")).or_else(|_| std::fs::read(file("rfc5118"))).expect(name)
}

fn judge(bytes: &[u8]) -> Outcome {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => return Drop(error.reason),
    };
    match (message.verify(), message.method()) {
        (Ok(()), Some(_)) if message.target().is_ok_and(|uri| uri.scheme() == Scheme::Other) => {
            Answer(416, Reason::Scheme)
        }
        (Ok(()), _) => Good,
        (Err(error), None) => Drop(error.reason),
        (Err(error), Some(method)) => {
            let status = match (error.reason, method) {
                (Reason::SipVersion, _) => 505,
                (Reason::CSeqMethod, Method::Other(_)) => 501,
                _ => 400,
            };
            Answer(status, error.reason)
        }
    }
}

#[test]
fn every_message_has_its_outcome() {
    let mut wrong = Vec::new();
    for (section, name, want) in RFC4475.iter().chain(&RFC5118) {
        let got = judge(&load(name));
        if got != *want {
            wrong.push(format!("{section} {name}: {got:?} instead of {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_is_in_the_table() {
    for (rfc, table) in [("rfc4475", &RFC4475[..]), ("rfc5118", &RFC5118[..])] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(rfc);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let mut names: Vec<_> = table.iter().map(|row| row.1.to_owned()).collect();
        files.sort();
        names.sort();
        assert_eq!(files, names);
    }
}

/// Whatever is wrong with a request, the headers that its answer copies are found as they stand.
#[test]
fn every_bad_request_can_be_answered() {
    for (section, name, outcome) in RFC4475.iter().chain(&RFC5118) {
        let Answer(..) = outcome else { continue };
        let bytes = load(name);
        let message = Message::parse(&bytes).unwrap();
        for header in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
            let missing = *name == "insuf" && message.value(header).is_none();
            assert!(missing || message.value(header).is_some(), "{section} {name}: {header:?}");
        }
    }
}

#[test]
fn wsinv_reads_through_folding_and_whitespace() {
    let bytes = load("wsinv");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.target().unwrap().param("unknownparam"), Some(&b""[..]));
    assert_eq!(message.to().unwrap().tag(), Some(&b"1918181833n"[..]));
    let from = message.from().unwrap();
    assert_eq!(&*from.display(), b"J Rosenberg \\\"");
    assert_eq!(from.tag(), Some(&b"98asjd8"[..]));
    assert_eq!(message.max_forwards(), Ok(Some(68)));
    assert_eq!(message.cseq().unwrap().number, 9);
    assert_eq!(message.value(Name::Subject), Some(&b""[..]));
    let vias: Vec<_> = message.vias().map(|via| via.unwrap().branch().unwrap()).collect();
    assert_eq!(vias, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    let contact = message.contact().unwrap().unwrap();
    assert_eq!(&*contact.display(), b"Quoted string \"\"");
    assert_eq!(contact.params().value("newparam"), Some(&b"newvalue"[..]));
    assert_eq!(contact.params().get("secondparam").unwrap().value, None);
    assert_eq!(contact.q(), Ok(Some(330)));
    assert!(message.routes().next().unwrap().unwrap().uri().is_loose());
    let unknown: Vec<_> = message.headers().filter(|header| header.name == Name::Other).collect();
    assert_eq!(unknown[0].name_bytes, b"NewFangledHeader");
    assert_eq!(unknown[0].value, b"newfangled value\r\n continued newfangled value");
    assert_eq!(unknown[1].value, b";;,,;;,;");
    assert_eq!(message.body().unwrap().len(), 150);
}

#[test]
fn intmeth_keeps_every_byte() {
    let bytes = load("intmeth");
    let message = Message::parse(&bytes).unwrap();
    let method = b"!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!(message.method(), Some(Method::Other(method)));
    assert_eq!(message.cseq().unwrap().method, Method::Other(method));
    let target = message.target().unwrap();
    assert_eq!(target.user(), Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..]));
    assert_eq!(target.password(), Some(&b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"[..]));
    assert_eq!(&*message.to().unwrap().display(), b"BEL:\x07 NUL:\x00 DEL:\x7f");
    let from = message.from().unwrap();
    assert_eq!(from.tag(), Some(&b"_token~1'+`*%!-."[..]));
    let text = from.params().get("fromParam''~+*_!.-%").unwrap().text().into_owned();
    assert_eq!(String::from_utf8(text).unwrap(), "работающий");
    assert_eq!(message.call_id().unwrap(), b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{");
    let extension = message.headers().find(|header| header.name == Name::Other).unwrap();
    assert_eq!(extension.name_bytes, b"extensionHeader-!.%*+_`'~");
    assert_eq!(std::str::from_utf8(extension.value).unwrap(), "\u{feff}大停電");
}

#[test]
fn escapes_are_undone_once_and_only_in_uris() {
    let bytes = load("esc01");
    let message = Message::parse(&bytes).unwrap();
    let user = message.target().unwrap().user().unwrap();
    assert_eq!(&*uri::unescape(user), b"sips:user@example.com");
    assert_eq!(&*uri::unescape(message.from().unwrap().uri().user().unwrap()), b"I have spaces");
    let contact = message.contact().unwrap().unwrap();
    let (name, value) = contact.uri().params().iter().nth(1).unwrap();
    assert_eq!((&*uri::unescape(name), &*uri::unescape(value)), (&b"name"[..], &b"value%41"[..]));

    let bytes = load("escnull");
    let message = Message::parse(&bytes).unwrap();
    let mut aor = Vec::new();
    message.to().unwrap().uri().write_aor(&mut aor).unwrap();
    assert_eq!(aor, b"null-\0-null@example.com");
    let users: Vec<_> = contacts(&message).map(|uri| uri.user().unwrap().to_vec()).collect();
    assert_eq!(users, [&b"%00"[..], b"%00%00"]);

    let bytes = load("esc02");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.method(), Some(Method::Other(b"RE%47IST%45R")));
    assert_eq!(&*message.to().unwrap().display(), b"%Z%45");
    assert_eq!(message.items(Name::Contact).count(), 2);
}

fn contacts<'a>(message: &Message<'a>) -> impl Iterator<Item = uri::Uri<'a>> {
    message.contacts().map(|contact| match contact {
        Ok(Contact::Address(address)) => *address.uri(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn valid_messages_hold_what_the_rfc_says() {
    let bytes = load("lwsdisp");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(&*message.from().unwrap().display(), b"caller");

    let bytes = load("longreq");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.vias().count(), 34);
    assert_eq!(message.from().unwrap().tag().unwrap().len(), 2 + 150 + 3);
    assert_eq!(message.to().unwrap().uri().port(), Some(6000));

    let bytes = load("dblreq");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.method(), message.body()), (Some(Method::Register), Ok(&b""[..])));

    let bytes = load("semiuri");
    let message = Message::parse(&bytes).unwrap();
    let user = message.target().unwrap().user().unwrap();
    assert_eq!(&*uri::unescape(user), b"user;par=u@example.net");
    assert_eq!(message.accept().count(), 6);

    let bytes = load("transports");
    let message = Message::parse(&bytes).unwrap();
    let transports: Vec<_> = message.vias().map(|via| via.unwrap().transport()).collect();
    assert_eq!(transports[0], ViaTransport::Udp);
    assert_eq!(transports[3], ViaTransport::Other(b"UNKNOWN"));

    let bytes = load("mpart01");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.body().unwrap().len(), 553);
    let boundary = message.content_type().unwrap().unwrap().params().value("boundary");
    assert_eq!(boundary, Some(&b"7a9cbec02ceef655"[..]));
    assert_eq!(message.date(), Ok(Some(1_129_351_496)));

    let bytes = load("unreason");
    let message = Message::parse(&bytes).unwrap();
    let StartLine::Response { status, reason } = *message.start_line() else { panic!() };
    assert_eq!(status, 200);
    assert_eq!(
        std::str::from_utf8(reason).unwrap(),
        "= 2**3 * 5**2 но сто девяносто девять - простое"
    );

    let bytes = load("noreason");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(*message.start_line(), StartLine::Response { status: 100, reason: b"" });
}

#[test]
fn layers_above_see_what_they_decide_on() {
    let bytes = load("badbranch");
    let via = Message::parse(&bytes).unwrap().via().unwrap();
    assert_eq!((via.branch(), via.rfc3261_branch()), (Some(&b"z9hG4bK"[..]), None));

    let bytes = load("bext01");
    let message = Message::parse(&bytes).unwrap();
    let required: Vec<_> = message.require().map(Result::unwrap).collect();
    assert_eq!(required, [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]);

    let bytes = load("regaut01");
    let message = Message::parse(&bytes).unwrap();
    assert!(!message.authorization().next().unwrap().unwrap().is_digest());

    let bytes = load("bcast");
    let message = Message::parse(&bytes).unwrap();
    let hosts: Vec<_> = message.vias().map(|via| via.unwrap().host()).collect();
    assert_eq!(hosts[1], Host::Address("255.255.255.255".parse::<IpAddr>().unwrap()));

    let bytes = load("zeromf");
    assert_eq!(Message::parse(&bytes).unwrap().max_forwards(), Ok(Some(0)));

    for (name, of_header) in [("cparam01", true), ("cparam02", false)] {
        let bytes = load(name);
        let contact = Message::parse(&bytes).unwrap().contact().unwrap().unwrap();
        assert_eq!(contact.params().get("unknownparam").is_some(), of_header, "{name}");
        assert_eq!(contact.uri().param("unknownparam").is_some(), !of_header, "{name}");
    }

    let bytes = load("regescrt");
    let contact = Message::parse(&bytes).unwrap().contact().unwrap().unwrap();
    assert_eq!(contact.uri().headers().get("Route"), Some(&b"%3Csip:sip.example.com%3E"[..]));

    let bytes = load("sdp01");
    let message = Message::parse(&bytes).unwrap();
    assert!(!message.accept().any(|range| range.unwrap().covers("application/sdp")));

    let bytes = load("inv2543");
    let message = Message::parse(&bytes).unwrap();
    let essential = message.essential().unwrap();
    assert_eq!((essential.via.branch(), essential.from.tag()), (None, None));
    assert_eq!((essential.max_forwards, message.content_length()), (None, Ok(None)));
    assert_eq!(message.body().unwrap().len(), 105);
}

#[test]
fn ipv6_as_rfc_5118_asks() {
    let target = |name: &str| {
        let bytes = load(name);
        let uri = Message::parse(&bytes).unwrap().target().unwrap();
        (uri.host().unwrap().address().unwrap().to_string(), uri.port())
    };
    assert_eq!(target("port-ambiguous"), ("2001:db8::10:5070".into(), None));
    assert_eq!(target("port-unambiguous"), ("2001:db8::10".into(), Some(5070)));
    assert_eq!(target("ipv6-bug-abnf-3-colons"), target("ipv6-correct-abnf-2-colons"));
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        let bytes = load(name);
        let received = Message::parse(&bytes).unwrap().via().unwrap().received().unwrap();
        assert_eq!(received.to_string(), "2001:db8::9:255", "{name}");
    }
    let bytes = load("ipv4-mapped-ipv6");
    let via = Message::parse(&bytes).unwrap().via().unwrap();
    assert_eq!((via.sent_by(), via.port()), (&b"[::ffff:192.0.2.10]:19823"[..], Some(19823)));
}

/// On a stream the same messages are cut by Content-Length, or the stream ends.
#[test]
fn framing_of_every_message() {
    for (_, name, outcome) in RFC4475.iter().chain(&RFC5118) {
        let bytes = load(name);
        let frame = Framer::default().next(&bytes);
        match *name {
            "ncl" | "mcl01" | "inv2543" => assert_eq!(frame, Err(FrameError::Malformed), "{name}"),
            "clerr" | "ipv6-in-sdp" | "multi01" => assert_eq!(frame, Ok(Frame::NeedMore), "{name}"),
            _ => {
                let Ok(Frame::Message(range)) = frame else { panic!("{name}: {frame:?}") };
                let whole = Message::parse(&bytes).map(|message| message.body().unwrap().len());
                let framed = Message::parse(&bytes[range]).map(|m| m.body().unwrap().len());
                assert_eq!(framed, whole, "{name} {outcome:?}");
            }
        }
    }
}
