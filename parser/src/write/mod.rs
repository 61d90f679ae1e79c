//! Writing messages into a caller's buffer.

mod head;
mod request;
mod response;

pub use head::HeadWriter;
pub use request::{RequestHead, request};
pub use response::{ResponseHead, echo, record_route, response, status_line};

use alloc::vec::Vec;

/// Appends a number in decimal.
pub fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut used = 0_usize;
    for slot in digits.iter_mut().rev() {
        *slot = b'0'.wrapping_add(u8::try_from(number.wrapping_rem(10)).unwrap_or(0));
        number = number.wrapping_div(10);
        used = used.saturating_add(1);
        if number == 0 {
            break;
        }
    }
    let start = digits.len().saturating_sub(used);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends a value that came in from outside: each run of line ends in it, folding or not, becomes
/// one space, so that it can never start a header of its own.
pub fn write_value(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(at) = crate::scan::find2(b'\r', b'\n', rest) {
        let (head, tail) = rest.split_at_checked(at).unwrap_or((rest, b""));
        out.extend_from_slice(head);
        out.push(b' ');
        let ends = tail.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        rest = tail.get(ends..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Method, Name};

    const SUBSCRIBE: &[u8] = b"SUBSCRIBE sip:bob@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9:5070;rport ;branch=z9hG4bKa;x=\"1\",\r\n SIP/2.0/TCP p\r\n\
        v: SIP/2.0/TCP q;branch=z9hG4bKb\r\n\
        Record-Route: <sip:p;lr>\r\n\
        f: <sip:alice@example.com>;tag=9\r\n\
        t: Bob\r\n <sip:bob@example.com>\r\n\
        i: 1@a\r\n\
        CSeq: 7 SUBSCRIBE\r\n\r\n";

    fn answer(request: &[u8], source: &str, to_tag: Option<&[u8]>) -> String {
        let message = Message::parse(request).unwrap();
        let head = ResponseHead {
            status: 200,
            reason: "OK",
            to_tag,
            source: source.parse().unwrap(),
            record_route: true,
        };
        let mut out = Vec::new();
        response(&message, &head, &mut out).number(Name::Expires, 3600).end();
        Message::parse(&out).unwrap().verify().unwrap();
        String::from_utf8(out).unwrap()
    }

    /// RFC 3261 8.2.6.2 and RFC 3581 4; folding is undone.
    #[test]
    fn a_response_copies_what_it_must() {
        assert_eq!(
            answer(SUBSCRIBE, "192.0.2.1:4000", Some(b"s1")),
            "SIP/2.0 200 OK\r\n\
             Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKa;x=\"1\";rport=4000;\
             received=192.0.2.1, \
             SIP/2.0/TCP p\r\n\
             Via: SIP/2.0/TCP q;branch=z9hG4bKb\r\n\
             From: <sip:alice@example.com>;tag=9\r\n\
             To: Bob  <sip:bob@example.com>;tag=s1\r\n\
             Call-ID: 1@a\r\n\
             CSeq: 7 SUBSCRIBE\r\n\
             Record-Route: <sip:p;lr>\r\n\
             Expires: 3600\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    /// `received` is added when sent-by is a name or another address, or `rport` asks for it, and a
    /// value that the client put there itself does not pass (RFC 3261 18.2.1).
    #[test]
    fn received_is_ours_to_say() {
        let via = |via: &str, source: &str| {
            let request = format!(
                "A sip:b SIP/2.0\r\nVia: {via}\r\nTo: sip:a@b;tag=1\r\nFrom: \
                 sip:a@b\r\nCall-ID: 1\r\nCSeq: 1 A\r\n\r\n"
            );
            let answer = answer(request.as_bytes(), source, Some(b"s"));
            assert!(answer.contains("To: sip:a@b;tag=1\r\n"), "{answer}");
            answer.lines().nth(1).unwrap().strip_prefix("Via: ").unwrap().to_owned()
        };
        let plain = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1";
        assert_eq!(via(plain, "192.0.2.1:9"), plain);
        assert_eq!(via(plain, "192.0.2.2:9"), format!("{plain};received=192.0.2.2"));
        let name = "SIP/2.0/UDP a.com;branch=z9hG4bK1";
        assert_eq!(via(name, "[2001:db8::1]:9"), format!("{name};received=2001:db8::1"));
        let forged = format!("{plain};received=192.0.2.66");
        assert_eq!(via(&forged, "192.0.2.1:9"), plain);
        let asked = "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1";
        assert_eq!(
            via(asked, "192.0.2.1:9"),
            "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport=9;received=192.0.2.1"
        );
    }

    #[test]
    fn a_broken_request_still_gets_its_answer() {
        let request =
            b"A sip:b SIP/2.0\r\nVia: nonsense, x\r\nTo: \"a <sip:b>\r\nCall-ID: \x01\r\n\r\n";
        let message = Message::parse(request).unwrap();
        let head = ResponseHead {
            status: 400,
            reason: "Bad Request",
            to_tag: Some(b"t"),
            source: "192.0.2.1:5060".parse().unwrap(),
            record_route: false,
        };
        let mut out = Vec::new();
        response(&message, &head, &mut out).end();
        assert_eq!(
            out,
            b"SIP/2.0 400 Bad Request\r\nVia: nonsense, x\r\nTo: \"a <sip:b>;tag=t\r\n\
              Call-ID: \x01\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        let head = RequestHead {
            method: Method::Notify,
            uri: b"sip:alice@192.0.2.9:5070",
            via: b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKn1",
            max_forwards: 70,
            from: b"<sip:bob@example.com>;tag=s1",
            to: b"<sip:alice@example.com>;tag=9",
            call_id: b"1@a",
            cseq: 2_147_483_647,
        };
        let mut out = Vec::new();
        request(&head, &mut out)
            .raw(b"Event: presence\r\n")
            .header(Name::SubscriptionState, b"active;expires=5\r\nX: injected")
            .body("application/pidf+xml", b"<presence/>");
        let message = Message::parse(&out).unwrap();
        assert_eq!(message.method(), Some(Method::Notify));
        assert_eq!(message.cseq().unwrap().number, head.cseq);
        assert_eq!(message.event().unwrap().unwrap().package(), b"presence");
        assert!(!message.headers().any(|header| header.name_bytes == b"X"));
        assert_eq!(message.content_length(), Ok(Some(11)));
        assert_eq!(message.body(), Ok(&b"<presence/>"[..]));
        let essential = message.essential().unwrap();
        assert_eq!((essential.via.as_bytes(), essential.call_id), (head.via, head.call_id));
        assert_eq!(essential.max_forwards, Some(70));
    }

    #[test]
    fn numbers() {
        for number in [0, 9, 10, 4_294_967_295, u64::MAX] {
            let mut out = Vec::new();
            write_number(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn line_ends_never_pass() {
        for (value, want) in [("a\r\n b", "a  b"), ("a\rb\nc\n\n", "a b c "), ("", ""), ("x", "x")]
        {
            let mut out = Vec::new();
            write_value(value.as_bytes(), &mut out);
            assert_eq!(out, want.as_bytes());
        }
    }
}
