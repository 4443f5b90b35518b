//! Mail: kept in the store when an endpoint answers, sent by a task of its own. An answer
//! waits for no mail server and says nothing of one.
//!
//! `letter.rs` what is written to whom · `outbox.rs` keeping letters, and how many one
//! person gets · `rate.rs` counting by somebody · `sender.rs` the task · `transport.rs`
//! the message, and the folder · `smtp.rs` a conversation with a server.
//!
//! What may not come in: who may have a token, and what one does.

mod letter;
mod outbox;
mod rate;
mod sender;
mod smtp;
#[cfg(test)]
mod tests;
mod transport;

pub use letter::{Letter, Notice};
pub use outbox::{Draft, Outbox};
pub use sender::start;
pub(crate) use transport::can_be_written_to;

/// What queued mail is sealed for.
pub(crate) const PURPOSE: &str = "mail";
