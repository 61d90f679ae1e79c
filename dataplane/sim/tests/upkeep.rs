//! What stays in the store and for how long, in both modes of durability.

use pharos_sim::documents::{PIDF, pidf, pidf_with_note};
use pharos_sim::{Span, World, check};
use pharos_storage::{Kind, StoreError};

const MINUTE: Span = Span::seconds(60);

fn objects(world: &World) -> [usize; 4] {
    let kinds = [Kind::Publication, Kind::Body, Kind::Subscription, Kind::Watcher];
    kinds.map(|kind| world.disk(|disk| disk.count(kind)))
}

/// Removed and ended objects stay for 64*T1 to answer repeats, then nothing is left anywhere.
#[test]
fn nothing_is_left_of_what_has_ended() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    assert_eq!(objects(&world), [1, 1, 1, 0]);
    card.remove().expect(200);
    watch.end().expect(200);
    world.settle();
    assert_eq!(objects(&world), [1, 0, 1, 0], "small records that answer repeats");
    world.advance(MINUTE);
    assert_eq!(objects(&world), [0; 4]);
    for gauge in ["presence_presentities", "presence_publications", "presence_subscriptions"] {
        assert_eq!(world.metric(gauge, None), 0, "{gauge}");
    }
}

/// C83, C120: so it is with what ends by time, and with who is gone.
#[test]
fn nothing_is_left_of_what_timed_out() {
    let world = World::default();
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let request = alice.publish_request("presence", PIDF, &pidf("alice", "p", "open"));
    alice.send(&request.set("Expires", 100)).expect(200);
    bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 90)).notify();
    carol.subscribe("alice", "presence").notify();
    carol.answers("481 Gone");
    world.advance(Span::seconds(110));
    assert_eq!(objects(&world), [0; 4]);
    assert_eq!(world.metric("presence_presentities", None), 0);
}

/// C75: a refresh writes the small record and not the document.
#[test]
fn a_refresh_does_not_write_the_document() {
    let world = World::default();
    let alice = world.phone("alice");
    let card = alice.publish(&pidf_with_note("alice", "p", "open", &"x".repeat(3_000)));
    for _ in 0..5 {
        card.refresh().expect(200);
    }
    world.crash();
    assert_eq!(objects(&world), [1, 1, 0, 0]);
    let bob = world.phone("bob");
    assert!(bob.subscribe("alice", "presence").notify().body.contains("xxx"));
}

/// A commit of a modification that came too late for its answer is taken back (section 5).
#[test]
fn a_late_modification_is_undone() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    world.disk(|disk| disk.stall(Span::seconds(40)));
    let late = card.request(&pidf("alice", "p", "closed"));
    assert!(alice.try_send(&late).is_none(), "silence, since nobody knows how it will end");
    world.advance(MINUTE);
    card.refresh().expect(200);
    world.crash();
    assert!(bob.subscribe("alice", "presence").notify().body.contains("<basic>open"));
}

/// Periodic: the store follows within `update_period`, and evenly.
#[test]
fn in_periodic_mode_the_store_follows() {
    let world = World::new(|setup| setup.config.commit = false);
    let phones: Vec<_> = (0..60).map(|n| world.phone(&format!("u{n}"))).collect();
    for phone in &phones {
        phone.publish(&pidf("u", "p", "open"));
    }
    world.advance(Span::seconds(5));
    let early = world.disk(|disk| disk.count(Kind::Publication));
    assert!(early > 0 && early < 60, "{early} after a sixth of the period");
    world.advance(Span::seconds(30));
    assert_eq!(world.disk(|disk| disk.count(Kind::Publication)), 60);
    assert_eq!(world.metric("presence_dirty_objects", None), 0);
}

/// Periodic: what was made and removed within a period leaves nothing, and what was removed after
/// it was written does not come back.
#[test]
fn in_periodic_mode_the_removed_stays_removed() {
    let world = World::new(|setup| setup.config.commit = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let brief = alice.publish(&pidf("alice", "brief", "open"));
    brief.remove().expect(200);
    let card = alice.publish(&pidf("alice", "p", "open"));
    world.advance(MINUTE);
    card.remove().expect(200);
    world.settle();
    world.crash();
    let watch = bob.subscribe("alice", "presence");
    assert_eq!(watch.notify().body, "");
    watch.end().expect(200);
    world.advance(Span::seconds(120));
    assert_eq!(objects(&world), [0; 4]);
}

/// Periodic: a subscription that was written lives on, and its numbers do not go back.
#[test]
fn in_periodic_mode_numbers_do_not_go_back() {
    let world = World::new(|setup| setup.config.commit = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let card = alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    world.advance(MINUTE);
    card.modify(&pidf("alice", "p", "closed")).expect(200);
    let last = watch.notify().cseq();
    world.crash();
    let after = watch.next(MINUTE).expect("the state after the crash");
    assert!(after.cseq() > last, "{after}");
    check::all(&world.history());
}

/// C13, C62: a waiting watcher is remembered over a crash and for three days, then given up.
#[test]
fn a_waiting_watcher_is_kept_for_days() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 60)).notify();
    world.advance(Span::seconds(61));
    assert_eq!(objects(&world), [0, 0, 0, 1]);
    world.crash();
    let state = alice.subscribe("alice", "presence.winfo").notify();
    assert!(state.body.contains("status=\"waiting\"") && state.body.contains("bob"), "{state}");
    world.advance(Span::seconds(3 * 86_400));
    assert_eq!(objects(&world), [0; 4]);
    let state = alice.subscribe("alice", "presence.winfo").notify();
    assert!(!state.body.contains("bob"), "{state}");
}

/// RFC 3857 4.7.1: a refresh asks again; who was pending becomes active, and the presentity sees
/// it.
#[test]
fn a_pending_watcher_may_be_approved_later() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    assert_eq!((watch.notify().state(), watch.last().body.as_str()), ("pending", ""));
    let winfo = alice.subscribe("alice", "presence.winfo");
    assert!(winfo.notify().body.contains("status=\"pending\""));
    world.configure(|setup| setup.config.presence.force_active = true);
    world.restart();
    watch.refresh(600).expect(200);
    let state = watch.notify();
    assert!(state.state() == "active" && state.body.contains("open"), "{state}");
    let told = winfo.notify();
    assert!(told.body.contains("event=\"approved\""), "{told}");
}

/// C96 with RFC 3857 4.7.1: a fetch that may not see anything shows that somebody asked.
#[test]
fn a_fetch_without_permission_leaves_a_waiting_watcher() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    let winfo = alice.subscribe("alice", "presence.winfo");
    winfo.notify();
    let fetch = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 0));
    let only = fetch.notify();
    assert_eq!((only.state(), only.body.as_str()), ("terminated", ""));
    assert!(winfo.notify().body.contains("status=\"waiting\""));
}

/// C121: what was changed last comes first, also after a crash; a refresh is no change.
#[test]
fn the_newest_document_stays_the_newest_over_a_crash() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let old = alice.publish(&pidf_with_note("alice", "p", "closed", "old"));
    world.advance(MINUTE);
    let new = alice.publish(&pidf_with_note("alice", "p", "open", "new"));
    world.advance(MINUTE);
    old.refresh().expect(200);
    let shown = |phone: &pharos_sim::Phone| phone.subscribe("alice", "presence").notify().body;
    assert!(shown(&bob).contains("new"));
    world.crash();
    assert!(shown(&bob).contains("new"));
    old.modify(&pidf_with_note("alice", "p", "open", "newest")).expect(200);
    new.refresh().expect(200);
    world.crash();
    assert!(shown(&bob).contains("newest"));
}

/// RFC 3858 4.3: each watcher has a name of its own, fetchers too.
#[test]
fn two_who_fetched_wait_apart() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let winfo = alice.subscribe("alice", "presence.winfo");
    winfo.notify();
    for phone in [&bob, &carol, &bob] {
        let fetch = phone.subscribe_request("alice", "presence").set("Expires", 0);
        phone.subscribe_by(&fetch).notify();
        world.settle();
    }
    assert_eq!(winfo.notifies().len(), 3, "a second fetch is no news");
    winfo.refresh(600).expect(200);
    world.settle();
    let state = winfo.last();
    assert_eq!(state.body.matches("status=\"waiting\"").count(), 2, "{state}");
}

/// The end of a subscription over a crash: its last NOTIFY goes out, numbered above all before it.
#[test]
fn a_last_notify_survives_a_crash() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    alice.publish(&pidf("alice", "p", "open"));
    let watch = bob.subscribe("alice", "presence");
    watch.notify();
    watch.end().expect(200);
    world.crash();
    world.advance(MINUTE);
    assert_eq!(watch.last().state(), "terminated");
    watch.refresh(600).expect(481);
    assert_eq!(objects(&world), [1, 1, 0, 0]);
    check::all(&world.history());
}

/// A disk that fails a subscription leaves no dialog behind.
#[test]
fn a_failed_subscription_leaves_nothing() {
    let world = World::default();
    let bob = world.phone("bob");
    let request = bob.subscribe_request("alice", "presence");
    world.disk(|disk| disk.next_commit(Err(StoreError::Full)));
    bob.send(&request).expect(503);
    world.advance(MINUTE);
    assert!(bob.requests().is_empty(), "no NOTIFY");
    assert_eq!(objects(&world), [0; 4]);
    assert_eq!(world.metric("presence_presentities", None), 0);
}
