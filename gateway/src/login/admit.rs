//! What of a strategy's answer the gateway believes. [`admit`] alone makes an
//! [`Admitted`], and without one no session is opened.

use super::who::Handed;
use crate::sessions::Account;
use portcullis_plugin_api::Authenticated;

/// Proof that a login was admitted.
pub(super) struct Admitted {
    account: Account,
    strategy: String,
    secret: String,
    renewed: Option<String>,
}

impl Admitted {
    /// Who.
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// By which strategy instance.
    pub(super) fn strategy(&self) -> &str {
        &self.strategy
    }

    /// The stored secret that was looked at.
    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// The same secret in a better stored form.
    pub(super) fn renewed(&self) -> Option<&str> {
        self.renewed.as_deref()
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
    let (strategy, renewed) = (strategy.to_owned(), identity.renewed_secret);
    Some(Admitted { account: handed.account, strategy, secret: handed.secret, renewed })
}
