//! What people and operators do with accounts.
//!
//! `name.rs` what an account may be called · `proposal.rs` what one from outside is called ·
//! `view.rs` an account as its owner is told of it · `input.rs` what endpoints ask of a request · `keeper.rs` whoever keeps a password ·
//! `proof.rs` of the current one · `post.rs` letters. Then a file for each endpoint:
//! `current.rs` who am I · `strategies.rs` the ways to sign in · `register.rs` ·
//! `recovery.rs` · `reset.rs` · `verify_email.rs` · `me.rs` · `password.rs` ·
//! `credentials.rs` · `sessions.rs` one's own devices · `token_check.rs` whether a token is
//! good · `manage.rs` what operators do with accounts · `admin/` the same as an API.

pub(crate) mod admin;
pub(crate) mod credentials;
pub(crate) mod current;
mod input;
mod keeper;
pub(crate) mod manage;
pub(crate) mod me;
pub mod name;
pub(crate) mod password;
pub(crate) mod post;
mod proof;
pub(crate) mod proposal;
pub(crate) mod recovery;
pub(crate) mod register;
pub(crate) mod renewed;
pub(crate) mod reset;
pub(crate) mod sessions;
pub(crate) mod strategies;
#[cfg(test)]
mod tests;
pub(crate) mod token_check;
pub(crate) mod verify_email;
pub(crate) mod view;
