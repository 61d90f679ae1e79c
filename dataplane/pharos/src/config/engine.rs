//! From the file's values to what the engine and the runtime take.

use pharos_engine::config::{BlaPresentity, PresenceConfig};

use super::settings::Settings;
use super::values::{BlaSpec, Store};

impl Settings {
    /// The data directory; `None` = memory only.
    pub(crate) fn data_directory(&self) -> Option<&str> {
        match &self.server.db_url {
            Some(Store::Memory) => None,
            Some(Store::Lmdb(path)) => Some(path),
            None => Some(&self.server.data),
        }
    }

    /// The presence server's parameters.
    pub(crate) fn presence(&self) -> PresenceConfig {
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
}
