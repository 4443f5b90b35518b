//! The control plane's endpoints: which path is which operation (contract, section 5).
//!
//! `operation.rs` path and method to operation · `ask.rs` a request as endpoints see it ·
//! `who.rs` who is asking · `reply.rs` answers · `openapi.rs` all of it as a document.

mod alias;
mod ask;
mod openapi;
mod operation;
pub(crate) mod reply;
#[cfg(test)]
pub(crate) mod testing;
mod who;

pub use ask::Ask;
pub use openapi::document as openapi;
pub use reply::Reply;
pub use who::{Presented, of_expired, presented, presented_apart};

use crate::{
    accounts,
    clock::Clock,
    login,
    mail::Outbox,
    metrics::Metrics,
    pages::Pages,
    problem::{Code, Problem},
    proxy::endpoint::{EndpointHandler, EndpointRequest},
    random::Random,
    registry::{Instance, Registry},
    sessions::Sessions,
    store::Store,
    tokens::Tokens,
};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderValue, Method, Response,
    header::{CACHE_CONTROL, STRICT_TRANSPORT_SECURITY},
};
use operation::Operation;
use portcullis_config::{AdminApi, Config};
use std::sync::Arc;

/// What an endpoint may use. A reload makes the next one.
#[derive(Clone)]
pub struct Control {
    /// The checked configuration.
    pub config: Arc<Config>,
    /// What survives.
    pub store: Store,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Signs and verifies.
    pub tokens: Arc<Tokens>,
    /// Strategies by id.
    pub registry: Registry,
    /// What a browser is shown.
    pub pages: Arc<Pages>,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Where logins are counted.
    pub metrics: Arc<Metrics>,
    /// Letters on their way.
    pub outbox: Arc<Outbox>,
}

/// Answers every request to an endpoint, each by what holds when it comes: a reload
/// changes nothing for those under way.
pub fn handler(control: Arc<ArcSwap<Control>>) -> EndpointHandler {
    Arc::new(move |request| {
        let control = control.load_full();
        Box::pin(async move { answer(&control, &request).await })
    })
}

/// A request to the admin API that came over the admin listener.
pub async fn answer_on_listener(control: &Control, request: &EndpointRequest) -> Response<Bytes> {
    answer_at(Ask { on_listener: true, ..Ask::new(control, request) }).await
}

/// One request, one answer. A `HEAD` is answered like a `GET`; whoever frames the answer
/// leaves its body out.
async fn answer(control: &Control, request: &EndpointRequest) -> Response<Bytes> {
    let Some((alias, path)) = alias::find(control, request) else {
        return answer_at(Ask::new(control, request)).await;
    };
    let reply = match alias::rewritten(control, request, alias, path) {
        Ok(request) => answer_at(Ask::new(control, &request)).await,
        Err(problem) => finished(control, Ask::new(control, request).refuse(&problem)),
    };
    alias::answered(reply, alias)
}

async fn answer_at(ask: Ask<'_>) -> Response<Bytes> {
    let control = ask.control;
    let response = match operate(&ask).await {
        Ok(response) => response,
        Err(mut problem) => {
            if problem.code == Code::LoginRequired {
                let config = &control.config;
                let origin = &config.server.public_url.origin;
                problem.login_url = Some(format!("{origin}{}", config.endpoints.login));
            }
            if let Some(limit) = login::body::limit(&problem) {
                ask.control.metrics.limit(limit);
            }
            ask.refuse(&problem)
        }
    };
    finished(control, response)
}

/// What every answer of an endpoint has.
fn finished(control: &Control, mut response: Reply) -> Reply {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if control.config.server.public_url.https {
        // ASVS 3.4.1: a year. Sub-domains are not ours to speak for.
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

async fn operate(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let Some(operation) = operation::find(&ask.request.path, &ask.control.config.endpoints) else {
        return Err(Code::NotFound.into());
    };
    let here = if ask.on_listener { AdminApi::Listener } else { AdminApi::Public };
    if matches!(operation, Operation::Admin(_)) && ask.control.config.admin.api != here {
        return Err(Code::NotFound.into());
    }
    let method = ask.method();
    if !operation.methods().contains(&method) {
        let mut problem = Problem::from(Code::MethodNotAllowed);
        problem.allow = Some(operation.allow());
        return Err(problem);
    }
    // What providers send is proven by its own means.
    match operation {
        Operation::Callback(id) => return login::callback::answer(ask, &strategy(ask, id)?).await,
        Operation::BackChannel(id) => return login::notice::back_channel(ask, &strategy(ask, id)?).await,
        Operation::FrontChannel(id) => return login::notice::front_channel(ask, &strategy(ask, id)?).await,
        _ => {}
    }
    let safe = method == Method::GET;
    if !safe && !ask.is_own() {
        return Err(Code::ForeignOrigin.into());
    }
    match (operation, !safe) {
        (Operation::Login, false) => login::page::all(ask).await,
        (Operation::Login, true) => login::submit(ask, &strategy(ask, default_id(ask)?)?).await,
        (Operation::LoginAt(id), false) => login::page::one(ask, &strategy(ask, id)?).await,
        (Operation::LoginAt(id), true) => login::submit(ask, &strategy(ask, id)?).await,
        (Operation::Callback(_) | Operation::BackChannel(_) | Operation::FrontChannel(_), _) => {
            Err(Code::NotFound.into())
        }
        (Operation::Logout, _) => login::logout::end(ask).await,
        (Operation::Current, _) => accounts::current::show(ask).await,
        (Operation::Refresh, _) if method == Method::DELETE => login::refresh::end(ask).await,
        (Operation::Refresh, _) => login::refresh::renew(ask).await,
        (Operation::Sessions, _) => accounts::sessions::list(ask).await,
        (Operation::SessionAt(sid), _) => accounts::sessions::end(ask, sid).await,
        (Operation::SessionEnd(sid), _) => accounts::sessions::end_by_form(ask, sid).await,
        (Operation::Admin(which), _) => accounts::admin::answer(ask, which).await,
        (Operation::TokenCheck, _) => accounts::token_check::check(ask).await,
        (Operation::Register, false) => accounts::register::show(ask),
        (Operation::Register, true) => accounts::register::submit(ask).await,
        (Operation::Recovery, false) => accounts::recovery::show(ask),
        (Operation::Recovery, true) => accounts::recovery::submit(ask).await,
        (Operation::Reset, false) => accounts::reset::show(ask).await,
        (Operation::Reset, true) => accounts::reset::submit(ask).await,
        (Operation::VerifyEmail, false) => accounts::verify_email::show(ask),
        (Operation::VerifyEmail, true) => accounts::verify_email::submit(ask).await,
        (Operation::Me, false) => accounts::me::show(ask).await,
        (Operation::Me, true) => accounts::me::submit(ask).await,
        (Operation::Password, _) => accounts::password::submit(ask).await,
        (Operation::Credentials, _) => accounts::credentials::list(ask).await,
        (Operation::Credential(id), _) => accounts::credentials::delete(ask, id).await,
        (Operation::CredentialRemove(id), _) => accounts::credentials::submit(ask, id).await,
        (Operation::ChangePassword, _) => {
            Ok(reply::see_other(&format!("{}/me", ask.control.config.endpoints.auth)))
        }
        (Operation::Strategies, _) => Ok(accounts::strategies::list(ask)),
        (Operation::Jwks, _) => Ok(reply::jwks(ask.control.tokens.jwks())),
    }
}

fn default_id<'a>(ask: &Ask<'a>) -> Result<&'a str, Problem> {
    ask.control.config.login.default.as_deref().ok_or(Code::UnknownStrategy.into())
}

/// The same body whatever the name was, so that it tells nothing of others.
fn strategy(ask: &Ask<'_>, id: &str) -> Result<Instance, Problem> {
    ask.control.registry.get(id).ok_or(Code::UnknownStrategy.into())
}

#[cfg(test)]
mod tests;
