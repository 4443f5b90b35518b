//! What can go wrong in a strategy. A refused login is not here: that is an
//! [`Outcome`](crate::Outcome). An error means "could not decide" and is never counted
//! as a wrong password.

use crate::{SettingsProblem, workers::NotDone};

/// A strategy could not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StrategyError {
    /// All its workers and their queue are taken; the client may try again.
    Busy,
    /// It does not offer this operation.
    Unsupported,
    /// The request's fields are of no use to it: `field` is absent, empty or malformed.
    BadRequest {
        /// The field at fault.
        field: String,
        /// What is wrong with it, for the client.
        message: String,
    },
    /// A new secret is too weak; the text says what to change.
    WeakSecret(String),
    /// What is known of this one person cannot be used: the stored credential is broken, the
    /// directory's entry does not say who it is, the groups are too many. Like `Failed`, but
    /// it says nothing of other people's logins. The text is for the log only and must not
    /// quote a credential.
    UnusableCredential(String),
    /// A provider answered what it may not answer. It says nothing of other people's
    /// logins. The text is for the log only and must not quote the answer.
    ProviderInvalid(String),
    /// Something else failed. The text is for the log only.
    Failed(String),
}

impl std::fmt::Display for StrategyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy => f.write_str("all workers are busy"),
            Self::Unsupported => f.write_str("the strategy does not support this operation"),
            Self::BadRequest { field, message } => write!(f, "{field}: {message}"),
            Self::WeakSecret(message) | Self::Failed(message) => f.write_str(message),
            Self::ProviderInvalid(message) => write!(f, "the provider's answer is not acceptable: {message}"),
            Self::UnusableCredential(message) => {
                write!(f, "what is known of this person cannot be used: {message}")
            }
        }
    }
}

impl std::error::Error for StrategyError {}

/// Why a strategy did not start.
#[derive(Clone, Debug)]
pub enum StartError {
    /// Its settings are wrong.
    Settings(Vec<SettingsProblem>),
    /// Something it needs is not there.
    Failed(String),
}

impl From<NotDone> for StrategyError {
    fn from(why: NotDone) -> Self {
        match why {
            NotDone::Busy => Self::Busy,
            NotDone::Panicked => Self::Failed("a job of its workers panicked".to_owned()),
        }
    }
}
