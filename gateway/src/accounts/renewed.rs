//! A password that was changed: whatever the old one opened ends, and its owner is told.

use super::{input::store_failed, post};
use crate::{
    control::Ask,
    mail::Notice,
    problem::{Code, Problem},
    sessions::Account,
    telemetry::Audit,
};

/// `swap`: the stored secret and its successor, where the gateway keeps one. None: somebody
/// was quicker, with the same current password.
pub(crate) async fn tell(
    ask: &Ask<'_>,
    account: &Account,
    strategy: &str,
    swap: Option<(String, String)>,
) -> Result<Option<Account>, Problem> {
    let (control, now) = (ask.control, ask.control.clock.now());
    let changed = control.store.change_secret(account.uuid, strategy, swap, now).await;
    if !changed.map_err(|e| store_failed(&e))? {
        return Ok(None);
    }
    control.sessions.end_all(account.uuid);
    ask.audit(Audit {
        event: "password_changed",
        account: Some(&account.name),
        strategy: Some(strategy),
        ..Audit::default()
    });
    post::notice(ask, account.verified_email(), Notice::Password).await;
    let current = control.store.account(account.uuid).await.map_err(|e| store_failed(&e))?;
    current.map(Some).ok_or(Code::LoginRequired.into())
}
