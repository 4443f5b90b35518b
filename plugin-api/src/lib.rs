//! What the author of a login strategy reads: the [`Strategy`] trait, the messages
//! that cross it, and the workers that a strategy may hash on.
//!
//! A strategy computes; the gateway stores. It is given a form and, if it keeps one,
//! the credential that the gateway holds for it, and answers with an [`Outcome`]. It
//! has no store, no cookie and no account, so it can be tested without a gateway.
//!
//! What may not come in: types of an async runtime, of HTTP, or of a dynamic loader.

mod claims;
mod credentials;
mod error;
mod outcome;
mod request;
mod settings;
mod strategy;
pub mod workers;

pub use claims::{Claims, Subject};
pub use credentials::{CredentialOp, CredentialReply};
pub use error::{StartError, StrategyError};
pub use outcome::{Authenticated, Denial, Field, FieldKind, Form, Outcome};
pub use request::{Begin, Call, Resume, StoredCredential};
pub use settings::SettingsProblem;
pub use strategy::{Answer, DynStrategy, Host, Operations, Started, Strategy, start};

/// A JSON object: a strategy's settings, claims.
pub type Object = serde_json::Map<String, serde_json::Value>;
