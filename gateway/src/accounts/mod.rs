//! What people and operators do with accounts.
//!
//! `name.rs` what an account may be called · `proposal.rs` what one from outside is called ·
//! `view.rs` an account as its owner is told of it · `current.rs` who am I · `strategies.rs`
//! the ways to sign in · `sessions.rs` one's own devices · `token_check.rs` whether a token is
//! good.

pub(crate) mod current;
pub mod name;
pub(crate) mod proposal;
pub(crate) mod sessions;
pub(crate) mod strategies;
pub(crate) mod token_check;
pub(crate) mod view;
