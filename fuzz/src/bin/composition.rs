//! See [`pharos_fuzz::composition`].
#![cfg_attr(fuzzing, no_main)]

pharos_fuzz::target!(pharos_fuzz::composition);
