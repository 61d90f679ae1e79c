//! `pharos db` as an operator types it: a table of the seeds in, looked at, and out again.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn pharos(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    command.args(arguments).output().expect("the binary runs")
}

/// Exit code, standard output, standard error.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Row C60 as OpenSIPS dumps it, with a column that nobody knows and a row without a time.
const PRESENTITY: &str = "\
id,username,domain,event,etag,expires,received_time,body,mood
1,alice,example.org,presence,a.1,4000000000,1700000000,<presence/>,good
2,bob,example.org,presence,a.2,soon,1700000000,<presence/>,bad
";

#[test]
fn a_table_goes_in_is_looked_at_and_comes_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (rows, back) = (folder.path().join("rows.csv"), folder.path().join("back.jsonl"));
    fs::write(&rows, PRESENTITY).expect("written");

    let imported = pharos(&["db", "import", "presentity", text(&rows), "--data", text(&data)]);
    let (code, out, err) = said(&imported);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("rows.csv:3: not taken: "), "the row is named by its line: {out}");
    assert!(out.contains("column mood is in no version of the table"), "{out}");
    assert!(
        out.ends_with("2 rows: 1 stored, 0 of them in place of an older one\n1 not taken\n"),
        "{out}"
    );

    let (code, out, err) = said(&pharos(&["db", "stat", text(&data)]));
    assert_eq!(code, Some(0), "{err}");
    let lane: serde_json::Value =
        serde_json::from_str(out.lines().next().expect("a lane")).expect(&out);
    assert_eq!(lane["lane"], 0);

    let (_, out, _) = said(&pharos(&["db", "dump", text(&data)]));
    assert!(out.lines().any(|line| line.contains("alice@example.org")), "{out}");
    assert!(out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));

    let (code, _, err) = said(&pharos(&["db", "compact", text(&data)]));
    assert_eq!(code, Some(0), "{err}");
    let (code, _, err) = said(&pharos(&["db", "verify", text(&data)]));
    assert_eq!(code, Some(0), "{err}");
    assert!(err.ends_with(" 0 problems\n"), "{err}");

    let exported = pharos(&["db", "export", "presentity", text(&back), "--data", text(&data)]);
    assert_eq!(exported.status.code(), Some(0), "{}", said(&exported).2);
    let back = fs::read_to_string(&back).expect("written");
    let row: serde_json::Value = serde_json::from_str(&back).expect("one row");
    assert_eq!((&row["username"], &row["etag"]), (&"alice".into(), &"a.1".into()));
}

/// Row C21: the configuration names the tables.
#[test]
fn tables_go_by_the_names_that_the_configuration_gives_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, rows) = (folder.path().join("c.toml"), folder.path().join("rows.csv"));
    let data = folder.path().join("data");
    let written = format!("db_url = 'lmdb:{}'\npresence.presentity_table = 'pres'\n", text(&data));
    fs::write(&config, written).expect("written");
    fs::write(&rows, PRESENTITY).expect("written");
    let arguments = ["db", "import", "pres", text(&rows), "-c", text(&config)];
    assert_eq!(pharos(&arguments).status.code(), Some(0));
    let arguments = ["db", "export", "pres", "-", "--format", "csv", "-c", text(&config)];
    let (code, out, err) = said(&pharos(&arguments));
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("id,username,domain,event,etag,expires,received_time,body"), "{out}");
    assert!(out.contains("alice") && err == "1 rows of presentity\n", "{out}{err}");
    let seed = pharos(&[&arguments[..], &["--shape", "seed"]].concat());
    assert!(
        said(&seed).1.starts_with("id,username,domain,event,etag,expires,received_time,body\n")
    );
}

#[test]
fn mistakes_are_said_with_the_right_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("nowhere");
    let (code, _, err) = said(&pharos(&["db", "stat", text(&nowhere)]));
    assert_eq!(code, Some(1));
    assert!(err.contains("is not a data directory of Pharos"), "{err}");
    let (code, _, err) = said(&pharos(&["db", "import", "presentities", "x.csv"]));
    assert_eq!((code, err.contains("no such table")), (Some(2), true), "{err}");
    let (code, _, err) = said(&pharos(&["db", "export", "watchers", "x.bin"]));
    assert_eq!((code, err.contains("--format")), (Some(2), true), "{err}");
    let (code, _, err) = said(&pharos(&["db", "import", "watchers", "/nowhere.csv"]));
    assert_eq!((code, err.starts_with("/nowhere.csv: ")), (Some(2), true), "{err}");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let (rows, data) = (folder.path().join("rows.csv"), folder.path().join("data"));
    let mut table = PRESENTITY.lines().take(1).collect::<String>() + "\n";
    for n in 0..2_000 {
        table +=
            &format!("{n},u{n},example.org,presence,e.{n},4000000000,1700000000,<presence/>,x\n");
    }
    fs::write(&rows, table).expect("written");
    let imported = pharos(&["db", "import", "presentity", text(&rows), "--data", text(&data)]);
    assert_eq!(imported.status.code(), Some(0), "{}", said(&imported).2);
    let mut child = Command::new(env!("CARGO_BIN_EXE_pharos"))
        .args(["db", "dump", text(&data)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(said(&output), (Some(0), String::new(), String::new()));
}
