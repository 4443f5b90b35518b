//! What can go wrong in a strategy. A refused login is not here: that is an
//! [`Outcome`](crate::Outcome). An error means "could not decide" and is never counted
//! as a wrong password.

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
        }
    }
}

impl std::error::Error for StrategyError {}

/// One thing wrong with a strategy's settings. The gateway maps `path` to file, line
/// and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Keys inside the strategy's own table, outermost first.
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead: `one of …`, a nearest name.
    pub expected: Option<String>,
}

/// Why a strategy did not start.
#[derive(Clone, Debug)]
pub enum StartError {
    /// Its settings are wrong.
    Settings(Vec<SettingsProblem>),
    /// Something it needs is not there.
    Failed(String),
}
