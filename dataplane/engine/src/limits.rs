//! Every bound of a shard, each with its derivation. At a limit: an error answer with Retry-After
//! where the protocol has one, a counter, never growth.

/// RFC 3261 T1 (17.1.1.1), milliseconds: round-trip estimate.
pub const T1_MS: u64 = 500;
/// RFC 3261 T2, milliseconds: longest interval of non-INVITE retransmissions.
pub const T2_MS: u64 = 4_000;
/// RFC 3261 T4, milliseconds: longest time a message stays in the network.
pub const T4_MS: u64 = 5_000;
/// 64*T1, milliseconds: how long a transaction may take, and how long its answer is kept.
pub const TRANSACTION_MS: u64 = 64 * T1_MS;

/// Requests a second that one shard answers over UDP with state, at the most: about 10 us
/// of CPU for each with the kernel's share, so a core does 100 000.
pub const RATE_MAX: usize = 100_000;
/// Completed server transactions: 32 s of [`RATE_MAX`] are 3.2 million; at 32 bytes with their
/// index entry that is 102 MB a shard, taken only while there is such a load.
pub const COMPLETED_MAX: usize = RATE_MAX * (TRANSACTION_MS as usize) / 1_000;
/// Requests taken and not answered yet. The lane takes 65 536 operations; each such request waits
/// for one. With 2 KiB of message each that is 128 MB at the very most.
pub const DEFERRED_MAX: usize = 65_536;
/// INVITE server transactions; each keeps its answer (under 1 KiB) for up to 37 s.
pub const INVITE_SERVER_MAX: usize = 16_384;

/// Client transactions of a shard.
pub const CLIENTS_MAX: usize = 4_096;
/// Client transactions to one destination: about one receive buffer of
/// 212 KiB with NOTIFYs of 800 bytes.
pub const CLIENTS_PER_DESTINATION_MAX: usize = 256;
/// Client transactions that wait for one name to be resolved: half of all, so that a dead name
/// server leaves room for literal addresses.
pub const RESOLVING_MAX: usize = CLIENTS_MAX / 2;
/// Cached answers of the resolver, 1 KiB each at the most.
pub const NAMES_MAX: usize = 4_096;
/// Records used of one answer.
pub const RECORDS_MAX: usize = 16;
/// Longest time a resolver's answer is used, seconds.
pub const NAME_TTL_MAX_S: u32 = 3_600;
/// Time a failed look-up is remembered, seconds.
pub const NAME_NEGATIVE_S: u32 = 30;
/// Destinations remembered as not speaking TCP.
pub const NO_TCP_MAX: usize = 4_096;
/// How long they are, milliseconds.
pub const NO_TCP_MS: u64 = 600_000;
/// Time an attempt at TCP for a large request has before UDP is taken, milliseconds.
pub const TCP_WAIT_MS: u64 = 2_000;
/// Connections a shard keeps account of, its own and those of others that brought it messages: four
/// times what the runtime holds for each shard by default. One beyond it is answered on, not used
/// again.
pub const FLOWS_MAX: usize = 65_536;
/// A connection we opened is closed after so long without a message, milliseconds.
pub const FLOW_IDLE_MS: u64 = 600_000;

/// Timers: one or two for each client transaction, one for each publication and subscription.
pub const TIMERS_MAX: usize = 1 << 24;
/// Work-list outputs in one call.
pub const OUTPUTS_PER_TICK: usize = 64;
/// Storage requests under way: the lane's own bound.
pub const STORES_MAX: usize = 65_536;
/// A storage request older than this makes the lane slow, milliseconds.
pub const STORE_SLOW_MS: u64 = 1_000;
/// Log lines a second; the rest is counted and said in the next one.
pub const LOG_LINES_PER_SECOND: u32 = 10;
/// Longest request we send but for its Via, bytes: a datagram holds 65 507, a Via of ours 200.
pub const MESSAGE_MAX: usize = 65_307;
/// Least and most seconds of a Retry-After; spread so that peers do not come back together.
pub const RETRY_AFTER_S: core::ops::Range<u32> = 2..8;

/// Presentities of a shard: about 700 bytes each with one publication, so 3 GiB when full, which is
/// what a core of the machines we run on has.
pub const PRESENTITIES_MAX: usize = 1 << 22;
/// Presentity and package pairs: nearly all have one package, winfo and dialog add some.
pub const TOPICS_MAX: usize = PRESENTITIES_MAX + PRESENTITIES_MAX / 2;
/// Publications of a shard, removed ones that still answer repeats among them.
pub const PUBLICATIONS_MAX: usize = 1 << 22;
/// Subscriptions of a shard, ended ones among them: about 930 bytes each, 4 GiB when full.
pub const SUBSCRIPTIONS_MAX: usize = 1 << 22;
/// Requests that wait for the change under way of their AoR.
pub const CHANGES_WAITING_MAX: usize = 16;
/// Bodies of all publications of a presentity in one package, bytes: what is composed of them and
/// the head of a NOTIFY (at most 8 KiB, see [`DIALOG_MAX`]) are one message.
pub const BODY_MAX: usize = MESSAGE_MAX - 8_192;
/// Longest AoR, bytes; the originals' tables hold 64 for the user and 64 for the domain.
pub const AOR_MAX: usize = 512;
/// Header lines of a PUBLISH that NOTIFY repeats, bytes: one line for each appearance of a line.
pub const EXTRA_HEADERS_MAX: usize = 2_048;
/// What of an Accept is stored, bytes.
pub const ACCEPT_MAX: usize = 512;
/// Longest remote target, bytes.
pub const URI_MAX: usize = 1_024;
/// Call-ID, tags, URIs and route set of a dialog together, bytes; ten times the usual.
pub const DIALOG_MAX: usize = 4_096;
/// CSeqs and versions that a stored subscription reserves ahead.
pub const HEAD_ROOM: u32 = 1_024;
/// Objects that wait to be written: more than there are of them, so that only what failed to leave
/// the store is ever dropped; a restart presents that once more.
pub const DIRTY_MAX: usize = PUBLICATIONS_MAX + SUBSCRIPTIONS_MAX + 65_536;
/// A reservation that failed is tried again after so long, milliseconds.
pub const RESERVE_AGAIN_MS: u64 = 1_000;
/// NOTIFYs that failed for the time being are retried after up to 2^n times 32 seconds.
pub const NOTIFY_BACKOFF_STEPS: u32 = 5;
/// Longest Retry-After of an answer to NOTIFY that is heeded, seconds.
pub const NOTIFY_RETRY_MAX_S: u32 = 3_600;
/// An Expires that is never refused as too brief, seconds (RFC 6665 4.2.1.1).
pub const ALWAYS_ENOUGH_S: u32 = 3_600;

const _: () = assert!(RESOLVING_MAX < CLIENTS_MAX);
const _: () = assert!(CLIENTS_PER_DESTINATION_MAX < CLIENTS_MAX);
const _: () = assert!(T1_MS < T2_MS && T2_MS < T4_MS && TCP_WAIT_MS < TRANSACTION_MS);
const _: () = assert!(PUBLICATIONS_MAX + SUBSCRIPTIONS_MAX + CLIENTS_MAX < TIMERS_MAX);
