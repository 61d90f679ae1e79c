//! The rules that concern more than one parameter, and what an accepted parameter does not do.

use std::collections::BTreeSet;

use pharos_engine::net::Transport;
use pharos_engine::presence::package::Packages;

use super::problem::{Problem, nearest, place};
use super::schema::Places;
use super::settings::{Settings, all_fields};
use super::values::{Federation, Store};

/// Most listeners: every shard has a socket for each.
const LISTENERS_MAX: usize = 64;

/// Adds what is wrong with `settings` as a whole to `problems`.
pub(crate) fn check(settings: &Settings, places: &Places, problems: &mut Vec<Problem>) {
    let mut checker = Checker { settings, places, problems };
    checker.listeners();
    checker.control();
    checker.store();
    checker.aliases();
    checker.cores();
    checker.sizes();
    checker.expiries();
    checker.packages();
    checker.tables();
    checker.cluster();
}

struct Checker<'a> {
    settings: &'a Settings,
    places: &'a Places,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn refuse(&mut self, name: &str, why: String) {
        let parent = name.rsplit_once('.').map(|(parent, _)| parent);
        let at = self.places.get(name).or_else(|| self.places.get(parent?));
        let shown = match name.rsplit_once('.') {
            Some((list, index)) if index.bytes().all(|b| b.is_ascii_digit()) => list,
            _ => name,
        };
        self.problems.push(Problem::maybe_at(at, format!("{shown}: {why}")));
    }

    /// Section 8 of the architecture: nothing beyond loopback is open to everyone.
    fn listeners(&mut self) {
        let server = &self.settings.server;
        match server.socket.len() {
            0 => self.refuse("socket", "no listener; at least one is needed".into()),
            1..=LISTENERS_MAX => {}
            n => self.refuse("socket", format!("{n} listeners; at most {LISTENERS_MAX}")),
        }
        let mut seen = BTreeSet::new();
        for (index, socket) in server.socket.iter().enumerate() {
            let name = format!("socket.{index}");
            let listener = &socket.0;
            if !seen.insert((format!("{:?}", listener.transport), listener.bound)) {
                self.refuse(&name, format!("{socket} stands there twice"));
            }
            if !listener.bound.ip().is_loopback() && server.trusted.is_empty() {
                self.refuse(
                    &name,
                    format!(
                        "{socket} can be reached from beyond this machine, by anyone; say who may \
                         use it: trusted = [\"10.0.0.0/8\"]"
                    ),
                );
            }
        }
    }

    fn control(&mut self) {
        let control = self.settings.server.control;
        if !control.0.ip().is_loopback() {
            let why = format!(
                "{control} is beyond loopback, and metrics are served without a password; use \
                 127.0.0.1 or [::1] and a proxy or tunnel of your own"
            );
            self.refuse("control", why);
        }
        let server = &self.settings.server;
        for (index, socket) in server.socket.iter().enumerate() {
            if socket.0.transport == Transport::Tcp && socket.0.bound == control.0 {
                let why = format!("{socket} is also the address of control");
                self.refuse(&format!("socket.{index}"), why);
            }
        }
    }

    fn store(&mut self) {
        let server = &self.settings.server;
        if server.data.is_empty() {
            self.refuse("data", "a directory is wanted".into());
        }
        if self.places.get("data").is_some()
            && let Some(Store::Lmdb(path)) = &server.db_url
            && *path != server.data
        {
            let why = format!("lmdb:{path} and data = \"{}\" differ; leave one out", server.data);
            self.refuse("db_url", why);
        }
    }

    fn aliases(&mut self) {
        let server = &self.settings.server;
        for (index, (alias, domain)) in server.domain_alias.iter().enumerate() {
            let name = format!("domain_alias.{index}");
            if !server.domains.is_empty() && !server.domains.contains(domain) {
                let near = nearest(&domain.0, server.domains.iter().map(|domain| &*domain.0));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.refuse(&name, format!("{alias} = {domain} is none of domains{hint}"));
            }
            if alias.parse::<super::values::Domain>().is_err() {
                self.refuse(&name, format!("{alias} is not a host name"));
            }
        }
    }

    fn cores(&mut self) {
        let server = &self.settings.server;
        let mut seen = BTreeSet::new();
        for (index, core) in server.cores.iter().enumerate() {
            if !seen.insert(core.0) {
                self.refuse(&format!("cores.{index}"), format!("{} stands there twice", core.0));
            }
        }
        let (shards, cores) = (server.shards.0, server.cores.len());
        if cores > 0 && shards > cores as u64 {
            self.refuse("shards", format!("{shards} shards do not fit on {cores} cores"));
        }
        let runtime = &self.settings.runtime;
        for (index, core) in runtime.lane_cores.iter().enumerate() {
            if server.cores.contains(core) {
                let why = format!("core {} has a shard, which a lane would hold up", core.0);
                self.refuse(&format!("runtime.lane_cores.{index}"), why);
            }
        }
        if shards > 1 << server.hash_size.0 {
            let why = format!("{shards} shards need at least as many slots: raise hash_size");
            self.refuse("shards", why);
        }
    }

    fn sizes(&mut self) {
        let runtime = &self.settings.runtime;
        for (name, size) in [
            ("runtime.ring_submissions", runtime.ring_submissions.0),
            ("runtime.receive_buffers", runtime.receive_buffers.0),
            ("storage.lanes", self.settings.storage.lanes.0.max(1)),
        ] {
            if !size.is_power_of_two() {
                let near = size.next_power_of_two();
                self.refuse(name, format!("{size} is not a power of two; {near} is"));
            }
        }
    }

    fn expiries(&mut self) {
        let presence = &self.settings.presence;
        let least = presence.min_expires.0;
        for (name, most) in [
            ("presence.max_expires_subscribe", presence.max_expires_subscribe.0),
            ("presence.max_expires_publish", presence.max_expires_publish.0),
        ] {
            if most < least {
                self.refuse(name, format!("{most} is below presence.min_expires = {least}"));
            }
        }
    }

    fn packages(&mut self) {
        let names = self.settings.presence.notify_interval.keys();
        let known = || Packages::ALLOW_EVENTS.split(", ");
        let unknown = |name: &&String| known().all(|known| known != name.as_str());
        for (index, name) in names.enumerate().filter(|(_, name)| unknown(name)) {
            let hint = match nearest(name, known()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known are {}", Packages::ALLOW_EVENTS),
            };
            let place = format!("presence.notify_interval.{index}");
            self.refuse(&place, format!("there is no event package \"{name}\"; {hint}"));
        }
    }

    fn tables(&mut self) {
        let settings = self.settings;
        for (name, table) in [
            ("presence.presentity_table", &settings.presence.presentity_table),
            ("presence.active_watchers_table", &settings.presence.active_watchers_table),
            ("presence.watchers_table", &settings.presence.watchers_table),
            ("pua.db_table", &settings.pua.db_table),
            ("msilo.db_table", &settings.msilo.db_table),
        ] {
            let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if table.is_empty() || !table.bytes().all(good) {
                let why = "a table name of letters, digits and _ is wanted".into();
                self.refuse(name, why);
            }
        }
    }

    /// Rows B07, B08, C02 to C06: one machine for now, and it says so.
    fn cluster(&mut self) {
        let Settings { presence, pua, .. } = self.settings;
        let alone = [
            ("presence.cluster_id", presence.cluster_id.0 == 0),
            ("presence.cluster_be_active_shtag", presence.cluster_be_active_shtag.is_empty()),
            ("presence.cluster_pres_events", presence.cluster_pres_events.is_empty()),
            (
                "presence.cluster_federation_mode",
                presence.cluster_federation_mode == Federation::Disabled,
            ),
            ("pua.cluster_id", pua.cluster_id.0 == 0),
            ("pua.cluster_sharing_tag", pua.cluster_sharing_tag.is_empty()),
        ];
        for (name, _) in alone.into_iter().filter(|(_, unset)| !unset) {
            let why = "this version runs on one machine and shares nothing with others; leave \
                       every cluster parameter out";
            self.refuse(name, why.into());
        }
        if presence.fallback2db {
            let why = "this version shares its store with no other server; leave it out";
            self.refuse("presence.fallback2db", why.into());
        }
    }
}

/// One line for each parameter that the file sets and that changes nothing.
pub(crate) fn inert(places: &Places, name: &str, text: &str) -> Vec<String> {
    let fields: Vec<_> = all_fields().collect();
    let mut found: Vec<_> = places
        .iter()
        .filter_map(|(path, at)| {
            let (_, field) = fields.iter().find(|(dotted, _)| dotted == path)?;
            Some((at.start, path, field.inert?))
        })
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .map(|(at, path, why)| format!("{}: {path} has no effect: {why}", place(name, text, at)))
        .collect()
}
