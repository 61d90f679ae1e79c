//! What a shard is told at construction. Parameters carry the seeds' names, units and defaults.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use crate::net::{ShardId, Transport};

/// A listener that every shard has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Transport.
    pub transport: Transport,
    /// Bound address; the IP may be unspecified.
    pub bound: SocketAddr,
    /// Host and port for Via, Contact and Record-Route, when given by `as HOST:PORT`.
    pub advertise: Option<(Box<str>, u16)>,
}

/// A network as `10.0.0.0/8` or `::1/128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// Network address.
    pub network: IpAddr,
    /// Prefix length in bits.
    pub prefix: u8,
}

/// Everything one shard needs to know. The same for all shards but [`Config::shard`] and `seed`.
#[derive(Clone, Debug)]
pub struct Config {
    /// This shard.
    pub shard: ShardId,
    /// Number of shards.
    pub shards: u16,
    /// Exponent: 2^`hash_size` slots (default 12, 1..=20).
    pub hash_size: u8,
    /// Key of the AoR hash and of every tag, branch and entity-tag: made at the first start.
    pub key: [u8; 16],
    /// Seed of this shard's random generator: fresh at each start.
    pub seed: [u8; 32],
    /// First object id this shard may use; it goes on in steps of `shards` (so ids never collide).
    pub first_object: u64,
    /// Listeners, by [`crate::net::ListenerId`].
    pub listeners: Vec<Listener>,
    /// Domains that are ours, lower case; empty = every host that reaches us is ours.
    pub domains: Vec<Box<str>>,
    /// `domain_alias`: alias -> AoR domain, lower case.
    pub domain_alias: Vec<(Box<str>, Box<str>)>,
    /// Sources that may speak to us beside loopback.
    pub trusted: Vec<Cidr>,
    /// `durability`: answer after the commit (true, default) or at once (false, `periodic`).
    pub commit: bool,
    /// Write-behind period in periodic mode, seconds (30).
    pub update_period: u32,
    /// Largest UDP request we send before TCP is tried (RFC 3261 18.1.1), bytes; 0 = never (1300).
    pub udp_mtu: u16,
    /// `nat`: NOTIFY to the source address when the Contact is private or differs (default true,
    /// `auto`).
    pub nat_auto: bool,
    /// Server header in answers; empty = none.
    pub server: String,
    /// Presence parameters.
    pub presence: PresenceConfig,
}

/// `[presence]` and `[presence_xml]`, rows C01-C37.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceConfig {
    /// C07, seconds: kept longer than the 2xx says.
    pub expires_offset: u32,
    /// C08, seconds (3600).
    pub max_expires_subscribe: u32,
    /// C09, seconds (3600).
    pub max_expires_publish: u32,
    /// C10, seconds (60; 0 = off): below it 423.
    pub min_expires: u32,
    /// C11 (`presence`): user part of our Contact; empty = none.
    pub contact_user: String,
    /// C13, days (3, max 30): pending and waiting watchers are kept.
    pub waiting_subs_daysno: u32,
    /// C14: dialog state shows in presence.
    pub mix_dialog_presence: bool,
    /// C15: presentity of dialog;sla.
    pub bla_presentity_spec: BlaPresentity,
    /// C16 (true): Polycom's remote target is replaced by the identity.
    pub bla_fix_remote_target: bool,
    /// C17: a generated closed document when nothing is published.
    pub notify_offline_body: bool,
    /// C18 (true): 408 to a NOTIFY ends the subscription.
    pub end_sub_on_timeout: bool,
    /// C30 (true until rules exist): every subscription is active.
    pub force_active: bool,
    /// C35 (true): a closed document when the last publication ends.
    pub generate_offline_body: bool,
    /// C90: 202 instead of 200 for pending (false).
    pub subs_respond_202: bool,
    /// Watchers that one presentity may have (20 000).
    pub max_watchers_per_presentity: u32,
    /// Publications that one presentity may have (64).
    pub max_publications_per_presentity: u32,
    /// NOTIFYs a second after an unclean stop, over all shards (1 000).
    pub restart_notify_rate: u32,
    /// Least time between two NOTIFYs of a dialog, by package name, milliseconds; none = no limit.
    pub notify_interval: Vec<(Box<str>, u32)>,
}

/// `bla_presentity_spec`, row C15: which URI names the presentity of a dialog;sla SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BlaPresentity {
    /// Contact user @ From domain: the original's default.
    #[default]
    ContactUserFromDomain,
    /// `$ru`: the Request-URI.
    RequestUri,
    /// `$fu`: From.
    From,
    /// `$tu`: To.
    To,
}

impl Default for PresenceConfig {
    fn default() -> Self {
        Self {
            expires_offset: 0,
            max_expires_subscribe: 3600,
            max_expires_publish: 3600,
            min_expires: 60,
            contact_user: "presence".into(),
            waiting_subs_daysno: 3,
            mix_dialog_presence: false,
            bla_presentity_spec: BlaPresentity::default(),
            bla_fix_remote_target: true,
            notify_offline_body: false,
            end_sub_on_timeout: true,
            force_active: true,
            generate_offline_body: true,
            subs_respond_202: false,
            max_watchers_per_presentity: 20_000,
            max_publications_per_presentity: 64,
            restart_notify_rate: 1_000,
            notify_interval: Vec::new(),
        }
    }
}
