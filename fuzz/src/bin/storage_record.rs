//! See [`pharos_fuzz::storage_record`].
#![cfg_attr(fuzzing, no_main)]

pharos_fuzz::target!(pharos_fuzz::storage_record);
