//! `{auth}/password`: a person changes their own password. Whoever else a body names, it
//! is that of the session's account. All older sessions and tokens end with it.

use super::{
    input::{self, store_failed},
    keeper, me, proof, renewed,
};
use crate::{
    control::{Ask, Reply},
    login::{
        body::Body,
        fresh::{self, Fresh},
    },
    problem::{Code, Problem},
    sessions::LiveSession,
};
use http::StatusCode;

/// `POST`, `PATCH {auth}/password`
pub(crate) async fn submit(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let session = input::session(ask).await?;
    let body = input::read(ask)?;
    let outcome = change(ask, &session, &body).await;
    let result = outcome.as_ref().map_or_else(|problem| problem.code.as_str(), |_| "success");
    ask.control.metrics.account("password", result);
    match outcome {
        Err(problem) if ask.is_browser_form() => me::again(ask, &session, &problem).await,
        outcome => outcome,
    }
}

async fn change(ask: &Ask<'_>, session: &LiveSession, body: &Body) -> Result<Reply, Problem> {
    let current = input::required(body, "current")?;
    let next = input::required(body, "next")?;
    input::confirmed(body, "next", "next_confirm")?;
    let me = format!("{}/me", ask.control.config.endpoints.auth);
    let asked = fresh::Asked::read(ask, body)?.leading_to(me);
    asked.keeps(session)?;
    let account = session.account();
    let Some(strategy) = keeper::of(ask, &account, session.strategy()).await? else {
        return Err(Problem::from(Code::Forbidden).detail("Your account has no password here."));
    };
    let proved = proof::change(ask, &account, &strategy, current, next).await?;
    let external = match strategy.id() == session.strategy() {
        true => ask.control.store.external_of(session.sid()).await.map_err(|e| store_failed(&e))?,
        false => None,
    };
    let swap = proved.old.zip(proved.new);
    let secret = swap.as_ref().map(|(_, new)| new.clone());
    let Some(account) = renewed::tell(ask, &account, strategy.id(), swap).await? else {
        return Err(Code::WrongCurrent.into());
    };
    let new = Fresh { account: &account, strategy: strategy.id(), secret, former: Some(session), external };
    let answer = fresh::sign_in(ask, new, &asked, StatusCode::OK).await?;
    answer.ok_or(Code::LoginRequired.into())
}
