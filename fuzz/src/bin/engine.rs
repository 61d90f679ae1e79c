//! See [`pharos_fuzz::engine`].
#![cfg_attr(fuzzing, no_main)]

pharos_fuzz::target!(pharos_fuzz::engine);
