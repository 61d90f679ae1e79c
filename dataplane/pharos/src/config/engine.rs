//! From the file's values to what the engine and the runtime take.

use std::time::Duration;

use pharos_engine::config::{BlaPresentity, PresenceConfig};
use pharos_engine::net::ShardId;
use pharos_engine::{Config, Span};
use pharos_runtime::{RingSize, RuntimeConfig, SocketBuffers, StreamLimits, Tuning};

use super::settings::Settings;
use super::values::{BlaSpec, Durability, Nat, Store};
use crate::cores::Placement;

/// Longest wait for what is in flight at a stop: a NOTIFY on its way gets a few retransmissions.
const DRAIN: Span = Span::seconds(10);

impl Settings {
    /// The data directory; `None` = memory only.
    pub(crate) fn data_directory(&self) -> Option<&str> {
        match &self.server.db_url {
            Some(Store::Memory) => None,
            Some(Store::Lmdb(path)) => Some(path),
            None => Some(&self.server.data),
        }
    }

    /// What the runtime is started with.
    pub(crate) fn runtime(&self, placement: &Placement) -> RuntimeConfig {
        let store = match self.data_directory() {
            None => pharos_runtime::Store::Memory,
            Some(path) => {
                let options = pharos_storage_lmdb::Options {
                    on_thread: placement.pin_lanes(),
                    ..self.lanes()
                };
                pharos_runtime::Store::Lanes { directory: path.into(), options }
            }
        };
        RuntimeConfig {
            engine: self.engine(),
            shards: placement.shards,
            cores: placement.cores.clone(),
            store,
            streams: StreamLimits {
                connections: self.server.tcp_max_connections.u32(),
                idle: Span::seconds(self.server.tcp_connection_lifetime.0),
                ..StreamLimits::default()
            },
            drain: DRAIN,
            tuning: self.tuning(placement),
        }
    }

    /// Sizes and times of a shard's loop.
    fn tuning(&self, placement: &Placement) -> Tuning {
        let file = &self.runtime;
        let spin = if placement.leaves_cores() { file.spin.0 } else { 0 };
        Tuning {
            spin: Span::micros(spin),
            gather: Span::micros(file.gather.0),
            batch: file.batch.u32(),
            ring: RingSize {
                buffers: u16::try_from(file.receive_buffers.0).unwrap_or(u16::MAX),
                sends: file.ring_sends.u32(),
                submissions: file.ring_submissions.u32(),
            },
            sockets: SocketBuffers {
                receive: file.socket_receive_buffer.0 as usize,
                send: file.socket_send_buffer.0 as usize,
            },
        }
    }

    /// How the lanes of a data directory are run.
    pub(crate) fn lanes(&self) -> pharos_storage_lmdb::Options {
        let lanes = u16::try_from(self.storage.lanes.0).ok().filter(|lanes| *lanes > 0);
        pharos_storage_lmdb::Options {
            lanes,
            map_size: self.storage.map_size.0 << 30,
            commit_window: Duration::from_millis(self.storage.commit_window.0),
            ..Default::default()
        }
    }

    /// The engine's part; what differs between shards and starts is filled in by the runtime.
    fn engine(&self) -> Config {
        let server = &self.server;
        Config {
            shard: ShardId(0),
            shards: 1,
            hash_size: u8::try_from(server.hash_size.0).unwrap_or(u8::MAX),
            key: [0; 16],
            seed: [0; 32],
            first_object: 1,
            listeners: server.socket.iter().map(|socket| socket.0.clone()).collect(),
            domains: server.domains.iter().map(|domain| domain.0.as_str().into()).collect(),
            domain_alias: server
                .domain_alias
                .iter()
                .map(|(alias, domain)| {
                    (alias.to_ascii_lowercase().into(), domain.0.as_str().into())
                })
                .collect(),
            trusted: server.trusted.iter().map(|network| network.0).collect(),
            commit: self.storage.durability == Durability::Commit,
            update_period: self.storage.update_period.u32(),
            udp_mtu: u16::try_from(server.udp_mtu.0).unwrap_or(u16::MAX),
            nat_auto: server.nat == Nat::Auto,
            server: server.server_header.clone(),
            presence: self.presence(),
        }
    }

    /// The presence server's parameters.
    fn presence(&self) -> PresenceConfig {
        let file = &self.presence;
        PresenceConfig {
            expires_offset: file.expires_offset.u32(),
            max_expires_subscribe: file.max_expires_subscribe.u32(),
            max_expires_publish: file.max_expires_publish.u32(),
            min_expires: file.min_expires.u32(),
            contact_user: file.contact_user.clone(),
            waiting_subs_daysno: file.waiting_subs_daysno.u32(),
            mix_dialog_presence: file.mix_dialog_presence,
            bla_presentity_spec: match file.bla_presentity_spec {
                BlaSpec::Contact => BlaPresentity::ContactUserFromDomain,
                BlaSpec::RequestUri => BlaPresentity::RequestUri,
                BlaSpec::From => BlaPresentity::From,
                BlaSpec::To => BlaPresentity::To,
            },
            bla_fix_remote_target: file.bla_fix_remote_target,
            notify_offline_body: file.notify_offline_body,
            end_sub_on_timeout: file.end_sub_on_timeout,
            force_active: self.presence_xml.force_active,
            generate_offline_body: self.presence_xml.generate_offline_body,
            subs_respond_202: file.subs_respond_202,
            max_watchers_per_presentity: file.max_watchers_per_presentity.u32(),
            max_publications_per_presentity: file.max_publications_per_presentity.u32(),
            restart_notify_rate: file.restart_notify_rate.u32(),
            notify_interval: file
                .notify_interval
                .iter()
                .map(|(package, seconds)| (package.as_str().into(), seconds.u32() * 1000))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file's defaults and the engine's are the same ones (rows C07 to C35).
    #[test]
    fn defaults_agree_with_the_engine() {
        assert_eq!(Settings::default().presence(), PresenceConfig::default());
    }

    /// And so are those of the runtime and the lanes.
    #[test]
    fn defaults_agree_with_runtime_and_lanes() {
        let runtime = Settings::default().runtime(&Placement::default());
        assert_eq!(runtime.streams, StreamLimits::default());
        assert_eq!(runtime.tuning, Tuning::default());
        let (lanes, theirs) =
            (Settings::default().lanes(), pharos_storage_lmdb::Options::default());
        assert_eq!(format!("{lanes:?}"), format!("{theirs:?}"));
    }
}
