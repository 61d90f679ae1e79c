//! Storage lanes on LMDB.
