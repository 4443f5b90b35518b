//! `{auth}/recovery`: a link to a new password, mailed to whoever has the address. Known
//! or unknown, the answer and the work are the same: every question to the store is put,
//! and a letter to nobody is written, sealed and kept.

use super::{
    input::{self, store_failed},
    keeper,
    name::new_address,
    post, view,
};
use crate::{
    control::{Ask, Reply, reply},
    login::body::{Body, Shape, malformed},
    mail::{Draft, Letter},
    pages::{FormView, Input},
    problem::Problem,
    store::{NewToken, Purpose},
    telemetry::Audit,
};
use serde_json::json;
use uuid::Uuid;

/// The page.
pub(crate) fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    input::page_only(ask)?;
    post::available(ask)?;
    Ok(reply::page(&ask.control.pages, 200, page(ask, None, None)))
}

/// `POST {auth}/recovery`
pub(crate) async fn submit(ask: &Ask<'_>) -> Result<Reply, Problem> {
    post::available(ask)?;
    let body = input::read(ask)?;
    let outcome = recover(ask, &body).await;
    let result = outcome.as_ref().map_or_else(|problem| problem.code.as_str(), |()| "success");
    ask.control.metrics.account("recovery", result);
    match outcome {
        Err(problem) if ask.is_browser_form() => {
            Ok(ask.page_of(&problem, page(ask, Some(&body), Some(&problem))))
        }
        Err(problem) => Err(problem),
        Ok(()) => Ok(answer(ask, &body)),
    }
}

async fn recover(ask: &Ask<'_>, body: &Body) -> Result<(), Problem> {
    let address = input::required(body, "email")?;
    let address = new_address(address).map_err(|why| malformed(format!("email: {why}")))?;
    input::admit_client(ask)?;
    let store = &ask.control.store;
    let found = store.account_by_identifier(&address).await.map_err(|e| store_failed(&e))?;
    let found = found.filter(|account| account.active && account.email.as_deref() == Some(&address));
    let uuid = found.as_ref().map_or(Uuid::nil(), |account| account.uuid);
    let ways = store.credential_strategies(uuid).await.map_err(|e| store_failed(&e))?;
    let keeper = keeper::among(ask, &ways);
    let keeper = keeper.as_ref().map_or("", |keeper| keeper.id());
    let secret = store.credential(keeper, uuid).await.map_err(|e| store_failed(&e))?;
    let secret = secret.and_then(|credential| credential.secret);
    let admitted = ask.control.outbox.admit_recipient(&address, ask.control.clock.now());

    let link = post::link(ask, "reset", ask.control.config.accounts.recovery_lifetime);
    // A name that a stranger may have chosen, for an address that may not be theirs, is not
    // written to it; whoever has the address signs in by that as well.
    let name = found.as_ref().filter(|account| account.email_verified);
    let name = name.map_or(&address, |account| &account.name).clone();
    let to = (found.is_some() && admitted).then(|| address.clone());
    let letter = match (&found, &secret) {
        (Some(_), None) => Letter::Elsewhere { ways: titles(ask, &ways) },
        _ => Letter::Reset { name, link: link.url, lives: link.lives },
    };
    let token = secret.filter(|_| to.is_some()).map(|secret| NewToken {
        account: uuid,
        purpose: Purpose::Reset,
        hash: link.hash,
        address,
        strategy: Some(keeper.to_owned()),
        secret: Some(secret),
        expires: link.expires,
    });
    ask.audit(Audit {
        event: "recovery_requested",
        account: found.as_ref().map(|account| account.name.as_str()),
        reason: Some(match (&found, admitted) {
            (None, _) => "unknown_address",
            (Some(_), false) => "too_many_mails",
            (Some(_), true) => "mailed",
        }),
        ..Audit::default()
    });
    post::keep(ask, token, vec![Draft { to, letter, expires: link.expires }]).await
}

fn titles(ask: &Ask<'_>, ways: &[String]) -> Vec<String> {
    ways.iter().filter_map(|id| ask.control.registry.get(id)).map(|one| one.title().to_owned()).collect()
}

const SENT: &str = "If there is an account with that address, a mail is on its way.";

fn answer(ask: &Ask<'_>, body: &Body) -> Reply {
    if ask.is_browser_form() {
        return reply::page(&ask.control.pages, 200, ask.control.pages.done("Check your mail", SENT));
    }
    match body.shape {
        Shape::JsonApi => reply::json_api(&json!({ "data": { "type": "users", "detail": SENT } })),
        Shape::Json | Shape::Form => reply::json(&json!({ "success": true, "message": SENT })),
    }
}

fn page(ask: &Ask<'_>, body: Option<&Body>, problem: Option<&Problem>) -> String {
    let input = Input {
        name: "email",
        label: "E-mail address",
        kind: "email",
        autocomplete: "email",
        required: true,
        value: body.and_then(|body| view::typed(body, "email")),
    };
    ask.control.pages.form(&FormView {
        template: "recovery.html",
        heading: "Forgot your password?",
        intro: Some("We mail you a link to a new one."),
        action: "/recovery",
        inputs: vec![input],
        button: "Send the mail",
        error: problem.map(Problem::text),
        request_id: &ask.request.request_id,
        ..FormView::default()
    })
}
