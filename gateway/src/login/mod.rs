//! Signing in and out. A login reads top to bottom here.
//!
//! `body/` the fields of a request · `return_to.rs` where a login leads.

pub mod body;
pub mod return_to;
