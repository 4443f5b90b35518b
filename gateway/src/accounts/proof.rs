//! Proof that whoever acts in a session knows its password. A wrong one counts as a failed
//! login, before anything is hashed.

use super::{
    input::store_failed,
    keeper::{call, refusal},
};
use crate::{
    control::Ask,
    login::{decide, throttle, who::Named},
    problem::{Code, Problem},
    registry::{CallError, Instance},
    sessions::{Account, LiveSession},
    telemetry::Audit,
};
use portcullis_plugin_api::{Begin, ChangeSecret, Outcome, StoredCredential, Subject};
use std::time::Duration;

/// How long credentials count as just given.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// What was proved.
pub(super) struct Proved {
    /// The stored secret that was looked at.
    pub(super) old: Option<String>,
    /// The stored form of the next one.
    pub(super) new: Option<String>,
}

/// The current password is right.
pub(super) async fn current(
    ask: &Ask<'_>,
    account: &Account,
    strategy: &Instance,
    current: &str,
) -> Result<(), Problem> {
    let asked = async |_, credential| {
        let form = [("username", account.name.as_str()), ("password", current)];
        let form = form.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        strategy.begin(call(ask, strategy), Begin { form, credential, ..Begin::default() }).await
    };
    prove(ask, account, strategy, asked).await.map(|_| ())
}

/// The current password is right, and this is the stored form of the next one.
pub(super) async fn change(
    ask: &Ask<'_>,
    account: &Account,
    strategy: &Instance,
    current: &str,
    next: &str,
) -> Result<Proved, Problem> {
    let asked = async |subject, credential| {
        let request = ChangeSecret {
            subject,
            credential,
            current: current.to_owned(),
            next: next.to_owned(),
            about: super::keeper::about(account),
        };
        strategy.change_secret(call(ask, strategy), request).await
    };
    prove(ask, account, strategy, asked).await
}

async fn prove(
    ask: &Ask<'_>,
    account: &Account,
    strategy: &Instance,
    question: impl AsyncFnOnce(Subject, Option<StoredCredential>) -> Result<Outcome, CallError>,
) -> Result<Proved, Problem> {
    let stored = ask.control.store.credential(strategy.id(), account.uuid).await;
    let stored = stored.map_err(|e| store_failed(&e))?.ok_or(Code::Forbidden)?;
    let subject = Subject::new(stored.subject).ok_or(Code::StrategyUnavailable)?;
    let named = Named::of(account);
    let reservation = throttle::count(ask, strategy.id(), &named).await?;
    let old = stored.secret;
    let credential = old.clone().map(|secret| StoredCredential { subject: subject.clone(), secret });
    match question(subject.clone(), credential).await {
        Ok(Outcome::Authenticated(identity)) if identity.subject != subject => {
            tracing::warn!(strategy = strategy.id(), "a strategy answered for somebody else than was asked");
            throttle::give_back(ask, reservation).await;
            Err(Code::StrategyUnavailable.into())
        }
        Ok(Outcome::Authenticated(identity)) => {
            throttle::clear(ask, reservation).await;
            Ok(Proved { old, new: identity.renewed_secret })
        }
        Ok(Outcome::Denied(denied)) => {
            let refusal = decide::told(denied);
            ask.audit(Audit {
                event: "current_password_wrong",
                account: Some(&account.name),
                strategy: Some(strategy.id()),
                reason: refusal.as_ref().map(|refusal| refusal.reason),
                ..Audit::default()
            });
            // It was no wrong password, so nothing failed; and the person may hear what it was.
            let Some(refusal) = refusal else { return Err(Code::WrongCurrent.into()) };
            throttle::give_back(ask, reservation).await;
            Err(refusal.problem)
        }
        Ok(_) => {
            // It asks for more than a password: nothing was decided.
            throttle::give_back(ask, reservation).await;
            Err(Code::FreshLoginRequired.into())
        }
        Err(CallError::Unsupported) => {
            // A library says what it can of a kind, not of an instance.
            throttle::give_back(ask, reservation).await;
            Err(Problem::from(Code::Forbidden).detail("Your password cannot be changed here."))
        }
        Err(error) => {
            // Nothing was decided, or the current one was right and the next one is weak.
            throttle::give_back(ask, reservation).await;
            Err(refusal(error))
        }
    }
}

/// Whether this session was opened not long ago: what takes the place of a password where
/// there is none (contract section 5, credentials).
pub(super) fn is_fresh(ask: &Ask<'_>, session: &LiveSession) -> bool {
    ask.control.clock.now().since(session.created()) < FRESH
}
