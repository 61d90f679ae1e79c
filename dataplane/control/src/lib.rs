//! See the workspace's Cargo.toml for what this crate is.
