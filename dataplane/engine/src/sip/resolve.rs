//! Where a URI leads (RFC 3263), as a pure function of what is cached.
//!
//! [`Names::next`] walks NAPTR, SRV and address records from the start each time it is asked. When
//! it comes to a name that is not cached it says which question to put; when the answer is in, the
//! same walk gets further. So no request keeps a state of the look-up, and fail-over is the same
//! walk again, passing over what was tried.

use core::net::{IpAddr, SocketAddr};

use alloc::boxed::Box;
use alloc::vec::Vec;
use smallvec::SmallVec;

use crate::io::{Query, QueryKind, Record, Resolved};
use crate::limits::{NAME_NEGATIVE_S, NAME_TTL_MAX_S, NAMES_MAX, RECORDS_MAX};
use crate::map::{Hashing, Map};
use crate::net::Transport;
use crate::{Instant, Span};

/// Least time an answer is used, seconds: the walk it was asked for has to see it.
const TTL_MIN_S: u32 = 5;
/// The default port of sip over UDP and TCP (RFC 3261 19.1.2).
pub(super) const SIP_PORT: u16 = 5060;

/// Where to: the parts of a sip URI that RFC 3263 section 4 looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    /// `maddr` or the host, lower case.
    pub(super) host: GoalHost,
    /// The port, when the URI has one.
    pub(super) port: Option<u16>,
    /// `transport`, when the URI has one.
    pub(super) transport: Option<Transport>,
}

/// The host of a [`Goal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum GoalHost {
    /// A literal address: nothing to resolve.
    Address(IpAddr),
    /// A name, lower case, without the root's dot.
    Name(Box<str>),
}

/// A place to send to.
pub(super) type Place = (Transport, SocketAddr);

/// Places that were tried in vain.
pub(super) type Tried = SmallVec<[Place; 2]>;

/// How far the walk came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next place to try.
    Send(Place),
    /// This has to be known first.
    Ask(Query),
    /// There is no place (any more).
    Nowhere,
}

/// Answers of the resolver, with their ends.
#[derive(Debug)]
pub(super) struct Names {
    cache: Map<Query, (Instant, Box<[Record]>)>,
}

impl Names {
    pub(super) fn new(hashing: Hashing) -> Self {
        Self { cache: Map::with_hasher(hashing) }
    }

    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Keep an answer. Of the records as many as [`RECORDS_MAX`].
    pub(super) fn learn(&mut self, now: Instant, resolved: Resolved) {
        let seconds = if resolved.failed {
            TTL_MIN_S
        } else if resolved.records.is_empty() {
            resolved.ttl.clamp(TTL_MIN_S, NAME_NEGATIVE_S)
        } else {
            resolved.ttl.clamp(TTL_MIN_S, NAME_TTL_MAX_S)
        };
        if self.cache.len() >= NAMES_MAX && !self.cache.contains_key(&resolved.query) {
            self.make_room(now);
        }
        let mut records = resolved.records;
        sort(&mut records);
        records.truncate(RECORDS_MAX);
        let end = now + Span::seconds(u64::from(seconds));
        self.cache.insert(resolved.query, (end, records.into_boxed_slice()));
    }

    /// The next place for `goal` that is not among the tried ones. `seed` draws among SRV records
    /// of one priority (RFC 2782), the same way each time.
    pub(super) fn next(&self, now: Instant, goal: &Goal, seed: u64, tried: &[Place]) -> Step {
        let walk = Walk { names: self, now, seed, tried };
        match walk.goal(goal) {
            Ok(()) => Step::Nowhere,
            Err(step) => step,
        }
    }

    fn get(&self, now: Instant, query: &Query) -> Option<&[Record]> {
        self.cache.get(query).filter(|(end, _)| *end > now).map(|(_, records)| &**records)
    }

    /// Drop what is over, or else half of the rest: answers come again when they are asked for.
    fn make_room(&mut self, now: Instant) {
        self.cache.retain(|_, (end, _)| *end > now);
        if self.cache.len() >= NAMES_MAX {
            let mut ends: Vec<Instant> = self.cache.values().map(|(end, _)| *end).collect();
            let middle = ends.len() / 2;
            let (_, median, _) = ends.select_nth_unstable(middle);
            let median = *median;
            self.cache.retain(|_, (end, _)| *end > median);
        }
    }
}

/// NAPTR by order and preference, SRV by priority; addresses stay as they are.
fn sort(records: &mut [Record]) {
    records.sort_by_key(|record| match record {
        Record::Naptr { order, preference, .. } => (*order, *preference),
        Record::Srv { priority, .. } => (*priority, 0),
        Record::Address(_) => (0, 0),
    });
}

/// One walk. Each part returns `Ok` when it found no place, so that the next part is tried, and the
/// step to take as an `Err`.
struct Walk<'a> {
    names: &'a Names,
    now: Instant,
    seed: u64,
    tried: &'a [Place],
}

impl Walk<'_> {
    /// RFC 3263 4.1 and 4.2.
    fn goal(&self, goal: &Goal) -> Result<(), Step> {
        let transport = goal.transport.unwrap_or(Transport::Udp);
        match (&goal.host, goal.port) {
            (GoalHost::Address(address), port) => {
                self.place(transport, *address, port.unwrap_or(SIP_PORT))
            }
            (GoalHost::Name(name), Some(port)) => self.addresses(name, transport, port),
            (GoalHost::Name(name), None) => self.services(name, goal.transport),
        }
    }

    /// A name without a port: NAPTR unless the transport is given, then SRV, then addresses.
    fn services(&self, name: &str, transport: Option<Transport>) -> Result<(), Step> {
        let mut found = false;
        if let Some(transport) = transport {
            found = self.srv(&srv_name(name, transport), transport)?;
        } else {
            let naptrs = self.look_up(name, QueryKind::Naptr)?;
            for (transport, replacement) in naptrs.iter().filter_map(usable_naptr) {
                found |= self.srv(replacement, transport)?;
            }
            if !found {
                for transport in [Transport::Udp, Transport::Tcp] {
                    found |= self.srv(&srv_name(name, transport), transport)?;
                }
            }
        }
        if found {
            return Ok(());
        }
        self.addresses(name, transport.unwrap_or(Transport::Udp), SIP_PORT)
    }

    /// The services under a name, in the order of RFC 2782. Whether there are any.
    fn srv(&self, name: &str, transport: Transport) -> Result<bool, Step> {
        let records = self.look_up(name, QueryKind::Srv)?;
        let mut left: SmallVec<[(u16, u16, u16, &str); RECORDS_MAX]> = records
            .iter()
            .filter_map(|record| match record {
                // A target of the root says that there is no such service.
                Record::Srv { priority, weight, port, target } if !target.is_empty() => {
                    Some((*priority, *weight, *port, &**target))
                }
                _ => None,
            })
            .collect();
        let any = !left.is_empty();
        let mut state = self.seed;
        while let Some(priority) = left.first().map(|record| record.0) {
            let place = draw(&left, priority, &mut state);
            let (_, _, port, target) = left.remove(place);
            self.addresses(target, transport, port)?;
        }
        Ok(any)
    }

    fn addresses(&self, name: &str, transport: Transport, port: u16) -> Result<(), Step> {
        if let Ok(address) = name.parse() {
            return self.place(transport, address, port);
        }
        for record in self.look_up(name, QueryKind::Address)? {
            if let Record::Address(address) = record {
                self.place(transport, *address, port)?;
            }
        }
        Ok(())
    }

    fn place(&self, transport: Transport, address: IpAddr, port: u16) -> Result<(), Step> {
        let place = (transport, SocketAddr::new(address, port));
        if self.tried.contains(&place) { Ok(()) } else { Err(Step::Send(place)) }
    }

    fn look_up(&self, name: &str, kind: QueryKind) -> Result<&[Record], Step> {
        let query = Query { name: name.into(), kind };
        match self.names.get(self.now, &query) {
            Some(records) => Ok(records),
            None => Err(Step::Ask(query)),
        }
    }
}

/// A NAPTR record that leads to SRV records of a transport we have (RFC 3263 4.1).
fn usable_naptr(record: &Record) -> Option<(Transport, &str)> {
    let Record::Naptr { flags, service, replacement, .. } = record else { return None };
    let transport = if service.eq_ignore_ascii_case("SIP+D2U") {
        Transport::Udp
    } else if service.eq_ignore_ascii_case("SIP+D2T") {
        Transport::Tcp
    } else {
        return None;
    };
    (flags.eq_ignore_ascii_case("s") && !replacement.is_empty()).then_some((transport, replacement))
}

fn srv_name(name: &str, transport: Transport) -> Box<str> {
    let service = match transport {
        Transport::Udp => "_sip._udp.",
        Transport::Tcp => "_sip._tcp.",
    };
    [service, name].concat().into_boxed_str()
}

/// RFC 2782: among the records of the lowest priority each with the chance of its weight, those
/// without weight rarely.
fn draw(records: &[(u16, u16, u16, &str)], priority: u16, state: &mut u64) -> usize {
    let group = records.iter().take_while(|record| record.0 == priority);
    let chance = |weight: u16| u64::from(weight) * 256 + 1;
    let sum: u64 = group.clone().map(|record| chance(record.1)).sum();
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let mut left = (*state >> 16) % sum.max(1);
    for (place, record) in group.enumerate() {
        let chance = chance(record.1);
        if left < chance {
            return place;
        }
        left -= chance;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new(Hashing::new([1; 16]))
    }

    fn goal(name: &str, port: Option<u16>, transport: Option<Transport>) -> Goal {
        Goal { host: GoalHost::Name(name.into()), port, transport }
    }

    fn ask(name: &str, kind: QueryKind) -> Step {
        Step::Ask(Query { name: name.into(), kind })
    }

    fn send(transport: Transport, place: &str) -> Step {
        Step::Send((transport, place.parse().unwrap()))
    }

    fn learn(names: &mut Names, name: &str, kind: QueryKind, records: Vec<Record>) {
        let query = Query { name: name.into(), kind };
        names.learn(Instant(0), Resolved { query, records, ttl: 60, failed: false });
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Record {
        Record::Srv { priority, weight, port, target: target.into() }
    }

    fn address(text: &str) -> Record {
        Record::Address(text.parse().unwrap())
    }

    fn naptr(order: u16, service: &str, replacement: &str) -> Record {
        Record::Naptr {
            order,
            preference: 50,
            flags: "s".into(),
            service: service.into(),
            replacement: replacement.into(),
        }
    }

    #[test]
    fn literal_addresses_ask_nothing() {
        let host = GoalHost::Address("192.0.2.1".parse().unwrap());
        let goal = Goal { host, port: None, transport: None };
        let first = send(Transport::Udp, "192.0.2.1:5060");
        assert_eq!(names().next(Instant(0), &goal, 1, &[]), first);
        let tried = [(Transport::Udp, "192.0.2.1:5060".parse().unwrap())];
        assert_eq!(names().next(Instant(0), &goal, 1, &tried), Step::Nowhere);
    }

    /// RFC 3263 4.2: a port in the URI means address records alone.
    #[test]
    fn a_port_skips_naptr_and_srv() {
        let mut names = names();
        let goal = goal("p.example", Some(5070), Some(Transport::Tcp));
        assert_eq!(names.next(Instant(0), &goal, 1, &[]), ask("p.example", QueryKind::Address));
        learn(&mut names, "p.example", QueryKind::Address, vec![address("2001:db8::1")]);
        let want = send(Transport::Tcp, "[2001:db8::1]:5070");
        assert_eq!(names.next(Instant(0), &goal, 1, &[]), want);
    }

    /// RFC 3263 4.1, with the records of its example.
    #[test]
    fn naptr_leads_to_srv_leads_to_addresses_and_fails_over() {
        let mut names = names();
        let goal = goal("example.com", None, None);
        assert_eq!(names.next(Instant(0), &goal, 1, &[]), ask("example.com", QueryKind::Naptr));
        let records = vec![
            naptr(100, "SIP+D2U", "_sip._udp.example.com"),
            naptr(90, "SIP+D2T", "_sip._tcp.example.com"),
            naptr(50, "SIPS+D2T", "_sips._tcp.example.com"),
        ];
        learn(&mut names, "example.com", QueryKind::Naptr, records);
        let service = "_sip._tcp.example.com";
        assert_eq!(names.next(Instant(0), &goal, 1, &[]), ask(service, QueryKind::Srv));
        let records = vec![srv(2, 0, 5061, "b.example"), srv(1, 0, 5062, "a.example")];
        learn(&mut names, service, QueryKind::Srv, records);
        assert_eq!(names.next(Instant(0), &goal, 1, &[]), ask("a.example", QueryKind::Address));
        learn(&mut names, "a.example", QueryKind::Address, vec![address("192.0.2.1")]);
        learn(&mut names, "b.example", QueryKind::Address, vec![address("192.0.2.2")]);
        learn(&mut names, "_sip._udp.example.com", QueryKind::Srv, Vec::new());
        let mut tried = Tried::new();
        for want in ["192.0.2.1:5062", "192.0.2.2:5061"] {
            let step = names.next(Instant(0), &goal, 1, &tried);
            assert_eq!(step, send(Transport::Tcp, want));
            tried.push((Transport::Tcp, want.parse().unwrap()));
        }
        assert_eq!(names.next(Instant(0), &goal, 1, &tried), Step::Nowhere);
    }

    #[test]
    fn without_naptr_and_srv_the_name_itself_on_port_5060() {
        let mut names = names();
        for (name, kind) in [
            ("h.example", QueryKind::Naptr),
            ("_sip._udp.h.example", QueryKind::Srv),
            ("_sip._tcp.h.example", QueryKind::Srv),
        ] {
            assert_eq!(
                names.next(Instant(0), &goal("h.example", None, None), 1, &[]),
                ask(name, kind)
            );
            learn(&mut names, name, kind, Vec::new());
        }
        learn(&mut names, "h.example", QueryKind::Address, vec![address("192.0.2.9")]);
        let step = names.next(Instant(0), &goal("h.example", None, None), 1, &[]);
        assert_eq!(step, send(Transport::Udp, "192.0.2.9:5060"));
    }

    /// RFC 2782: in proportion to the weights, and the same way for the same seed.
    #[test]
    fn srv_weights() {
        let mut names = names();
        let records = vec![srv(1, 1, 1, "192.0.2.1"), srv(1, 3, 3, "192.0.2.3")];
        learn(&mut names, "_sip._udp.w.example", QueryKind::Srv, records);
        let goal = goal("w.example", None, Some(Transport::Udp));
        let mut heavy = 0;
        for seed in 0..4_000_u64 {
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let step = names.next(Instant(0), &goal, seed, &[]);
            assert_eq!(step, names.next(Instant(0), &goal, seed, &[]));
            heavy += u32::from(step == send(Transport::Udp, "192.0.2.3:3"));
        }
        assert!((2_800..3_200).contains(&heavy), "{heavy}");
    }

    #[test]
    fn answers_end_and_the_cache_stays_within_its_bound() {
        let mut names = names();
        learn(&mut names, "p.example", QueryKind::Address, vec![address("192.0.2.1")]);
        let goal = goal("p.example", Some(1), None);
        let later = |seconds| Instant(0) + Span::seconds(seconds);
        assert!(matches!(names.next(later(59), &goal, 1, &[]), Step::Send(_)));
        assert!(matches!(names.next(later(60), &goal, 1, &[]), Step::Ask(_)));
        for serial in 0..2 * NAMES_MAX {
            let name = format!("n{serial}.example");
            learn(&mut names, &name, QueryKind::Address, vec![address("192.0.2.1")]);
            assert!(names.cache.len() <= NAMES_MAX);
        }
    }
}
