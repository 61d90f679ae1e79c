//! `cargo bench --manifest-path bench/parsers/Cargo.toml`: each parser on each message at both
//! depths, then a table of medians and how often ours fits into each.

use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use pharos_bench_parsers::{ALL, Message, check};

/// Where the measurements are kept and read back from.
const RESULTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/parsers");

fn main() {
    check();
    // Nothing of an earlier run gets into the table.
    let _ = fs::remove_dir_all(RESULTS);
    let mut criterion = Criterion::default()
        .output_directory(Path::new(RESULTS))
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500))
        .configure_from_args();
    for message in Message::all() {
        for depth in ["lazy", "typed"] {
            let mut group = criterion.benchmark_group(format!("{} {depth}", message.name));
            for parser in ALL {
                let run = match (depth, &parser.typed) {
                    ("lazy", _) => parser.lazy,
                    (_, Some(typed)) => typed.read,
                    (_, None) => continue,
                };
                group.bench_function(parser.name, |bencher| bencher.iter(|| run(&message)));
            }
            group.finish();
        }
    }
    criterion.final_summary();
    print_table();
}

/// Medians in nanoseconds, and in brackets how many times that of ours. Nothing when criterion only
/// tried whether everything runs.
fn print_table() {
    let columns: Vec<(&str, &str)> = ["SUBSCRIBE", "PUBLISH"]
        .into_iter()
        .flat_map(|message| [(message, "lazy"), (message, "typed")])
        .collect();
    let ours: Vec<Option<f64>> = columns.iter().map(|column| median(column, ALL[0].name)).collect();
    if ours.iter().any(Option::is_none) {
        return;
    }
    println!(
        "\n| ns (times ours) | {} |",
        columns.map_join(|(message, depth)| format!("{message}, {depth}"))
    );
    println!("| --- | {} |", columns.map_join(|_| "--:".into()));
    for parser in ALL {
        let cells = columns.iter().zip(&ours).collect::<Vec<_>>();
        let cells = cells.map_join(|(column, ours)| match (median(column, parser.name), ours) {
            (Some(time), Some(ours)) => format!("{time:.0} ({:.1})", time / ours),
            _ => String::new(),
        });
        println!("| {} | {cells} |", parser.name);
    }
}

trait MapJoin<T> {
    fn map_join(&self, map: impl Fn(&T) -> String) -> String;
}

impl<T> MapJoin<T> for Vec<T> {
    fn map_join(&self, map: impl Fn(&T) -> String) -> String {
        self.iter().map(map).collect::<Vec<_>>().join(" | ")
    }
}

/// The median that criterion wrote down.
fn median((message, depth): &(&str, &str), parser: &str) -> Option<f64> {
    let path = format!("{RESULTS}/{message} {depth}/{parser}/new/estimates.json");
    let text = fs::read_to_string(path).ok()?;
    let (_, median) = text.split_once("\"median\":")?;
    let (_, value) = median.split_once("\"point_estimate\":")?;
    value.split([',', '}']).next()?.trim().parse().ok()
}
