//! Troubles and refusals of a provider as a strategy's answers.

use crate::advice;
use portcullis_openid::{NotVerified, Trouble};
use portcullis_plugin_api::{Call, Denial, Denied, Outcome, StrategyError};

/// Why a step of the protocol did not end well.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The provider said no; its code, made safe.
    Denied(String),
    /// It could not be asked, or answered what it may not answer.
    Trouble(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<NotVerified> for Stop {
    fn from(why: NotVerified) -> Self {
        match why {
            NotVerified::Refused(why) => Self::Trouble(Trouble::Invalid(why.to_string())),
            NotVerified::Trouble(trouble) => Self::Trouble(trouble),
        }
    }
}

impl Stop {
    /// The answer of a login. What the operator can mend is in the log, too, under the id that
    /// the person is shown.
    pub(crate) fn answer(self, call: &Call) -> Result<Outcome, StrategyError> {
        match self {
            Self::Denied(code) => {
                let Some(help) = advice::of(&code) else { return Ok(refused(code)) };
                let (strategy, request_id) = (&call.strategy, &call.request_id);
                tracing::warn!(%strategy, %request_id, %code, help, "the provider refuses a login");
                Ok(refused(format!("{code} (for whoever runs this gateway: {help})")))
            }
            Self::Trouble(trouble) => Err(error(trouble)),
        }
    }
}

pub(crate) fn error(trouble: Trouble) -> StrategyError {
    match trouble {
        Trouble::Unreachable(why) => StrategyError::Failed(format!("the provider cannot be reached: {why}")),
        Trouble::Invalid(why) => StrategyError::ProviderInvalid(why),
    }
}

/// The provider's no.
pub(crate) fn refused(code: String) -> Outcome {
    Outcome::Denied(Denied { reason: Denial::ProviderRefused, message: Some(code), subject: None })
}

/// An `error` code as RFC 6749 §4.1.2.1 lets it be, and not too long; anything else is
/// not repeated.
pub(crate) fn code(found: &str) -> String {
    let fits = |b: u8| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    if !found.is_empty() && found.len() <= 64 && found.bytes().all(fits) {
        found.to_owned()
    } else {
        "unreadable_error".to_owned()
    }
}
