//! What people and operators do with accounts.
//!
//! `name.rs` what an account may be called.

pub mod name;
