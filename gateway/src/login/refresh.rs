//! `{auth}/refresh`: a new token for a session that goes on, and its end (contract,
//! section 5). The order is what makes a logout win every race: the store replaces the
//! value only while the session is there, the table takes the new cookie only while the
//! session is there, and nobody is answered before the session was seen to live once more.

use super::{
    answer,
    asked::{lifetime, named_transport},
    body::{self, Body, Shape, malformed},
    logout,
    open::Opened,
    who::store_failed,
};
use crate::{
    clock::UnixMillis,
    control::{Ask, Reply, reply},
    problem::{Code, Problem},
    sessions::{Found, LiveSession, Lookup, SessionRecord, Transport},
    store::{Presented, Rotation, Successor, Terms},
    telemetry::Audit,
    tokens::{Nonce, RefreshKeys, RefreshValue},
};
use http::header::COOKIE;
use std::sync::Arc;

/// `POST {auth}/refresh`
pub(crate) async fn renew(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let body = optional_body(ask)?;
    let text = sent(ask, body.as_ref())?.ok_or(Code::LoginRequired)?;
    let token = &ask.control.config.token;
    let (wanted, lifetime) = match &body {
        Some(body) => (named_transport(body)?, lifetime(body, token)?),
        None => (None, token.lifetime),
    };
    let value = ask.control.tokens.refresh().read(&text).ok_or(Code::InvalidToken)?;
    let (live, replaced) = match rotate(ask, &value, wanted).await? {
        Some(found) => found,
        None => return Err(Code::InvalidToken.into()),
    };
    let opened = opened(ask, live, &value, &replaced);
    let usual = if ask.takes_json_api() { Shape::JsonApi } else { Shape::Json };
    let shape = body.map_or(usual, |body| body.shape);
    let answer = answer::superset(ask, shape, lifetime, &opened);
    // Signing took its time: what ended meanwhile is not handed out.
    if opened.live.is_live(ask.control.clock.now()) { Ok(answer) } else { Err(Code::InvalidToken.into()) }
}

/// `DELETE {auth}/refresh`: also when there was none.
pub(crate) async fn end(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let body = optional_body(ask)?;
    if let Some(text) = sent(ask, body.as_ref())? {
        end_family(ask, &text, false).await?;
    }
    let same_site = ask.control.config.session.same_site;
    let answer = reply::with_cookie(reply::no_content(), &ask.cookies.clear_session(same_site));
    Ok(reply::with_cookie(answer, &ask.cookies.clear_refresh()))
}

/// The refresh cookie, if there is exactly one and it is text.
pub(super) fn cookie<'a>(ask: &Ask<'a>) -> Option<&'a str> {
    let fields = ask.request.headers.get_all(COOKIE).iter().map(|field| field.as_bytes());
    match ask.cookies.refresh_value(fields) {
        Found::One(value) => std::str::from_utf8(value).ok().filter(|text| !text.is_empty()),
        Found::Absent | Found::Several => None,
    }
}

/// The refresh token that the body holds, if it can be read: a logout is refused for nothing.
pub(super) fn of_body(ask: &Ask<'_>) -> Option<String> {
    let body = optional_body(ask).ok().flatten()?;
    body.text("refresh_token").ok().flatten().map(str::to_owned)
}

/// Any value that the family ever had will do: whoever has one may end it. With `global`, all
/// sessions of its account.
pub(super) async fn end_family(ask: &Ask<'_>, text: &str, global: bool) -> Result<(), Problem> {
    let control = ask.control;
    let Some(value) = control.tokens.refresh().read(text) else { return Ok(()) };
    let sid = control.store.family_sid(value.family()).await.map_err(|e| store_failed(&e))?;
    match sid {
        Some(sid) => logout::end_stored(ask, &sid, global).await,
        None => Ok(()),
    }
}

/// A refresh needs no body.
fn optional_body(ask: &Ask<'_>) -> Result<Option<Body>, Problem> {
    let request = ask.request;
    if request.body.is_empty() {
        return Ok(None);
    }
    body::read(&request.headers, &request.body, ask.body_limits()).map(Some)
}

/// The value that was sent, by cookie or in the body.
fn sent(ask: &Ask<'_>, body: Option<&Body>) -> Result<Option<String>, Problem> {
    let in_body = match body {
        Some(body) => body.text("refresh_token")?,
        None => None,
    };
    match (in_body, cookie(ask)) {
        (Some(_), Some(_)) => Err(malformed("refresh_token: send it in the body or as a cookie, not both")),
        (Some(""), None) => Err(malformed("refresh_token: empty")),
        (one, other) => Ok(one.or(other).map(str::to_owned)),
    }
}

/// Replaces a value. None: it is no good (any more).
async fn rotate(
    ask: &Ask<'_>,
    value: &RefreshValue,
    wanted: Option<Transport>,
) -> Result<Option<(Arc<LiveSession>, Replaced)>, Problem> {
    let Some(live) = live(ask, value).await? else { return Ok(None) };
    if wanted.is_some_and(|wanted| wanted != live.transport()) {
        return Err(Code::Transport.into());
    }
    let replaced = in_store(ask, value, &live).await?;
    Ok(replaced.and_then(|replaced| in_table(ask, &live, &replaced).then_some((live, replaced))))
}

/// What the store made of a value.
struct Replaced {
    session: SessionRecord,
    at: UnixMillis,
    nonce: Nonce,
}

/// The live session of a value's family: neither ended nor idle, as the table knows it.
async fn live(ask: &Ask<'_>, value: &RefreshValue) -> Result<Option<Arc<LiveSession>>, Problem> {
    let (control, now) = (ask.control, ask.control.clock.now());
    let sid = control.store.family_sid(value.family()).await.map_err(|e| store_failed(&e))?;
    let Some(sid) = sid else { return Ok(None) };
    match control.sessions.by_sid(&sid, now) {
        Lookup::Live(session) => Ok(Some(session)),
        Lookup::None => Ok(None),
        Lookup::Unknown => {
            control.sessions.ask_sid(&sid, now).await.map_err(|_| Code::StoreUnavailable.into())
        }
    }
}

async fn in_store(
    ask: &Ask<'_>,
    value: &RefreshValue,
    live: &LiveSession,
) -> Result<Option<Replaced>, Problem> {
    let control = ask.control;
    let (config, now) = (&control.config, control.clock.now());
    let terms = Terms {
        now,
        grace: config.token.refresh_grace,
        cookie_expires: now.plus(config.session.lifetime),
        keep_cookie: live.has_working_cookie(now),
        nonce: control.random.bytes(),
    };
    let presented = Presented { family: value.family(), value: value.hash() };
    let (keys, old) = (control.tokens.refresh().clone(), value.clone());
    let rotated = control.store.rotate(presented, terms, move |nonce| successor(&keys, &old, nonce)).await;
    match rotated.map_err(|e| store_failed(&e))? {
        Rotation::Replaced(session, nonce) => Ok(Some(Replaced { session: *session, at: now, nonce })),
        Rotation::Unknown => Ok(None),
        Rotation::Replayed(session) => {
            control.sessions.end(&session.sid);
            ask.audit(Audit {
                event: "refresh_replayed",
                account: Some(&live.account().name),
                strategy: Some(&session.strategy),
                sid: Some(&session.sid),
                ..Audit::default()
            });
            Ok(None)
        }
    }
}

/// Takes the new cookie into the table; false when the session ended meanwhile.
fn in_table(ask: &Ask<'_>, live: &LiveSession, replaced: &Replaced) -> bool {
    ask.control.sessions.rotated(&replaced.session);
    live.is_live(ask.control.clock.now())
}

fn successor(keys: &RefreshKeys, value: &RefreshValue, nonce: &Nonce) -> Successor {
    let next = keys.successor(value, nonce);
    let cookie = crate::sessions::hash_cookie(keys.cookie(&next).as_bytes());
    Successor { value: next.hash(), cookie }
}

fn opened(ask: &Ask<'_>, live: Arc<LiveSession>, value: &RefreshValue, replaced: &Replaced) -> Opened {
    let keys = ask.control.tokens.refresh();
    let next = keys.successor(value, &replaced.nonce);
    Opened {
        account: live.account().as_ref().clone(),
        live,
        cookie: keys.cookie(&next),
        cookie_expires: replaced.session.cookie_expires,
        at: replaced.at,
        refresh: Some(keys.write(&next)),
    }
}

#[cfg(test)]
mod races;
