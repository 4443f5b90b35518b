//! `{login}/:strategy/backchannel-logout` and `…/frontchannel-logout`: a provider says that
//! somebody has signed out there. The strategy verifies it; all sessions concerned end.

use super::{
    body::{malformed, parameters},
    decide::call,
    who::store_failed,
};
use crate::{
    control::{Ask, Reply},
    problem::{Code, Problem},
    registry::{CallError, Instance},
    sessions::hash_cookie,
    telemetry::Audit,
};
use bytes::Bytes;
use http::{HeaderMap, Response, header::CONTENT_TYPE};
use portcullis_plugin_api::{Notice, NoticeReply};

/// `POST …/backchannel-logout` (OpenID Connect Back-Channel Logout 1.0 section 2.5).
pub(crate) async fn back_channel(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    if !is_form(&ask.request.headers) {
        return Err(malformed("the body must be a form with logout_token"));
    }
    heard(ask, strategy, &ask.request.body, false).await
}

/// `GET …/frontchannel-logout`: in a frame of a page of the provider, without our cookies.
pub(crate) async fn front_channel(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    heard(ask, strategy, ask.request.query.as_deref().unwrap_or_default().as_bytes(), true).await
}

async fn heard(
    ask: &Ask<'_>,
    strategy: &Instance,
    parameters_: &[u8],
    front_channel: bool,
) -> Result<Reply, Problem> {
    let notice = Notice { params: parameters(parameters_)?, front_channel };
    let reply = strategy.notice(call(ask, strategy), notice).await.map_err(|error| match error {
        CallError::BadRequest { field, message } => malformed(format!("{field}: {message}")),
        CallError::ProviderInvalid => malformed("the notice is not acceptable"),
        CallError::Unsupported => Code::NotFound.into(),
        CallError::Busy => Code::Busy.into(),
        CallError::Unavailable | CallError::Unusable | CallError::Weak(_) => Code::StrategyUnavailable.into(),
    })?;
    end_all(ask, strategy, reply).await?;
    Ok(Response::new(Bytes::new()))
}

async fn end_all(ask: &Ask<'_>, strategy: &Instance, reply: NoticeReply) -> Result<(), Problem> {
    let (id, store) = (strategy.id(), &ask.control.store);
    let subject = reply.subject.map(|subject| (reply.realm, subject.as_str().to_owned()));
    // A notice that is good for once is remembered until it is good no more.
    let once = reply.once.map(|(once, keep)| {
        (hash_cookie(format!("{id}\0{once}").as_bytes()), ask.control.clock.now().plus(keep))
    });
    let ended = store.end_external_sessions(id, subject, reply.provider_session, once).await;
    let ended = ended.map_err(|e| store_failed(&e))?;
    for sid in ended.ok_or_else(|| malformed("logout_token: it was used before"))? {
        let session = ask.control.sessions.end(&sid);
        let account = session.as_ref().map(|session| session.account());
        ask.audit(Audit {
            event: "revoked",
            account: account.as_ref().map(|account| account.name.as_str()),
            strategy: Some(id),
            sid: Some(&sid),
            reason: Some("provider_logout"),
            ..Audit::default()
        });
    }
    Ok(())
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    let essence = kind.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}
