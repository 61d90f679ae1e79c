//! Whose a request is, and what AoR it is for (row C92).

use super::{Bench, Out, by_udp, config, dialog, respond};
use crate::config::BlaPresentity;
use crate::net::ShardId;
use crate::reject::Reject;
use crate::sip::Answer;
use crate::{Config, Instant, Now, Wall};

const SUBSCRIBE: &str = "\
SUBSCRIBE sip:alice@example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKs1
Max-Forwards: 70
From: <sip:bob@example.com>;tag=f1
To: <sip:carol@example.com>
Contact: <sip:dave@127.0.0.1:5070>
Call-ID: c1
CSeq: 1 SUBSCRIBE
Event: dialog;sla
Content-Length: 0

";

/// The AoR that a request is for, `None` when it was refused.
fn aor(config: Config, text: &str) -> Option<String> {
    let mut bench = Bench::with(config);
    let mut found = None;
    bench.take(by_udp("127.0.0.1:5070"), text, |core, sip, it| {
        assert_eq!(it.hash, core.aor_hash(it.aor));
        found = Some(String::from_utf8(it.aor.to_vec()).unwrap());
        sip.answer(core, &it, &Answer::status(200));
    });
    found
}

fn plain(uri: &str) -> String {
    SUBSCRIBE.replace(";sla", "").replace("sip:alice@example.com SIP", &format!("{uri} SIP"))
}

/// Row C92.
#[test]
fn an_aor_has_no_scheme_port_or_parameters() {
    for uri in [
        "sip:Al%69ce@Example.COM:5080;transport=tcp",
        "sips:Alice@example.com",
        "pres:Alice@example.com",
        "im:Alice@example.com",
    ] {
        assert_eq!(aor(config(), &plain(uri)).as_deref(), Some("Alice@example.com"), "{uri}");
    }
}

#[test]
fn domains_and_aliases() {
    let mut config = config();
    config.domains = vec!["example.com".into()];
    config.domain_alias = vec![("pbx.example".into(), "example.com".into())];
    let found = |uri: &str| aor(config.clone(), &plain(uri));
    assert_eq!(found("sip:a@EXAMPLE.com").as_deref(), Some("a@example.com"));
    assert_eq!(found("sip:a@pbx.example:5070").as_deref(), Some("a@example.com"));
    assert_eq!(found("sip:a@other.example"), None);
}

/// Row C15.
#[test]
fn the_presentity_of_dialog_sla() {
    for (spec, want) in [
        (BlaPresentity::ContactUserFromDomain, "dave@example.com"),
        (BlaPresentity::RequestUri, "alice@example.com"),
        (BlaPresentity::From, "bob@example.com"),
        (BlaPresentity::To, "carol@example.com"),
    ] {
        let mut config = config();
        config.presence.bla_presentity_spec = spec;
        assert_eq!(aor(config, SUBSCRIBE).as_deref(), Some(want));
    }
    assert_eq!(aor(config(), &SUBSCRIBE.replace("dave@", "")), None);
}

/// A tag of ours leads to the shard that made it, whatever the Request-URI says.
#[test]
fn our_tag_leads_home() {
    let shards = 16;
    let bench = |shard| {
        let mut config = config();
        config.shards = shards;
        config.shard = ShardId(shard);
        Bench::with(config)
    };
    let home = bench(0).core.shard_of(bench(0).core.aor_hash(b"alice@example.com"));
    let mut tag = None;
    let initial = plain("sip:alice@example.com");
    bench(home.0).take(by_udp("127.0.0.1:5070"), &initial, |core, sip, it| {
        tag = Some(it.local_tag(core));
        sip.answer(core, &it, &Answer::status(200));
    });
    let tag = tag.unwrap();
    let within = plain("sip:presence@127.0.0.1:5060")
        .replace("carol@example.com>", &format!("alice@example.com>;tag={}", tag.as_str()));
    for shard in 0..shards {
        let mut bench = bench(shard);
        let out = bench.take(by_udp("127.0.0.1:5070"), &within, |core, sip, it| {
            assert!(it.aor.is_empty());
            sip.answer(core, &it, &Answer::status(200));
        });
        if shard == home.0 {
            assert_eq!(bench.passed, ["SUBSCRIBE"]);
        } else {
            assert_eq!(out, [Out::Message(home)]);
        }
    }
}

/// An imported dialog has a tag of another's making: the To AoR leads home.
#[test]
fn a_foreign_tag_goes_by_to() {
    let within = plain("sip:presence@127.0.0.1:5060")
        .replace("carol@example.com>", "carol@example.com>;tag=10.1234.5");
    assert_eq!(aor(config(), &within).as_deref(), Some("carol@example.com"));
    let mut config = config();
    config.domains = vec!["other.example".into()];
    let mut bench = Bench::with(config);
    bench.refused(by_udp("127.0.0.1:5070"), &within);
    assert_eq!(bench.core.counters.rejected(Reject::NoDialog), 1);
}

/// A response finds the shard of the transaction by its branch.
#[test]
fn responses_find_their_shard() {
    let mut ours = config();
    ours.shards = 4;
    let mut owner = Bench::with(ours.clone());
    let mut dialog = dialog("sip:b@127.0.0.1:5070", "127.0.0.1:5070");
    dialog.hash = 7;
    assert!(owner.core.owns(dialog.hash));
    owner.notify(&mut dialog, b"").unwrap();
    let request = owner.out()[0].text().to_string();
    let ok = respond(&request, 200);
    ours.shard = ShardId(3);
    let mut other = Bench::with(ours);
    assert_eq!(other.refused(by_udp("127.0.0.1:5070"), &ok), [Out::Message(ShardId(0))]);
    owner.take_from(crate::sip::Origin::Shard, by_udp("127.0.0.1:5070"), &ok, |_, _, _| {});
    assert_eq!(owner.told, [super::Told::Final(200)]);
}

/// RFC 3261 16.3 item 4: a request of ours that comes back to us.
#[test]
fn our_own_request_is_looped() {
    let mut bench = Bench::new();
    bench.notify(&mut dialog("sip:b@127.0.0.1:5060", "127.0.0.1:5060"), b"").unwrap();
    let request = bench.out()[0].text().replace("\r\n", "\n");
    let out = bench.refused(by_udp("127.0.0.1:5060"), &request);
    assert!(out.iter().any(|out| matches!(out, Out::Datagram(_, text) if text.contains(" 482 "))));
    assert_eq!(bench.core.counters.rejected(Reject::Looped), 1);
}

/// Slots go to shards by range and evenly.
#[test]
fn slots_and_shards() {
    for (shards, hash_size) in [(1, 12), (3, 2), (7, 12), (64, 6)] {
        let config = Config { shards, hash_size, ..config() };
        let core = crate::Core::new(config, Now { instant: Instant(0), wall: Wall(0) });
        let slots = 1_u64 << hash_size;
        let owner = |slot: u64| core.shard_of(slot << (64 - u32::from(hash_size))).0;
        let mut counts = vec![0_u64; usize::from(shards)];
        for slot in 0..slots {
            counts[usize::from(owner(slot))] += 1;
            assert!(slot == 0 || owner(slot) >= owner(slot - 1));
        }
        let even = slots / u64::from(shards);
        assert!(counts.iter().all(|count| (even..=even + 1).contains(count)), "{counts:?}");
    }
}
