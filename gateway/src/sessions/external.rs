//! What a session knows of a login by a strategy that vouches from outside: the claims
//! that the gateway believes, and the roles that the person's groups bring.

use super::Account;
use crate::clock::UnixMillis;
use arc_swap::{ArcSwap, ArcSwapOption};
use portcullis_plugin_api::Object;
use std::{fmt, sync::Arc};

/// As the store keeps it with the session.
#[derive(Clone, PartialEq)]
pub struct ExternalRecord {
    /// Within what the subject is unique.
    pub realm: String,
    /// Who, to the strategy.
    pub subject: String,
    /// Roles of the credential, as of its last login or refresh.
    pub roles: Vec<String>,
    /// Verified claims.
    pub claims: Object,
    /// The strategy's own, sealed.
    pub state: Vec<u8>,
    /// The provider's name for this login.
    pub provider_session: Option<String>,
    /// When to look again.
    pub refresh_at: Option<UnixMillis>,
}

impl fmt::Debug for ExternalRecord {
    // Neither claims nor state are for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalRecord").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// What requests are told of it.
#[derive(Debug, Default, PartialEq)]
pub struct External {
    /// See [`ExternalRecord::roles`].
    pub roles: Vec<String>,
    /// See [`ExternalRecord::claims`].
    pub claims: Object,
}

impl From<&ExternalRecord> for External {
    fn from(record: &ExternalRecord) -> Self {
        Self { roles: record.roles.clone(), claims: record.claims.clone() }
    }
}

/// The live part of a session: replaced whole at each refresh.
pub(super) struct Live {
    external: ArcSwapOption<External>,
    /// The account with the roles of the credential, made once for each pair of the two.
    merged: ArcSwap<Option<Merged>>,
}

struct Merged {
    account: Arc<Account>,
    external: Arc<External>,
    both: Arc<Account>,
}

impl Live {
    pub(super) fn new(record: Option<&ExternalRecord>) -> Self {
        let external = record.map(|record| Arc::new(External::from(record)));
        Self { external: ArcSwapOption::new(external), merged: ArcSwap::from_pointee(None) }
    }

    pub(super) fn get(&self) -> Option<Arc<External>> {
        self.external.load_full()
    }

    pub(super) fn set(&self, record: Option<&ExternalRecord>) {
        self.external.store(record.map(|record| Arc::new(External::from(record))));
    }

    /// The account as the principal has it: its own roles and those of the credential it
    /// signed in with (contract section 1).
    pub(super) fn principal(&self, account: Arc<Account>) -> Arc<Account> {
        let external = match self.external.load_full() {
            Some(external) if !external.roles.is_empty() => external,
            _ => return account,
        };
        if let Some(known) = &**self.merged.load()
            && Arc::ptr_eq(&known.account, &account)
            && Arc::ptr_eq(&known.external, &external)
        {
            return known.both.clone();
        }
        let mut both = Account::clone(&account);
        both.roles.extend(external.roles.iter().filter(|role| !account.roles.contains(role)).cloned());
        let both = Arc::new(both);
        self.merged.store(Arc::new(Some(Merged { account, external, both: both.clone() })));
        both
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(roles: &[&str]) -> ExternalRecord {
        ExternalRecord {
            realm: "r".into(),
            subject: "s".into(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            claims: json!({"groups": ["x"]}).as_object().cloned().unwrap(),
            state: b"tokens".to_vec(),
            provider_session: None,
            refresh_at: None,
        }
    }

    #[test]
    fn a_principal_has_the_roles_of_the_account_and_of_its_credential() {
        let live = Live::new(Some(&record(&["staff", "dev"])));
        let mut account = Account::for_tests("ann");
        account.roles = vec!["staff".into()];
        let account = Arc::new(account);
        let first = live.principal(account.clone());
        assert_eq!(first.roles, ["staff", "dev"]);
        assert!(Arc::ptr_eq(&first, &live.principal(account.clone())), "made once");
        live.set(Some(&record(&["ops"])));
        assert_eq!(live.principal(account.clone()).roles, ["staff", "ops"], "replaced whole");
        live.set(None);
        assert!(Arc::ptr_eq(&live.principal(account.clone()), &account));
    }

    #[test]
    fn neither_state_nor_claims_are_shown() {
        let shown = format!("{:?}", record(&["x"]));
        assert!(!shown.contains("tokens") && !shown.contains("groups"), "{shown}");
    }
}
