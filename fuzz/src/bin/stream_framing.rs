//! See [`pharos_fuzz::stream_framing`].
#![cfg_attr(fuzzing, no_main)]

pharos_fuzz::target!(pharos_fuzz::stream_framing);
