//! Every file of the corpus, and every torture message, through its target.

use std::fs;
use std::path::{Path, PathBuf};

use pharos_fuzz::TARGETS;

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, target) in TARGETS {
        let files = files(&corpus.join(name));
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            target(&fs::read(&file).expect("a readable file"));
        }
    }
}

/// One shard with the defaults that takes this message and nothing else, as the target decodes it.
fn operations(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len().min(2_047)).expect("a small number").to_be_bytes();
    let mut operations = vec![0, 0, 0, 0, 0, 3, 0, 0, 10];
    operations.extend(length);
    operations.extend(&message[..message.len().min(2_047)]);
    operations.extend([15, 0]);
    operations
}

/// `run.sh` gives them to the SIP targets as seeds.
#[test]
fn torture_messages() {
    let torture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../parser/tests/torture");
    for rfc in ["rfc4475", "rfc5118"] {
        for file in files(&torture.join(rfc)) {
            let bytes = fs::read(&file).expect("a readable file");
            pharos_fuzz::sip_message(&bytes);
            pharos_fuzz::stream_framing(&bytes);
            pharos_fuzz::engine(&operations(&bytes));
        }
    }
}
