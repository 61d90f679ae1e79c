//! Messages between shards: a bounded queue per receiving shard and class, one ring of its bell per
//! batch.
//!
//! What may be lost (a datagram that landed on the wrong shard) is dropped and counted when the
//! receiver is far behind; what may not (a message for a connection, the news that a connection is
//! gone, a request that came by a stream) takes a credit, which the receiver gives back, so that it
//! always finds room. Without a credit it waits at the sender, and the sender takes no new work
//! from outside until it is gone. Between two shards each class arrives in the order it was sent; a
//! flood of datagrams does not delay what came by a connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use pharos_engine::Mesh;
use pharos_engine::net::{ListenerId, ShardId};

use crate::doorbell::Bell;

/// Messages that may be lost, waiting for one shard: 20 ms of work at 200 000 a second. A datagram
/// that waited longer has better been dropped: its sender repeats it.
const LOSABLE: usize = 4_096;
/// Bytes of messages waiting for one shard.
const BYTES: usize = 32 << 20;
/// Messages that may not be lost, from one shard to one other.
const CREDITS: u32 = 1_024;

/// What travels between shards.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// From engine to engine.
    Engine(Mesh),
    /// An ICMP error, told to all: the kernel reports it to any socket of the group.
    Unreachable {
        /// The listener that the datagram left from.
        listener: ListenerId,
        /// Its destination.
        peer: SocketAddr,
    },
}

#[derive(Debug)]
struct Inbox {
    losable: ArrayQueue<Parcel>,
    /// With the sender, whose credit travels along.
    sure: ArrayQueue<(u16, Parcel)>,
    /// Bytes in `losable`.
    bytes: CachePadded<AtomicUsize>,
    /// By sender.
    credits: Box<[CachePadded<AtomicU32>]>,
    bell: Arc<Bell>,
}

/// One shard's end of the mesh.
#[derive(Debug)]
pub(crate) struct MeshEnd {
    me: usize,
    inboxes: Arc<[Inbox]>,
    /// Shards sent to since the last flush.
    touched: Vec<bool>,
    /// By receiver: what waits for a credit.
    waiting: Vec<VecDeque<Parcel>>,
    /// Parcels in `waiting`.
    held: usize,
    dropped: u64,
}

impl Parcel {
    /// Bytes it holds beside itself.
    fn weight(&self) -> usize {
        match self {
            Self::Engine(Mesh::Message { bytes, .. } | Mesh::Send { bytes, .. }) => bytes.len(),
            Self::Engine(_) | Self::Unreachable { .. } => 0,
        }
    }

    /// UDP loses datagrams and its clients repeat them; a stream does neither.
    fn may_be_lost(&self) -> bool {
        match self {
            Self::Engine(Mesh::Message { path, .. }) => path.flow.is_none(),
            Self::Engine(_) => false,
            Self::Unreachable { .. } => true,
        }
    }
}

/// One end for each bell, in shard order.
pub(crate) fn mesh(bells: &[Arc<Bell>]) -> Vec<MeshEnd> {
    let shards = bells.len();
    let inboxes: Arc<[Inbox]> = bells
        .iter()
        .map(|bell| Inbox {
            losable: ArrayQueue::new(LOSABLE),
            sure: ArrayQueue::new(shards * CREDITS as usize),
            bytes: CachePadded::new(AtomicUsize::new(0)),
            credits: (0..shards).map(|_| CachePadded::new(AtomicU32::new(CREDITS))).collect(),
            bell: Arc::clone(bell),
        })
        .collect();
    (0..shards)
        .map(|me| MeshEnd {
            me,
            inboxes: Arc::clone(&inboxes),
            touched: vec![false; shards],
            waiting: (0..shards).map(|_| VecDeque::new()).collect(),
            held: 0,
            dropped: 0,
        })
        .collect()
}

impl MeshEnd {
    /// Send to another shard; it sees it at the next [`MeshEnd::flush`] at the latest.
    pub(crate) fn send(&mut self, to: ShardId, message: Mesh) {
        self.post(usize::from(to.0), Parcel::Engine(message));
    }

    /// Tell every other shard of an ICMP error.
    pub(crate) fn unreachable(&mut self, listener: ListenerId, peer: SocketAddr) {
        for to in 0..self.inboxes.len() {
            if to != self.me {
                self.post(to, Parcel::Unreachable { listener, peer });
            }
        }
    }

    fn post(&mut self, to: usize, parcel: Parcel) {
        debug_assert!(to != self.me, "a shard does not write to itself");
        let inbox = &self.inboxes[to];
        if parcel.may_be_lost() {
            let weight = parcel.weight();
            let full = inbox.bytes.load(Ordering::Relaxed) + weight > BYTES;
            inbox.bytes.fetch_add(weight, Ordering::Relaxed);
            if full || inbox.losable.push(parcel).is_err() {
                inbox.bytes.fetch_sub(weight, Ordering::Relaxed);
                self.dropped += 1;
            } else {
                self.touched[to] = true;
            }
        } else if !self.waiting[to].is_empty() || !take_credit(&inbox.credits[self.me]) {
            // Nothing overtakes what waits.
            self.waiting[to].push_back(parcel);
            self.held += 1;
        } else {
            self.put(to, parcel);
        }
    }

    /// Put what has a credit.
    fn put(&mut self, to: usize, parcel: Parcel) {
        let pushed = self.inboxes[to].sure.push((self.me as u16, parcel));
        assert!(pushed.is_ok(), "a credit is a place in the queue");
        self.touched[to] = true;
    }

    /// Post what waited for credits, as far as they go, and ring the bells of those sent to.
    pub(crate) fn flush(&mut self) {
        if self.held > 0 {
            self.post_waiting();
        }
        for (to, touched) in self.touched.iter_mut().enumerate() {
            if std::mem::take(touched) {
                self.inboxes[to].bell.ring();
            }
        }
    }

    fn post_waiting(&mut self) {
        for to in 0..self.waiting.len() {
            while !self.waiting[to].is_empty() && take_credit(&self.inboxes[to].credits[self.me]) {
                let Some(parcel) = self.waiting[to].pop_front() else { break };
                self.held -= 1;
                self.put(to, parcel);
            }
        }
    }

    /// The next parcel for this shard that had a credit.
    pub(crate) fn take_sure(&mut self) -> Option<Parcel> {
        let inbox = &self.inboxes[self.me];
        let (sender, parcel) = inbox.sure.pop()?;
        inbox.credits[usize::from(sender)].fetch_add(1, Ordering::Release);
        Some(parcel)
    }

    /// The next parcel for this shard that might have been lost.
    pub(crate) fn take_losable(&mut self) -> Option<Parcel> {
        let inbox = &self.inboxes[self.me];
        let parcel = inbox.losable.pop()?;
        inbox.bytes.fetch_sub(parcel.weight(), Ordering::Relaxed);
        Some(parcel)
    }

    /// True when nothing is there to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        let inbox = &self.inboxes[self.me];
        inbox.sure.is_empty() && inbox.losable.is_empty()
    }

    /// True while something waits for a credit: take nothing from outside, and do not sleep long.
    pub(crate) fn is_held_up(&self) -> bool {
        self.held > 0
    }

    /// Parcels dropped because their receiver was too far behind.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

fn take_credit(credits: &AtomicU32) -> bool {
    // Only this shard takes from this counter, so what is there stays there.
    credits.load(Ordering::Acquire) > 0 && {
        credits.fetch_sub(1, Ordering::AcqRel);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_engine::net::{FlowId, Path};

    fn ends(shards: usize) -> Vec<MeshEnd> {
        let bells: Vec<_> = (0..shards).map(|_| Arc::new(Bell::new().expect("eventfd"))).collect();
        mesh(&bells)
    }

    fn message(flow: Option<u64>, n: usize) -> Mesh {
        let peer: SocketAddr = "127.0.0.1:9".parse().expect("an address");
        let flow = flow.map(FlowId);
        let path = Path { listener: ListenerId(0), flow, local: peer.ip(), peer };
        Mesh::Message { path, bytes: (n as u64).to_be_bytes().into() }
    }

    fn number(parcel: &Parcel) -> u64 {
        match parcel {
            Parcel::Engine(Mesh::Message { bytes, .. } | Mesh::Send { bytes, .. }) => {
                u64::from_be_bytes(bytes[..].try_into().expect("eight bytes"))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn datagrams_beyond_the_limit_are_dropped_and_counted() {
        let mut ends = ends(2);
        for n in 0..LOSABLE + 10 {
            ends[0].send(ShardId(1), message(None, n));
        }
        assert_eq!(ends[0].dropped(), 10);
        let mut taken = 0;
        while let Some(parcel) = ends[1].take_losable() {
            assert_eq!(number(&parcel), taken);
            taken += 1;
        }
        assert_eq!(taken, LOSABLE as u64);
        assert_eq!(ends[1].inboxes[1].bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut ends = ends(2);
        let peer: SocketAddr = "127.0.0.1:9".parse().expect("an address");
        let path = Path { listener: ListenerId(0), flow: None, local: peer.ip(), peer };
        for _ in 0..BYTES / 65_536 + 3 {
            let bytes = vec![0; 65_536].into();
            ends[0].send(ShardId(1), Mesh::Message { path, bytes });
        }
        assert_eq!(ends[0].dropped(), 3);
    }

    /// Streams lose nothing: beyond the credits they wait at the sender, in order, and go on as the
    /// receiver gives credits back. Datagrams are another class: neither waits for the other.
    #[test]
    fn what_may_not_be_lost_waits_for_credits() {
        let mut ends = ends(3);
        let sent = CREDITS as usize * 3;
        for n in 0..sent {
            ends[0].send(ShardId(1), message(Some(1), n));
        }
        ends[0].send(ShardId(1), message(None, 7));
        assert!(ends[0].is_held_up() && !ends[2].is_held_up());
        assert_eq!(number(&ends[1].take_losable().expect("not behind")), 7);
        let mut next = 0;
        while next < sent as u64 {
            let parcel = ends[1].take_sure().expect("a flush follows each empty queue");
            assert_eq!(number(&parcel), next);
            next += 1;
            if ends[1].is_empty() {
                ends[0].flush();
            }
        }
        assert!(!ends[0].is_held_up() && ends[1].is_empty());
        assert_eq!(ends[0].dropped(), 0);
    }

    #[test]
    fn an_icmp_error_reaches_all_others() {
        let mut ends = ends(3);
        ends[1].unreachable(ListenerId(0), "127.0.0.1:9".parse().expect("an address"));
        assert!(ends[1].is_empty());
        for other in [0, 2] {
            assert!(matches!(ends[other].take_losable(), Some(Parcel::Unreachable { .. })));
        }
    }

    /// Two threads, both directions, more than all credits: everything arrives in order.
    #[test]
    fn order_holds_between_threads() {
        const EACH: u64 = 50_000;
        let threads: Vec<_> = ends(2)
            .into_iter()
            .enumerate()
            .map(|(me, mut end)| {
                std::thread::spawn(move || {
                    let other = ShardId(1 - me as u16);
                    let (mut sent, mut seen) = (0, 0);
                    while seen < EACH || sent < EACH || end.is_held_up() {
                        for _ in 0..64.min(EACH - sent) {
                            let bytes = Box::from(sent.to_be_bytes());
                            end.send(other, Mesh::Send { flow: FlowId(0), bytes });
                            sent += 1;
                        }
                        end.flush();
                        while let Some(parcel) = end.take_sure() {
                            assert_eq!(number(&parcel), seen);
                            seen += 1;
                        }
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("in order");
        }
    }
}
