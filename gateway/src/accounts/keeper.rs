//! The strategy that keeps somebody's password, and new passwords through it: the one way
//! for registration, change and reset.

use super::input::store_failed;
use crate::{
    control::Ask,
    login::body::malformed,
    problem::{Code, Problem},
    registry::{CallError, Instance},
    sessions::Account,
};
use portcullis_plugin_api::{Call, CredentialOp};

/// The strategy that makes passwords for new accounts: the default one, else the only one
/// that keeps any.
pub(super) fn for_new(ask: &Ask<'_>) -> Option<Instance> {
    let default = ask.control.config.login.default.as_deref();
    let mut keepers = ask.control.registry.list().iter().filter(|one| one.operations().credentials);
    let first = keepers.clone().next().cloned();
    match keepers.clone().find(|one| Some(one.id()) == default) {
        Some(default) => Some(default.clone()),
        None => first.filter(|_| keepers.nth(1).is_none()),
    }
}

/// Of these strategies the one that keeps a password: the default one, else the first.
pub(super) fn among(ask: &Ask<'_>, strategies: &[String]) -> Option<Instance> {
    let default = ask.control.config.login.default.as_deref();
    let keeps = |id: &&String| ask.control.registry.get(id).is_some_and(|one| one.operations().credentials);
    let mut kept = strategies.iter().filter(keeps);
    let id = kept.clone().find(|id| Some(id.as_str()) == default).or_else(|| kept.next())?;
    ask.control.registry.get(id)
}

/// The strategy through which this account's password is changed: that of the session, if
/// it can, else any.
pub(super) async fn of(ask: &Ask<'_>, account: &Account, session: &str) -> Result<Option<Instance>, Problem> {
    let can = |id: &str| ask.control.registry.get(id).filter(|one| one.operations().change_secret);
    if let Some(own) = can(session) {
        return Ok(Some(own));
    }
    let all = ask.control.store.credential_strategies(account.uuid).await.map_err(|e| store_failed(&e))?;
    Ok(all.iter().find_map(|id| can(id)))
}

/// The stored form of a new password, or why it may not be one.
pub(super) async fn make(
    ask: &Ask<'_>,
    strategy: &Instance,
    password: &str,
    about: Vec<String>,
) -> Result<String, Problem> {
    let form = [("password".to_owned(), password.to_owned())].into();
    let made = strategy.credentials(call(ask, strategy), CredentialOp::Create { form, about }).await;
    made.map(|reply| reply.secret).map_err(refusal)
}

/// What of an account its password may not contain.
pub(super) fn about(account: &Account) -> Vec<String> {
    let words = [Some(account.name.as_str()), account.email.as_deref(), account.display_name.as_deref()];
    words.into_iter().flatten().map(str::to_owned).collect()
}

pub(super) fn call(ask: &Ask<'_>, strategy: &Instance) -> Call {
    Call::new(ask.request.request_id.clone(), strategy.id(), ask.request.client)
}

pub(super) fn refusal(error: CallError) -> Problem {
    match error {
        CallError::Weak(advice) => Problem::from(Code::WeakPassword).detail(advice),
        CallError::BadRequest { field, message } => malformed(format!("{field}: {message}")),
        CallError::Busy => Code::Busy.into(),
        CallError::ProviderInvalid => Code::ProviderInvalid.into(),
        CallError::Unavailable | CallError::Unusable | CallError::Unsupported => {
            Code::StrategyUnavailable.into()
        }
    }
}
