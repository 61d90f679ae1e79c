//! Watcher information by RFC 3857 and RFC 3858; row C116.

use pharos_sim::documents::{WATCHER_INFO, pidf};
use pharos_sim::{Sip, Span, World, check};

const MINUTE: Span = Span::seconds(60);

fn version(notify: &Sip) -> u32 {
    notify.attribute("version").unwrap_or_else(|| panic!("{notify}")).parse().expect("a number")
}

fn full(notify: &Sip) -> bool {
    assert_eq!(notify.header("Content-Type"), WATCHER_INFO);
    notify.body.contains("state=\"full\"")
}

/// RFC 3857 4.7, 3858 4: full on SUBSCRIBE, partial on a change, versions from 0 by one.
#[test]
fn the_presentity_sees_who_watches() {
    let world = World::default();
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    bob.subscribe("alice", "presence").notify();
    let watch = alice.subscribe("alice", "presence.winfo");
    let first = watch.notify();
    assert!(full(&first), "{first}");
    assert_eq!((first.header("Event"), version(&first)), ("presence.winfo", 0));
    assert!(first.body.contains("sip:bob@example.com"), "{first}");
    assert!(first.body.contains("package=\"presence\""), "{first}");
    assert!(first.body.contains("status=\"active\""), "{first}");
    assert!(first.body.contains("resource=\"sip:alice@example.com\""), "{first}");
    carol.subscribe("alice", "presence").notify();
    let second = watch.notify();
    assert!(!full(&second), "{second}");
    assert_eq!(version(&second), 1);
    assert!(second.body.contains("sip:carol@example.com"), "{second}");
    assert!(!second.body.contains("sip:bob@example.com"), "only what changed: {second}");
    check::all(&world.history());
}

/// RFC 3857 4.7.1: the end of a subscription is told with its event.
#[test]
fn an_ended_subscription_is_told_as_terminated() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    let seen = bob.subscribe("alice", "presence");
    assert!(watch.notify().body.contains("status=\"active\""));
    seen.end().expect(200);
    let told = watch.notify();
    assert!(told.body.contains("status=\"terminated\""), "{told}");
    assert!(told.body.contains("event=\"timeout\""), "{told}");
    watch.refresh(600).expect(200);
    let state = watch.notify();
    assert!(full(&state) && !state.body.contains("bob"), "{state}");
}

/// RFC 3857 4.7.1: so is one that nobody refreshed.
#[test]
fn a_subscription_that_times_out_is_told() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 60)).notify();
    watch.notify();
    let told = watch.next(Span::seconds(62)).expect("the end");
    assert!(told.body.contains("event=\"timeout\""), "{told}");
}

/// A refresh is no change of a watcher's state.
#[test]
fn a_refresh_is_not_told() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let seen = bob.subscribe("alice", "presence");
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    seen.refresh(600).expect(200);
    watch.quiet(MINUTE);
}

/// A fetch of presence passes through; what is told of it, if anything, ends as terminated.
#[test]
fn a_fetch_leaves_no_watcher() {
    let world = World::default();
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 0)).notify();
    world.advance(MINUTE);
    watch.refresh(600).expect(200);
    world.settle();
    let state = watch.last();
    assert!(full(&state) && !state.body.contains("bob"), "{state}");
}

/// Only the presentity itself may see its watchers (RFC 3857 4.5), also under `force_active`.
#[test]
fn nobody_else_sees_the_watchers() {
    let world = World::default();
    let bob = world.phone("bob");
    bob.send(&bob.subscribe_request("alice", "presence.winfo")).expect(403);
}

/// Without `force_active` the presentity still sees itself as watched by pending ones (row C102).
#[test]
fn pending_watchers_are_told_as_pending() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let watch = alice.subscribe("alice", "presence.winfo");
    assert_eq!(watch.notify().state(), "active");
    bob.subscribe("alice", "presence").notify();
    let told = watch.notify();
    assert!(told.body.contains("status=\"pending\""), "{told}");
    assert!(told.body.contains("event=\"subscribe\""), "{told}");
}

/// RFC 3857 4.7.1, row C13: a pending watcher that left waits, so that it can still be allowed.
#[test]
fn a_pending_watcher_that_left_is_waiting() {
    let world = World::new(|setup| setup.config.presence.force_active = false);
    let (alice, bob) = (world.phone("alice"), world.phone("bob"));
    let seen = bob.subscribe_by(&bob.subscribe_request("alice", "presence").set("Expires", 60));
    seen.notify();
    world.advance(Span::seconds(70));
    let watch = alice.subscribe("alice", "presence.winfo");
    let state = watch.notify();
    assert!(state.body.contains("status=\"waiting\""), "{state}");
    assert!(state.body.contains("sip:bob@example.com"), "{state}");
    world.advance(Span::seconds(4 * 86_400));
    let later = alice.subscribe("alice", "presence.winfo").notify();
    assert!(!later.body.contains("bob"), "{later}");
}

/// While a NOTIFY is in flight the union of the changes waits (architecture section 6).
#[test]
fn changes_during_a_notify_are_told_together() {
    let world = World::default();
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    alice.falls_silent();
    let dave = world.phone("dave");
    dave.subscribe("alice", "presence").notify();
    let slow = watch.notify();
    let gone = bob.subscribe("alice", "presence");
    carol.subscribe("alice", "presence").notify();
    gone.end().expect(200);
    world.settle();
    alice.answers("200 OK");
    alice.tell(&slow.answer("200 OK", "alice", &[]));
    let told = watch.notify();
    assert!(told.body.contains("carol") && told.body.contains("bob"), "{told}");
    assert!(told.body.contains("terminated"), "{told}");
    assert_eq!(version(&told), version(&slow) + 1);
}

/// After a NOTIFY that was not taken the next one is full: the watcher may have missed a version.
#[test]
fn after_a_refused_notify_the_next_is_full() {
    let world = World::default();
    let (alice, bob, carol) = (world.phone("alice"), world.phone("bob"), world.phone("carol"));
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    alice.answers_with("503 Busy", "Retry-After", 5);
    bob.subscribe("alice", "presence").notify();
    watch.notify();
    alice.answers("200 OK");
    carol.subscribe("alice", "presence").notify();
    let state = watch.next(Span::seconds(10)).expect("another try");
    assert!(full(&state), "{state}");
    assert!(state.body.contains("bob") && state.body.contains("carol"), "{state}");
}

/// Publishing changes no watcher.
#[test]
fn a_publication_is_no_watcher() {
    let world = World::default();
    let alice = world.phone("alice");
    let watch = alice.subscribe("alice", "presence.winfo");
    watch.notify();
    alice.publish(&pidf("alice", "p", "open"));
    watch.quiet(MINUTE);
}
