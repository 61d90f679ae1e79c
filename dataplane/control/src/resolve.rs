//! DNS for the shards: one question, one answer with its lifetime. Cache, failover and the choice
//! among the records are the engine's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use pharos_engine::io::{Query, QueryKind, Record, Resolved};
use tokio::sync::Semaphore;

/// Questions under way at a time; more wait. Each shard has a limit of its own above this.
const CONCURRENT: usize = 256;
/// Longest lifetime that is believed, seconds: a day.
const TTL_MAX: u32 = 86_400;
/// Longest lifetime of "there is no such record", seconds (RFC 2308 section 5 speaks of hours).
const NEGATIVE_TTL_MAX: u32 = 3_600;
/// Lifetime of a negative answer without SOA, seconds: RFC 2308 says not to keep it; this is only
/// long enough to take the weight off a server that is asked at once by many requests.
const NEGATIVE_TTL: u32 = 5;
/// Lifetime of a failure, seconds.
const FAILURE_TTL: u32 = 5;

/// Asks name servers.
pub struct Resolver {
    /// `None`: this machine has no usable resolver configuration, every question fails.
    inner: Option<TokioResolver>,
    places: Semaphore,
}

impl Resolver {
    /// As `/etc/resolv.conf` and `/etc/hosts` say.
    pub fn of_system() -> Self {
        let inner = TokioResolver::builder_tokio().and_then(|mut builder| {
            tune(builder.options_mut());
            builder.build()
        });
        if let Err(error) = &inner {
            tracing::warn!("host names cannot be resolved: {error}");
        }
        Self { inner: inner.ok(), places: Semaphore::new(CONCURRENT) }
    }

    /// With one name server, asked over UDP.
    ///
    /// # Errors
    /// The resolver cannot be made.
    pub fn with_server(server: SocketAddr) -> Result<Self, NetError> {
        let mut connection = ConnectionConfig::new(ProtocolConfig::Udp);
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        tune(builder.options_mut());
        Ok(Self { inner: Some(builder.build()?), places: Semaphore::new(CONCURRENT) })
    }

    /// Answers `query`: records, none (for `ttl` seconds there are none), or failed.
    pub async fn resolve(&self, query: Query) -> Resolved {
        let answer = match (&self.inner, self.places.acquire().await) {
            (Some(inner), Ok(_place)) => ask(inner, &query).await,
            _ => Answer::Failed,
        };
        let (records, ttl, failed) = match answer {
            Answer::Records(records, ttl) => (records, ttl.min(TTL_MAX), false),
            Answer::None(ttl) => (Vec::new(), ttl.min(NEGATIVE_TTL_MAX), false),
            Answer::Failed => (Vec::new(), FAILURE_TTL, true),
        };
        Resolved { query, records, ttl, failed }
    }
}

/// Two tries of two seconds: a SIP transaction has 32 s in all. No cache: the shards keep one.
fn tune(options: &mut ResolverOpts) {
    options.cache_size = 0;
    options.timeout = Duration::from_secs(2);
    options.attempts = 2;
}

enum Answer {
    Records(Vec<Record>, u32),
    None(u32),
    Failed,
}

async fn ask(resolver: &TokioResolver, query: &Query) -> Answer {
    // With the last dot: no search domains are tried.
    let Ok(name) = Name::from_ascii(format!("{}.", query.name)) else {
        return Answer::None(NEGATIVE_TTL_MAX);
    };
    match query.kind {
        QueryKind::Naptr => answer(resolver.lookup(name, RecordType::NAPTR).await),
        QueryKind::Srv => answer(resolver.lookup(name, RecordType::SRV).await),
        QueryKind::Address => {
            let (four, six) = tokio::join!(
                resolver.lookup(name.clone(), RecordType::A),
                resolver.lookup(name, RecordType::AAAA),
            );
            both(answer(four), answer(six))
        }
    }
}

/// Addresses of both families; one family's failure does not hide the other's records, but does
/// keep "there are none" from being believed.
fn both(left: Answer, right: Answer) -> Answer {
    match (left, right) {
        (Answer::Records(mut left, a), Answer::Records(right, b)) => {
            left.extend(right);
            Answer::Records(left, a.min(b))
        }
        (Answer::Records(records, ttl), _) | (_, Answer::Records(records, ttl)) => {
            Answer::Records(records, ttl)
        }
        (Answer::None(a), Answer::None(b)) => Answer::None(a.min(b)),
        _ => Answer::Failed,
    }
}

fn answer(outcome: Result<Lookup, NetError>) -> Answer {
    match outcome {
        Ok(lookup) => {
            let found = lookup.answers();
            let ttl = found.iter().map(|record| record.ttl).min().unwrap_or(NEGATIVE_TTL);
            let records: Vec<_> = found.iter().filter_map(|found| record(&found.data)).collect();
            match records.is_empty() {
                true => Answer::None(ttl),
                false => Answer::Records(records, ttl),
            }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            Answer::None(none.negative_ttl.unwrap_or(NEGATIVE_TTL))
        }
        Err(_) => Answer::Failed,
    }
}

/// A record of the kinds that RFC 3263 needs; CNAMEs on the way to one are left out.
fn record(data: &RData) -> Option<Record> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned().into_boxed_str();
    match data {
        RData::A(address) => Some(Record::Address(IpAddr::V4(address.0))),
        RData::AAAA(address) => Some(Record::Address(IpAddr::V6(address.0))),
        RData::SRV(srv) => Some(Record::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: host(&srv.target),
        }),
        RData::NAPTR(naptr) => Some(Record::Naptr {
            order: naptr.order,
            preference: naptr.preference,
            flags: text(&naptr.flags),
            service: text(&naptr.services),
            replacement: host(&naptr.replacement),
        }),
        _ => None,
    }
}

/// As the engine writes names: lower case, no trailing dot.
fn host(name: &Name) -> Box<str> {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase().into()
}
