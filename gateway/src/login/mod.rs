//! Signing in and out. A login reads top to bottom here: what was asked, who is meant,
//! the count of failures, the strategy, admission, the session, the answer.
//!
//! `body/` the fields of a request · `asked.rs` what they ask for · `who.rs` the account
//! that is meant · `throttle.rs`, `person.rs` the count of failures · `decide.rs` what a strategy's
//! answer comes to · `admit.rs`, `external.rs`, `believe.rs` what of it is believed ·
//! `kept.rs` a login between its steps · `further.rs` the next step by a form ·
//! `callback.rs` the next step by a provider · `link.rs` a login added to an account · `open.rs` the session · `answer.rs` what the
//! client is told · `page.rs` the same for browsers · `return_to.rs` where a login leads ·
//! `preview.rs` what would become of a login, for `strategy test` · `logout.rs` · `notice.rs` an end that a provider asks for · `look_again.rs` whether
//! somebody may still be here · `refresh.rs` a new token for a session that goes on.

mod admit;
pub(crate) mod answer;
mod asked;
mod believe;
pub mod body;
pub(crate) mod callback;
pub(crate) mod decide;
mod external;
pub(crate) mod fresh;
mod further;
mod kept;
mod link;
pub(crate) mod logout;
pub(crate) mod look_again;
pub(crate) mod notice;
pub(crate) mod open;
pub(crate) mod page;
mod person;
pub(crate) mod preview;
pub(crate) mod refresh;
pub mod return_to;
pub(crate) mod throttle;
mod unverified;
pub(crate) mod who;

use crate::{
    control::{Ask, Reply},
    problem::{Code, Problem},
    registry::Instance,
    store::Reservation,
    telemetry::Audit,
};
use asked::Asked;
use body::Body;
use decide::{Decided, call, undecided, unless_left};
use portcullis_plugin_api::{Begin, Outcome, Via};
use who::Named;

/// `POST {login}/:strategy`: credentials in, a session out.
pub(crate) async fn submit(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    let body = body::read(&ask.request.headers, &ask.request.body, ask.body_limits())?;
    if let Some(state) = body.text("state")?.map(str::to_owned) {
        return counted(ask, strategy, further::step(ask, strategy, &body, &state).await);
    }
    match counted(ask, strategy, log_in(ask, strategy, &body).await) {
        Err(problem) if ask.is_browser_form() => Ok(page::again(ask, strategy, &body, &problem).await),
        answer => answer,
    }
}

/// Counts a refusal.
fn counted(ask: &Ask<'_>, strategy: &Instance, answer: Result<Reply, Problem>) -> Result<Reply, Problem> {
    if let Err(problem) = &answer {
        ask.control.metrics.login(strategy.id(), problem.code.as_str());
    }
    answer
}

/// Who is being signed in, as far as failures are counted on it.
struct Tried {
    named: Named,
    reservation: Reservation,
    /// The same on whom the strategy says it was about.
    person: Option<Reservation>,
    /// It tries a further step: the form again means that it was wrong.
    is_further: bool,
}

async fn log_in(ask: &Ask<'_>, strategy: &Instance, body: &Body) -> Result<Reply, Problem> {
    if !strategy.operations().credentials && Asked::read_any(ask, body)?.identifier.is_empty() {
        return without_name(ask, strategy, body).await;
    }
    let asked = Asked { link: link_to(ask, body).await?, ..Asked::read(ask, body)? };
    let named = who::find(ask, strategy, &asked.identifier).await?;
    let reservation = throttle::count(ask, strategy.id(), &named).await?;
    let mut tried = Tried { named, reservation, person: None, is_further: false };
    let state = ask.control.random.opaque();
    let decided = decide(ask, strategy, &asked, &mut tried, &state).await;
    finish(ask, strategy, &asked, Some(tried), &state, decided).await
}

/// The account that the login is to be added to, if that was asked for and may be.
async fn link_to(ask: &Ask<'_>, body: &Body) -> Result<Option<kept::Link>, Problem> {
    match link::is_asked(body)? {
        true => link::wanted(ask).await.map(Some),
        false => Ok(None),
    }
}

/// Nobody said who signs in: a provider will, or the form must be filled in.
async fn without_name(ask: &Ask<'_>, strategy: &Instance, body: &Body) -> Result<Reply, Problem> {
    let asked = Asked { link: link_to(ask, body).await?, ..Asked::read_any(ask, body)? };
    let state = ask.control.random.opaque();
    let begin = Begin {
        state: state.clone(),
        resume_url: callback::url(ask, strategy),
        login_hint: asked::hint(ask),
        ..Begin::default()
    };
    let begun = unless_left(ask, strategy.begin(call(ask, strategy), begin)).await;
    match begun.map_err(|error| undecided(error, &asked))? {
        Outcome::Redirect(redirect) => {
            finish(ask, strategy, &asked, None, &state, Ok(Decided::Redirect(redirect))).await
        }
        // It says which field is missing.
        _ => Asked::read(ask, body).and(Err(Code::StrategyUnavailable.into())),
    }
}

/// Asks the strategy. Every question to the store and every call is made for unknown
/// names as for known ones, so that the work tells nothing.
async fn decide(
    ask: &Ask<'_>,
    strategy: &Instance,
    asked: &Asked,
    tried: &mut Tried,
    state: &str,
) -> Result<Decided, Problem> {
    let named = &tried.named;
    let handed = match strategy.operations().credentials {
        true => who::credential(ask, strategy.id(), named).await?,
        false => None,
    };
    let mut form = asked.form.clone();
    if let (false, Some(name)) = (strategy.operations().credentials, form.get_mut("username")) {
        *name = who::without_ending(strategy.id(), name).to_owned();
    }
    let begin = Begin {
        form,
        credential: handed.as_ref().map(who::Handed::to_strategy),
        resume_url: callback::url(ask, strategy),
        state: state.to_owned(),
        // At a provider's form, not at ours: who it is, it asks itself.
        login_hint: strategy.has_provider().then(|| asked.identifier.clone()),
    };
    let outcome = unless_left(ask, strategy.begin(call(ask, strategy), begin)).await;
    let outcome = outcome.map_err(|error| undecided(error, asked))?;
    tried.person = person::count(ask, strategy, named, &outcome).await?;
    let reason = named.reason(handed.is_some() || !strategy.operations().credentials);
    decide::on(ask, strategy, handed, outcome, reason, asked.link.as_ref(), Via::Form).await
}

/// What was decided becomes an answer, and the count of failures what it must be.
async fn finish(
    ask: &Ask<'_>,
    strategy: &Instance,
    asked: &Asked,
    tried: Option<Tried>,
    state: &str,
    decided: Result<Decided, Problem>,
) -> Result<Reply, Problem> {
    let (named, counted, was_further) = match tried {
        Some(Tried { named, reservation, person, is_further }) => {
            (Some(named), [Some(reservation), person], is_further)
        }
        None => (None, [None, None], false),
    };
    let counted = counted.into_iter().flatten();
    let answer = match decided {
        Ok(Decided::Admitted(admitted)) => match open::session(ask, &admitted, asked).await {
            Ok(Some(opened)) => {
                for reservation in counted {
                    throttle::clear(ask, reservation).await;
                }
                ask.control.metrics.login(strategy.id(), "success");
                return Ok(answer::to(ask, asked, &opened));
            }
            // Disabled, or its credential changed, while we looked at the old one.
            Ok(None) => {
                audit_failure(ask, strategy, named.as_ref(), "changed_meanwhile");
                return Err(Code::BadCredentials.into());
            }
            Err(problem) => Err(problem),
        },
        Ok(Decided::Form(form)) => {
            ask.control.metrics.login(strategy.id(), "next");
            let leads_on = !form.flow.is_empty();
            let answer = answer::next_step(ask, strategy, asked, state, &form).await;
            // A first step that leads on did not fail, and the further step is counted
            // itself. The first form again is a failure, and any form after a further step
            // may be one: a code is not guessed without end. A success clears it.
            if !leads_on || was_further {
                return answer;
            }
            answer
        }
        Ok(Decided::Linked(account)) => Ok(answer::linked(asked, &account)),
        Ok(Decided::Redirect(redirect)) => {
            ask.control.metrics.login(strategy.id(), "next");
            answer::to_provider(ask, strategy, asked, state, &redirect).await
        }
        Ok(Decided::BadCredentials(reason)) => {
            audit_failure(ask, strategy, named.as_ref(), reason);
            return Err(Code::BadCredentials.into());
        }
        Ok(Decided::Refused(refusal)) => {
            audit_failure(ask, strategy, named.as_ref(), refusal.reason);
            Err(refusal.problem)
        }
        Err(problem) => Err(problem),
    };
    // Nothing was decided, or it was no wrong password: nothing failed.
    for reservation in counted {
        throttle::give_back(ask, reservation).await;
    }
    answer
}

fn audit_failure(ask: &Ask<'_>, strategy: &Instance, named: Option<&Named>, reason: &'static str) {
    ask.audit(Audit {
        event: "login_failed",
        account: named.and_then(Named::account_name),
        strategy: Some(strategy.id()),
        reason: Some(reason),
        ..Audit::default()
    });
}

#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod tests;

#[cfg(test)]
mod external_tests;
#[cfg(test)]
mod flow_tests;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod link_tests;
