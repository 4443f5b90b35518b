//! `{auth}/reset`: a new password by a mailed link. Nobody is signed in by it.

use super::{
    input::{self, store_failed},
    keeper, post, view,
};
use crate::{
    control::{Ask, Reply, reply},
    login::body::{Body, Shape},
    mail::Notice,
    pages::{FormView, Input},
    problem::{Code, Problem},
    store::{Purpose, hash_token},
    telemetry::Audit,
};
use serde_json::json;
use uuid::Uuid;

/// The page; it acts on nothing.
pub(crate) async fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    input::page_only(ask)?;
    let token = ask.query("token").unwrap_or_default();
    Ok(reply::page(&ask.control.pages, 200, page(ask, &token, None).await))
}

/// `POST {auth}/reset`
pub(crate) async fn submit(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let body = input::read(ask)?;
    let outcome = reset(ask, &body).await;
    let result = outcome.as_ref().map_or_else(|problem| problem.code.as_str(), |_| "success");
    ask.control.metrics.account("reset", result);
    match outcome {
        Err(problem) if ask.is_browser_form() => {
            let token = body.text("token").ok().flatten().unwrap_or_default();
            Ok(ask.page_of(&problem, page(ask, token, Some(&problem)).await))
        }
        Err(problem) => Err(problem),
        Ok(_) if ask.is_browser_form() => Ok(reply::see_other(&ask.control.config.endpoints.login)),
        Ok(uuid) if body.shape == Shape::JsonApi => Ok(reply::json_api(&view::done(uuid))),
        Ok(_) => Ok(reply::json(&json!({ "success": true }))),
    }
}

async fn reset(ask: &Ask<'_>, body: &Body) -> Result<Uuid, Problem> {
    let token = input::required(body, "token")?;
    let password = input::required(body, "password")?;
    input::confirmed(body, "password", "password_confirm")?;
    let (control, hash) = (ask.control, hash_token(token));
    let invalid = || Problem::from(Code::InvalidMailedToken);
    let found = control.store.mailed_token(Purpose::Reset, hash, control.clock.now()).await;
    let found = found.map_err(|e| store_failed(&e))?.ok_or_else(invalid)?;
    let strategy = found.strategy.and_then(|id| control.registry.get(&id)).ok_or_else(invalid)?;
    // A weak one leaves the link good for another try.
    let secret = keeper::make(ask, &strategy, password, keeper::about(&found.account)).await?;
    let done = control.store.reset_secret(hash, secret, control.clock.now()).await;
    let account = done.map_err(|e| store_failed(&e))?.ok_or_else(invalid)?;
    ask.audit(Audit {
        event: "password_reset",
        account: Some(&account.name),
        strategy: Some(strategy.id()),
        ..Audit::default()
    });
    control.sessions.end_all(account.uuid);
    post::notice(ask, account.verified_email(), Notice::Password).await;
    let uuid = account.uuid;
    control.sessions.account_changed(account);
    Ok(uuid)
}

/// Whoever has the link may know whose password it sets, so that their password manager does.
async fn page(ask: &Ask<'_>, token: &str, problem: Option<&Problem>) -> String {
    let (store, now) = (&ask.control.store, ask.control.clock.now());
    let found = store.mailed_token(Purpose::Reset, hash_token(token), now).await.ok().flatten();
    let input = |name, label| Input {
        name,
        label,
        kind: "password",
        autocomplete: "new-password",
        required: true,
        value: None,
    };
    ask.control.pages.form(&FormView {
        template: "reset.html",
        heading: "Choose a new password",
        intro: Some("You are then signed out on all your devices."),
        action: "/reset",
        hidden: vec![("token", token)],
        username: Some(found.as_ref().map_or("", |found| found.account.name.as_str())),
        inputs: vec![input("password", "New password"), input("password_confirm", "New password again")],
        button: "Set the password",
        error: problem.map(Problem::text),
        request_id: &ask.request.request_id,
    })
}
