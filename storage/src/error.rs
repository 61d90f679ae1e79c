//! Why a lane refused or failed an operation.

/// The reason a [`crate::Request`] was not carried out. Nothing of it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreError {
    /// The map or the disk has no room; later requests may succeed.
    Full,
    /// The lane's queue is at its limit or its oldest entry too old; refused before it took memory.
    Busy,
    /// A commit failed for another reason; the lane is closed until restart.
    Closed,
    /// The object is larger than a lane takes.
    TooLarge,
}
