//! What the runtime counts, for each shard: written by its thread alone, read by any.

use std::sync::atomic::{AtomicU64, Ordering};

use pharos_engine::counters::{Sample, Snapshot};

/// A number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Number(AtomicU64);

impl Number {
    /// Count `n` more. Plain load and store: the shard's thread is the only writer.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Set a gauge.
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The value, from any thread.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($field:ident $kind:ident $help:literal,)*) => {
        /// Counters and gauges of one shard's runtime, on cache lines of their own.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Counters {
            $(#[doc = $help] pub(crate) $field: Number,)*
        }

        impl Counters {
            /// All of them as they are now.
            pub(crate) fn snapshot(&self) -> Snapshot {
                vec![$(Sample {
                    name: concat!("runtime_", stringify!($field)),
                    help: $help,
                    counter: counters!(@$kind),
                    label: None,
                    value: self.$field.get(),
                },)*]
            }
        }
    };
    (@counter) => { true };
    (@gauge) => { false };
}

counters! {
    datagrams_received counter "Datagrams taken from the sockets.",
    datagrams_sent counter "Datagrams handed to the kernel.",
    datagrams_unsent counter "Datagrams dropped because the network took no more.",
    datagrams_malformed counter "Datagrams that were cut off or came from no IP address.",
    receives_restarted counter "Receives that ended for want of buffers and were armed again.",
    unreachable counter "ICMP errors and refusals of the local stack.",
    mesh_dropped counter "Datagrams dropped because their shard was too far behind.",
    turns counter "Turns of the shard's loop.",
    spun counter "Looks for work that found some before a sleep.",
    sleeps counter "Sleeps of the shard.",
    breaths counter "Looks of the executor at its rings, for the connections.",
    connections gauge "Connections, being made or up.",
    connections_accepted counter "Connections accepted.",
    connections_refused counter "Connections closed at once because the shard has too many.",
    connections_idle counter "Connections closed because nothing moved on them.",
    connections_slow counter "Connections closed because their peer did not read.",
    stream_messages counter "Messages and keep-alives taken from connections.",
    stream_unsent counter "Messages for connections that were gone.",
    stores_lost counter "Write-behind operations that a lane would not take.",
}
