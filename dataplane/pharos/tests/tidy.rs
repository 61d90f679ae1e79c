//! The style of the source, enforced: sizes, module heads, banned words, walls between crates.
//!
//! A message names file and line and says what to do instead.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file is one thought.
const FILE_LINES: usize = 600;
/// A function fits on a screen or two.
const FUNCTION_LINES: usize = 70;
/// Two files side by side.
const COLUMNS: usize = 100;

/// What does not stay in the source, and what to do instead.
const BANNED: [(&str, &str); 12] = [
    (concat!("FIX", "ME"), "mend it, or write down the limitation as a fact"),
    (concat!("TO", "DO"), "do it, or leave it out"),
    (concat!("X", "XX"), "say what is meant"),
    (concat!("HA", "CK:"), "say why it is so"),
    (concat!("todo", "!("), "write it"),
    (concat!("unimplemented", "!("), "write it, or make the case impossible by type"),
    (concat!("dbg", "!("), "assert it in a test, or log it with tracing"),
    (concat!("thread::", "sleep_ms"), "wait for the event"),
    (concat!("mem::", "uninitialized"), "MaybeUninit"),
    (concat!("mem::", "transmute"), "a checked conversion"),
    (concat!("#[ig", "nore]"), "a test runs, or is not there"),
    (concat!("/wo", "rk/"), "a path of one machine means nothing on another"),
];

/// What may stand at the top, dot-files aside.
const TOP: [&str; 14] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "bench",
    "clippy.toml",
    "dataplane",
    "deny.toml",
    "fuzz",
    "parser",
    "rustfmt.toml",
    "storage",
    "tuning",
];

/// Made by running what the README says; never committed.
const MADE: [&str; 2] = ["target", "pharos-data"];

/// The crates of the core.
const CORE: [&str; 3] = ["pharos-parser", "pharos-storage", "pharos-engine"];

/// What the core is built of beside itself; each is no_std with the features it is used with.
const NO_STD: [&str; 18] = [
    "bytecheck",
    "cfg-if",
    "chacha20",
    "cpufeatures",
    "hashbrown",
    "memchr",
    "munge",
    "ptr_meta",
    "rancor",
    "rand_core",
    "rend",
    "rkyv",
    "roxmltree",
    "rustc-std-workspace-alloc",
    "simdutf8",
    "siphasher",
    "smallvec",
    "zeroize",
];

/// Runs in the compiler only: the derive macros of the above.
const MACROS: [&str; 8] = [
    "bytecheck_derive",
    "munge_macro",
    "proc-macro2",
    "ptr_meta_derive",
    "quote",
    "rkyv_derive",
    "syn",
    "unicode-ident",
];

/// The only files with unsafe code, each block with its SAFETY comment (a lint sees to that).
const UNSAFE: [&str; 5] = [
    "bench/src/net/sys.rs",
    "dataplane/runtime/src/doorbell.rs",
    "dataplane/runtime/src/ring/mod.rs",
    "dataplane/runtime/src/socket.rs",
    "storage/lmdb/src/env.rs",
];

fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    assert!(path.pop() && path.pop(), "this crate stands two folders below the top");
    path
}

/// The files under version control or about to be, by their path from the top.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).expect("a readable folder") {
            let entry = entry.expect("a readable entry");
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let path = folder.join(&name);
            if entry.file_type().expect("a known type").is_dir() {
                if !MADE.contains(&name.as_str()) && name != ".git" {
                    folders.push(path);
                }
            } else if name != ".git" {
                found.push(path.to_str().expect("names are UTF-8").to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the walk found the source");
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn with_extension(extensions: &[&str]) -> Vec<String> {
    let wanted = |file: &String| {
        let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    };
    files().into_iter().filter(wanted).collect()
}

fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn files_are_one_thought_and_lines_fit() {
    let mut complaints = Vec::new();
    for file in with_extension(&["rs"]) {
        let text = read(&file);
        let lines = text.lines().count();
        if lines > FILE_LINES {
            complaints.push(format!("{file}: {lines} lines; split it into a folder of modules"));
        }
        for (number, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS {
                complaints.push(format!("{file}:{}: {columns} columns; {COLUMNS}", number + 1));
            }
            if line.ends_with([' ', '\t']) {
                complaints.push(format!("{file}:{}: blanks at the end", number + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_module_says_what_it_is() {
    let mut complaints = Vec::new();
    for file in with_extension(&["rs"]) {
        let text = read(&file);
        let head = text.lines().find(|line| !line.starts_with("#![") && !line.is_empty());
        if !head.is_some_and(|line| line.starts_with("//! ")) {
            complaints.push(format!("{file}:1: begin with //! and what the module is for"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut complaints = Vec::new();
    for file in with_extension(&["rs"]) {
        for (line, length) in functions(&read(&file)) {
            if length > FUNCTION_LINES {
                complaints.push(format!("{file}:{line}: a function of {length} lines; split it"));
            }
        }
    }
    assert_none(&complaints);
}

/// First line and length of each function with a body, read off the formatter's indentation.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        if !is_function_head(code) {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let close = format!("{indent}}}");
        let ends = |line: &&str| line.starts_with(&close) || line.ends_with(';') || one_line(line);
        let end = lines[number..].iter().position(ends).unwrap_or(0);
        let end = if one_line(line) || line.ends_with(';') {
            0
        } else {
            let body = lines[number..].iter().position(|line| line.ends_with('{'));
            match body {
                Some(body) if body <= end => {
                    let tail = &lines[number + body..];
                    body + tail.iter().position(|line| line.starts_with(&close)).unwrap_or(0)
                }
                _ => end,
            }
        };
        found.push((number + 1, end + 1));
    }
    found
}

fn one_line(line: &str) -> bool {
    line.ends_with('}') && line.contains('{')
}

fn is_function_head(code: &str) -> bool {
    let mut words = code.split(' ').skip_while(|word| {
        let modifiers = ["pub", "const", "async", "unsafe", "extern", "\"C\""];
        modifiers.contains(word) || word.starts_with("pub(")
    });
    words.next() == Some("fn") && words.next().is_some()
}

#[test]
fn functions_are_measured_from_head_to_closing_brace() {
    let text = "fn a() {}\nfn b(\n    x: u8,\n) -> u8 {\n    x\n}\nimpl T {\n    \
                pub(crate) const fn c() {\n        if x {\n        }\n    }\n    fn d();\n}\n";
    assert_eq!(functions(text), [(1, 1), (2, 5), (8, 4), (12, 1)]);
}

#[test]
fn banned_words_stay_out() {
    let mut complaints = Vec::new();
    for file in with_extension(&["rs", "toml", "md", "sh", "xml", "service"]) {
        for (number, line) in read(&file).lines().enumerate() {
            for (word, instead) in BANNED {
                if line.contains(word) {
                    complaints.push(format!("{file}:{}: {word}: {instead}", number + 1));
                }
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn unsafe_code_stays_where_it_is_looked_for() {
    let allowance = [concat!("allow(unsafe", "_code"), concat!("expect(unsafe", "_code")];
    let mut found = BTreeSet::new();
    for file in with_extension(&["rs"]) {
        let text = read(&file);
        if allowance.iter().any(|allowance| text.contains(allowance)) {
            found.insert(file);
        }
    }
    let expected: BTreeSet<_> = UNSAFE.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(found, expected, "unsafe code belongs into these files only");
}

/// What is kept of the top level. Logs and data of somebody at work are nobody's business, so in a
/// checkout only tracked files count.
fn top_level() -> BTreeSet<String> {
    if root().join(".git").exists() {
        let git = Command::new("git").args(["ls-files"]).current_dir(root()).output();
        let text = String::from_utf8(git.expect("git runs").stdout).expect("UTF-8");
        let top = |line: &str| line.split('/').next().map(str::to_owned);
        return text.lines().filter_map(top).collect();
    }
    let entries = fs::read_dir(root()).expect("a readable folder");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
    entries.map(|entry| name(entry.expect("a readable entry"))).collect()
}

#[test]
fn nothing_else_stands_at_the_top() {
    let mut complaints = Vec::new();
    for name in top_level() {
        if !name.starts_with('.') && !TOP.contains(&&*name) && !MADE.contains(&&*name) {
            complaints.push(format!("{name}: it belongs into one of the folders"));
        }
    }
    assert_none(&complaints);
}

/// Every crate that `package` is built of, with its features.
fn tree(package: &str) -> BTreeSet<(String, String)> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none"])
        .args(["-f", "{p} [{f}]", "-p", package])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let line = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        let features = rest.rsplit_once('[')?.1.split_once(']')?.0;
        Some((name.to_owned(), features.to_owned()))
    };
    let crates: BTreeSet<_> = text.lines().filter_map(line).collect();
    assert!(crates.iter().any(|(name, _)| name == package), "the tree holds its root");
    crates
}

/// No socket, clock, file or thread can be named in the core: it has no std, nor has what it uses.
#[test]
fn the_core_is_built_without_std() {
    for package in CORE {
        let folder = match package {
            "pharos-engine" => "dataplane/engine",
            name => name.trim_start_matches("pharos-"),
        };
        let head = read(&format!("{folder}/src/lib.rs"));
        assert!(head.contains("no_std"), "{package} is no_std");
        assert!(head.contains("#![forbid(unsafe_code)]"), "{package} has no unsafe code");
        for (name, features) in tree(package) {
            let std = features.split(',').any(|feature| feature == "std");
            assert!(!std, "{package} uses {name} with its feature std");
            let known = NO_STD.contains(&&*name) || MACROS.contains(&&*name);
            let known = known || CORE.contains(&&*name);
            assert!(known, "{package} uses {name}: is it no_std? then list it");
        }
    }
}

/// The walls of the workspace: who may use whom.
#[test]
fn dependencies_run_one_way() {
    let walls: [(&str, &[&str]); 6] = [
        ("pharos-parser", &[]),
        ("pharos-storage", &[]),
        ("pharos-storage-lmdb", &["pharos-parser", "pharos-storage"]),
        ("pharos-engine", &["pharos-parser", "pharos-storage"]),
        (
            "pharos-runtime",
            &["pharos-engine", "pharos-parser", "pharos-storage", "pharos-storage-lmdb"],
        ),
        (
            "pharos-control",
            &[
                "pharos-engine",
                "pharos-parser",
                "pharos-runtime",
                "pharos-storage",
                "pharos-storage-lmdb",
            ],
        ),
    ];
    for (package, allowed) in walls {
        for (name, _) in tree(package) {
            let ours = name.starts_with("pharos") && name != package;
            assert!(!ours || allowed.contains(&&*name), "{package} must not use {name}");
        }
    }
}
