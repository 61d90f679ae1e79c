//! Points in a commit where a test may look, wait, fail or stop.

/// A step that is about to be taken (or, [`Step::Synced`], has been).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A record is appended.
    Append,
    /// A current record at the tail is appended again.
    Move,
    /// The cleaned range at the tail is deleted.
    Delete,
    /// The transaction is committed: pages written, synced, meta page written, synced.
    Commit,
    /// The commit has returned without an error.
    Synced,
}

/// A failure put in place of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// As if the map or the disk were full.
    Full,
    /// As if the disk had failed.
    Broken,
}

/// Called before each [`Step`] of a lane, on its thread. Production has none.
pub trait Probe: Send {
    /// Returns the failure to meet here, if any. A [`Fault`] at [`Step::Synced`] is not looked at.
    ///
    /// # Errors
    /// The failure that the lane shall see instead of the step.
    fn step(&mut self, lane: u16, step: Step) -> Result<(), Fault>;
}
