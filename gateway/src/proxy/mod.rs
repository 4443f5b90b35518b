//! The data plane: one single-threaded runtime per core that forwards requests. Read
//! `pipeline.rs` first.
//!
//! What may not come in: `login`, `accounts`, `store`, `registry`. Sessions and tokens
//! are seen through their read side only.

pub mod endpoint;
