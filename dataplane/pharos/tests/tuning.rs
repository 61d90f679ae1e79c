//! What `tuning/` holds: profiles that the server takes and that lay the cores out as they say, and
//! the script for interrupts on a machine made of files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn tuning(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tuning").join(file)
}

/// `0-2, 8` as a set.
fn cores(text: &str) -> BTreeSet<usize> {
    let number = |text: &str| text.trim().parse::<usize>().expect("a number");
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .flat_map(|part| match part.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(part)..=number(part),
        })
        .collect()
}

/// The value of a list of numbers in a profile.
fn list(text: &str, name: &str) -> BTreeSet<usize> {
    let (_, rest) = text.split_once(&format!("\n{name} = [")).expect(name);
    cores(rest.split_once(']').expect("a list ends").0)
}

/// The table in a profile's head: cores, by what they are for.
fn table(text: &str) -> BTreeMap<String, BTreeSet<usize>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("# | "));
    let cells = rows.filter(|row| row.starts_with(|c: char| c.is_ascii_digit()));
    cells
        .map(|row| {
            let (numbers, whom) = row.split_once(" | ").expect("two cells");
            let whom = whom.split([',', ' ', ':']).next().expect("a word").to_owned();
            (whom, cores(numbers))
        })
        .collect()
}

#[test]
fn profiles_are_configurations_laid_out_as_their_heads_say() {
    for name in ["small", "one-socket", "two-numa"] {
        let file = tuning(&format!("profiles/{name}.toml"));
        let output = Command::new(env!("CARGO_BIN_EXE_pharos"))
            .args(["check", "-c", file.to_str().expect("UTF-8")])
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(said.lines().count(), 1, "everything in it has an effect: {said}");

        let text = fs::read_to_string(&file).expect("readable");
        let table = table(&text);
        assert_eq!(table["shards"], list(&text, "cores"), "{name}");
        let script = format!("tuning/irq --cores {}", kernel_list(&table["interrupts"]));
        assert!(text.contains(&script), "{name}: {script}");
        assert_eq!(table["lanes"], list(&text, "lane_cores"), "{name}");
        if name == "small" {
            continue;
        }
        assert_eq!(table["control"], list(&text, "control_cores"), "{name}");
        let all: usize = table.values().map(BTreeSet::len).sum();
        let union: BTreeSet<_> = table.values().flatten().collect();
        assert_eq!(all, union.len(), "{name}: no core is for two");
        assert_eq!(union.last().map(|last| **last + 1), Some(all), "{name}: no core is forgotten");
    }
}

/// One run of numbers: `0-3`.
fn kernel_list(cores: &BTreeSet<usize>) -> String {
    let (first, last) = (cores.first().expect("some"), cores.last().expect("some"));
    assert_eq!(last - first + 1, cores.len(), "one run");
    format!("{first}-{last}")
}

/// A machine of four cores with a card of two queues and loopback, in files.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().expect("a folder"));
        machine.write("sys/devices/system/cpu/online", "0-3");
        machine.write("sys/devices/system/node/node0/cpulist", "0-3");
        machine.write("sys/class/net/lo/queues/rx-0/rps_cpus", "0");
        machine.write("sys/class/net/eth7/device/numa_node", "0");
        for (number, queue) in [("71", "0"), ("72", "1")] {
            machine.write(&format!("sys/class/net/eth7/device/msi_irqs/{number}"), "msix");
            machine.write(&format!("proc/irq/{number}/smp_affinity_list"), "0-3");
            machine.write(&format!("sys/class/net/eth7/queues/rx-{queue}/rps_cpus"), "0");
            machine.write(&format!("sys/class/net/eth7/queues/tx-{queue}/xps_cpus"), "00");
        }
        machine
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, format!("{text}\n")).expect("written");
    }

    /// What the card's driver answers; calls that change something are noted in `calls`.
    fn with_ethtool(&self, takes: bool) {
        let calls = self.0.path().join("calls");
        let code = u8::from(!takes);
        let script = format!(
            "#!/bin/sh\ncase $1 in\n\
             -l) printf 'Pre-set maximums:\\nCombined:\\t2\\nCurrent hardware settings:\\n\
             Combined:\\t1\\n' ;;\n\
             -n) printf 'UDP over IPV4 flows use these fields for computing Hash flow key:\\n\
             IP SA\\nIP DA\\n' ;;\n\
             *) echo \"$@\" >>{}; exit {code} ;;\nesac\n",
            calls.display()
        );
        let path = self.0.path().join("ethtool");
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    }

    /// Every file of the machine, with what it says.
    fn state(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.0.path().join("sys"), self.0.path().join("proc")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("readable") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let text = fs::read_to_string(&path).expect("readable");
                    found.insert(path, text.trim().to_owned());
                }
            }
        }
        found
    }

    fn read(&self, path: &str) -> String {
        self.state()[&self.0.path().join(path)].clone()
    }

    fn irq(&self, arguments: &[&str]) -> Output {
        Command::new("bash")
            .arg(tuning("irq"))
            .arg("--root")
            .arg(self.0.path())
            .arg("--state")
            .arg(self.0.path().join("saved"))
            .args(arguments)
            .env("ETHTOOL", self.0.path().join("ethtool"))
            .output()
            .expect("bash runs")
    }

    fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.irq(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}{error}");
        said + &error
    }
}

#[test]
fn the_script_prints_and_changes_nothing_unless_told() {
    let machine = Machine::new();
    let before = machine.state();
    let said = machine.says(&["--cores", "2-3"], 0);
    for line in [
        "# eth7 is at NUMA node 0, cores 0-3",
        "# no ethtool: number of queues and hash of eth7 stay as they are",
        "/proc/irq/71/smp_affinity_list: 0-3 -> 2   # interrupt of eth7",
        "/proc/irq/72/smp_affinity_list: 0-3 -> 3   # interrupt of eth7",
        "/sys/class/net/eth7/queues/tx-0/xps_cpus: 00 -> 00000005",
        "/sys/class/net/eth7/queues/tx-1/xps_cpus: 00 -> 0000000a",
        "# nothing was changed; --apply does it",
    ] {
        assert!(said.lines().any(|said| said.starts_with(line)), "{line} is missing:\n{said}");
    }
    assert!(!said.contains("/lo/"), "no hardware, no work: {said}");
    assert!(!said.contains("rps_cpus"), "as many queues as cores: {said}");
    assert_eq!(machine.state(), before);
    assert!(!machine.0.path().join("saved").exists());
}

#[test]
fn the_script_undoes_what_it_did() {
    let machine = Machine::new();
    machine.with_ethtool(true);
    let before = machine.state();
    machine.says(&["--cores", "1-3", "--apply"], 0);
    assert_eq!(machine.read("proc/irq/71/smp_affinity_list"), "1");
    assert_eq!(machine.read("proc/irq/72/smp_affinity_list"), "2");
    assert_eq!(machine.read("sys/class/net/eth7/queues/rx-1/rps_cpus"), "0000000e");
    assert_eq!(machine.read("sys/class/net/eth7/queues/tx-1/xps_cpus"), "0000000a");
    assert_eq!(machine.read("sys/class/net/lo/queues/rx-0/rps_cpus"), "0");
    let twice = machine.says(&["--cores", "2", "--apply"], 2);
    assert!(twice.contains("--undo first"), "the first values would be lost: {twice}");

    machine.says(&["--undo"], 0);
    assert_eq!(machine.state(), before);
    let calls = fs::read_to_string(machine.0.path().join("calls")).expect("noted");
    assert_eq!(
        calls.lines().collect::<Vec<_>>(),
        [
            "-L eth7 combined 2",
            "-N eth7 rx-flow-hash udp4 sdfn",
            "-N eth7 rx-flow-hash udp4 sd",
            "-L eth7 combined 1",
        ],
        "undone backwards"
    );
    assert!(machine.says(&["--undo"], 0).starts_with("nothing to undo"));
}

#[test]
fn the_script_names_what_was_refused_and_undoes_only_the_rest() {
    let machine = Machine::new();
    machine.with_ethtool(false);
    let before = machine.state();
    let said = machine.says(&["--cores", "2-3", "--apply"], 1);
    assert_eq!(said.matches("refused by the driver").count(), 2, "{said}");
    assert_eq!(machine.read("proc/irq/71/smp_affinity_list"), "2", "the rest is done");
    fs::remove_file(machine.0.path().join("calls")).expect("noted");
    machine.says(&["--undo"], 0);
    assert!(!machine.0.path().join("calls").exists(), "nothing to take back from the driver");
    assert_eq!(machine.state(), before);
}

/// More than 32 cores: masks are groups of 32 bits, the highest first.
#[test]
fn masks_of_many_cores_are_grouped() {
    let machine = Machine::new();
    machine.write("sys/devices/system/cpu/online", "0-71");
    let said = machine.says(&["--cores", "0,33-34,71"], 0);
    assert!(said.contains("rps_cpus: 0 -> 00000080,00000006,00000001"), "{said}");
}

#[test]
fn wrong_use_and_machines_without_cards_are_told_apart() {
    let machine = Machine::new();
    for (arguments, say) in [
        (&[][..], "--cores LIST is wanted"),
        (&["--cores", "4"], "core 4 is not online (0-3)"),
        (&["--cores", "a"], "--cores LIST is wanted"),
        (&["--cores", "0", "eth8"], "there is no network device eth8"),
        (&["--core", "0"], "unknown option --core"),
    ] {
        let said = machine.says(arguments, 2);
        assert!(said.contains(say), "{arguments:?}: {said}");
    }
    fs::remove_dir_all(machine.0.path().join("sys/class/net/eth7")).expect("ours");
    let said = machine.says(&["--cores", "0"], 0);
    assert!(said.starts_with("no network device with hardware behind it"), "{said}");
}
