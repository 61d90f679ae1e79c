//! The configuration as an operator meets it: good files, and what is said about wrong ones.

use super::print::print;
use super::settings::{Settings, all_fields};
use super::*;

fn good(text: &str) -> Loaded {
    match parse(text, "f", &Overrides::default()) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{report}"),
    }
}

/// What is said about `text`, which must be wrong.
fn wrong(text: &str) -> String {
    match parse(text, "f", &Overrides::default()) {
        Ok(loaded) => panic!("accepted: {:?}", loaded.settings),
        Err(report) => report.to_string(),
    }
}

#[test]
fn the_printed_default_reads_back_as_the_default() {
    assert_eq!(good(&print(&Settings::default())).settings, Settings::default());
    assert_eq!(good("").settings, Settings::default());
}

#[test]
fn the_printed_default_names_and_explains_every_parameter() {
    let printed = print(&Settings::default());
    for (path, field) in all_fields() {
        assert!(!field.doc.is_empty(), "{path} has no documentation");
        let line = format!("\n{} = ", field.name);
        let unset = format!("\n# {} = ", field.name);
        assert!(printed.contains(&line) || printed.contains(&unset), "{path} is not printed");
    }
}

#[test]
fn examples_of_unset_parameters_are_good() {
    for (path, field) in all_fields() {
        if let Some(example) = field.example {
            assert!(!path.contains('.'), "{path}: put it into its table here");
            good(&format!("{path} = {example}"));
        }
    }
}

#[test]
fn what_differs_from_the_default_reads_back_too() {
    let text = "
        socket = ['udp:10.0.0.1:5070 as P.example:5060', 'tcp:[::1]:5060', 'udp:*']
        trusted = ['10.0.0.0/8', '::1']
        domains = ['Example.ORG.']
        domain_alias = { 'old.example' = 'example.org' }
        cores = [1, 0]
        nat = 'off'
        db_url = 'memory'
        storage.durability = 'periodic'
        presence.notify_interval = { 'presence.winfo' = 5 }
        presence.bla_presentity_spec = '$ru'
        presence.contact_user = 'a\"b\\'
        presence.notify_offline_body = 1
    ";
    let settings = good(text).settings;
    assert_eq!(settings.server.socket[0].to_string(), "udp:10.0.0.1:5070 as p.example:5060");
    assert_eq!(settings.server.socket[2].to_string(), "udp:0.0.0.0:5060");
    assert_eq!(settings.server.trusted[1].to_string(), "::1/128");
    assert_eq!(settings.server.domains[0].0, "example.org");
    assert!(settings.presence.notify_offline_body);
    assert_eq!(settings.data_directory(), None);
    assert_eq!(good(&print(&settings)).settings, settings);
}

/// Every mistake at once, each with its place, its value and what to do.
#[test]
fn mistakes_are_all_named_with_line_and_column() {
    let text = "socekt = []\n[presence]\nmin_expire = 60\nmax_expires_publish = -1\n\
                contact_user = 5\n[storag]\n";
    assert_eq!(
        wrong(text),
        "f:1:1: socekt: no such parameter; did you mean socket?\n\
         f:3:1: presence.min_expire: no such parameter; did you mean presence.min_expires?\n\
         f:4:23: presence.max_expires_publish: -1 is out of range; a whole number from 1 to \
         2147483647 is wanted\n\
         f:5:16: presence.contact_user: the number 5 is not taken; a text in quotes is wanted\n\
         f:6:2: storag: no such parameter; did you mean storage?"
    );
}

#[test]
fn a_file_that_is_no_toml_is_placed_too() {
    assert!(wrong("a = 1\nb = = 2\n").starts_with("f:2:5: "), "{}", wrong("a = 1\nb = = 2\n"));
}

#[test]
fn the_wrong_element_of_a_list_is_pointed_at() {
    assert_eq!(
        wrong("socket = ['udp:127.0.0.1:5060',\n  'upd:127.0.0.1:5060']"),
        "f:2:3: socket: \"upd:127.0.0.1:5060\": transport upd is unknown; udp or tcp"
    );
}

/// Architecture section 8: no listener beyond loopback is open to everyone.
#[test]
fn listening_beyond_loopback_needs_trusted() {
    let open = "socket = ['udp:127.0.0.1:5060', 'udp:0.0.0.0:5060']";
    assert!(wrong(open).starts_with("f:1:33: socket: udp:0.0.0.0:5060 can be reached"));
    good(&format!("{open}\ntrusted = ['192.0.2.0/24']"));
    assert!(wrong("control = '0.0.0.0:8888'\ntrusted = ['192.0.2.0/24']").contains("loopback"));
}

/// Rows A01, B01, C22, E01: 1 to 20, each module's own default.
#[test]
fn hash_sizes_are_checked_and_only_the_global_one_counts() {
    for table in ["pua.hash_size", "presence.subs_htable_size", "msrp_ua.hash_size", "hash_size"] {
        good(&format!("{table} = 20"));
        assert!(wrong(&format!("{table} = 21")).contains("from 1 to 20"));
        assert!(wrong(&format!("{table} = 0")).contains("from 1 to 20"));
    }
    let settings = Settings::default();
    assert_eq!((settings.server.hash_size.0, settings.pua.hash_size.0), (12, 9));
    assert_eq!((settings.msrp_ua.hash_size.0, settings.presence.subs_htable_size.0), (10, 9));
}

/// Rows C19, C20, B06: accepted, without effect, and said so, for what the file sets only.
#[test]
fn scan_parameters_are_accepted_and_listed_as_without_effect() {
    let inert = good("[presence]\nclean_period = 10\nmin_expires = 30\n[pua]\nhash_size = 4").inert;
    assert_eq!(
        inert,
        [
            "f:2:16: presence.clean_period has no effect: publications expire exactly in time, \
             nothing is scanned",
            "f:5:13: pua.hash_size has no effect: the global hash_size counts",
        ]
    );
    assert!(good("").inert.is_empty());
}

/// Rows B07, B08, C02 to C06.
#[test]
fn cluster_parameters_are_taken_unset_and_refused_otherwise() {
    for (unset, set) in [
        ("presence.cluster_id = 0", "presence.cluster_id = 1"),
        ("presence.fallback2db = 0", "presence.fallback2db = 1"),
        ("presence.cluster_pres_events = ''", "presence.cluster_pres_events = 'presence'"),
        ("presence.cluster_be_active_shtag = ''", "presence.cluster_be_active_shtag = 'a/1'"),
        (
            "presence.cluster_federation_mode = 'disabled'",
            "presence.cluster_federation_mode = 'full-sharing'",
        ),
        ("pua.cluster_id = 0", "pua.cluster_id = 1"),
        ("pua.cluster_sharing_tag = ''", "pua.cluster_sharing_tag = 'vip'"),
    ] {
        good(unset);
        assert!(wrong(set).contains("leave"), "{set}");
    }
}

/// Row A05: the original makes 3600 of 600 and less without a word; here it stays.
#[test]
fn default_expires_is_not_clamped() {
    assert_eq!(good("pua.default_expires = 30").settings.pua.default_expires.0, 30);
}

/// Rows A02, B02, C01.
#[test]
fn db_url_is_a_directory_or_memory_and_sql_is_sent_to_the_import() {
    assert_eq!(good("db_url = 'lmdb:/x'").settings.data_directory(), Some("/x"));
    let sql = wrong("db_url = 'mysql://opensips:opensipsrw@localhost/opensips'");
    assert!(sql.contains("pharos db import"), "{sql}");
    assert!(wrong("presence.db_url = 'text:///x'").contains("all modules share one store"));
    assert!(wrong("data = 'a'\ndb_url = 'lmdb:b'").contains("leave one out"));
}

#[test]
fn rules_between_parameters_hold() {
    for (text, say) in [
        ("socket = []", "at least one"),
        ("socket = ['udp:127.0.0.1', 'udp:127.0.0.1:5060']", "twice"),
        ("socket = ['tcp:127.0.0.1:8888']", "address of control"),
        ("socket = ['udp:localhost:5060']", "a host name is not taken"),
        ("socket = ['udp:::1:5060']", "brackets"),
        ("socket = ['udp:127.0.0.1:0']", "port 0"),
        ("socket = ['udp:127.0.0.1:5060 as a b']", "neither"),
        ("socket = ['tls:127.0.0.1:5061']", "not in this version"),
        ("trusted = ['10.1.0.0/8']", "did you mean 10.0.0.0/8?"),
        ("trusted = ['10.0.0.0/33']", "0 to 32"),
        ("domains = ['a.example']\ndomain_alias = { b = 'a.exampel' }", "did you mean a.example?"),
        ("domains = ['sip:a.example']", "not a host name"),
        ("cores = [0, 0]", "twice"),
        ("cores = [0]\nshards = 2", "do not fit"),
        ("hash_size = 1\nshards = 3", "raise hash_size"),
        ("storage.lanes = 3", "4 is"),
        ("runtime.receive_buffers = 100", "128 is"),
        ("runtime.ring_submissions = 511", "512 is"),
        ("cores = [0, 1]\nruntime.lane_cores = [1]", "f:2:23: runtime.lane_cores: core 1 has"),
        ("presence.max_expires_publish = 30", "below presence.min_expires"),
        ("presence.notify_interval = { presense = 5 }", "did you mean \"presence\"?"),
        ("presence.watchers_table = 'a; drop'", "table name"),
        ("storage.durability = 'comit'", "did you mean \"commit\"?"),
        ("presence.waiting_subs_daysno = 31", "from 1 to 30"),
        ("server_header = \"a\\r\\nb\"", "line break"),
        ("log = 'info'", "[log]"),
    ] {
        let said = wrong(text);
        assert!(said.starts_with("f:") && said.contains(say), "{text}: {said}");
    }
}

#[test]
fn the_command_line_overrides_the_file() {
    let overrides = Overrides {
        sockets: vec!["udp:127.0.0.1:5062".into()],
        control: Some("127.0.0.1:8890".into()),
        data: Some("/tmp/x".into()),
    };
    let text = "socket = ['udp:0.0.0.0:5060']\ndb_url = 'memory'\ndata = 'y'";
    let settings = match parse(text, "f", &overrides) {
        Ok(loaded) => loaded.settings,
        Err(report) => panic!("{report}"),
    };
    assert_eq!(settings.server.socket.len(), 1);
    assert_eq!(settings.server.control.to_string(), "127.0.0.1:8890");
    assert_eq!(settings.data_directory(), Some("/tmp/x"));
    let wrong = Overrides { sockets: vec!["udp:127.0.0.1:x".into()], ..Overrides::default() };
    let report = parse("", "f", &wrong).map(|loaded| loaded.settings);
    assert!(report.is_err_and(|r| r.to_string().starts_with("--socket udp:127.0.0.1:x: ")));
}

/// The README's reference: a table of every parameter, from the same declaration as everything
/// else.
fn reference() -> String {
    let printed = print(&Settings::default());
    let mut out = String::new();
    let mut table = "-".to_owned();
    for (path, field) in all_fields() {
        let (section, name) = path.split_once('.').unwrap_or(("", &path));
        if section != table {
            let head =
                if section.is_empty() { "(top level)".into() } else { format!("[{section}]") };
            out.push_str(&format!("\n| `{head}` | default | |\n| --- | --- | --- |\n"));
            table = section.to_owned();
        }
        let line = |line: &&str| line.starts_with(&format!("{name} = "));
        let body = printed.split_once(&format!("\n[{section}]\n")).map_or(&*printed, |(_, b)| b);
        let default = body.lines().find(line).and_then(|line| line.split_once(" = "));
        let default = default.map_or_else(|| "unset".into(), |(_, value)| format!("`{value}`"));
        let doc: Vec<_> = field.doc.iter().map(|line| line.trim()).collect();
        let inert = field.inert.map(|why| format!(" No effect: {why}.")).unwrap_or_default();
        out.push_str(&format!("| `{name}` | {default} | {}{inert} |\n", doc.join(" ")));
    }
    out
}

#[test]
fn the_readme_has_every_parameter() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(path).expect("the README is there");
    let (_, rest) = readme.split_once("<!-- reference -->\n").expect("the reference begins");
    let (found, _) = rest.split_once("\n<!-- end -->").expect("the reference ends");
    let expected = reference();
    assert!(found == expected, "README.md: put this between the two comments:\n{expected}");
}
