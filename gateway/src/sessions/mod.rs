//! Live state: who is signed in on which device, and the accounts behind it. The data
//! plane reads it without waiting; what is not in the table is asked of the store
//! through [`Sessions`].
//!
//! `account.rs` the account · `session.rs` one login on one device · `table.rs` the
//! concurrent table · `cookie.rs` names and values of our cookies · `feed.rs` changes
//! made by other processes.

mod account;
mod cookie;
mod session;
mod table;

pub use account::Account;
pub use cookie::CookieNames;
pub use session::{LiveSession, SessionRecord, Transport};
pub use table::{Lookup, Sessions, Unavailable};
