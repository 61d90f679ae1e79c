//! What to say about parameters that the originals have and this version has elsewhere, or not at
//! all: better than "no such parameter" alone.

/// The advice for a dotted name, if it is one of an original's.
pub(crate) fn of(path: &str) -> Option<&'static str> {
    let (table, name) = path.split_once('.').unwrap_or(("", path));
    let advice = match (table, name) {
        ("", "listen" | "port" | "sockets") => "listeners stand in socket = [\"udp:ADDRESS:PORT\"]",
        ("", "alias") => "domains = [...] names our domains, domain_alias = { ... } their aliases",
        ("", "advertised_address" | "advertised_port") => {
            "each listener has its own: socket = [\"udp:ADDRESS:PORT as HOST:PORT\"]"
        }
        ("", "children" | "udp_workers" | "tcp_workers" | "tcp_children") => {
            "shards = N says how many cores are used"
        }
        ("", "debug" | "log_level" | "debug_mode") => "[log] level = \"debug\"",
        ("", "durability" | "commit_window" | "lanes" | "map_size") => {
            "it stands in the table [storage]"
        }
        ("", "auth") => "this version has no digest authentication; trusted = [\"NETWORK\"] works",
        ("presence" | "presence_xml" | "pua" | "msilo" | "rls", "db_url") => {
            "all modules share one store: db_url at the top level, before any table"
        }
        ("presence", "force_active" | "generate_offline_body") => {
            "it stands in the table [presence_xml]"
        }
        ("presence", "hash_size") => "its tables are subs_htable_size and pres_htable_size",
        ("presence", "enable_sphere_check")
        | (
            "presence_xml",
            "pidf_manipulation"
            | "xcap_server"
            | "pres_rules_auid"
            | "pres_rules_filename"
            | "integrated_xcap_server"
            | "xcap_table",
        ) => "this version has no rules documents and no XCAP",
        ("presence", "subs_db_mode" | "publ_cache" | "db_mode" | "timer_mode") => {
            "all state is in memory and on disk; [storage] durability says what an answer waits for"
        }
        ("presence", "notifier_processes" | "notifier_poll_rate" | "send_fast_notify") => {
            "NOTIFYs leave at once, there is no notifier to tune"
        }
        ("presence", "subs_respond_200") => "subs_respond_202 = true is its opposite",
        ("presence", "min_expires_action") => {
            "min_expires answers 423 with Min-Expires; 0 switches it off"
        }
        ("presence", "timeout_rm_subs") => "end_sub_on_timeout says it",
        ("presence", "server_address") => "contact_user and socket ... as HOST:PORT say it",
        _ => return None,
    };
    Some(advice)
}
