//! Failed logins are counted before a password is looked at, so that no number of
//! requests at once gets more guesses than the limit (contract, `[lockout]`).

use super::who::{Named, store_failed};
use crate::{
    control::Ask,
    problem::{Code, Problem},
    store::{Attempt, LockoutLimits, Reservation},
    telemetry::Audit,
};

/// Counts one failure in advance, or says no. The answers are the same for names that
/// nobody has.
pub(crate) async fn count(ask: &Ask<'_>, strategy: &str, named: &Named) -> Result<Reservation, Problem> {
    counted(ask, strategy, named, &named.key, true).await
}

/// The same on whom it was about. Their address was counted with the name.
pub(super) async fn count_person(
    ask: &Ask<'_>,
    strategy: &str,
    named: &Named,
    person: &str,
) -> Result<Reservation, Problem> {
    counted(ask, strategy, named, person, false).await
}

/// The same work, on a key that nobody has and that never locks.
pub(super) async fn count_nobody(ask: &Ask<'_>, key: &str) -> Result<Option<Reservation>, Problem> {
    let limits = LockoutLimits { failures: u32::MAX, ..limits(ask) };
    let (store, now) = (&ask.control.store, ask.control.clock.now());
    let attempt = store.attempt_again(key, ask.request.client, limits, now).await;
    Ok(match attempt.map_err(|e| store_failed(&e))? {
        Attempt::Counted(reservation) => Some(reservation),
        _ => None,
    })
}

fn limits(ask: &Ask<'_>) -> LockoutLimits {
    let lockout = &ask.control.config.lockout;
    LockoutLimits {
        failures: lockout.failures,
        window: lockout.window,
        duration: lockout.duration,
        account_failures: lockout.account_failures,
        per_address: lockout.per_address,
    }
}

async fn counted(
    ask: &Ask<'_>,
    strategy: &str,
    named: &Named,
    key: &str,
    of_address: bool,
) -> Result<Reservation, Problem> {
    let limits = limits(ask);
    let now = ask.control.clock.now();
    let (store, client) = (&ask.control.store, ask.request.client);
    let attempt = match of_address {
        true => store.attempt(key, client, limits, now).await,
        false => store.attempt_again(key, client, limits, now).await,
    };
    let (code, reason, again) = match attempt.map_err(|e| store_failed(&e))? {
        Attempt::Counted(reservation) => return Ok(reservation),
        Attempt::Locked(_) => (Code::Locked, "account_and_network", None),
        Attempt::Closed => (Code::Locked, "account", None),
        Attempt::TooMany(seconds) => (Code::TooManyRequests, "address", Some(seconds.max(1))),
    };
    ask.audit(Audit {
        event: "locked",
        account: named.account_name(),
        strategy: Some(strategy),
        reason: Some(reason),
        ..Audit::default()
    });
    let mut problem = Problem::from(code)
        .detail("Too many failed attempts from your network. Please wait a while and try again.");
    problem.retry_after = again;
    Err(problem)
}

/// It was no failure: the login was not decided. Should the store not hear of it, one
/// failure too many is counted, which is the safe side.
pub(crate) async fn give_back(ask: &Ask<'_>, reservation: Reservation) {
    if let Err(error) = ask.control.store.give_back(reservation).await {
        tracing::warn!(error = %error.0, "an undecided login stays counted as a failure");
    }
}

/// It was a success: the pair starts again at zero.
pub(crate) async fn clear(ask: &Ask<'_>, reservation: Reservation) {
    if let Err(error) = ask.control.store.clear(reservation).await {
        tracing::warn!(error = %error.0, "a good login stays counted as a failure");
    }
}
