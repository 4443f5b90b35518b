//! `POST {login}/:strategy` with `state`: a further step of a login, by a form.

use super::{
    Tried,
    asked::{Asked, OWN},
    body::Body,
    callback,
    decide::{self, call, undecided},
    finish,
    kept::{Kept, put_back, take},
    page, person, throttle, who,
};
use crate::{
    control::{Ask, Reply},
    problem::{Code, Problem},
    registry::Instance,
};
use portcullis_plugin_api::{Resume, Via};

/// A form step: the state is used up, unless the step was not decided.
pub(super) async fn step(
    ask: &Ask<'_>,
    strategy: &Instance,
    body: &Body,
    state: &str,
) -> Result<Reply, Problem> {
    let Some((kept, _)) = take(ask, strategy.id(), state, Via::Form).await? else {
        return Err(callback::stale(ask, strategy));
    };
    let asked = kept.asked(fields(body), not_text(body));
    match decided(ask, strategy, &kept, asked).await {
        Err(problem) if is_undecided(problem.code) => {
            put_back(ask, strategy.id(), state, &kept).await?;
            match kept.form().filter(|_| ask.is_browser_form()) {
                Some(form) => Ok(page::step(ask, strategy, &form, state, Some(&problem))),
                None => Err(problem),
            }
        }
        answer => answer,
    }
}

async fn decided(ask: &Ask<'_>, strategy: &Instance, kept: &Kept, asked: Asked) -> Result<Reply, Problem> {
    // A wrong code is a failure like a wrong password, of whoever was typed in first.
    let mut tried = match &kept.identifier {
        Some(identifier) => {
            let named = who::find(ask, strategy, identifier).await?;
            let reservation = throttle::count(ask, strategy.id(), &named).await?;
            Some(Tried { named, reservation, person: None, is_further: true })
        }
        None => None,
    };
    let next = ask.control.random.opaque();
    let resume = Resume {
        params: asked.form.clone(),
        flow: kept.flow(),
        via: Via::Form,
        resume_url: callback::url(ask, strategy),
        state: next.clone(),
    };
    let counted = match (strategy.resume(call(ask, strategy), resume).await, &mut tried) {
        (Ok(outcome), Some(tried)) => {
            let person = person::count(ask, strategy, &tried.named, &outcome).await;
            person.map(|person| {
                tried.person = person;
                outcome
            })
        }
        (Ok(outcome), None) => Ok(outcome),
        (Err(error), _) => Err(undecided(error, &asked)),
    };
    let decided = match counted {
        Ok(outcome) => {
            decide::on(ask, strategy, None, outcome, "bad_further_step", asked.link.as_ref(), Via::Form).await
        }
        Err(problem) => Err(problem),
    };
    finish(ask, strategy, &asked, tried, &next, decided).await
}

/// What can be tried again with the same state.
fn is_undecided(code: Code) -> bool {
    code.status() >= 500 || matches!(code, Code::Malformed | Code::WeakPassword)
}

fn fields(body: &Body) -> std::collections::BTreeMap<String, String> {
    let theirs = body.fields.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    theirs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn not_text(body: &Body) -> Vec<String> {
    body.fields.iter().filter(|(_, value)| !value.is_string()).map(|(name, _)| name.clone()).collect()
}
