//! The network between the server and its peers: delay, and on demand loss, copies, overtaking and
//! cuts.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use pharos_engine::{Instant, Span};

use crate::random::Random;

/// What the network does to datagrams. Streams only know delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Of 100 datagrams so many are lost.
    pub loss: u8,
    /// Of 100 datagrams so many arrive twice.
    pub duplicate: u8,
    /// Of 100 datagrams so many are late by up to 50 ms, and so may be overtaken.
    pub late: u8,
}

/// Which ways between the server and a peer are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Neither hears the other.
    Both,
    /// The server hears nothing of the peer.
    ToServer,
    /// The peer hears nothing of the server.
    FromServer,
}

/// Delay and faults. Between two addresses datagrams keep their order unless one is late.
#[derive(Debug)]
pub(crate) struct Network {
    /// What goes wrong now.
    pub(crate) faults: Faults,
    /// When the last datagram arrives, and the last message of a stream.
    last: BTreeMap<(SocketAddr, SocketAddr), [Instant; 2]>,
    /// Ways on which nothing comes through, and until when.
    cuts: BTreeMap<(IpAddr, IpAddr), Instant>,
}

/// Shortest way between two hosts.
const DELAY: Span = Span::millis(1);
/// The most that ordinary jitter adds, nanoseconds.
const JITTER: u64 = 500_000;
/// The most that a late datagram loses, nanoseconds.
const LATE: u64 = 50_000_000;

impl Network {
    /// A network with these faults.
    pub(crate) const fn new(faults: Faults) -> Self {
        Self { faults, last: BTreeMap::new(), cuts: BTreeMap::new() }
    }

    /// Nothing goes from one host to the other until then.
    pub(crate) fn cut(&mut self, from: IpAddr, to: IpAddr, until: Instant) {
        self.cuts.insert((from, to), until);
    }

    /// All cuts are over.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// When the cut of this way is over, if there is one.
    pub(crate) fn cut_until(&self, now: Instant, way: (SocketAddr, SocketAddr)) -> Option<Instant> {
        self.cuts.get(&(way.0.ip(), way.1.ip())).copied().filter(|until| *until > now)
    }

    /// When the copies of a datagram sent now arrive: none, one or two times.
    pub(crate) fn datagram(
        &mut self,
        now: Instant,
        random: &mut Random,
        way: (SocketAddr, SocketAddr),
    ) -> Vec<Instant> {
        if self.cut_until(now, way).is_some() {
            return Vec::new();
        }
        let copies = match (random.chance(self.faults.loss), random.chance(self.faults.duplicate)) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        (0..copies).map(|_| self.arrival(now, random, way)).collect()
    }

    fn arrival(
        &mut self,
        now: Instant,
        random: &mut Random,
        way: (SocketAddr, SocketAddr),
    ) -> Instant {
        if random.chance(self.faults.late) {
            return now + DELAY + Span(random.below(LATE));
        }
        self.in_order(now, random, way, 0)
    }

    /// When a message on a stream arrives: never before the one sent before it. A cut delays it,
    /// since the sender's kernel tries again.
    pub(crate) fn stream(
        &mut self,
        now: Instant,
        random: &mut Random,
        way: (SocketAddr, SocketAddr),
    ) -> Instant {
        let begin = self.cut_until(now, way).unwrap_or(now);
        self.in_order(begin, random, way, 1)
    }

    /// Not before what was sent before it the same way.
    fn in_order(
        &mut self,
        begin: Instant,
        random: &mut Random,
        way: (SocketAddr, SocketAddr),
        kind: usize,
    ) -> Instant {
        let last = &mut self.last.entry(way).or_default()[kind];
        let at = (begin + DELAY + Span(random.below(JITTER))).max(*last + Span(1));
        *last = at;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(port: u16) -> (SocketAddr, SocketAddr) {
        (SocketAddr::from(([192, 0, 2, 1], 5060)), SocketAddr::from(([192, 0, 2, 2], port)))
    }

    #[test]
    fn without_faults_each_datagram_arrives_once_and_in_order() {
        let (mut network, mut random) = (Network::new(Faults::default()), Random::new(1));
        let mut last = Instant(0);
        for now in (0..100).map(|i| Instant(i * 1_000)) {
            let arrivals = network.datagram(now, &mut random, way(1));
            assert_eq!(arrivals.len(), 1);
            assert!(arrivals[0] > last && arrivals[0] >= now + DELAY);
            last = arrivals[0];
        }
    }

    #[test]
    fn faults_lose_copy_and_delay() {
        let faults = Faults { loss: 30, duplicate: 30, late: 30 };
        let (mut network, mut random) = (Network::new(faults), Random::new(2));
        let all: Vec<Vec<Instant>> =
            (0..200).map(|i| network.datagram(Instant(i * 1_000), &mut random, way(1))).collect();
        assert!(all.iter().any(Vec::is_empty) && all.iter().any(|copies| copies.len() == 2));
        let flat: Vec<Instant> = all.into_iter().flatten().collect();
        assert!(!flat.is_sorted(), "some are overtaken");
    }

    #[test]
    fn a_cut_loses_datagrams_and_delays_streams() {
        let (mut network, mut random) = (Network::new(Faults::default()), Random::new(3));
        let ((from, to), end) = (way(1), Instant(1_000_000_000));
        network.cut(from.ip(), to.ip(), end);
        assert_eq!(network.datagram(Instant(0), &mut random, (from, to)), []);
        assert_eq!(network.datagram(Instant(0), &mut random, (to, from)).len(), 1, "one way only");
        assert!(network.stream(Instant(0), &mut random, (from, to)) > end);
        network.heal();
        assert_eq!(network.datagram(Instant(0), &mut random, (from, to)).len(), 1);
    }
}
