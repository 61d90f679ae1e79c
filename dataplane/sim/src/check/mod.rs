//! What must hold in every run, however it went: checks over all that passed at the server's door.
//!
//! Each is a file that knows nothing of the engine and little of the others. A check says what it
//! found; who runs it says in which run.

mod answers;
mod flight;
mod form;
mod repeats;
mod rising;

use crate::history::History;

/// What a check found wrong.
pub type Found = Result<(), String>;

/// A check by its name.
pub type Check = (&'static str, fn(&History) -> Found);

/// The checks that hold in every run whatever was done to it.
pub const ALWAYS: [Check; 5] = [
    ("form", form::check),
    ("answers", answers::check),
    ("repeats", repeats::check),
    ("rising", rising::check),
    ("flight", flight::check),
];

/// Every check of [`ALWAYS`].
///
/// # Panics
/// When one of them does not hold.
#[track_caller]
pub fn all(history: &History) {
    for (name, check) in ALWAYS {
        if let Err(found) = check(history) {
            panic!("{name}: {found}");
        }
    }
}

/// One check, for a scenario about what it checks.
///
/// # Panics
/// When it does not hold, or there is none of this name.
#[track_caller]
pub fn one(name: &str, history: &History) {
    let (_, check) = ALWAYS.iter().find(|(known, _)| *known == name).expect("a known check");
    if let Err(found) = check(history) {
        panic!("{name}: {found}");
    }
}
