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
    let lockout = &ask.control.config.lockout;
    let limits = LockoutLimits {
        failures: lockout.failures,
        window: lockout.window,
        duration: lockout.duration,
        account_failures: lockout.account_failures,
        per_address: lockout.per_address,
    };
    let now = ask.control.clock.now();
    let attempt = ask.control.store.attempt(&named.key, ask.request.client, limits, now).await;
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
