//! `{auth}/sessions`: the devices on which somebody is signed in, and the end of one
//! (contract, section 5). One's own alone.

use crate::telemetry::rfc3339;
use crate::{
    control::{Ask, Reply, presented, reply},
    problem::{Code, Problem},
    sessions::{Idle, LiveSession, Lookup, SessionRecord},
    store::StoreError,
    telemetry::Audit,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET {auth}/sessions`
pub(crate) async fn list(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let own = signed_in(ask).await?;
    let live = live(ask, &own).await?;
    let data: Vec<Value> = live.iter().map(|session| shown(session, session.sid == own.sid())).collect();
    Ok(reply::list(ask, "sessions", "sid", data))
}

/// All live sessions of the account that this one belongs to.
pub(super) async fn live(ask: &Ask<'_>, own: &LiveSession) -> Result<Vec<SessionRecord>, Problem> {
    let now = ask.control.clock.now();
    let idle = Idle::of(&ask.control.config);
    let all = ask.control.store.sessions_of(own.account().uuid).await.map_err(|e| stuck(&e))?;
    let live = all.into_iter().map(|session| up_to_date(ask, session)).filter(|session| {
        let idle = if session.family { idle.family } else { idle.session };
        now < session.expires && now.since(session.last_used) < idle
    });
    Ok(live.collect())
}

/// `DELETE {auth}/sessions/:sid`
pub(crate) async fn end(ask: &Ask<'_>, sid: &str) -> Result<Reply, Problem> {
    let own = signed_in(ask).await?;
    end_own(ask, &own, sid).await?;
    Ok(without_cookies(ask, reply::no_content(), &own, sid))
}

/// `POST {auth}/sessions/:sid/end`: the same for a page's form.
pub(crate) async fn end_by_form(ask: &Ask<'_>, sid: &str) -> Result<Reply, Problem> {
    let own = signed_in(ask).await?;
    end_own(ask, &own, sid).await?;
    let endpoints = &ask.control.config.endpoints;
    let to = if own.sid() == sid { endpoints.login.clone() } else { format!("{}/me", endpoints.auth) };
    Ok(without_cookies(ask, reply::see_other(&to), &own, sid))
}

async fn signed_in(ask: &Ask<'_>) -> Result<Arc<LiveSession>, Problem> {
    presented(ask).await?.signed_in()?.ok_or(Code::LoginRequired.into())
}

/// The table knows the last use better than the store.
fn up_to_date(ask: &Ask<'_>, mut session: SessionRecord) -> SessionRecord {
    if let Lookup::Live(live) = ask.control.sessions.by_sid(&session.sid, ask.control.clock.now()) {
        session.last_used = session.last_used.max(live.last_used());
    }
    session
}

fn shown(session: &SessionRecord, current: bool) -> Value {
    json!({
        "sid": session.sid,
        "created": rfc3339(session.created),
        "last_used": rfc3339(session.last_used),
        "expires": rfc3339(session.expires),
        "address": session.address.to_string(),
        "user_agent": session.user_agent,
        "current": current,
    })
}

/// Somebody else's session is as good as none.
async fn end_own(ask: &Ask<'_>, own: &LiveSession, sid: &str) -> Result<(), Problem> {
    let (control, account) = (ask.control, own.account());
    let found = control.store.session_by_sid(sid).await.map_err(|e| stuck(&e))?;
    let (session, ..) = found.filter(|(s, ..)| s.account == account.uuid).ok_or(Code::NotFound)?;
    control.store.end_session(sid).await.map_err(|e| stuck(&e))?;
    control.sessions.end(sid);
    ask.audit(Audit {
        event: "logout",
        account: Some(&account.name),
        strategy: Some(&session.strategy),
        sid: Some(sid),
        reason: Some("by_owner"),
        ..Audit::default()
    });
    Ok(())
}

/// Whoever ended the session that they asked in has no use for its cookies.
fn without_cookies(ask: &Ask<'_>, answer: Reply, own: &LiveSession, ended: &str) -> Reply {
    if own.sid() != ended {
        return answer;
    }
    let same_site = ask.control.config.session.same_site;
    let answer = reply::with_cookie(answer, &ask.cookies.clear_session(same_site));
    reply::with_cookie(answer, &ask.cookies.clear_refresh())
}

/// The store did not answer an endpoint.
pub(crate) fn stuck(error: &StoreError) -> Problem {
    tracing::error!(error = %error.0, "the store did not answer an endpoint");
    Code::StoreUnavailable.into()
}
