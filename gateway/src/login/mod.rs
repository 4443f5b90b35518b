//! Signing in and out. A login reads top to bottom here: what was asked, who is meant,
//! the count of failures, the strategy, admission, the session, the answer.
//!
//! `body/` the fields of a request · `asked.rs` what they ask for · `who.rs` the account
//! that is meant · `throttle.rs` the count of failures · `admit.rs` what of a strategy's
//! answer is believed · `open.rs` the session · `answer.rs` what the client is told ·
//! `page.rs` the same for browsers · `return_to.rs` where a login leads · `logout.rs` ·
//! `refresh.rs` a new token for a session that goes on.

mod admit;
pub(crate) mod answer;
mod asked;
pub mod body;
pub(crate) mod logout;
pub(crate) mod open;
pub(crate) mod page;
pub(crate) mod refresh;
pub mod return_to;
mod throttle;
mod who;

use crate::{
    control::{Ask, Reply},
    problem::{Code, Problem},
    registry::{CallError, Instance},
    telemetry::Audit,
};
use admit::{Admitted, admit};
use asked::Asked;
use body::{Body, malformed};
use portcullis_plugin_api::{Begin, Call, Denial, Form, Outcome};
use who::Named;

/// `POST {login}/:strategy`: credentials in, a session out.
pub(crate) async fn submit(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    let body = body::read(&ask.request.headers, &ask.request.body, ask.body_limits())?;
    let outcome = log_in(ask, strategy, &body).await;
    if let Err(problem) = &outcome {
        ask.control.metrics.login(strategy.id(), problem.code.as_str());
    }
    match outcome {
        Err(problem) if ask.is_browser_form() => Ok(page::again(ask, strategy, &body, &problem).await),
        answer => answer,
    }
}

async fn log_in(ask: &Ask<'_>, strategy: &Instance, body: &Body) -> Result<Reply, Problem> {
    let asked = Asked::read(ask, body)?;
    let named = who::find(ask, strategy.id(), &asked.identifier).await?;
    let reservation = throttle::count(ask, strategy.id(), &named).await?;
    let decided = match decide(ask, strategy, &asked, &named).await {
        Ok(decided) => decided,
        Err(problem) => {
            // Nothing was decided, so nothing failed.
            throttle::give_back(ask, reservation).await;
            return Err(problem);
        }
    };
    match decided {
        Decided::Admitted(admitted) => {
            match open::session(ask, &admitted, &asked).await {
                Ok(Some(opened)) => {
                    throttle::clear(ask, reservation).await;
                    ask.control.metrics.login(strategy.id(), "success");
                    Ok(answer::to(ask, &asked, &opened))
                }
                // Disabled, or its password changed, while we looked at the old one.
                Ok(None) => Err(refused(ask, strategy, &named, "changed_meanwhile")),
                Err(problem) => {
                    throttle::give_back(ask, reservation).await;
                    Err(problem)
                }
            }
        }
        Decided::Next(form) => {
            ask.control.metrics.login(strategy.id(), "next");
            Ok(answer::next(&form))
        }
        Decided::NotAdmitted => {
            throttle::give_back(ask, reservation).await;
            audit_failure(ask, strategy, &named, "not_admitted");
            Err(Code::NotAdmitted.into())
        }
        Decided::BadCredentials(reason) => Err(refused(ask, strategy, &named, reason)),
    }
}

enum Decided {
    Admitted(Box<Admitted>),
    Next(Form),
    NotAdmitted,
    BadCredentials(&'static str),
}

/// Asks the strategy. Every question to the store and every call is made for unknown
/// names as for known ones, so that the work tells nothing.
async fn decide(
    ask: &Ask<'_>,
    strategy: &Instance,
    asked: &Asked,
    named: &Named,
) -> Result<Decided, Problem> {
    let handed = who::credential(ask, strategy.id(), named).await?;
    let stored = handed.as_ref().map(who::Handed::to_strategy);
    let begin = Begin { form: asked.form.clone(), credential: stored, ..Begin::default() };
    match strategy.begin(call(ask, strategy), begin).await.map_err(|error| undecided(error, asked))? {
        Outcome::Authenticated(identity) => Ok(match admit(strategy.id(), handed, *identity) {
            Some(admitted) => Decided::Admitted(Box::new(admitted)),
            None => Decided::NotAdmitted,
        }),
        Outcome::Form(form) => Ok(Decided::Next(form)),
        Outcome::Denied(no) if no.reason == Denial::NotAdmitted => Ok(Decided::NotAdmitted),
        Outcome::Denied(_) => Ok(Decided::BadCredentials(named.reason(handed.is_some()))),
        // An outcome that this gateway does not know decides nothing.
        _ => Err(Code::StrategyUnavailable.into()),
    }
}

/// One body, whatever the reason; the reason is for the audit trail.
fn refused(ask: &Ask<'_>, strategy: &Instance, named: &Named, reason: &'static str) -> Problem {
    audit_failure(ask, strategy, named, reason);
    Code::BadCredentials.into()
}

fn audit_failure(ask: &Ask<'_>, strategy: &Instance, named: &Named, reason: &'static str) {
    ask.audit(Audit {
        event: "login_failed",
        account: named.account_name(),
        strategy: Some(strategy.id()),
        reason: Some(reason),
        ..Audit::default()
    });
}

fn call(ask: &Ask<'_>, strategy: &Instance) -> Call {
    Call::new(ask.request.request_id.clone(), strategy.id(), ask.request.client)
}

fn undecided(error: CallError, asked: &Asked) -> Problem {
    match error {
        CallError::Busy => Code::Busy.into(),
        CallError::BadRequest { field, .. } if asked.not_text.contains(&field) => {
            malformed(format!("{field}: must be text"))
        }
        CallError::BadRequest { field, message } => malformed(format!("{field}: {message}")),
        CallError::ProviderInvalid => Code::ProviderInvalid.into(),
        CallError::Unavailable | CallError::Unsupported | CallError::Weak(_) => {
            Code::StrategyUnavailable.into()
        }
    }
}

#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod tests;
