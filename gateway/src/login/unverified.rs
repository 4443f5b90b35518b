//! With `[accounts] verify_email` nobody signs in with a password before the link mailed
//! to their address was used. Said only after the right password, when it tells a stranger
//! nothing; and then the mail is sent once more.

use crate::{
    accounts::post,
    control::Ask,
    problem::{Code, Problem},
    sessions::Account,
    telemetry::Audit,
};

/// Refuses an account whose address waits for its proof.
pub(super) async fn check(ask: &Ask<'_>, account: &Account, strategy: &str) -> Result<(), Problem> {
    let keeps = ask.control.registry.get(strategy).is_some_and(|one| one.operations().credentials);
    let Some(address) = account.email.as_deref() else { return Ok(()) };
    if account.email_verified || !keeps || !ask.control.config.accounts.verify_email {
        return Ok(());
    }
    ask.audit(Audit {
        event: "login_failed",
        account: Some(&account.name),
        strategy: Some(strategy),
        reason: Some("email_unverified"),
        ..Audit::default()
    });
    post::verify(ask, account.uuid, address).await?;
    Err(Problem::from(Code::EmailUnverified).detail("Use the link that we have mailed to you, then sign in."))
}
