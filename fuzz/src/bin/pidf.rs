//! See [`pharos_fuzz::bodies`].
#![cfg_attr(fuzzing, no_main)]

pharos_fuzz::target!(pharos_fuzz::bodies);
