//! What of a strategy's answer the gateway believes. Only here and in `external.rs` an
//! [`Admitted`] is made, and without one no session is opened.

use super::who::Handed;
use crate::sessions::{Account, ExternalRecord};
use portcullis_plugin_api::Authenticated;
use std::time::Duration;

/// Proof that a login was admitted.
pub(super) struct Admitted {
    account: Account,
    strategy: String,
    session_max: Option<Duration>,
    by: By,
}

/// What the session hangs on.
enum By {
    /// The stored secret that was looked at, and the same secret in a better stored form.
    Secret { secret: String, renewed: Option<String> },
    /// What a strategy said that vouches from outside.
    External(Box<ExternalRecord>),
}

impl Admitted {
    /// Only after the store has answered with this account for this identity.
    pub(super) fn external(
        account: Account,
        strategy: &str,
        record: ExternalRecord,
        session_max: Option<Duration>,
    ) -> Self {
        let by = By::External(Box::new(record));
        Self { account, strategy: strategy.to_owned(), session_max, by }
    }

    /// Who.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// By which strategy instance.
    pub(super) fn strategy(&self) -> &str {
        &self.strategy
    }

    /// The stored secret that was looked at.
    pub(super) fn secret(&self) -> Option<&str> {
        match &self.by {
            By::Secret { secret, .. } => Some(secret),
            By::External(_) => None,
        }
    }

    /// The same secret in a better stored form.
    pub(super) fn renewed(&self) -> Option<&str> {
        match &self.by {
            By::Secret { renewed, .. } => renewed.as_deref(),
            By::External(_) => None,
        }
    }

    /// What its session keeps of an identity from outside.
    pub(super) fn record(&self) -> Option<&ExternalRecord> {
        match &self.by {
            By::Secret { .. } => None,
            By::External(record) => Some(record),
        }
    }

    /// The longest that its session may live.
    pub(super) fn session_max(&self) -> Option<Duration> {
        self.session_max
    }
}

/// A strategy may name the subject of the credential that it was handed, and nobody else;
/// handed none, it may name nobody. The account must be active.
pub(super) fn admit(strategy: &str, handed: Option<Handed>, identity: Authenticated) -> Option<Admitted> {
    let handed = handed?;
    if handed.subject != identity.subject || !handed.account.active {
        tracing::warn!(strategy, "a strategy named somebody whose credential it was not handed");
        return None;
    }
    let by = By::Secret { secret: handed.secret, renewed: identity.renewed_secret };
    let (strategy, session_max) = (strategy.to_owned(), identity.session_max);
    Some(Admitted { account: handed.account, strategy, session_max, by })
}
