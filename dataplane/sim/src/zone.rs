//! The DNS of the world: what the resolver answers (RFC 3263).

use std::collections::BTreeMap;

use pharos_engine::io::{Query, QueryKind, Record, Resolved};

/// Records by question. What is not here is a negative answer.
#[derive(Debug, Default)]
pub struct Zone {
    records: BTreeMap<(String, u8), (Vec<Record>, u32)>,
    /// The resolver is down: every answer is a failure.
    pub fails: bool,
    /// Questions asked so far.
    pub asked: Vec<Query>,
}

const fn number(kind: QueryKind) -> u8 {
    match kind {
        QueryKind::Naptr => 0,
        QueryKind::Srv => 1,
        QueryKind::Address => 2,
    }
}

/// Seconds that a negative answer may be kept.
const NEGATIVE_TTL: u32 = 30;

impl Zone {
    /// `name` has an SRV record; lower priority first.
    pub fn srv(&mut self, name: &str, priority: u16, target: &str, port: u16) {
        let record = Record::Srv { priority, weight: 0, port, target: target.into() };
        self.add(name, QueryKind::Srv, record, 300);
    }

    /// `name` has an address.
    pub fn address(&mut self, name: &str, address: std::net::IpAddr, ttl: u32) {
        self.add(name, QueryKind::Address, Record::Address(address), ttl);
    }

    /// `name` has a NAPTR record that leads to SRV.
    pub fn naptr(&mut self, name: &str, order: u16, service: &str, replacement: &str) {
        let record = Record::Naptr {
            order,
            preference: 0,
            flags: "s".into(),
            service: service.into(),
            replacement: replacement.into(),
        };
        self.add(name, QueryKind::Naptr, record, 300);
    }

    /// Forget the records of `name`.
    pub fn clear(&mut self, name: &str) {
        self.records.retain(|(have, _), _| have != name);
    }

    fn add(&mut self, name: &str, kind: QueryKind, record: Record, ttl: u32) {
        let entry = self.records.entry((name.to_owned(), number(kind))).or_default();
        entry.0.push(record);
        entry.1 = ttl;
    }

    pub(crate) fn answer(&mut self, query: Query) -> Resolved {
        self.asked.push(query.clone());
        let found = self.records.get(&(query.name.to_string(), number(query.kind)));
        let (records, ttl) = found.cloned().unwrap_or((Vec::new(), NEGATIVE_TTL));
        Resolved { query, records, ttl, failed: self.fails }
    }
}
