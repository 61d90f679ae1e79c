//! What must hold in every run, however it went: checks over all that passed at the server's door.
//!
//! Each is a file that knows nothing of the engine and little of the others. A check says what it
//! found; who runs it says in which run.

mod answers;
mod convergence;
mod flight;
mod form;
mod memory;
mod period;
mod repeats;
mod rising;
mod survival;

use crate::history::History;
pub use memory::memory;

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

/// The checks of a whole run of good clients in bad surroundings, which end well: these need to see
/// everything, [`memory`] the world besides.
pub const WHOLE: [Check; 3] =
    [("survival", survival::check), ("period", period::check), ("convergence", convergence::check)];

/// How much a run is worth: subscriptions that convergence was seen of.
pub fn weight(history: &History) -> usize {
    convergence::weight(history)
}

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
