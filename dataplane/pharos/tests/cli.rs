//! The command line as an operator types it: what is printed, and the exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn pharos(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    command.args(arguments).output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn the_printed_configuration_is_good_and_its_inert_parameters_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pharos.toml");
    fs::write(&file, pharos(&["config"]).stdout).expect("written");
    let output = pharos(&["check", "-c", text(&file)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.ends_with("pharos.toml: good\n"), "{said}");
    assert!(said.contains("presence.clean_period has no effect: publications expire"), "{said}");
}

#[test]
fn a_wrong_configuration_is_named_by_place_and_exits_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrong.toml");
    fs::write(&file, "# mine\n[presence]\nmin_expire = 60\n").expect("written");
    for command in ["check", "run"] {
        let output = pharos(&[command, "-c", text(&file)]);
        assert_eq!(output.status.code(), Some(2));
        let expected = format!(
            "{}:3:1: presence.min_expire: no such parameter; did you mean presence.min_expires?\n",
            text(&file)
        );
        assert_eq!(stderr(&output), expected);
    }
}

#[test]
fn a_missing_file_and_a_wrong_option_exit_with_2_too() {
    let missing = pharos(&["run", "-c", "/nowhere/pharos.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).starts_with("/nowhere/pharos.toml: cannot be read: "));
    assert_eq!(pharos(&["run", "--sokcet", "x"]).status.code(), Some(2));
    let open = pharos(&["--socket", "udp:0.0.0.0:5060"]);
    assert_eq!(open.status.code(), Some(2));
    assert!(stderr(&open).contains("trusted = "), "{}", stderr(&open));
}

#[test]
fn help_tells_of_signals_files_exit_codes_and_examples() {
    let help = stdout(&pharos(&["--help"]));
    for part in ["SIGNALS", "EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES", "config", "check"] {
        assert!(help.contains(part), "{part} is missing:\n{help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    let version = stdout(&pharos(&["--version"]));
    assert_eq!(version, concat!("pharos ", env!("CARGO_PKG_VERSION"), "\n"));
}
