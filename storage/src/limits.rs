//! What a lane takes and holds, and where each number comes from.

/// Largest object, bytes. A SIP message is at most 64 KiB, so a body or a state is far below.
pub const OBJECT_BYTES: usize = 1 << 20;

/// Most operations of one request. A request is committed whole, so it must fit in one batch.
pub const REQUEST_OPS: usize = 512;

/// Most bytes of one request: four of the largest objects.
pub const REQUEST_BYTES: usize = 4 * OBJECT_BYTES;

/// Operations after which a lane commits without waiting: a batch of 512 costs about 1.2 us an
/// operation, twice that many would gain 0.2 us and double the latency.
pub const BATCH_OPS: usize = 512;

/// Bytes after which a lane commits without waiting.
pub const BATCH_BYTES: usize = 1 << 20;

/// Longest that an operation waits for others to be committed with, nanoseconds. A lane takes all
/// of it only at a few hundred to a few thousand operations a second, where it brings the CPU of
/// each from 140 us down to 37; a caller feels it less than the way to him.
pub const COMMIT_WINDOW: u64 = 10_000_000;

/// Operations that may wait in a lane: an eighth of a second at its best rate.
pub const QUEUE_OPS: usize = 65_536;

/// Bytes that may wait in a lane: 65 536 objects of 1 KiB.
pub const QUEUE_BYTES: usize = 64 << 20;

/// Age of the oldest waiting operation from which a lane is slow and refuses new work, nanoseconds.
/// Twice T1: a client that retransmits after it meets a lane that has caught up, or a 503.
pub const SLOW_AGE: u64 = 1_000_000_000;

/// Bytes counted for an operation beside its object: the log's header, key and page entry.
pub const RECORD_OVERHEAD: usize = 64;

/// Bytes counted for a request beside its operations: its place in the queue.
pub const REQUEST_OVERHEAD: usize = 128;

const _: () = assert!(REQUEST_OPS <= BATCH_OPS && BATCH_OPS <= QUEUE_OPS);
const _: () = assert!(REQUEST_BYTES <= QUEUE_BYTES && BATCH_BYTES <= REQUEST_BYTES);
