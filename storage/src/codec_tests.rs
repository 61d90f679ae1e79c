//! Golden bytes, the way up from version 0, and bytes from anywhere.

use alloc::string::{String, ToString};
use alloc::vec;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;

fn publication() -> Publication {
    Publication {
        aor: "alice@example.com".to_string(),
        event: "presence".to_string(),
        etag: "e1".to_string(),
        expires: 1_700_000_000_000,
        body: 7,
        sender: "alice@example.com".to_string(),
        answered_expires: 3600,
        ..Publication::default()
    }
}

fn subscription() -> Subscription {
    Subscription {
        aor: "alice@example.com".to_string(),
        event: "dialog;sla".to_string(),
        event_id: Some("7".to_string()),
        watcher: "bob@example.com".to_string(),
        call_id: "c1".to_string(),
        routes: vec!["<sip:p1;lr>".to_string(), "<sip:p2;lr>".to_string()],
        local_cseq: 5,
        status: 1,
        accept: "application/pidf+xml".to_string(),
        last_request: 9,
        ..Subscription::default()
    }
}

fn old_subscription() -> SubscriptionV0 {
    SubscriptionV0 {
        aor: "alice@example.com".to_string(),
        event: "presence".to_string(),
        watcher: "bob@example.com".to_string(),
        call_id: "c1".to_string(),
        routes: vec!["<sip:p1;lr>".to_string()],
        local_cseq: 5,
        version: 3,
        status: 2,
        ..SubscriptionV0::default()
    }
}

/// 32 bytes a line.
fn hex(bytes: &[u8]) -> String {
    let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(32).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_goes_in_comes_out() {
    assert_eq!(decode(&encode(&publication())), Ok(publication()));
    assert_eq!(decode(&encode(&subscription())), Ok(subscription()));
    let watcher = Watcher { aor: "a@x".to_string(), status: 2, inserted: 5, ..Watcher::default() };
    assert_eq!(decode(&encode(&watcher)), Ok(watcher));
}

/// The bytes on disk. When this fails the format has changed: give it a new version.
#[test]
fn the_format_is_what_it_was() {
    assert_snapshot!("publication", hex(&encode(&publication())));
    assert_snapshot!("subscription", hex(&encode(&subscription())));
    let mut old = vec![0];
    old = rkyv::api::high::to_bytes_in::<_, Failure>(&old_subscription(), old).unwrap();
    assert_snapshot!("subscription_v0", hex(&old));
}

/// A value of a lane starts anywhere.
#[test]
fn any_address_will_do() {
    let bytes = encode(&subscription());
    for shift in 0..16 {
        let mut moved = vec![0xAA; shift];
        moved.extend_from_slice(&bytes);
        assert_eq!(decode(&moved[shift..]), Ok(subscription()));
    }
}

#[test]
fn version_0_of_a_subscription_is_read_and_written_back_as_the_present_one() {
    let mut old = vec![0];
    old = rkyv::api::high::to_bytes_in::<_, Failure>(&old_subscription(), old).unwrap();
    let now: Subscription = decode(&old).unwrap();
    assert_eq!((now.local_cseq, now.version, now.status), (5, 3, 2));
    assert_eq!(now.routes, ["<sip:p1;lr>"]);
    assert_eq!((now.accept.as_str(), now.last_request), ("", 0));
    assert_eq!(encode(&now)[0], Subscription::VERSION);
    assert_eq!(decode(&encode(&now)), Ok(now));
}

#[test]
fn what_is_no_record_is_said_to_be_none() {
    assert_eq!(decode::<Publication>(&[]), Err(DecodeError::Empty));
    assert_eq!(decode::<Publication>(&[1]), Err(DecodeError::Corrupt));
    assert_eq!(decode::<Publication>(&[0, 1, 2]), Err(DecodeError::Version(0)));
    assert_eq!(decode::<Subscription>(&[0, 1, 2]), Err(DecodeError::Corrupt));
    assert_eq!(decode::<Subscription>(&[9]), Err(DecodeError::Version(9)));
    let bytes = encode(&publication());
    assert_eq!(decode::<Publication>(&bytes[..bytes.len() - 1]), Err(DecodeError::Corrupt));
}

proptest! {
    #[test]
    fn bytes_from_anywhere_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode::<Publication>(&bytes);
        let _ = decode::<Subscription>(&bytes);
        let _ = decode::<Watcher>(&bytes);
    }

    #[test]
    fn a_damaged_record_never_panics(at in 0_usize..400, bit in 0_u8..8) {
        let mut bytes = encode(&subscription());
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let _ = decode::<Subscription>(&bytes);
    }
}
