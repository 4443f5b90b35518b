//! Live state: who is signed in on which device, and the accounts behind it. The data
//! plane reads it without waiting; what is not in the table is asked of the store
//! through [`Sessions`].
//!
//! `account.rs` the account · `session.rs` one login on one device · `table.rs` the face
//! of it all · `shelf.rs` the concurrent maps · `changes.rs` what a slow look-up may not
//! undo · `absent.rs` a short memory of "no" · `ask.rs` one question for many askers ·
//! `external.rs` what a login from
//! outside left · `cookie.rs` names and values of our cookies · `feed.rs` changes made by other
//! processes.

mod absent;
mod account;
mod ask;
mod changes;
mod cookie;
mod external;
mod feed;
mod guest;
mod session;
mod shelf;
mod table;

#[cfg(test)]
mod behaviour;

pub use account::Account;
#[cfg(test)]
pub(crate) use ask::Row;
pub use cookie::{CookieNames, Found};
pub use external::{External, ExternalRecord};
pub use feed::Feed;
pub use guest::Guest;
#[cfg(test)]
pub(crate) use session::live_for_tests;
pub use session::{Idle, LiveSession, SessionRecord, Transport, Used};
pub use table::{Lookup, Sessions, Unavailable, hash_cookie};
