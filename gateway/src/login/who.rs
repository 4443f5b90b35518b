//! Which account a login means, and the credential that its strategy is handed.

use crate::{
    accounts::name::{Names, fold},
    control::Ask,
    problem::{Code, Problem},
    registry::Instance,
    sessions::Account,
    store::StoreError,
};
use portcullis_plugin_api::{StoredCredential, Subject};
use uuid::Uuid;

/// Who was named, known or not.
pub(crate) struct Named {
    /// What failures are counted on: the account's name, whichever identifier was used.
    pub(super) key: String,
    account: Option<Account>,
}

/// A credential that a strategy is shown, with the account that it opens.
pub(super) struct Handed {
    pub(super) account: Account,
    pub(super) subject: Subject,
    pub(super) secret: String,
}

impl Named {
    /// Somebody who is signed in.
    pub(crate) fn of(account: &Account) -> Self {
        Self { key: account.name.clone(), account: Some(account.clone()) }
    }

    /// The name, if somebody has it. A name that nobody has may be a password typed into
    /// the wrong field, and is not for a log.
    pub(super) fn account_name(&self) -> Option<&str> {
        self.account.as_ref().map(|account| account.name.as_str())
    }

    /// Why credentials were bad, for the audit trail.
    pub(super) fn reason(&self, handed: bool) -> &'static str {
        match &self.account {
            None => "unknown_name",
            Some(account) if !account.active => "inactive",
            Some(_) if !handed => "no_credential",
            Some(_) => "bad_credentials",
        }
    }
}

impl Handed {
    pub(super) fn to_strategy(&self) -> StoredCredential {
        StoredCredential { subject: self.subject.clone(), secret: self.secret.clone() }
    }
}

/// Looks up every name that may be meant, also when the first is found.
pub(super) async fn find(ask: &Ask<'_>, strategy: &Instance, identifier: &str) -> Result<Named, Problem> {
    let store = &ask.control.store;
    let (id, keeps) = (strategy.id(), strategy.operations().credentials);
    let mut account = None;
    for text in Names::new(&ask.control.config).meant(id, identifier) {
        let mut found = store.account_by_identifier(&text).await.map_err(|e| store_failed(&e))?;
        if let (false, Some(one)) = (keeps, &found) {
            // Who is somebody else in a directory is not the account of that name here.
            let theirs = store.credential(id, one.uuid).await.map_err(|e| store_failed(&e))?;
            found = found.filter(|_| theirs.is_some());
        }
        account = account.or(found);
    }
    let unknown = || {
        // A directory takes a run of white space for one space (RFC 4518 section 2.6).
        let one = |text: &str| fold(text).split_whitespace().collect::<Vec<_>>().join(" ");
        if keeps { one(identifier) } else { format!("{}@{id}", one(without_ending(id, &fold(identifier)))) }
    };
    let key = account.as_ref().map_or_else(unknown, |account| account.name.clone());
    Ok(Named { key, account })
}

/// The name as a directory knows it: `ann@corp`, as the account is called here, is `ann` at
/// `corp`'s own form (contract section 1, Names).
pub(crate) fn without_ending<'t>(strategy: &str, typed: &'t str) -> &'t str {
    match typed.trim_end().rsplit_once('@') {
        Some((name, ending)) if !name.trim().is_empty() && ending.eq_ignore_ascii_case(strategy) => name,
        _ => typed,
    }
}

/// The credential to be looked at. For an unknown name the store is asked all the same;
/// an inactive account is as good as unknown.
pub(super) async fn credential(
    ask: &Ask<'_>,
    strategy: &str,
    named: &Named,
) -> Result<Option<Handed>, Problem> {
    let uuid = named.account.as_ref().map_or(Uuid::nil(), |account| account.uuid);
    let stored = ask.control.store.credential(strategy, uuid).await.map_err(|e| store_failed(&e))?;
    let Some((stored, account)) = stored.zip(named.account.clone()) else { return Ok(None) };
    if !account.active || stored.account != account.uuid {
        return Ok(None);
    }
    let (Some(secret), Some(subject)) = (stored.secret, Subject::new(stored.subject)) else {
        return Ok(None);
    };
    Ok(Some(Handed { account, subject, secret }))
}

pub(crate) fn store_failed(error: &StoreError) -> Problem {
    tracing::error!(error = %error.0, "the store did not answer a login");
    Code::StoreUnavailable.into()
}

#[cfg(test)]
mod tests {
    use super::without_ending;

    #[test]
    fn a_directorys_own_form_takes_a_name_with_its_ending() {
        for (typed, name) in [
            ("ann@corp", "ann"),
            ("Ann@CORP ", "Ann"),
            ("ann@x.test@corp", "ann@x.test"),
            ("ann", "ann"),
            ("ann@other", "ann@other"),
            ("@corp", "@corp"),
            ("ann@corp.test", "ann@corp.test"),
        ] {
            assert_eq!(without_ending("corp", typed), name, "{typed}");
        }
    }
}
