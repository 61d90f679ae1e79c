//! The checks can fail: each broken promise is noticed by the check that is there for it.

use pharos_sim::Sabotage;
use pharos_sim::swarm::{Wishes, run};

/// Some seed of the first few shows what is broken, and this check says so.
fn noticed(sabotage: Sabotage, commit: bool, wanted: &str) {
    let wishes = Wishes { commit: Some(commit), sabotage: Some(sabotage), ..Wishes::default() };
    let mut found = Vec::new();
    for seed in 1..=25 {
        for (check, what) in run(seed, &wishes).failures {
            if check == wanted {
                return;
            }
            found.push(format!("seed {seed}, {check}: {what}"));
        }
    }
    panic!("{sabotage:?} is not noticed by {wanted}, but {found:#?}");
}

#[test]
fn an_answer_before_the_commit_is_noticed() {
    noticed(Sabotage::AnswerBeforeCommit, true, "survival");
}

#[test]
fn a_crash_that_takes_what_was_acknowledged_is_noticed() {
    noticed(Sabotage::LoseAcknowledged, true, "survival");
}

#[test]
fn a_disk_that_writes_nothing_is_noticed_in_periodic_mode_too() {
    noticed(Sabotage::NeverWrite, false, "period");
}

#[test]
fn what_stays_on_the_disk_is_noticed() {
    noticed(Sabotage::KeepForgotten, true, "memory");
}

#[test]
fn a_cseq_used_twice_is_noticed() {
    noticed(Sabotage::ReuseCseq, true, "rising");
}

#[test]
fn a_watcher_that_is_not_told_is_noticed() {
    noticed(Sabotage::SwallowNotify, true, "convergence");
}

#[test]
fn another_entity_tag_for_a_repeat_is_noticed() {
    noticed(Sabotage::NewTagForRepeat, true, "answers");
}

#[test]
fn another_tag_for_a_repeat_over_a_crash_is_noticed() {
    noticed(Sabotage::NewTagAfterCrash, true, "repeats");
}

#[test]
fn a_second_notify_in_flight_is_noticed() {
    noticed(Sabotage::TwoInFlight, true, "flight");
}

#[test]
fn a_message_without_its_length_is_noticed() {
    noticed(Sabotage::NoContentLength, true, "form");
}
