//! `{auth}/verify-email`: a mailed link proves an address, the account's own or the one
//! that is to take its place. Following the link shows a page; only its button acts, so
//! that no scanner of mails proves anything.

use super::{
    input::{self, store_failed},
    post, view,
};
use crate::{
    control::{Ask, Reply, presented, reply},
    login::body::{Body, Shape},
    mail::Notice,
    pages::FormView,
    problem::{Code, Problem},
    store::{Proof, hash_token},
    telemetry::Audit,
};
use serde_json::json;
use uuid::Uuid;

/// The page.
pub(crate) fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    input::page_only(ask)?;
    let token = ask.query("token").unwrap_or_default();
    Ok(reply::page(&ask.control.pages, 200, page(ask, &token, None)))
}

/// `POST {auth}/verify-email`
pub(crate) async fn submit(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let body = input::read(ask)?;
    let outcome = verify(ask, &body).await;
    let result = outcome.as_ref().map_or_else(|problem| problem.code.as_str(), |_| "success");
    ask.control.metrics.account("verify_email", result);
    match outcome {
        Err(problem) if ask.is_browser_form() => {
            let token = body.text("token").ok().flatten().unwrap_or_default();
            Ok(ask.page_of(&problem, page(ask, token, Some(&problem))))
        }
        Err(problem) => Err(problem),
        Ok(_) if ask.is_browser_form() => {
            let endpoints = &ask.control.config.endpoints;
            let is_signed_in = presented(ask).await.is_ok_and(|presented| presented.cookie.is_some());
            let me = format!("{}/me", endpoints.auth);
            Ok(reply::see_other(if is_signed_in { &me } else { &endpoints.login }))
        }
        Ok(uuid) if body.shape == Shape::JsonApi => Ok(reply::json_api(&view::done(uuid))),
        Ok(_) => Ok(reply::json(&json!({ "success": true }))),
    }
}

async fn verify(ask: &Ask<'_>, body: &Body) -> Result<Uuid, Problem> {
    let token = input::required(body, "token")?;
    let control = ask.control;
    let proof = control.store.prove_address(hash_token(token), control.clock.now()).await;
    match proof.map_err(|e| store_failed(&e))? {
        Proof::Done { account, before } => {
            // An address that nobody had proved may be a stranger's: it is told nothing.
            let address = account.email.clone().unwrap_or_default();
            post::notice(ask, before.as_deref(), Notice::Address(address)).await;
            ask.audit(Audit { event: "email_verified", account: Some(&account.name), ..Audit::default() });
            let uuid = account.uuid;
            control.sessions.account_changed(*account);
            Ok(uuid)
        }
        Proof::Taken => Err(Code::EmailTaken.into()),
        Proof::Invalid => Err(Code::InvalidMailedToken.into()),
    }
}

fn page(ask: &Ask<'_>, token: &str, problem: Option<&Problem>) -> String {
    ask.control.pages.form(&FormView {
        template: "verify_email.html",
        heading: "Confirm your address",
        intro: Some("Confirm that the address this link was mailed to is yours."),
        action: "/verify-email",
        hidden: vec![("token", token)],
        button: "Confirm",
        error: problem.map(Problem::text),
        request_id: &ask.request.request_id,
        ..FormView::default()
    })
}
