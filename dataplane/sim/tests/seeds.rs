//! A fixed set of random runs; `cargo run --release -p pharos-sim -- --seeds 5000` makes more.

use pharos_sim::swarm::{Wishes, run};

/// Architecture sections 5 and 6: whatever goes wrong, every promise holds.
#[test]
fn no_seed_breaks_a_promise() {
    let (mut converged, mut crashes) = (0, 0);
    for seed in 1..=30 {
        let outcome = run(seed, &Wishes::default());
        if let Some((check, what)) = outcome.failures.first() {
            panic!("seed {seed}, {check}: {what}");
        }
        converged += outcome.converged;
        crashes += outcome.crashes;
    }
    assert!(converged > 60 && crashes > 30, "worth something: {converged}, {crashes}");
}

/// The run of a seed can be looked at again, and no two are the same.
#[test]
fn the_same_seed_gives_the_same_trace() {
    let traces: Vec<u64> =
        [7, 8, 9].map(|seed| run(seed, &Wishes::default()).trace).into_iter().collect();
    assert_eq!(traces[0], run(7, &Wishes::default()).trace);
    assert!(traces[0] != traces[1] && traces[1] != traces[2] && traces[0] != traces[2]);
}
