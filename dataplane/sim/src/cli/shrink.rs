//! Leave out of a failing run what it does not need: one trouble after another, then deeds from
//! the end. Each trial is a process of its own, so that a failing one may die.

use std::process::{Command, Stdio};

use pharos_sim::swarm::Trouble;

use super::Args;

/// Print the smallest run found that still fails. False when the seed fails, as a run of it is.
pub(super) fn shrink(args: &Args, seed: u64) -> bool {
    let mut args = Args { shrink: false, ..args.clone() };
    if !fails(&args, seed) {
        println!("seed {seed} does not fail");
        return true;
    }
    for trouble in Trouble::ALL {
        let mut without = args.without.clone();
        without.push(trouble);
        let less = Args { without, ..args.clone() };
        if fails(&less, seed) {
            args = less;
        }
    }
    // Fewer deeds by halves, then by smaller and smaller parts.
    let mut deeds = args.deeds.unwrap_or(4_096);
    let mut step = deeds / 2;
    while step > 0 {
        let less = Args { deeds: Some(deeds - step), ..args.clone() };
        if fails(&less, seed) {
            deeds -= step;
            args = less;
        } else {
            step /= 2;
        }
        step = step.min(deeds.saturating_sub(1));
    }
    println!("{}", args.command(seed));
    false
}

fn fails(args: &Args, seed: u64) -> bool {
    let program = std::env::current_exe().expect("a program knows where it is");
    let status = Command::new(program)
        .args(["--seed", &seed.to_string()])
        .args(args.common())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| !status.success())
}
