//! Every parameter: name, type, default, meaning. Names, units and defaults are the originals'.
//!
//! The doc comments here are the configuration reference: `pharos config` prints them.

use std::collections::BTreeMap;

use super::address::{Address, Network, Socket};
use super::schema::{Reader, Section, refuse_unknown, section};
use super::values::{
    BlaSpec, Domain, Durability, Federation, Int, LogFormat, LogLevel, Nat, Seconds, SomeSeconds,
    Store,
};

section! {
    /// The server.
    Server {
        /// Listeners, TRANSPORT:ADDRESS:PORT with udp or tcp, IPv6 in brackets, * for every IPv4
        /// address. "udp:10.0.0.1:5060 as p.example:5060" puts p.example:5060 into Via and Contact.
        /// Beyond loopback only together with trusted.
        socket: Vec<Socket> = default_sockets(),
        /// Where /metrics and /healthz are served over HTTP; loopback only.
        control: Address = Address(([127, 0, 0, 1], 8888).into()),
        /// Data directory; made at the first start. One running server per directory.
        data: String = "./pharos-data".into(),
        /// Where state is kept: unset = the data directory, "lmdb:PATH" = another directory,
        /// "memory" = nowhere, all is gone when the process ends. Rows A02, B02, C01.
        #[example = "\"lmdb:/var/lib/pharos\""]
        db_url: Option<Store> = None,
        /// Domains that are ours. Empty = every host for which a request reaches us.
        domains: Vec<Domain> = Vec::new(),
        /// Other names of our domains: { "alias.example" = "example.org" }. An address of record
        /// under the alias is the one under the domain. Row C92.
        domain_alias: BTreeMap<String, Domain> = BTreeMap::new(),
        /// Networks whose requests are served, beside loopback: ["10.0.0.0/8", "2001:db8::/32"].
        trusted: Vec<Network> = Vec::new(),
        /// Exponent, 1 to 20: addresses of record are spread over 2^hash_size slots. Rows A01, B01.
        hash_size: Int<1, 20> = Int(12),
        /// Shards, each a thread on a core of its own. 0 = one for each core in use, but for one
        /// core in eight, or the only second one, that is left to lanes and control.
        shards: Int<0, 1024> = Int(0),
        /// CPU numbers for shards, the first for shard 0. Empty = all that the process may run on,
        /// but for those that section runtime names.
        cores: Vec<Int<0, 4095>> = Vec::new(),
        /// Bytes: a request of ours that is larger goes over TCP, RFC 3261 18.1.1. 0 = never.
        udp_mtu: Int<0, 65_535> = Int(1300),
        /// "auto": NOTIFY goes to the address a SUBSCRIBE came from when its Contact is private or
        /// another address and no Route is set. "off": always to the Contact.
        nat: Nat = Nat::Auto,
        /// Connections that one shard holds; the next is closed at once.
        tcp_max_connections: Int<1, 1_000_000> = Int(16_384),
        /// Seconds without a message or keep-alive after which a connection is closed.
        tcp_connection_lifetime: SomeSeconds = Int(3660),
        /// Text of the Server header in answers; "" = none.
        server_header: String = "Pharos".into(),
    }
}

section! {
    /// What is kept on disk, and when it is answered.
    Storage {
        /// "commit": an answer leaves when what it acknowledges is on disk. "periodic": it leaves
        /// at once and the disk follows within update_period, as the originals do.
        durability: Durability = Durability::Commit,
        /// Seconds: how long the disk may lag in periodic mode. Row A06.
        update_period: SomeSeconds = Int(30),
        /// Milliseconds that a change waits at most for others to share its commit, when as many
        /// come as make that worth it; 0 = never.
        commit_window: Int<0, 1000> = Int(10),
        /// Storage lanes, a power of two, fixed when the data directory is made. 0 = one for each
        /// 8 cores.
        lanes: Int<0, 256> = Int(0),
        /// GiB of address space for each lane. Its file is sparse and grows as it is used; what is
        /// new is refused when four fifths are in use.
        map_size: Int<1, 16_384> = Int(64),
    }
}

section! {
    /// Threads and what each holds of the machine.
    Runtime {
        /// CPU numbers for the storage lanes, shared by all of them; never those of shards. Empty =
        /// those that no shard has, or all when there are none.
        lane_cores: Vec<Int<0, 4095>> = Vec::new(),
        /// CPU numbers for metrics, health, DNS, logs and signals. Empty = those that no shard has,
        /// or all when there are none.
        control_cores: Vec<Int<0, 4095>> = Vec::new(),
        /// Microseconds that a busy shard looks for more work before it sleeps; 0 = not at all. No
        /// effect while shards have every core, since they would take it from lanes and control.
        spin: Int<0, 1000> = Int(0),
        /// Microseconds that the sleep of a shard goes on for more once something has come, while
        /// much comes; 0 = not at all. It saves processor time where a shard gets tens of thousands
        /// of messages a second, and wastes it where few come. Needs Linux 6.12; without effect
        /// before.
        gather: Int<0, 1000> = Int(0),
        /// Inputs of one kind that a shard takes in one turn.
        batch: Int<1, 1024> = Int(64),
        /// Submissions that a shard's ring holds between two entries of the kernel, a power of two.
        ring_submissions: Int<8, 32_768> = Int(512),
        /// Datagrams of a shard that may wait for sockets that take no more; what comes on top is
        /// dropped and counted.
        ring_sends: Int<1, 32_768> = Int(1024),
        /// Buffers of a shard that datagrams are received into, a power of two. Each is 64 KiB of
        /// address space, and takes the memory that the largest datagram in it has touched.
        receive_buffers: Int<8, 32_768> = Int(256),
        /// Bytes that a UDP socket may hold for its shard; the kernel gives at most
        /// net.core.rmem_max.
        socket_receive_buffer: Int<4096, 1_073_741_824> = Int(4_194_304),
        /// Bytes that a UDP socket may hold for the network; the kernel gives at most
        /// net.core.wmem_max.
        socket_send_buffer: Int<4096, 1_073_741_824> = Int(4_194_304),
    }
}

section! {
    /// Logs, on standard error.
    Log {
        /// "error", "warn", "info" or "debug".
        level: LogLevel = LogLevel::Info,
        /// "text": a line for people. "json": an object per line.
        format: LogFormat = LogFormat::Text,
    }
}

section! {
    /// The presence server: PUBLISH, SUBSCRIBE, NOTIFY.
    Presence {
        /// Seconds that publications and subscriptions live beyond what the 2xx says. Row C07.
        expires_offset: Int<0, 86_400> = Int(0),
        /// Seconds: longer SUBSCRIBE expiries are shortened to it. Row C08.
        max_expires_subscribe: SomeSeconds = Int(3600),
        /// Seconds: longer PUBLISH expiries are shortened to it. Row C09.
        max_expires_publish: SomeSeconds = Int(3600),
        /// Seconds: shorter expiries get 423 with Min-Expires, except 0 and line-seize; never an
        /// expiry of an hour or more (RFC 6665 4.2.1.1). 0 = off. Row C10.
        min_expires: Int<0, 3600> = Int(60),
        /// User part of our Contact; "" = none. Row C11.
        contact_user: String = "presence".into(),
        /// Days that a pending or waiting watcher is remembered. Row C13.
        waiting_subs_daysno: Int<1, 30> = Int(3),
        /// A call that dialog state tells of shows as "on the phone" in presence. Row C14.
        mix_dialog_presence: bool = false,
        /// Which URI names the presentity of a dialog;sla SUBSCRIBE: "contact" = Contact user and
        /// From domain, "$ru" = Request-URI, "$fu" = From, "$tu" = To. Row C15.
        bla_presentity_spec: BlaSpec = BlaSpec::Contact,
        /// In dialog;sla documents the remote target is replaced by the identity. Row C16.
        bla_fix_remote_target: bool = true,
        /// Without a publication a NOTIFY carries a generated "closed" document. Row C17.
        notify_offline_body: bool = false,
        /// A NOTIFY that times out ends the subscription. Row C18.
        end_sub_on_timeout: bool = true,
        /// 202 in place of 200 for a pending subscription. Row C90.
        subs_respond_202: bool = false,
        /// Watchers that one presentity may have; the next gets 503.
        max_watchers_per_presentity: Int<1, 1_000_000> = Int(20_000),
        /// Publications of one event that one presentity may have; the next gets 503.
        max_publications_per_presentity: Int<1, 10_000> = Int(64),
        /// NOTIFYs a second, over all shards, that renew the watchers' state after a crash.
        restart_notify_rate: Int<1, 1_000_000> = Int(1000),
        /// Least seconds between two NOTIFYs of a subscription, by package. Off by default; the
        /// RFCs recommend { presence = 5, "presence.winfo" = 5, dialog = 1, message-summary = 1 }.
        notify_interval: BTreeMap<String, Int<0, 3600>> = BTreeMap::new(),
        /// Name of the table for `pharos db import` and `export`. Row C21.
        presentity_table: String = "presentity".into(),
        /// Name of the table for `pharos db import` and `export`. Row C21.
        active_watchers_table: String = "active_watchers".into(),
        /// Name of the table for `pharos db import` and `export`. Row C21.
        watchers_table: String = "watchers".into(),
        /// Seconds between two scans for expired publications. Row C19.
        #[inert = "publications expire exactly in time, nothing is scanned"]
        clean_period: Seconds = Int(100),
        /// Seconds between two flushes of subscriptions. Row C20.
        #[inert = "subscriptions are stored before they are answered and expire exactly in time"]
        db_update_period: Seconds = Int(100),
        /// Exponent of the subscriptions' hash table. Row C22.
        #[inert = "the global hash_size counts"]
        subs_htable_size: Int<1, 20> = Int(9),
        /// Exponent of the presentities' hash table. Row C22.
        #[inert = "the global hash_size counts"]
        pres_htable_size: Int<1, 20> = Int(9),
        /// Look in the database for what is not in memory; only false is taken. Row C02.
        #[inert = "all state is in memory and on disk at once"]
        fallback2db: bool = false,
        /// Cluster; only 0 is taken. Row C03.
        #[inert = "this version runs on one machine"]
        cluster_id: Int<0, 65_535> = Int(0),
        /// Cluster mode; only "disabled" is taken. Row C04.
        #[inert = "this version runs on one machine"]
        cluster_federation_mode: Federation = Federation::Disabled,
        /// Replicated events; only "" is taken. Row C05.
        #[inert = "this version runs on one machine"]
        cluster_pres_events: String = String::new(),
        /// Sharing tag; only "" is taken. Row C06.
        #[inert = "this version runs on one machine"]
        cluster_be_active_shtag: String = String::new(),
    }
}

section! {
    /// Documents of the presence package.
    PresenceXml {
        /// Every subscription is active without asking rules; this version has no rules, so false
        /// leaves every subscription pending. Row C30.
        force_active: bool = true,
        /// When the last publication ends, watchers get a generated "closed" document. Row C35.
        generate_offline_body: bool = true,
    }
}

section! {
    /// The presence user agent (not in this version; its parameters are checked).
    Pua {
        /// Exponent of its hash table. Rows A01, B01.
        #[inert = "the global hash_size counts"]
        hash_size: Int<1, 20> = Int(9),
        /// Name of the table for import and export. Rows A03, B03.
        #[inert = "this version has no presence user agent"]
        db_table: String = "pua".into(),
        /// Seconds: least expiry of what it publishes and subscribes. Rows A04, B04.
        #[inert = "this version has no presence user agent"]
        min_expires: Seconds = Int(300),
        /// Seconds, when the caller names none; never changed behind your back. Rows A05, B05.
        #[inert = "this version has no presence user agent"]
        default_expires: SomeSeconds = Int(3600),
        /// Seconds between two flushes. Rows A06, B06.
        #[inert = "this version has no presence user agent"]
        update_period: SomeSeconds = Int(30),
        /// Cluster; only 0 is taken. Row B07.
        #[inert = "this version runs on one machine"]
        cluster_id: Int<0, 65_535> = Int(0),
        /// Sharing tag; only "" is taken. Row B08.
        #[inert = "this version runs on one machine"]
        cluster_sharing_tag: String = String::new(),
    }
}

section! {
    /// Offline messages (not in this version; its parameters are checked).
    Msilo {
        /// Name of the table for import and export. Row D02.
        #[inert = "this version has no offline messages"]
        db_table: String = "silo".into(),
        /// Seconds between two scans of answered deliveries. Row D10.
        #[inert = "this version has no offline messages, and needs no scans for them"]
        check_time: SomeSeconds = Int(30),
        /// Scans between two removals of expired messages. Row D12.
        #[inert = "this version has no offline messages, and needs no scans for them"]
        clean_period: SomeSeconds = Int(5),
    }
}

section! {
    /// MSRP sessions (not in this version; its parameters are checked).
    MsrpUa {
        /// Exponent of its hash table. Row E01.
        #[inert = "the global hash_size counts"]
        hash_size: Int<1, 20> = Int(10),
        /// Seconds between two scans for expired sessions. Row E02.
        #[inert = "this version has no MSRP sessions, and needs no scans for them"]
        cleanup_interval: SomeSeconds = Int(60),
    }
}

fn default_sockets() -> Vec<Socket> {
    let parse = |text: &str| text.parse().ok();
    ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"].into_iter().filter_map(parse).collect()
}

/// Calls `$each!(field, Type, "table")` for each table beside the top level.
macro_rules! for_each_table {
    ($each:ident) => {
        $each! { storage: Storage, runtime: Runtime, log: Log, presence: Presence,
        presence_xml: PresenceXml, pua: Pua, msilo: Msilo, msrp_ua: MsrpUa }
    };
}
pub(crate) use for_each_table;

macro_rules! settings {
    ($($table:ident: $type:ident),*) => {
        /// The whole file.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(crate) struct Settings {
            /// The top level.
            pub(crate) server: Server,
            $(
                /// The table of this name.
                pub(crate) $table: $type,
            )*
        }

        impl Settings {
            /// Reads the root table; what is wrong goes to `reader`.
            pub(crate) fn read(root: &toml::de::DeTable<'_>, reader: &mut Reader<'_>) -> Self {
                let mut names: Vec<_> = Server::FIELDS.iter().map(|field| field.name).collect();
                names.extend([$(stringify!($table)),*]);
                refuse_unknown(root, "", &names, reader);
                Self {
                    server: Server::read(root, "", reader),
                    $($table: read_table(root, stringify!($table), reader),)*
                }
            }
        }
    };
}
for_each_table!(settings);

/// Reads `[name]`, its defaults where it is missing.
fn read_table<S: Section>(root: &toml::de::DeTable<'_>, name: &str, reader: &mut Reader<'_>) -> S {
    let Some(value) = root.get(name) else { return S::default() };
    let Some(table) = value.get_ref().as_table() else {
        reader.refuse(value.span(), format!("{name}: a table is wanted: [{name}]"));
        return S::default();
    };
    let names: Vec<_> = S::FIELDS.iter().map(|field| field.name).collect();
    let prefix = format!("{name}.");
    refuse_unknown(table, &prefix, &names, reader);
    S::read(table, &prefix, reader)
}

/// Every parameter with its dotted name.
pub(crate) fn all_fields() -> impl Iterator<Item = (String, &'static super::schema::Field)> {
    macro_rules! tables {
        ($($table:ident: $type:ident),*) => {
            [("", Server::FIELDS), $((concat!(stringify!($table), "."), $type::FIELDS)),*]
        };
    }
    let tables = for_each_table!(tables);
    tables.into_iter().flat_map(|(prefix, fields)| {
        fields.iter().map(move |field| (format!("{prefix}{}", field.name), field))
    })
}
