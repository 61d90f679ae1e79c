//! Time, as the caller keeps it.

/// Where a lane reads time. The runtime passes its own clock, so that ages of queued work and the
/// stored wall clock mean the same on both sides.
pub trait Clock: Send + Sync {
    /// Monotonic time, nanoseconds since any fixed moment.
    fn nanos(&self) -> u64;

    /// Wall clock, milliseconds since 1970 UTC.
    fn wall(&self) -> u64;
}
