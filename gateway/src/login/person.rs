//! A directory has several names for one person, and only it knows them. So an attempt is
//! counted once more, on whom the strategy says it was about, before anybody hears what came
//! of it (row L-05, decision 0035).

use super::{
    throttle,
    who::{Named, store_failed},
};
use crate::{control::Ask, problem::Problem, registry::Instance, store::Reservation};
use portcullis_plugin_api::Outcome;

/// Counts the attempt, or says no: whatever was answered, the right password too. None: the
/// gateway looked the person up itself, or nothing was answered yet.
pub(super) async fn count(
    ask: &Ask<'_>,
    strategy: &Instance,
    named: &Named,
    outcome: &Outcome,
) -> Result<Option<Reservation>, Problem> {
    if strategy.operations().credentials {
        return Ok(None);
    }
    let subject = match outcome {
        Outcome::Authenticated(who) => Some(&who.subject),
        Outcome::Denied(denied) => denied.subject.as_ref(),
        Outcome::Form(form) if form.subject.is_some() => form.subject.as_ref(),
        _ => return Ok(None),
    };
    let (id, text) = (strategy.id(), subject.map_or("", |subject| subject.as_str()));
    let account = ask.control.store.account_of_subject(id, text).await.map_err(|e| store_failed(&e))?;
    let person = match (account, text) {
        (Some(account), _) => Some(account.name),
        (None, "") => None,
        // No name has such a character.
        (None, text) => Some(format!("{id}\u{1f}{text}")),
    };
    match person.filter(|person| *person != named.key) {
        Some(person) => throttle::count_person(ask, id, named, &person).await.map(Some),
        // Whoever is nobody, or was counted already, costs the same work (row W-01).
        None => throttle::count_nobody(ask, &format!("{id}\u{1f}\u{1f}{}", named.key)).await,
    }
}
