//! End to end: the real binary, real sockets, real signals; with 1, 2 and 4 shards.

mod basics;
mod fanout;
mod message;
mod phone;
mod presence;
mod restart;
mod server;
mod streams;

/// A scenario as three tests: with 1, 2 and 4 shards, on however many cores there are.
macro_rules! with_shards {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $(mod $name {
            $(#[$doc])*
            #[test]
            fn one_shard() {
                super::run::$name(1);
            }

            $(#[$doc])*
            #[test]
            fn two_shards() {
                super::run::$name(2);
            }

            $(#[$doc])*
            #[test]
            fn four_shards() {
                super::run::$name(4);
            }
        })*
    };
}
pub(crate) use with_shards;
