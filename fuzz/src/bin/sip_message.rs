//! See [`pharos_fuzz::sip_message`].
#![cfg_attr(fuzzing, no_main)]

pharos_fuzz::target!(pharos_fuzz::sip_message);
